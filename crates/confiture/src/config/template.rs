//! `${VAR}` in configuration files.

use crate::config::yaml::{Node, Passage, Value};
use crate::config::{Secret, Surroundings};
use crate::error::{Error, Place, Result};

/// Text in which `${VAR}` and `${VAR:-default}` stand for environment variables, not yet filled in.
///
/// It is filled in only when the value is needed, so that `build --output` of an environment whose password is not at
/// hand works. Text and result may hold a password: neither is ever shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: Secret,
    /// Where the text and its pieces stand. `None` for text in which nothing is to be expanded.
    source: Option<(Place, Passage)>,
}

impl Template {
    /// The text of a file.
    ///
    /// # Errors
    ///
    /// Where there is no text.
    pub fn read(node: &Node) -> Result<Self> {
        match &node.value {
            Value::Scalar(scalar) => Ok(Self {
                text: Secret::new(&scalar.text),
                source: Some((node.place.clone(), scalar.passage.clone())),
            }),
            _ => Err(node.must_be("text")),
        }
    }

    /// Text from the command line or from a variable: the shell has expanded it, and nothing is left to do.
    #[must_use]
    pub fn literal(text: impl Into<String>) -> Self {
        Self { text: Secret::new(text), source: None }
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.source.as_ref().map(|(place, _)| place)
    }

    /// The text with every variable's value in its place, as it stands: nothing is percent-encoded or quoted.
    ///
    /// A variable that is empty counts as not set. `$${` gives `${`; any other `$` is itself.
    ///
    /// # Errors
    ///
    /// A variable that is not set and has no default; a `${` that cannot be read. With the place and the variable's
    /// name, never with the text.
    pub fn expand(&self, surroundings: &Surroundings) -> Result<Secret> {
        if self.source.is_none() {
            return Ok(self.text.clone());
        }
        let text = self.text.expose();
        let mut expanded = String::with_capacity(text.len());
        expand_into(&mut expanded, text, surroundings).map_err(|problem| self.locate(&problem))?;
        Ok(Secret::new(expanded))
    }

    fn locate(&self, problem: &Problem<'_>) -> Error {
        let error = problem.error();
        let Some((place, passage)) = &self.source else { return error };
        // The problem's text is a piece of ours.
        let offset = problem.at.as_ptr() as usize - self.text.expose().as_ptr() as usize;
        error.at(passage.place_at(offset, place))
    }
}

/// What is wrong, and the text from there on.
struct Problem<'a> {
    at: &'a str,
    what: What<'a>,
}

enum What<'a> {
    Unset(&'a str),
    Unclosed,
    Nameless,
    Unknown(&'a str),
}

impl Problem<'_> {
    fn error(&self) -> Error {
        match self.what {
            What::Unset(name) => Error::config(format!("environment variable {name} is not set"))
                .hint(format!("set {name}, or give a default in the file: ${{{name}:-default}}")),
            What::Unclosed => Error::config("\"${\" has no closing \"}\"")
                .hint("write ${VARIABLE}; where \"${\" itself is meant, write \"$${\""),
            What::Nameless => Error::config("\"${\" is not followed by the name of an environment variable")
                .hint(
                    "write ${VARIABLE} or ${VARIABLE:-default}; where \"${\" itself is meant, write \"$${\"",
                ),
            What::Unknown(name) => {
                Error::config(format!("what follows {name} in \"${{…}}\" is not known here"))
                    .hint(format!("known are ${{{name}}} and ${{{name}:-default}}"))
            }
        }
    }
}

fn expand_into<'a>(
    expanded: &mut String,
    text: &'a str,
    surroundings: &Surroundings,
) -> Result<(), Problem<'a>> {
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, at) = rest.split_at(start);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &at[2..];
            continue;
        }
        expanded.push_str(before);
        let inside = closed(&at[2..]).ok_or(Problem { at, what: What::Unclosed })?;
        rest = &at[2 + inside.len() + 1..];

        let name_end =
            inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inside.len());
        let (name, after) = inside.split_at(name_end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Problem { at, what: What::Nameless });
        }
        let default = after.strip_prefix(":-");
        if default.is_none() && !after.is_empty() {
            return Err(Problem { at, what: What::Unknown(name) });
        }
        match (surroundings.variable(name), default) {
            (Some(value), _) => expanded.push_str(value),
            (None, Some(default)) => expand_into(expanded, default, surroundings)?,
            (None, None) => return Err(Problem { at, what: What::Unset(name) }),
        }
    }
    expanded.push_str(rest);
    Ok(())
}

/// What stands before the `}` that belongs to the `${` just read: a default may hold a `${…}` of its own.
fn closed(text: &str) -> Option<&str> {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '{' if text[..at].ends_with('$') => depth += 1,
            '}' if depth == 0 => return Some(&text[..at]),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    fn surroundings() -> Surroundings {
        let variables = [("HOST", "db.example"), ("EMPTY", ""), ("ODD", "a}b${HOST}")];
        Surroundings {
            variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..Surroundings::default()
        }
    }

    fn template(text: &str) -> Template {
        let file = format!("name: local\n\ndatabase_url: '{text}'\n");
        let node = yaml::parse(&file, "db/environments/local.yaml".as_ref()).unwrap();
        Template::read(node.get("database_url").unwrap()).unwrap()
    }

    #[test]
    fn expands() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${HOST}", "db.example"),
            ("a${HOST}b${HOST}c", "adb.examplebdb.examplec"),
            ("${HOST:-x}", "db.example"),
            ("${UNSET:-x}", "x"),
            ("${UNSET:-}", ""),
            ("${EMPTY:-x}", "x"),
            ("${UNSET:-postgresql://${HOST}/a}?b", "postgresql://db.example/a?b"),
            ("${UNSET:-${UNSET_TOO:-deep}}", "deep"),
            // A value is not read again.
            ("${ODD}", "a}b${HOST}"),
            ("p$a$$word$", "p$a$$word$"),
            ("$HOST", "$HOST"),
            ("$${HOST}", "${HOST}"),
            ("{HOST}", "{HOST}"),
            ("ä${HOST}ü", "ädb.exampleü"),
        ] {
            assert_eq!(template(text).expand(&surroundings()).unwrap().expose(), expected, "{text}");
        }
    }

    #[test]
    fn errors_name_the_variable_and_its_place_but_never_the_text() {
        for (text, column, message) in [
            ("postgresql://me:hunter2@${DB_HOST}/x", 40, "environment variable DB_HOST is not set"),
            ("hünter2${EMPTY}", 23, "environment variable EMPTY is not set"),
            ("${UNSET:-hunter2${UNSET_TOO}}", 32, "environment variable UNSET_TOO is not set"),
            ("hunter2${HOST", 23, "\"${\" has no closing \"}\""),
            ("${hunter-2}", 16, "what follows hunter in \"${…}\" is not known here"),
            ("${HOST:?hunter2}", 16, "what follows HOST in \"${…}\" is not known here"),
            ("${}hunter2", 16, "\"${\" is not followed by the name of an environment variable"),
            ("${1hunter2}", 16, "\"${\" is not followed by the name of an environment variable"),
        ] {
            let error = template(text).expand(&surroundings()).unwrap_err();
            assert_eq!(error.message(), message, "{text}");
            assert_eq!(error.place().unwrap().column, column, "{text}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        assert!(!format!("{:?}", template("hunter2")).contains("hunter2"));
    }

    #[test]
    fn a_default_is_not_looked_at_where_the_variable_is_set() {
        assert_eq!(template("${HOST:-${UNSET}}").expand(&surroundings()).unwrap().expose(), "db.example");
    }
}
