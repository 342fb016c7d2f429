//! HTML that is safe by its type: text becomes part of it escaped, and in no other way.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a piece becomes part of a larger one, and is none any more"
)]

use std::fmt::Display;

/// A piece of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// Markup of our own.
    pub(super) fn raw(markup: &'static str) -> Self {
        Self(markup.to_owned())
    }

    /// Anything else.
    pub(super) fn text(text: impl Display) -> Self {
        let text = text.to_string();
        let mut escaped = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                other => escaped.push(other),
            }
        }
        Self(escaped)
    }

    /// `<tag class="class">inside</tag>`.
    pub(super) fn element(tag: &'static str, class: &'static str, inside: Self) -> Self {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        Self(format!("<{tag}{class}>{}</{tag}>", inside.0))
    }

    /// One after the other.
    pub(super) fn all(pieces: impl IntoIterator<Item = Self>) -> Self {
        Self(pieces.into_iter().map(|piece| piece.0).collect())
    }

    /// An element of a drawing: attributes are numbers and words of our own.
    pub(super) fn shape(tag: &'static str, attributes: &[(&'static str, String)], inside: Self) -> Self {
        let attributes: String =
            attributes.iter().map(|(name, value)| format!(" {name}=\"{}\"", Self::text(value).0)).collect();
        Self(format!("<{tag}{attributes}>{}</{tag}>", inside.0))
    }

    pub(super) fn push(&mut self, piece: Self) {
        self.0.push_str(&piece.0);
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// A section with a heading.
pub(super) fn section(title: &'static str, inside: impl IntoIterator<Item = Html>) -> Html {
    let heading = Html::element("h2", "", Html::text(title));
    Html::element("section", "", Html::all([heading].into_iter().chain(inside)))
}

/// A paragraph of our own words.
pub(super) fn paragraph(text: impl Display) -> Html {
    Html::element("p", "", Html::text(text))
}

/// A table; the header's names with `>` in front are of columns with numbers.
pub(super) fn table<const N: usize>(
    header: [&'static str; N],
    rows: impl IntoIterator<Item = [Html; N]>,
) -> Html {
    let number = header.map(|name| name.starts_with('>'));
    let class = |index: usize| if number[index] { "number" } else { "" };
    let names = header
        .iter()
        .enumerate()
        .map(|(index, name)| Html::element("th", class(index), Html::text(name.trim_start_matches('>'))));
    let head = Html::element("thead", "", Html::element("tr", "", Html::all(names)));
    let body = rows.into_iter().map(|row| {
        let cells = row.into_iter().enumerate().map(|(index, cell)| Html::element("td", class(index), cell));
        Html::element("tr", "", Html::all(cells))
    });
    let body = Html::element("tbody", "", Html::all(body));
    Html::element("div", "wide", Html::element("table", "", Html::all([head, body])))
}

/// Names and values, one under the other.
pub(super) fn facts(pairs: impl IntoIterator<Item = (&'static str, Html)>) -> Html {
    let pair = |(name, value)| {
        let name = Html::element("dt", "", Html::text(name));
        Html::all([name, Html::element("dd", "", value)])
    };
    Html::element("dl", "", Html::all(pairs.into_iter().map(pair)))
}

/// PASS, FAIL, or neither: a mark with its word, never colour alone.
pub(super) fn mark(state: Option<bool>) -> Html {
    match state {
        Some(true) => Html::raw("<b class=\"pass\">&#10003; PASS</b>"),
        Some(false) => Html::raw("<b class=\"fail\">&#10007; FAIL</b>"),
        None => Html::raw("<b class=\"open\">&#9675; not known</b>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_wherever_it_stands() {
        let evil = "<script>alert(\"1\")</script>&'";
        let page = table(["A", ">B"], [[Html::text(evil), Html::text(7)]]).into_string();
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;"), "{page}");
        assert!(page.contains("<td class=\"number\">7</td>"), "{page}");
        let shape = Html::shape("text", &[("x", "\"><script>".into())], Html::default()).into_string();
        assert!(!shape.contains("<script"), "{shape}");
    }
}
