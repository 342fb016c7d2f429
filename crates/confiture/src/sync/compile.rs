//! A rule becomes two halves: what the source sends, and what is done with it in the stream. Pure.
//!
//! Whatever can be computed without the value is sent without the value: a template over kept columns gets a mark that
//! says "there is a value", `{last4}` gets four digits, a date is cut by the server.

use crate::catalog::{Catalog, Column, Relation};
use crate::config::mapping::TableName;
use crate::config::sync_rules::{Domain, Method, Piece, Rule};
use crate::config::{Spanned, SyncRules};
use crate::error::{Error, Result};
use crate::sql::{Identifier, Literal, Sql, sql};
use crate::sync::classify::{Chosen, Classified};
use crate::sync::keys::{Components, Member};
use crate::sync::mask::{Keyed, Mask, MasterKey, Part, Shuffle, Wire};
use crate::sync::types::{Family, family};

/// A column, made ready.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    /// What the source computes in its place.
    pub(crate) sent: Sql,
    /// What is done in the stream; `None`: the bytes pass.
    pub(crate) mask: Option<Mask>,
    /// NULL and `''` are masked too.
    pub(crate) fill: bool,
    /// The field that says whether the rule holds for the row.
    pub(crate) when: Option<usize>,
    /// How its bytes read.
    pub(crate) wire: Wire,
    /// True for an array, whose elements are masked.
    pub(crate) array: bool,
    /// True where what is sent is the value itself.
    pub(crate) sent_raw: bool,
    /// Which of the fingerprints behind everything else is that of the value, which is not sent itself.
    pub(crate) hashed: Option<usize>,
    /// What the target's column must then be, where the source alone has masked it and that can be told from the value.
    pub(crate) holds: Option<Sql>,
}

/// The table's columns, made ready, and the fields that are sent behind them for the masks alone.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) columns: Vec<Compiled>,
    pub(crate) extra: Vec<(Sql, Wire)>,
    /// The fields that identify a row.
    pub(crate) key: Vec<usize>,
}

/// What compiling needs to know.
pub(crate) struct Ground<'a> {
    pub(crate) source: &'a Catalog,
    pub(crate) rules: &'a SyncRules,
    pub(crate) key: Option<&'a MasterKey>,
    pub(crate) components: &'a Components,
}

/// Makes a table ready.
pub(crate) fn compile(table: &Classified<'_>, ground: &Ground<'_>) -> Result<Program> {
    let mut program = Program { columns: Vec::new(), extra: Vec::new(), key: Vec::new() };
    let width = table.columns.len();
    // First what is sent, so that templates can find the columns that are sent as they are.
    let mut columns: Vec<Compiled> = Vec::with_capacity(width);
    for chosen in &table.columns {
        let column = column_of(table.source, &chosen.name)?;
        columns.push(project(table, chosen, column, ground).map_err(|error| locate(table, chosen, error))?);
    }
    let mut fields =
        Fields { table, ground, columns: &mut columns, extra: &mut program.extra, width, key: None };
    for (index, chosen) in table.columns.iter().enumerate() {
        let column = column_of(table.source, &chosen.name)?;
        let mask = fields.mask(index, chosen, column).map_err(|error| locate(table, chosen, error))?;
        fields.columns[index].mask = mask;
        if let (Some(when), true) = (&chosen.rule.value.when, fields.columns[index].mask.is_some()) {
            let condition = sql!("(({}\n) IS TRUE)", Sql::from_user(when.value.clone()));
            fields.columns[index].when = Some(fields.push(condition, Wire::Other));
        }
    }
    program.key = fields.key.take().unwrap_or_default();
    program.columns = columns;
    Ok(program)
}

fn locate(table: &Classified<'_>, chosen: &Chosen, error: Error) -> Error {
    chosen.rule.locate(error.context(format!("{}.{}", table.source.name.short(), chosen.name)))
}

fn column_of<'a>(relation: &'a Relation, name: &Identifier) -> Result<&'a Column> {
    relation
        .column(name)
        .ok_or_else(|| Error::unexpected(format!("{} lost its column {name}", relation.name.short())))
}

/// What the source sends for a column.
fn project(
    table: &Classified<'_>,
    chosen: &Chosen,
    column: &Column,
    ground: &Ground<'_>,
) -> Result<Compiled> {
    let (family, wire) = family(&column.data_type, ground.source);
    let name = &chosen.name;
    let rule = &chosen.rule.value;
    let of_type = Sql::from_server(column.data_type.text.clone());
    let target_type = table
        .target
        .column(name)
        .map_or_else(|| of_type.clone(), |twin| Sql::from_server(twin.data_type.text.clone()));
    let raw = sql!("{}", name);
    let is_text = matches!(family, Family::Text(_));
    // NULL stays, and so does the empty text.
    let unless_empty = |value: Sql| match (rule.fill_nulls, is_text) {
        (true, _) => value,
        (false, true) => sql!("CASE WHEN {} <> '' THEN {} ELSE {} END", name, value, name),
        (false, false) => sql!("CASE WHEN {} IS NOT NULL THEN {} END", name, value),
    };
    let (sent, by_source) = match &rule.method {
        Method::Keep => (raw.clone(), true),
        Method::Null => (sql!("CAST(NULL AS {})", of_type), true),
        Method::Constant(text) => (unless_empty(sql!("CAST({} AS {})", Literal(text), of_type)), true),
        Method::Date(unit) => {
            expect(family == Family::Date, column, "a date or a timestamp")?;
            (sql!("CAST(pg_catalog.date_trunc({}, {}) AS {})", Literal(unit.word()), name, of_type), true)
        }
        Method::Bucket(size) => {
            expect(matches!(family, Family::Integer(_) | Family::Number), column, "a number")?;
            let number = sql!("CAST({} AS pg_catalog.numeric)", name);
            (sql!("CAST(pg_catalog.floor({} / {}) * {} AS {})", number, *size, *size, of_type), true)
        }
        Method::Sql(expression) => {
            (sql!("CAST(({}\n) AS {})", Sql::from_user(expression.value.clone()), target_type), true)
        }
        Method::Template(template) => {
            expect(is_text || family == Family::TextArray, column, "text")?;
            match fragment(name, &template.pieces).filter(|_| is_text) {
                Some(fragment) => (unless_empty(sql!("CAST({} AS {})", fragment, of_type)), false),
                None => (raw.clone(), false),
            }
        }
        _ => (raw.clone(), false),
    };
    let sent_raw = sent == raw;
    let sent = match &rule.when {
        Some(when) if !sent_raw => {
            sql!("CASE WHEN ({}\n) THEN {} ELSE {} END", Sql::from_user(when.value.clone()), sent, name)
        }
        _ => sent,
    };
    let holds = rule.when.is_none().then(|| holds(name, &rule.method, &target_type)).flatten();
    let array = family == Family::TextArray && !by_source && rule.method != Method::Shuffle;
    Ok(Compiled {
        sent,
        mask: None,
        fill: rule.fill_nulls,
        when: None,
        wire,
        array,
        sent_raw,
        hashed: None,
        holds,
    })
}

/// A condition that what arrived has been through the rule, for rules that only the source applies.
fn holds(name: &Identifier, method: &Method, of_type: &Sql) -> Option<Sql> {
    Some(match method {
        Method::Null => sql!("{} IS NULL", name),
        Method::Constant(text) => sql!(
            "CAST({} AS pg_catalog.text) IN ('', CAST(CAST({} AS {}) AS pg_catalog.text))",
            name,
            Literal(text),
            of_type
        ),
        Method::Date(unit) => sql!("pg_catalog.date_trunc({}, {}) = {}", Literal(unit.word()), name, name),
        Method::Bucket(size) => {
            sql!("pg_catalog.floor(CAST({} AS pg_catalog.numeric) / {}) * {} = {}", name, *size, *size, name)
        }
        _ => return None,
    })
}

fn expect(fits: bool, column: &Column, wanted: &str) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(Error::config(format!("the rule is for {wanted}, and the column is {}", column.data_type.text)))
}

/// As little of a value as a template needs; `None` where it needs all of it.
fn fragment(name: &Identifier, pieces: &[Piece]) -> Option<Sql> {
    let own: Vec<&Piece> = pieces
        .iter()
        .filter(|piece| {
            matches!(
                piece,
                Piece::LastDigits(_) | Piece::First(_) | Piece::MailDomain | Piece::Hash(_) | Piece::Fake(_)
            )
        })
        .collect();
    match own.as_slice() {
        [] => Some(Sql::literal("'x'")),
        [Piece::LastDigits(count)] => {
            let digits = sql!("pg_catalog.translate({}, ' -./()+_', '')", name);
            let count = i64::from(*count);
            let least = 7.max(2 * count - 1);
            Some(sql!(
                "CASE WHEN pg_catalog.length({}) > {} THEN pg_catalog.right({}, {}) ELSE '*' END",
                digits,
                least,
                digits,
                count
            ))
        }
        [Piece::First(count)] => {
            let (count, least) = (i64::from(*count), 3 * i64::from(*count));
            Some(sql!(
                "CASE WHEN pg_catalog.length({}) >= {} THEN pg_catalog.rpad(pg_catalog.left({}, {}), {}, '*') ELSE '*' END",
                name,
                least,
                name,
                count,
                least
            ))
        }
        [Piece::MailDomain] => Some(sql!(
            "CASE WHEN pg_catalog.strpos({}, '@') > 0 THEN '@' || pg_catalog.split_part({}, '@', -1) ELSE 'x' END",
            name,
            name
        )),
        _ => None,
    }
}

/// The fields of the row that is sent, while masks are made.
struct Fields<'t, 'c> {
    table: &'t Classified<'t>,
    ground: &'t Ground<'t>,
    columns: &'c mut Vec<Compiled>,
    extra: &'c mut Vec<(Sql, Wire)>,
    width: usize,
    key: Option<Vec<usize>>,
}

impl Fields<'_, '_> {
    fn push(&mut self, sent: Sql, wire: Wire) -> usize {
        if let Some(known) = self.extra.iter().position(|(other, _)| *other == sent) {
            return self.width + known;
        }
        self.extra.push((sent, wire));
        self.width + self.extra.len() - 1
    }

    /// The field that holds a column's value as text.
    fn text_of(&mut self, name: &Identifier) -> usize {
        let index = self.table.columns.iter().position(|chosen| chosen.name == *name);
        match index {
            Some(index) if self.columns[index].sent_raw && self.columns[index].wire != Wire::Other => index,
            _ => self.push(sql!("CAST({} AS pg_catalog.text)", name), Wire::Text),
        }
    }

    /// The mask of a column; `None` where the source has done it all.
    fn mask(&mut self, index: usize, chosen: &Chosen, column: &Column) -> Result<Option<Mask>> {
        let (family, wire) = family(&column.data_type, self.ground.source);
        let rule = &chosen.rule.value;
        let text = matches!(family, Family::Text(_) | Family::TextArray);
        let cut = !self.columns[index].sent_raw;
        let mask = match &rule.method {
            Method::Keep
            | Method::Null
            | Method::Constant(_)
            | Method::Date(_)
            | Method::Bucket(_)
            | Method::Sql(_) => {
                return Ok(None);
            }
            Method::Fpe => match (family, wire) {
                (Family::Integer(bits), _) => Mask::Integer(self.subkey(chosen, "integer")?, bits),
                (Family::Uuid, _) => Mask::Uuid(self.subkey(chosen, "uuid")?),
                _ => {
                    expect(text, column, "text, a whole number or a UUID")?;
                    Mask::Format(self.subkey(chosen, "format")?)
                }
            },
            Method::Noise(most) => {
                expect(matches!(family, Family::Integer(_)), column, "a whole number")?;
                self.identify(chosen)?;
                Mask::Noise(self.subkey_of(&format!("noise:{}", self.full(chosen)))?, *most)
            }
            Method::Shuffle => {
                // With a key, who gets whose value does not depend on where the rows stand.
                if self.table.source.key().is_some() {
                    self.identify(chosen)?;
                }
                let key = self.subkey_of(&format!("shuffle:{}", self.full(chosen)))?;
                let twin = self.table.target.column(&chosen.name);
                Mask::Shuffle(Shuffle {
                    key,
                    nullable: twin.is_some_and(|twin| !twin.not_null),
                    broken: false,
                })
            }
            Method::Ip => {
                expect(text || family == Family::Address, column, "text, inet or cidr")?;
                Mask::Ip(self.subkey(chosen, "ip")?)
            }
            Method::Json(paths) => {
                expect(text || family == Family::Json, column, "json, jsonb or text")?;
                let mut masks = Vec::new();
                for (path, method) in paths {
                    let method = match method {
                        Method::Kind(kind) => &self.ground.rules.rule_of(*kind).method,
                        method => method,
                    };
                    masks.push((path.clone(), self.of_text(chosen, method, false)?));
                }
                Mask::Json(masks)
            }
            method => {
                expect(text, column, "text")?;
                self.of_text(chosen, method, cut)?
            }
        };
        Ok(Some(mask))
    }

    /// A mask of text. `cut`: the source sends a fragment.
    fn of_text(&mut self, chosen: &Chosen, method: &Method, cut: bool) -> Result<Mask> {
        let normalize = chosen.rule.value.normalize;
        Ok(match method {
            Method::Keep => Mask::Keep,
            Method::Null => Mask::Null,
            Method::Constant(text) => Mask::Constant(text.clone()),
            Method::Hash(length) => {
                Mask::Hash { key: self.subkey(chosen, "value")?, length: *length, normalize }
            }
            Method::Fake(kind, locale) => Mask::Fake(self.subkey(chosen, "fake")?, *kind, *locale),
            Method::Card => Mask::Card(self.subkey(chosen, "format")?),
            Method::Fpe => Mask::Format(self.subkey(chosen, "format")?),
            Method::Ip => Mask::Ip(self.subkey(chosen, "ip")?),
            Method::Redact(kinds) => Mask::Redact(kinds.clone()),
            Method::Template(template) => {
                let parts = template.pieces.iter().map(|piece| self.part(chosen, piece, cut));
                Mask::Template(parts.collect::<Result<_>>()?)
            }
            _ => return Err(Error::config("this method does not work on text")),
        })
    }

    fn part(&mut self, chosen: &Chosen, piece: &Piece, cut: bool) -> Result<Part> {
        let known = |fields: &Self, name: &Identifier| {
            let columns = &fields.table.source.columns;
            let error = || {
                Error::config(format!(
                    "the template names the column {name}, which {} has not",
                    fields.table.source.name.short()
                ))
                .did_you_mean(name.as_str(), columns.iter().map(|column| column.name.as_str()))
            };
            columns.iter().find(|column| column.name == *name).map(|_| ()).ok_or_else(error)
        };
        Ok(match piece {
            Piece::Text(text) => Part::Text(text.clone()),
            Piece::Column(name) => {
                known(self, name)?;
                let other = self.table.columns.iter().find(|other| other.name == *name);
                if other.is_none_or(|other| other.rule.value.method != Method::Keep) {
                    return Err(Error::config(format!(
                        "{{{name}}} would show the original of a column that is not kept"
                    ))
                    .hint(format!(
                        "write `{{{name}|hash(8)}}`, or `{name}: keep` where it tells nothing about a person"
                    )));
                }
                Part::Field(self.text_of(name))
            }
            Piece::ColumnHash(name, length) => {
                known(self, name)?;
                Part::FieldHash(self.text_of(name), self.subkey(chosen, "value")?, *length)
            }
            Piece::Random(count) => {
                self.identify(chosen)?;
                Part::Random(self.subkey_of(&format!("random:{}", self.full(chosen)))?, *count)
            }
            Piece::Fresh(count) => Part::Fresh(*count),
            Piece::Unique(count) => {
                self.identify(chosen)?;
                Part::Unique(self.subkey_of(&format!("unique:{}", self.full(chosen)))?, *count)
            }
            Piece::LastDigits(count) => Part::LastDigits { count: *count, cut },
            Piece::First(count) => Part::First(*count),
            Piece::MailDomain => Part::MailDomain,
            Piece::Hash(length) => {
                Part::Hash(self.subkey(chosen, "value")?, *length, chosen.rule.value.normalize)
            }
            Piece::Fake(kind) => Part::Fake(self.subkey(chosen, "fake")?, *kind),
        })
    }

    /// Has the row's key sent.
    fn identify(&mut self, chosen: &Chosen) -> Result<()> {
        if self.key.is_some() {
            return Ok(());
        }
        let table = self.table;
        let written = self.ground.rules.row_keys.iter().find(|(name, _)| is_table(name, &table.source.name));
        let names = match written {
            Some((_, columns)) => {
                if let Some(column) =
                    columns.iter().find(|column| table.source.column(&column.value).is_none())
                {
                    let message = format!("{} has no column {}", table.source.name.short(), column.value);
                    return Err(column.locate(Error::config(message)));
                }
                columns.iter().map(|column| column.value.clone()).collect()
            }
            None => table.source.key().ok_or_else(|| {
                Error::config(format!(
                    "{} has no key, so nothing tells its rows apart for {}",
                    table.source.name.short(),
                    chosen.name
                ))
                .hint(format!(
                    "name columns that do: `row_keys: {{{}: [column]}}`; or write `{{fresh(4)}}`",
                    table.source.name.name
                ))
            })?,
        };
        self.key = Some(names.iter().map(|name| self.text_of(name)).collect());
        Ok(())
    }

    fn full(&self, chosen: &Chosen) -> String {
        format!("{}.{}", self.table.source.name, chosen.name)
    }

    fn subkey(&self, chosen: &Chosen, family: &str) -> Result<Keyed> {
        let domain = match &chosen.rule.value.domain {
            Domain::Named(name) => format!("{family}:named:{name}"),
            Domain::Column => format!("{family}:column:{}", self.full(chosen)),
            Domain::Shared => match self.ground.components.component(&self.table.source.name, &chosen.name) {
                Some((table, column)) => key_domain(family, &(table.clone(), column.clone())),
                None => family.to_owned(),
            },
        };
        self.subkey_of(&domain)
    }

    fn subkey_of(&self, domain: &str) -> Result<Keyed> {
        self.ground.key.map(|key| key.subkey(domain)).ok_or_else(no_key)
    }
}

fn key_domain(family: &str, (table, column): &Member) -> String {
    format!("{family}:key:{table}.{column}")
}

fn is_table(name: &Spanned<TableName>, table: &crate::sql::QualifiedName) -> bool {
    name.value.names(table)
}

fn no_key() -> Error {
    Error::config("the rule needs a key, and there is none")
        .hint("set CONFITURE_SYNC_KEY (make one with `openssl rand -hex 32`), or write `key: {env: …}`, `{file: …}` or `{command: …}`")
        .hint("`--ephemeral-key` makes one for this run alone: masks then differ from run to run")
}

/// How a rule is shown in plans, reports and manifests.
pub(crate) fn describe(rule: &Rule) -> String {
    let method = match &rule.method {
        Method::Keep => "keep".to_owned(),
        Method::Null => "null".to_owned(),
        Method::Constant(_) => "constant".to_owned(),
        Method::Template(template) => template.pieces.iter().map(describe_piece).collect(),
        Method::Hash(length) => format!("hash {length}"),
        Method::Fpe => "fpe".to_owned(),
        Method::Fake(kind, locale) => format!("fake {} {}", kind.word(), locale.word()),
        Method::Card => "card".to_owned(),
        Method::Ip => "ip".to_owned(),
        Method::Date(unit) => format!("date {}", unit.word()),
        Method::Bucket(size) => format!("bucket {size}"),
        Method::Noise(most) => format!("noise {most}"),
        Method::Shuffle => "shuffle".to_owned(),
        Method::Json(paths) => {
            let paths: Vec<String> = paths.iter().map(|(path, _)| path.to_string()).collect();
            format!("json {}", paths.join(" "))
        }
        Method::Redact(kinds) => {
            let kinds: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
            format!("redact {}", kinds.join(" "))
        }
        Method::Sql(_) => "sql".to_owned(),
        Method::Kind(kind) => kind.word().to_owned(),
    };
    if rule.when.is_some() { format!("{method}, when …") } else { method }
}

fn describe_piece(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => text.clone(),
        Piece::Column(name) => format!("{{{name}}}"),
        Piece::ColumnHash(name, length) => format!("{{{name}|hash({length})}}"),
        Piece::Random(count) => format!("{{random({count})}}"),
        Piece::Fresh(count) => format!("{{fresh({count})}}"),
        Piece::Unique(count) => format!("{{unique({count})}}"),
        Piece::LastDigits(count) => format!("{{last{count}}}"),
        Piece::First(count) => format!("{{first{count}}}"),
        Piece::MailDomain => "{domain}".to_owned(),
        Piece::Hash(length) => format!("{{hash({length})}}"),
        Piece::Fake(kind) => format!("{{fake.{}}}", kind.word()),
    }
}
