//! What the server renders so that, read again, it becomes something else: said as it stays.

use std::ops::Range;

use crate::sql::lex::{Token, TokenKind, lex};

/// `varchar IN ('a', 'b')` is rendered as `(c)::text = ANY ((ARRAY['a'::character varying, …])::text[])`, which, read again,
/// becomes something else: the cast goes down to the elements. Without the casts to `text` it stays as it is.
pub(super) fn settle(text: &mut String) {
    settle_lists(text, ("((ARRAY[", "])::text[])"), ("", "::character varying"));
    settle_arrays(text);
    settle_joins(text);
}

/// What a dump of `text`, read again, has in common with it, where that is something else: the cast to `text` has gone down to the
/// elements of a list, and a part of a time is in lower case.
pub(super) fn dumped(text: &str) -> Option<String> {
    if !text.contains("(ARRAY[(") && !text.contains("EXTRACT(") {
        return None;
    }
    let mut dumped = text.to_owned();
    settle_lists(&mut dumped, ("(ARRAY[", "])"), ("(", "::character varying)::text"));
    let tokens: Vec<Token> = lex(&dumped).filter(|token| !token.is_blank()).collect();
    for part in parts_of_time(&dumped, &tokens) {
        dumped[part].make_ascii_lowercase();
    }
    (dumped != text).then_some(dumped)
}

/// Where parts of a time stand that are read in lower case: `EXTRACT('YEAR' FROM t)` is rendered as `EXTRACT(YEAR FROM t)`.
/// `tokens` are those of the text that are not blank.
pub(crate) fn parts_of_time(text: &str, tokens: &[Token]) -> Vec<Range<usize>> {
    let is_one = |four: &&[Token]| {
        four[0].is_word(text, "EXTRACT")
            && four[1].kind == TokenKind::Open
            && four[2].kind == TokenKind::Word
            && four[2].text(text).contains(|letter: char| letter.is_ascii_uppercase())
            && four[3].is_word(text, "FROM")
    };
    tokens.windows(4).filter(is_one).map(|four| four[2].span.clone()).collect()
}

/// `x = ANY (ARRAY['a'::character varying, …])`, where `x` and the whole or each of the strings is cast to `text`.
fn settle_lists(text: &mut String, (begin, end): (&str, &str), (before, after): (&str, &str)) {
    for operator in [" = ANY ", " <> ALL "] {
        let middle = format!(")::text{operator}{begin}");
        let mut from = 0;
        while let Some(at) = find(text, &middle, from) {
            from = at + middle.len();
            let Some(open) = opening(&text[..at]) else { continue };
            let Some((length, strings)) = items(&text[from..], before, after) else { continue };
            if !text[from + length..].starts_with(end) {
                continue;
            }
            let strings: Vec<String> =
                strings.iter().map(|one| format!("{one}::character varying")).collect();
            let settled = format!("{}{operator}(ARRAY[{}])", &text[open + 1..at], strings.join(", "));
            let to = from + length + end.len();
            from = open + settled.len();
            text.replace_range(open..to, &settled);
        }
    }
}

/// The next place of `what` that is not in a string, nor in the body of a function.
fn find(text: &str, what: &str, mut from: usize) -> Option<usize> {
    loop {
        let at = text[from..].find(what)? + from;
        let within = lex(text).find(|token| token.span.end > at);
        let is_code =
            within.is_none_or(|token| !matches!(token.kind, TokenKind::String | TokenKind::DollarString));
        if is_code {
            return Some(at);
        }
        from = at + what.len();
    }
}

/// A natural join without columns in common is rendered as `ON TRUE`, which, read again, is `ON (true)`.
fn settle_joins(text: &mut String) {
    if !text.contains(" ON TRUE") {
        return;
    }
    let tokens: Vec<Token> = lex(text).filter(|token| !token.is_blank()).collect();
    let is = |token: &Token, word: &str| token.kind == TokenKind::Word && token.text(text) == word;
    let conditions: Vec<Range<usize>> = (tokens.windows(2))
        .filter(|pair| is(&pair[0], "ON") && is(&pair[1], "TRUE"))
        .map(|pair| pair[1].span.clone())
        .collect();
    for condition in conditions.into_iter().rev() {
        text.replace_range(condition, "(true)");
    }
}

/// `numeric = ANY (ARRAY[1, 2])` is rendered as `… = ANY ((ARRAY[1, 2])::numeric[])`, which, read again, casts each element. Without
/// the cast, which the server adds by itself, it stays as it is.
fn settle_arrays(text: &mut String) {
    for middle in [" ANY ((ARRAY[", " ALL ((ARRAY["] {
        let mut from = 0;
        while let Some(at) = find(text, middle, from) {
            let open = at + " ANY (".len();
            from = at + middle.len();
            let Some(length) = text[from..].find("])::") else { continue };
            let cast = from + length + "]".len();
            let Some(name) = text[cast..].find("[])").map(|end| &text[cast + ")::".len()..cast + end]) else {
                continue;
            };
            if text[from..from + length].contains('[') || name.contains([')', '[', ',', '\'']) {
                continue;
            }
            let end = cast + ")::".len() + name.len() + "[]".len();
            text.replace_range(cast..end, "");
            text.replace_range(open..=open, "");
        }
    }
}

/// A view of nothing but VALUES is rendered as a query on a subquery, which, read again, is one. As `(a, b) AS VALUES …`, it
/// stays.
pub(super) fn values_list(definition: &str) -> Option<(String, &str)> {
    const SOURCE: &str = "\"*VALUES*\"";
    // What stands in front are options.
    let (_, body) = definition.trim_end().trim_end_matches(';').split_once(" SELECT ")?;
    let (columns, rest) = body.split_once("FROM (VALUES ")?;
    let values = rest.strip_suffix(&format!(") {SOURCE}"))?;
    let mut names = Vec::new();
    for column in columns.split(',') {
        let column = column.trim();
        // The newest servers leave the source out.
        let column = column.strip_prefix(SOURCE).and_then(|rest| rest.strip_prefix('.')).unwrap_or(column);
        if !column.starts_with("column") {
            return None;
        }
        names.push(column.split_once(" AS ").map_or(column, |(_, name)| name).to_owned());
    }
    Some((format!("({})", names.join(", ")), values))
}

/// Where the parenthesis opens that closes behind `text`; nowhere where strings make that uncertain.
fn opening(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate().rev() {
        match byte {
            b'\'' => return None,
            b')' => depth += 1,
            b'(' if depth == 0 => return Some(at),
            b'(' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// How long the list of strings is that `text` begins with, each between `before` and `after`, and the strings.
fn items<'a>(text: &'a str, before: &str, after: &str) -> Option<(usize, Vec<&'a str>)> {
    let mut at = 0;
    let mut strings = Vec::new();
    loop {
        at += text[at..].starts_with(before).then_some(before.len())?;
        let rest = text[at..].strip_prefix('\'')?;
        let mut end = rest.find('\'')?;
        while rest[end + 1..].starts_with('\'') {
            end += 2 + rest[end + 2..].find('\'')?;
        }
        strings.push(&text[at..at + 1 + end + 1]);
        at += 1 + end + 1;
        at += text[at..].starts_with(after).then_some(after.len())?;
        match text[at..].strip_prefix(", ") {
            Some(_) => at += 2,
            None => return Some((at, strings)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_rendered_so_that_it_stays() {
        for (text, settled) in [
            ("(n = ANY ((ARRAY[1, 2])::numeric[]))", "(n = ANY (ARRAY[1, 2]))"),
            (
                "((r)::double precision <> ALL ((ARRAY[a, '-1'::integer])::double precision[])) AND b",
                "((r)::double precision <> ALL (ARRAY[a, '-1'::integer])) AND b",
            ),
            ("(n = ANY (ARRAY[(1)::numeric]))", "(n = ANY (ARRAY[(1)::numeric]))"),
            ("(n = ANY ((f(ARRAY[1]))::numeric[]))", "(n = ANY ((f(ARRAY[1]))::numeric[]))"),
        ] {
            let mut read = text.to_owned();
            settle_arrays(&mut read);
            assert_eq!(read, settled);
        }
    }

    #[test]
    fn a_join_without_a_condition_is_rendered_so_that_it_stays() {
        let mut text =
            " SELECT ' ON TRUE'\n   FROM (a\n     LEFT JOIN q ON TRUE)\n     JOIN r ON TRUE;".to_owned();
        settle(&mut text);
        assert_eq!(
            text,
            " SELECT ' ON TRUE'\n   FROM (a\n     LEFT JOIN q ON (true))\n     JOIN r ON (true);"
        );
    }

    #[test]
    fn what_a_dump_makes_of_it_is_the_same() {
        let mut made = "CHECK (((s)::text <> ALL ((ARRAY['a'::character varying, 'it''s)::text'::character varying])::text[])))".to_owned();
        settle(&mut made);
        let read_again = "CHECK (((s)::text <> ALL (ARRAY[('a'::character varying)::text, ('it''s)::text'::character varying)::text])))";
        assert_eq!(dumped(read_again), Some(made));
        assert_eq!(dumped("EXTRACT(YEAR FROM a)").as_deref(), Some("EXTRACT(year FROM a)"));
        for same in
            ["(s = ANY (ARRAY[('a'::text), b]))", "AS $f$ EXTRACT(YEAR FROM a) $f$", "EXTRACT(year FROM a)"]
        {
            assert_eq!(dumped(same), None);
        }
    }

    #[test]
    fn what_stands_in_a_string_or_a_body_stays() {
        for same in [
            "DEFAULT 'ON TRUE, n = ANY ((ARRAY[1, 2])::numeric[])'::text",
            "AS $f$ SELECT (s)::text = ANY ((ARRAY['a'::character varying])::text[]) $f$",
        ] {
            let mut text = same.to_owned();
            settle(&mut text);
            assert_eq!(text, same);
        }
    }

    #[test]
    fn a_list_of_strings_is_rendered_so_that_it_stays() {
        let mut text =
            "CHECK (((s)::text = ANY ((ARRAY['a'::character varying, 'it''s'::character varying])::text[])))"
                .to_owned();
        settle(&mut text);
        assert_eq!(text, "CHECK ((s = ANY (ARRAY['a'::character varying, 'it''s'::character varying])))");
        let mut other = "CHECK ((s = ANY (ARRAY['a'::text])))".to_owned();
        settle(&mut other);
        assert_eq!(other, "CHECK ((s = ANY (ARRAY['a'::text])))");
    }
}
