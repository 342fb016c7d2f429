//! A mapping file's root: which shape it has, and what all shapes share.

use std::path::Path;

use super::{Mapping, Strategy, SyncMode, TableMapping, TableName};
use crate::config::Spanned;
use crate::config::yaml::{self, Entry, Fields, Node};
use crate::error::{Error, Result};

/// More workers than this help no server.
const MOST_WORKERS: u16 = 256;

impl Mapping {
    /// Reads a mapping file in its canonical form or in one of the older shapes; `file` is only the name that errors show.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let root = yaml::parse(text, file)?;
        let mut reader = Reader::default();
        reader.read(&root)?;
        Ok(reader.mapping)
    }
}

/// The mapping as far as it is read.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) mapping: Mapping,
}

/// How a file writes its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// `tables:` whose entries have `from`.
    Canonical,
    /// `tables:` whose entries have none: overrides of what has the same name.
    Overrides,
    /// `fdw_tables:` and `copy_tables:`, overrides too.
    Sections,
    /// Labels at the root, with `source_table` and `target_table`.
    Labels,
    /// None at all.
    NoTables,
}

impl Reader {
    fn read(&mut self, root: &Node) -> Result<()> {
        let mut fields = root.fields()?;
        let labels = fields.take_where(|entry| is_labelled_table(&entry.value) && !is_section(&entry.key));
        let has_settings = self.settings(&mut fields)?;
        let shape = self.tables_of_any_shape(&mut fields, &labels)?;
        let transformations = fields.take("transformations");
        if let Some(transformations) = transformations {
            self.transformations(transformations)?;
        }
        let overrides = fields.take("table_overrides");
        self.mapping.others_by_name = match (fields.take("others"), shape) {
            (Some(others), _) => others_by_name(others)?,
            (None, Shape::Overrides | Shape::Sections) => true,
            (None, Shape::NoTables) => transformations.is_none() && (has_settings || overrides.is_some()),
            (None, Shape::Canonical | Shape::Labels) => false,
        };
        if let Some(overrides) = overrides {
            self.table_overrides(overrides)?;
        }
        if let Some(validations) = fields.take("validations") {
            self.validations(validations)?;
        }
        fields.finish()?;
        let mapping = &self.mapping;
        if mapping.tables.is_empty() && mapping.transformations.is_empty() && !mapping.others_by_name {
            return Err(root.error("the mapping maps nothing").hint(
                "name tables under `tables:`, or write `others: same-name` to map all tables by name",
            ));
        }
        Ok(())
    }

    /// Reads what concerns the whole run; true where a section of the older configuration file is there.
    fn settings(&mut self, fields: &mut Fields<'_>) -> Result<bool> {
        let migration = fields.take("migration");
        let strategy_config = fields.take("strategy_config");
        let mapping = &mut self.mapping;
        mapping.source = optional(fields.take("source"), Node::as_spanned_text)?;
        mapping.target = optional(fields.take("target"), Node::as_spanned_text)?;
        mapping.strategy = optional(fields.take("strategy"), strategy)?;
        mapping.parallel = optional(fields.take("parallel"), workers)?.map(|workers| workers.value);
        mapping.sync = optional(fields.take("sync"), sync_mode)?;
        if let Some(node) = migration {
            let mut fields = node.fields()?;
            let text = |node: &Node| node.as_text().map(str::to_owned);
            mapping.name = optional(fields.take("name"), text)?;
            mapping.from_version = optional(fields.take("from_version"), text)?;
            mapping.to_version = optional(fields.take("to_version"), text)?;
            if let Some(auto) = fields.take("auto_strategy") {
                mapping.auto_strategy(auto)?;
            }
            fields.finish()?;
        }
        if let Some(node) = strategy_config {
            let mut fields = node.fields()?;
            mapping.threshold_rows = optional(fields.take("threshold_rows"), Node::as_u64)?;
            mapping.fdw_throughput = optional(fields.take("fdw_throughput"), throughput)?;
            mapping.copy_throughput = optional(fields.take("copy_throughput"), throughput)?;
            fields.finish()?;
        }
        Ok(migration.is_some() || strategy_config.is_some())
    }

    fn tables_of_any_shape(&mut self, fields: &mut Fields<'_>, labels: &[&Entry]) -> Result<Shape> {
        let tables = fields.take_entry("tables");
        let sections = [
            (fields.take_entry("fdw_tables"), Strategy::Fdw),
            (fields.take_entry("copy_tables"), Strategy::Copy),
        ];
        let section = sections.iter().find_map(|(entry, _)| *entry);
        let mut shapes = [tables, section, labels.first().copied()].into_iter().flatten();
        if let (Some(first), Some(second)) = (shapes.next(), shapes.next()) {
            return Err(Error::config(format!(
                "`{}` and `{}` are two ways to write tables",
                first.key, second.key
            ))
            .at(second.place.clone())
            .hint("write all tables in one way: best under `tables:`"));
        }
        let stray = fields.take_where(|entry| entry.value.get("from").is_some());
        if let Some(stray) = stray.first() {
            return Err(Error::config(format!("the table `{}` stands outside of `tables:`", stray.key))
                .at(stray.place.clone())
                .hint("indent it under a line `tables:`"));
        }
        if let Some(tables) = tables {
            let entries = tables.value.as_map()?;
            let canonical = entries.iter().any(|entry| entry.value.get("from").is_some());
            for entry in entries {
                if canonical {
                    self.canonical_table(entry)?;
                } else {
                    self.override_table(entry, None)?;
                }
            }
            // An empty `tables:` says nothing of the tables it does not name.
            let overrides = !canonical && !entries.is_empty();
            return Ok(if overrides { Shape::Overrides } else { Shape::Canonical });
        }
        for (entry, strategy) in sections {
            let Some(entry) = entry else { continue };
            for table in entry.value.as_map()? {
                let strategy = Spanned::at(entry.place.clone(), strategy);
                self.override_table(table, Some(strategy))?;
            }
        }
        for label in labels {
            self.labelled_table(label)?;
        }
        match (section, labels) {
            (Some(_), _) => Ok(Shape::Sections),
            (None, []) => Ok(Shape::NoTables),
            (None, _) => Ok(Shape::Labels),
        }
    }

    /// `table_overrides`: what one table does differently.
    fn table_overrides(&mut self, node: &Node) -> Result<()> {
        for entry in node.as_map()? {
            let name = table_name(entry)?;
            let mut fields = entry.value.fields()?;
            let strategy = optional(fields.take("strategy"), strategy)?;
            let parallel = optional(fields.take("parallel"), workers)?;
            fields.finish()?;
            let found = self.mapping.tables.iter().position(|table| table.target.value == name.value);
            let index = match found {
                Some(index) => index,
                None if self.mapping.others_by_name => self.push(TableMapping::same_name(name))?,
                None => return Err(self.unknown_table(&name)),
            };
            let table = &mut self.mapping.tables[index];
            table.strategy = strategy.or(table.strategy.take());
            table.parallel = parallel.or(table.parallel.take());
        }
        Ok(())
    }

    fn unknown_table(&self, name: &Spanned<TableName>) -> Error {
        let names: Vec<String> =
            self.mapping.tables.iter().map(|table| table.target.value.to_string()).collect();
        let error = Error::config(format!("the mapping has no table {}", name.value))
            .did_you_mean(&name.value.to_string(), names.iter().map(String::as_str));
        name.locate(error)
    }

    /// Adds a table; gives its index. A target table is made once.
    pub(super) fn push(&mut self, table: TableMapping) -> Result<usize> {
        let tables = &mut self.mapping.tables;
        if let Some(first) = tables.iter().find(|other| other.target.value == table.target.value) {
            let error = Error::config(format!("the target table {} is written twice", table.target.value))
                .hint(already(&first.target));
            return Err(table.target.locate(error));
        }
        tables.push(table);
        Ok(tables.len() - 1)
    }
}

impl Mapping {
    /// `auto_strategy: true` is `strategy: auto`.
    fn auto_strategy(&mut self, node: &Node) -> Result<()> {
        match (node.as_bool()?, &self.strategy) {
            (false, _) => {}
            (true, None) => self.strategy = Some(Spanned::at(node.place.clone(), Strategy::Auto)),
            (true, Some(Spanned { value: Strategy::Auto | Strategy::Hybrid, .. })) => {}
            (true, Some(strategy)) => {
                let word = strategy.value.word();
                return Err(node.error(format!("`auto_strategy: true` contradicts `strategy: {word}`")));
            }
        }
        Ok(())
    }
}

impl TableMapping {
    /// A table that is made from the table of the same name.
    pub fn same_name(target: Spanned<TableName>) -> Self {
        let from = target.clone().map(super::FromClause::table);
        Self {
            target,
            from,
            columns: Vec::new(),
            unnamed_columns: super::UnnamedColumns::SameName,
            filter: None,
            key: Vec::new(),
            depends: Vec::new(),
            reverse: Vec::new(),
            statement: None,
            strategy: None,
            parallel: None,
        }
    }
}

/// Where the first of two stands.
pub(super) fn already<T>(first: &Spanned<T>) -> String {
    match &first.place {
        Some(place) => format!("it is already in line {}: keep one of them", place.line),
        None => "it is already there: keep one of them".to_owned(),
    }
}

/// Reads a key that need not be there.
pub(super) fn optional<T>(node: Option<&Node>, read: impl FnOnce(&Node) -> Result<T>) -> Result<Option<T>> {
    node.map(read).transpose()
}

/// A table's name as a key.
pub(super) fn table_name(entry: &Entry) -> Result<Spanned<TableName>> {
    let name = TableName::parse(&entry.key).map_err(|fault| fault.error().at(entry.place.clone()))?;
    Ok(Spanned::at(entry.place.clone(), name))
}

/// One of the words of [`Strategy::ALL`].
pub(super) fn strategy(node: &Node) -> Result<Spanned<Strategy>> {
    let written = node.as_text()?;
    let found = Strategy::ALL.into_iter().find(|(word, _)| *word == written);
    let words = Strategy::ALL.map(|(word, _)| word);
    match found {
        Some((_, strategy)) => Ok(Spanned::at(node.place.clone(), strategy)),
        None => Err(node
            .error(format!("unknown strategy `{written}`"))
            .did_you_mean(written, words)
            .hint(format!("strategies: {}", words.join(", ")))),
    }
}

fn sync_mode(node: &Node) -> Result<Spanned<SyncMode>> {
    let written = node.as_text()?;
    let words = SyncMode::ALL.map(|(word, _)| word);
    match SyncMode::ALL.into_iter().find(|(word, _)| *word == written) {
        Some((_, mode)) => Ok(Spanned::at(node.place.clone(), mode)),
        None => Err(node.must_be("`batches` or `immediate`").did_you_mean(written, words)),
    }
}

/// A number of workers.
pub(super) fn workers(node: &Node) -> Result<Spanned<u16>> {
    Ok(Spanned::at(node.place.clone(), node.as_number(1, MOST_WORKERS)?))
}

fn throughput(node: &Node) -> Result<f64> {
    match node.as_f64()? {
        rows if rows > 0.0 => Ok(rows),
        _ => Err(node.must_be("rows a second, more than 0")),
    }
}

fn others_by_name(node: &Node) -> Result<bool> {
    match node.as_text()? {
        "same-name" => Ok(true),
        "ignore" => Ok(false),
        other => Err(node.must_be("`same-name` or `ignore`").did_you_mean(other, ["same-name", "ignore"])),
    }
}

/// True for an entry at the root that says which tables it joins: its key is a label of the user's own.
fn is_labelled_table(node: &Node) -> bool {
    ["source_table", "target_table", "columns"].iter().any(|key| node.get(key).is_some())
        && node.get("from").is_none()
}

/// Keys whose maps have tables' names inside; a table may well be called `columns`.
fn is_section(key: &str) -> bool {
    matches!(
        key,
        "tables" | "fdw_tables" | "copy_tables" | "table_overrides" | "validations" | "transformations"
    )
}
