//! Places in JSON documents: `$.contact.email`, `$.devices[*].ip`, `$..token`, `$["first name"]`.

use std::fmt;

/// A place, or several, in a JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonPath {
    /// The steps from the root.
    pub steps: Vec<Step>,
}

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// `.name`.
    Key(String),
    /// `[3]`.
    Index(usize),
    /// `[*]` or `.*`.
    Any,
    /// `..`: any number of steps.
    Deep,
}

impl JsonPath {
    /// Reads a path; an error is the byte and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let Some(mut rest) = text.strip_prefix('$') else {
            return Err((0, "a JSON path begins with `$`".to_owned()));
        };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            if let Some(after) = rest.strip_prefix("..") {
                steps.push(Step::Deep);
                rest = if after.starts_with('[') { after } else { read_key(after, at + 2, &mut steps)? };
            } else if let Some(after) = rest.strip_prefix('.') {
                rest = read_key(after, at + 1, &mut steps)?;
            } else if let Some(after) = rest.strip_prefix('[') {
                let Some((inside, after)) = split_bracket(after) else {
                    return Err((at, "`[` is not closed".to_owned()));
                };
                steps.push(read_bracket(inside).ok_or_else(|| {
                    (at + 1, format!("`{inside}` is neither a number, `*` nor a quoted key"))
                })?);
                rest = after;
            } else {
                return Err((at, "`.` or `[` is missing".to_owned()));
            }
        }
        if steps.is_empty() || steps.last() == Some(&Step::Deep) {
            return Err((text.len(), "the path names no place in the document".to_owned()));
        }
        Ok(Self { steps })
    }
}

fn read_key<'a>(rest: &'a str, at: usize, steps: &mut Vec<Step>) -> Result<&'a str, (usize, String)> {
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (key, after) = rest.split_at(end);
    match key {
        "" => return Err((at, "a key is missing".to_owned())),
        "*" => steps.push(Step::Any),
        key => steps.push(Step::Key(key.to_owned())),
    }
    Ok(after)
}

/// `"first name"].x` to `"first name"` and `.x`.
fn split_bracket(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''));
    let end = match quote {
        Some(quote) => text[1..].find(quote)? + 2,
        None => text.find(']')?,
    };
    Some((&text[..end], text[end..].strip_prefix(']')?))
}

fn read_bracket(inside: &str) -> Option<Step> {
    if inside == "*" {
        return Some(Step::Any);
    }
    for quote in ['"', '\''] {
        if let Some(key) = inside.strip_prefix(quote).and_then(|key| key.strip_suffix(quote)) {
            return Some(Step::Key(key.to_owned()));
        }
    }
    inside.parse().ok().map(Step::Index)
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        let mut deep = false;
        for step in &self.steps {
            match step {
                Step::Key(key) => write!(f, "{}{key}", if deep { "" } else { "." })?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Any => f.write_str("[*]")?,
                Step::Deep => f.write_str("..")?,
            }
            deep = *step == Step::Deep;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_faults_have_their_byte() {
        let steps = |text| JsonPath::parse(text).unwrap().steps;
        let key = |name: &str| Step::Key(name.to_owned());
        assert_eq!(steps("$.contact.email"), [key("contact"), key("email")]);
        assert_eq!(steps("$.devices[*].ip"), [key("devices"), Step::Any, key("ip")]);
        assert_eq!(steps("$..token"), [Step::Deep, key("token")]);
        assert_eq!(steps("$['a.b'][2]"), [key("a.b"), Step::Index(2)]);
        for (text, at) in
            [("a.b", 0), ("$", 1), ("$..", 3), ("$.a[x]", 4), ("$.a[1", 3), ("$.a..", 5), ("$a", 1)]
        {
            assert_eq!(JsonPath::parse(text).unwrap_err().0, at, "{text}");
        }
    }
}
