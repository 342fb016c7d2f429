//! From a mapping to canonical YAML, which reads back as the same mapping.

use super::lexer::{continues_word, starts_word};
use super::{
    ColumnMapping, Dependency, Expectation, FromClause, Mapping, TableMapping, TableName, Transformation,
    UnnamedColumns, Validation,
};
use crate::config::yaml::{render_key, render_text};
use crate::sql::Identifier;

impl Mapping {
    /// The mapping as canonical YAML. Equal mappings give equal text, whatever shape and layout they were read from, so that the
    /// text can also tell whether a mapping was edited.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = Page { text: String::new(), indent: 0 };
        page.settings(self);
        if !self.tables.is_empty() {
            page.text.push('\n');
            page.inside("tables", |page| self.tables.iter().for_each(|table| page.table(table)));
        }
        if !self.transformations.is_empty() {
            page.text.push('\n');
            page.inside("transformations", |page| {
                page.transformations("old_to_new", self, false);
                page.transformations("new_to_old", self, true);
            });
        }
        if !self.validations.is_empty() {
            page.text.push('\n');
            page.inside("validations", |page| self.validations.iter().for_each(|item| page.validation(item)));
        }
        page.text
    }
}

/// YAML in the making.
struct Page {
    text: String,
    indent: usize,
}

impl Page {
    fn raw(&mut self, line: &str) {
        self.text.push_str(&" ".repeat(self.indent));
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// `key: text`, the text quoted as it must be.
    fn text(&mut self, key: &str, text: &str) {
        let value = render_text(text, self.indent + 2);
        self.raw(&format!("{key}: {value}"));
    }

    fn number(&mut self, key: &str, number: &impl ToString) {
        self.raw(&format!("{key}: {}", grouped(&number.to_string())));
    }

    fn inside(&mut self, key: &str, content: impl FnOnce(&mut Self)) {
        self.raw(&format!("{key}:"));
        self.indent += 2;
        content(self);
        self.indent -= 2;
    }

    /// A map as an item of a list.
    fn item(&mut self, content: impl FnOnce(&mut Self)) {
        let start = self.text.len();
        self.indent += 2;
        content(self);
        self.indent -= 2;
        self.text.replace_range(start + self.indent..start + self.indent + 1, "-");
    }

    fn settings(&mut self, mapping: &Mapping) {
        let named = [
            ("name", &mapping.name),
            ("from_version", &mapping.from_version),
            ("to_version", &mapping.to_version),
        ];
        if named.iter().any(|(_, text)| text.is_some()) {
            self.inside("migration", |page| {
                for (key, text) in named {
                    text.iter().for_each(|text| page.text(key, text));
                }
            });
            self.text.push('\n');
        }
        mapping.source.iter().for_each(|source| self.text("source", &source.value));
        mapping.target.iter().for_each(|target| self.text("target", &target.value));
        mapping.strategy.iter().for_each(|strategy| self.text("strategy", strategy.value.word()));
        mapping.parallel.iter().for_each(|workers| self.number("parallel", workers));
        mapping.sync.iter().for_each(|sync| self.text("sync", sync.value.word()));
        self.raw(if mapping.others_by_name {
            "others: same-name              # tables that are not named here keep their names"
        } else {
            "others: ignore                 # tables that are not named here are not migrated"
        });
        if mapping.threshold_rows.is_some()
            || mapping.fdw_throughput.is_some()
            || mapping.copy_throughput.is_some()
        {
            self.text.push('\n');
            self.inside("strategy_config", |page| {
                mapping.threshold_rows.iter().for_each(|rows| page.number("threshold_rows", rows));
                mapping.fdw_throughput.iter().for_each(|rows| page.number("fdw_throughput", rows));
                mapping.copy_throughput.iter().for_each(|rows| page.number("copy_throughput", rows));
            });
        }
    }

    fn table(&mut self, table: &TableMapping) {
        let from = &table.from.value;
        self.inside(&render_key(&written_table(&table.target.value)), |page| {
            page.text("from", &written_from(from));
            page.assignments("columns", &table.columns, Some(from));
            if table.unnamed_columns == UnnamedColumns::Default {
                page.text("unnamed", "default");
            }
            table.filter.iter().for_each(|filter| page.text("where", &filter.value));
            page.assignments("key", &table.key, Some(from));
            if !table.depends.is_empty() {
                page.inside("depends", |page| {
                    table.depends.iter().for_each(|depends| page.dependency(depends));
                });
            }
            page.assignments("reverse", &table.reverse, None);
            table.strategy.iter().for_each(|strategy| page.text("strategy", strategy.value.word()));
            table.parallel.iter().for_each(|workers| page.number("parallel", &workers.value));
            table.statement.iter().for_each(|statement| page.text("custom_sql", &statement.value));
        });
    }

    fn assignments(&mut self, key: &str, columns: &[ColumnMapping], from: Option<&FromClause>) {
        if columns.is_empty() {
            return;
        }
        self.inside(key, |page| {
            for ColumnMapping { column, value } in columns {
                let column = render_key(&written(&column.value));
                match value.value.sql(from) {
                    Some(sql) => page.text(&column, &sql),
                    None => page.raw(&format!("{column}: null")),
                }
            }
        });
    }

    fn dependency(&mut self, dependency: &Dependency) {
        self.item(|page| {
            page.text("table", &written_table(&dependency.table.value));
            page.text("driving", &dependency.driving.value);
        });
    }

    fn transformations(&mut self, key: &str, mapping: &Mapping, reverse: bool) {
        let mut lines = mapping.transformations.iter().filter(|line| line.reverse == reverse).peekable();
        if lines.peek().is_some() {
            self.inside(key, |page| lines.for_each(|line| page.transformation(line)));
        }
    }

    fn transformation(&mut self, line: &Transformation) {
        let list = |columns: &[crate::config::Spanned<Identifier>]| {
            // In `[a, b]` a plain word may hold no comma or bracket; a bare name has none, and all others are quoted.
            let names: Vec<_> = columns.iter().map(|column| render_key(&written(&column.value))).collect();
            format!("[{}]", names.join(", "))
        };
        self.inside(&render_key(&written(&line.column.value)), |page| {
            page.raw(&format!("target_columns: {}", list(&line.targets)));
            page.text("function", &line.function.value);
            if !line.depends_on.is_empty() {
                page.raw(&format!("depends_on: {}", list(&line.depends_on)));
            }
        });
    }

    fn validation(&mut self, validation: &Validation) {
        self.item(|page| {
            page.text("name", &validation.name.value);
            page.text("sql", &validation.sql.value);
            match &validation.expect {
                Expectation::NoRows => page.text("expect", "no-rows"),
                Expectation::SameAsSource(source) => {
                    page.text("expect", "same-as-source");
                    source.iter().for_each(|sql| page.text("source_sql", sql));
                }
                Expectation::Value(value) => page.inside("expect", |page| page.text("value", value)),
            }
        });
    }
}

/// A name where only a name can stand: there even keywords need no quotes.
fn written(name: &Identifier) -> String {
    let text = name.as_str();
    let bare = text.starts_with(starts_word)
        && text
            .chars()
            .all(|c| continues_word(c) && (c.is_ascii() || c.is_alphanumeric()) && !c.is_ascii_uppercase());
    if bare { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

fn written_table(table: &TableName) -> String {
    match &table.schema {
        Some(schema) => format!("{}.{}", written(schema), written(&table.name)),
        None => written(&table.name),
    }
}

fn written_from(from: &FromClause) -> String {
    let mut text = from.driving.to_string();
    if from.aliased {
        text.push_str(&format!(" {}", from.alias));
    }
    if !from.rest.is_empty() {
        text.push_str(&format!(" {}", from.rest));
    }
    text
}

/// `10_000_000`.
fn grouped(number: &str) -> String {
    let (whole, fraction) =
        number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push('_');
        }
        grouped.push(digit);
    }
    fraction.iter().for_each(|fraction| grouped.push_str(&format!(".{fraction}")));
    grouped
}
