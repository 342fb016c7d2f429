//! The keys that an environment's file and `confiture.yaml` share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::mapping::TableName;
use crate::config::settings::{BuildOrder, Layer, Origin, Setting};
use crate::config::yaml::{Entry, Fields, Node, Value, parse_duration};
use crate::config::{Hooks, Template};
use crate::error::{Error, Place, Result};
use crate::sql::Identifier;

/// Takes the shared keys. Paths start from `root`, the project's folder; `origin` says which file this is.
pub(super) fn read_layer(fields: &mut Fields<'_>, root: &Path, origin: fn(Place) -> Origin) -> Result<Layer> {
    let (build_order, build_seed) = read_build(fields.take("build"), origin)?;
    let mut take = |key| fields.take(key);
    let path = |text: &str| Ok(root.join(text));
    Ok(Layer {
        schema_dirs: read_folders(take("schema_dirs"), root, origin)?,
        include: read_list(take("include"), origin)?,
        exclude: read_list(take("exclude"), origin)?,
        build_order,
        build_seed,
        seeds_dir: read_text(take("seeds_dir"), origin, path)?,
        migrations_dir: read_text(take("migrations_dir"), origin, path)?,
        history_table: read_text(take("history_table"), origin, parse_table_name)?,
        production: take("production").map(|node| setting(node, origin, node.as_bool())).transpose()?,
        lock_timeout: read_text(take("lock_timeout"), origin, parse_timeout)?,
        statement_timeout: read_text(take("statement_timeout"), origin, parse_timeout)?,
        scratch_url: take("scratch_url")
            .map(|node| setting(node, origin, Template::read(node)))
            .transpose()?,
        hooks: take("hooks").map(|node| setting(node, origin, Hooks::read(node))).transpose()?,
    })
}

/// `build: {order: …, seed: …}`.
#[expect(clippy::type_complexity, reason = "the two settings that stand under one key")]
fn read_build(
    node: Option<&Node>,
    origin: fn(Place) -> Origin,
) -> Result<(Option<Setting<BuildOrder>>, Option<Setting<bool>>)> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok((None, None)) };
    let mut fields = node.fields()?;
    let order = read_text(fields.take("order"), origin, parse_build_order)?;
    let seed = fields.take("seed").map(|node| setting(node, origin, node.as_bool())).transpose()?;
    fields.finish()?;
    Ok((order, seed))
}

/// `names` or `dependencies`.
pub(super) fn parse_build_order(text: &str) -> Result<BuildOrder> {
    let orders = [BuildOrder::Names, BuildOrder::Dependencies];
    orders.into_iter().find(|order| order.word() == text).ok_or_else(|| {
        Error::config(format!("`{text}` is not an order"))
            .did_you_mean(text, orders.map(BuildOrder::word))
            .hint("write names or dependencies")
    })
}

/// The whole file as a map. What else it may be could hold a password, and is not shown.
pub(super) fn fields_of<'a>(file: &'a Node, example: &str) -> Result<Fields<'a>> {
    match file.value {
        Value::Scalar(_) => {
            Err(file.error("the file must be a map of `key: value`").hint(format!("for example: {example}")))
        }
        _ => file.fields(),
    }
}

/// The error for the first key that nobody took. `elsewhere` says where keys belong that have another place.
pub(super) fn finish(fields: Fields<'_>, elsewhere: impl Fn(&Entry) -> Option<&'static str>) -> Result<()> {
    let Some(entry) = fields.left().first() else { return Ok(()) };
    let advice = elsewhere(entry).or_else(|| other_tools_key(&entry.key));
    match advice {
        Some(advice) => {
            Err(Error::config(format!("unknown key `{}`", entry.key)).at(entry.place.clone()).hint(advice))
        }
        None => fields.finish(),
    }
}

/// What the Python original and others call our keys.
fn other_tools_key(key: &str) -> Option<&'static str> {
    Some(match key {
        "include_dirs" => "`schema_dirs` lists the folders of DDL",
        "exclude_dirs" => "`exclude` takes patterns of files that are left out",
        "require_confirmation" => "`production: true` asks before anything destructive",
        "migrations_table" | "tracking_table" => "`history_table` names the table of applied migrations",
        "url" => "did you mean `database_url`?",
        _ => return None,
    })
}

fn setting<T>(node: &Node, origin: fn(Place) -> Origin, value: Result<T>) -> Result<Setting<T>> {
    match value {
        Ok(value) => Ok(Setting::new(value, origin(node.place.clone()))),
        Err(error) => Err(error.or_at(&node.place)),
    }
}

fn read_text<T>(
    node: Option<&Node>,
    origin: fn(Place) -> Origin,
    parse: impl Fn(&str) -> Result<T>,
) -> Result<Option<Setting<T>>> {
    let Some(node) = node else { return Ok(None) };
    let parsed = node.as_text().and_then(|text| match text {
        "" => Err(node.must_be("text")),
        text => parse(text).map_err(|error| error.context(node.called())),
    });
    setting(node, origin, parsed).map(Some)
}

/// A list, or one text alone. A key behind which everything is commented out says nothing.
fn read_list(node: Option<&Node>, origin: fn(Place) -> Origin) -> Result<Option<Setting<Vec<String>>>> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(None) };
    let items = match &node.value {
        Value::Scalar(_) => std::slice::from_ref(node),
        _ => node.as_list()?,
    };
    let texts = items.iter().map(|item| match item.as_text()? {
        "" => Err(item.must_be("text")),
        text => Ok(text.to_owned()),
    });
    setting(node, origin, texts.collect()).map(Some)
}

fn read_folders(
    node: Option<&Node>,
    root: &Path,
    origin: fn(Place) -> Origin,
) -> Result<Option<Setting<Vec<PathBuf>>>> {
    let Some(list) = read_list(node, origin)? else { return Ok(None) };
    match node {
        Some(node) if list.value.is_empty() => Err(node
            .error("`schema_dirs` names no folder")
            .hint("name at least one folder of DDL files, or leave `schema_dirs` out for db/schema")),
        _ => Ok(Some(list.map(|paths| paths.iter().map(|path| root.join(path)).collect()))),
    }
}

/// A time as PostgreSQL's settings take it. Zero means no limit, and so nothing else may come out as zero there.
pub(super) fn parse_timeout(text: &str) -> Result<Duration> {
    let refused = || {
        Error::config(format!("\"{text}\" is not a length of time"))
            .hint("write for example 300ms, 5s or 2min; a number alone is milliseconds, and 0 means no limit")
    };
    let time = parse_duration(text).ok_or_else(refused)?;
    if !time.is_zero() && time < Duration::from_millis(1) {
        return Err(Error::config(format!("\"{text}\" is shorter than a millisecond"))
            .hint("PostgreSQL would take it as 0, which means no limit; the shortest is 1ms"));
    }
    Ok(time)
}

/// `name`, `schema.name`; a part in double quotes stays as it is, any other is folded to lower case, as in SQL.
pub(super) fn parse_table_name(text: &str) -> Result<TableName> {
    let refused = || {
        Error::config(format!("`{text}` is not a table's name"))
            .hint("write name or schema.name; put what is not plain letters, digits and _ into double quotes")
    };
    let (first, rest) = take_identifier(text.trim()).ok_or_else(refused)?;
    let name = match rest.strip_prefix('.') {
        None if rest.is_empty() => TableName { schema: None, name: first },
        None => return Err(refused()),
        Some(rest) => match take_identifier(rest) {
            Some((name, "")) => TableName { schema: Some(first), name },
            _ => return Err(refused()),
        },
    };
    // The server would cut it, and find it no more.
    let is_long = |part: &Identifier| part.as_str().len() > 63;
    if is_long(&name.name) || name.schema.as_ref().is_some_and(is_long) {
        return Err(Error::config(format!("`{text}` is longer than the 63 bytes of a PostgreSQL name")));
    }
    Ok(name)
}

/// The identifier at the start, and what follows it.
fn take_identifier(text: &str) -> Option<(Identifier, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let starts_well = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        return starts_well.then(|| (Identifier::new(name.to_ascii_lowercase()), rest));
    };
    let mut name = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character == '"' && characters.next_if(|(_, next)| *next == '"').is_none() {
            return (!name.is_empty()).then(|| (Identifier::new(name), &quoted[at + 1..]));
        }
        name.push(character);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_timeouts_as_postgresql_does() {
        for (text, milliseconds) in [
            ("0", 0),
            ("250", 250),
            ("500ms", 500),
            ("5s", 5_000),
            ("1.5 s", 1_500),
            (" 2min ", 120_000),
            ("24d", 2_073_600_000),
        ] {
            assert_eq!(parse_timeout(text).unwrap().as_millis(), milliseconds, "{text}");
        }
        for text in ["", "soon", "5 parsecs", "-1s", "5S", "1..5s", "25d"] {
            assert_eq!(
                parse_timeout(text).unwrap_err().message(),
                format!("\"{text}\" is not a length of time")
            );
        }
        assert_eq!(parse_timeout("10us").unwrap_err().message(), "\"10us\" is shorter than a millisecond");
    }

    #[test]
    fn reads_table_names() {
        for (text, schema, name) in [
            ("tb_confiture", None, "tb_confiture"),
            ("Ops.History", Some("ops"), "history"),
            ("\"Ops\".\"we\"\"ird.one\"", Some("Ops"), "we\"ird.one"),
        ] {
            let expected = TableName { schema: schema.map(Identifier::new), name: name.into() };
            assert_eq!(parse_table_name(text).unwrap(), expected, "{text}");
        }
        for text in ["", "a.", ".a", "a.b.c", "a b", "1a", "\"a", "\"\"", "a;b"] {
            assert!(parse_table_name(text).is_err(), "{text}");
        }
    }
}
