//! Rows whose columns say by their names what they are of an object.
//!
//! For each row and each argument, `json_build_object` looks up anew how its type is written: with thousands of columns and
//! constraints, that was a third of the time that reading them took. So these come as columns, and become JSON here.

use std::fmt::Write;

use serde_json::Value;
use tokio_postgres::{SimpleColumn, SimpleQueryRow};

/// How many columns say which object it is: kind, catalog, OID and part.
const ADDRESS: usize = 4;

/// What a column's value is.
#[derive(Clone, Copy)]
enum Form {
    Text,
    /// `t` or `f`.
    Bool,
    Json,
}

/// What a column's name says, as in `details.valid bool`: where the value goes, as it stands in JSON, and what it is.
struct Label {
    group: Option<String>,
    name: String,
    form: Form,
}

impl Label {
    fn parse(label: &str) -> Self {
        let (path, form) = match label.rsplit_once(' ') {
            Some((path, "json")) => (path, Form::Json),
            Some((path, "bool")) => (path, Form::Bool),
            _ => (label, Form::Text),
        };
        let (group, name) = match path.split_once('.') {
            Some((group, name)) => (Some(group), name),
            None => (None, path),
        };
        let before = |name: &str| format!("{}:", Value::from(name));
        Self { group: group.map(before), name: before(name), form }
    }
}

/// The names of an answer's columns. Those of one group (`details`, `facets`) stand side by side.
#[derive(Default)]
pub(super) struct Labels(Vec<Label>);

impl Labels {
    pub(super) fn of(columns: &[SimpleColumn]) -> Self {
        Self(columns.iter().skip(ADDRESS).map(|column| Label::parse(column.name())).collect())
    }

    /// What a row says of its object, as JSON.
    pub(super) fn object(&self, row: &SimpleQueryRow) -> String {
        let mut text = String::from("{");
        let mut values = (ADDRESS..).map(|at| row.get(at));
        for group in self.0.chunk_by(|one, next| one.group == next.group) {
            if let Some(name) = &group[0].group {
                text.push_str(name);
                text.push('{');
            }
            for (label, value) in group.iter().zip(&mut values) {
                text.push_str(&label.name);
                label.form.write(value, &mut text);
                text.push(',');
            }
            if group[0].group.is_some() {
                end(&mut text);
                text.push(',');
            }
        }
        end(&mut text);
        text
    }
}

impl Form {
    fn write(self, value: Option<&str>, text: &mut String) {
        let Some(value) = value else {
            text.push_str("null");
            return;
        };
        match self {
            Self::Text => drop(write!(text, "{}", Value::from(value))),
            Self::Bool => text.push_str(if value == "t" { "true" } else { "false" }),
            Self::Json => text.push_str(value),
        }
    }
}

/// Ends an object, behind a comma.
fn end(text: &mut String) {
    text.pop();
    text.push('}');
}
