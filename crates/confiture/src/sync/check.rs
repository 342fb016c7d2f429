//! What a rule must not break: uniqueness, NOT NULL, lengths, labels, the types of both sides. Pure.

use crate::catalog::{Catalog, Column, ConstraintKind, Index, Relation, TypeUse};
use crate::config::sync_rules::{Method, Piece, Rule};
use crate::error::{Error, Result};
use crate::sql::Identifier;
use crate::sync::classify::{Chosen, Classified};
use crate::sync::mask::{longest_fake, variety};
use crate::sync::types::{Family, family, labels};

/// How far a rule keeps different values different.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Distinctness {
    /// Always.
    Certain,
    /// But for the chance that a hash of so many bits has.
    Bits(u32),
    /// Among so many results.
    Among(u128),
}

/// Checks every rule of a table.
pub(crate) fn check(
    table: &Classified<'_>,
    source: &Catalog,
    target: &Catalog,
    notes: &mut Vec<String>,
) -> Result<()> {
    for chosen in &table.columns {
        let located = |error: Error| {
            chosen.rule.locate(error.context(format!("{}.{}", table.target.name.short(), chosen.name)))
        };
        let (Some(from), Some(to)) = (table.source.column(&chosen.name), table.target.column(&chosen.name))
        else {
            continue;
        };
        check_types(chosen, from, to, source, target).map_err(located)?;
        check_null(chosen, to).map_err(located)?;
        check_length(chosen, table, to, target).map_err(located)?;
    }
    for (relation, is_target) in [(table.source, false), (table.target, true)] {
        check_uniqueness(table, relation, is_target)?;
    }
    for constraint in
        table.target.constraints.iter().filter(|constraint| constraint.kind == ConstraintKind::Check)
    {
        let masked = |name: &&Identifier| is_masked(table, name);
        if let Some(column) = constraint.columns.iter().find(masked) {
            notes.push(format!(
                "{} has the check {} on {column}, which is masked: what arrives must pass it",
                table.target.name.short(),
                constraint.name
            ));
        }
    }
    Ok(())
}

fn is_masked(table: &Classified<'_>, name: &Identifier) -> bool {
    chosen(table, name).is_some_and(|chosen| chosen.rule.value.method != Method::Keep)
}

fn chosen<'a>(table: &'a Classified<'_>, name: &Identifier) -> Option<&'a Chosen> {
    table.columns.iter().find(|chosen| chosen.name == *name)
}

/// The types must be the same: binary COPY would take a `jsonb` for a `text` without a word.
fn check_types(
    chosen: &Chosen,
    from: &Column,
    to: &Column,
    source: &Catalog,
    target: &Catalog,
) -> Result<()> {
    if matches!(chosen.rule.value.method, Method::Sql(_)) {
        return Ok(());
    }
    if from.data_type.text != to.data_type.text {
        return Err(Error::config(format!(
            "the type is {} in the source and {} in the target",
            from.data_type.text, to.data_type.text
        ))
        .hint(format!("cast it on the way: `{{sql: \"{}\"}}`; or bring both to one schema", chosen.name)));
    }
    if let Some(data_type) = target.data_type(to.data_type.oid) {
        crate::sync::types::same_definition(data_type, source)
            .map_err(|message| Error::config(message).hint("bring the target's schema up to date first"))?;
    }
    if let (Method::Constant(text), Some(labels)) = (&chosen.rule.value.method, labels(&to.data_type, target))
        && !labels.contains(text)
    {
        return Err(Error::config("the constant is no label of the enumeration")
            .did_you_mean(text, labels.iter().map(String::as_str))
            .hint(format!("labels: {}", labels.join(", "))));
    }
    Ok(())
}

fn check_null(chosen: &Chosen, to: &Column) -> Result<()> {
    if chosen.rule.value.method == Method::Null && to.not_null {
        return Err(Error::config("the rule is `null`, and the target's column is NOT NULL")
            .hint("write a constant, a template or `{hash: 16}`"));
    }
    Ok(())
}

fn check_length(chosen: &Chosen, table: &Classified<'_>, to: &Column, target: &Catalog) -> Result<()> {
    let (Family::Text(Some(room)), _) = family(&to.data_type, target) else { return Ok(()) };
    match longest(&chosen.rule.value, table, target) {
        Some(length) if length > room => Err(Error::config(format!(
            "the mask is up to {length} characters long, and the column has room for {room}"
        ))
        .hint("write a shorter template or hash")),
        _ => Ok(()),
    }
}

/// The longest text that a rule writes; `None` where the value decides.
fn longest(rule: &Rule, table: &Classified<'_>, target: &Catalog) -> Option<usize> {
    match &rule.method {
        Method::Hash(length) => Some((*length).into()),
        Method::Fake(kind, locale) => Some(longest_fake(*kind, *locale)),
        Method::Constant(text) => Some(text.chars().count()),
        Method::Template(template) => template.pieces.iter().try_fold(0, |sum, piece| {
            Some(
                sum + match piece {
                    Piece::Text(text) => text.chars().count(),
                    Piece::Random(n)
                    | Piece::Fresh(n)
                    | Piece::Unique(n)
                    | Piece::Hash(n)
                    | Piece::ColumnHash(_, n) => usize::from(*n),
                    Piece::LastDigits(n) | Piece::First(n) => usize::from(*n),
                    Piece::Fake(kind) => longest_fake(*kind, crate::config::sync_rules::Locale::En),
                    Piece::Column(name) => match family(&table.source.column(name)?.data_type, target).0 {
                        Family::Integer(16) => 6,
                        Family::Integer(32) => 11,
                        Family::Integer(_) => 20,
                        Family::Uuid => 36,
                        Family::Text(length) => length?,
                        _ => return None,
                    },
                    Piece::MailDomain => return None,
                },
            )
        }),
        _ => None,
    }
}

/// Rules on unique columns must keep different values different.
fn check_uniqueness(table: &Classified<'_>, relation: &Relation, is_target: bool) -> Result<()> {
    for index in relation.indexes.iter().filter(|index| index.unique) {
        check_index(table, relation, index, is_target)?;
    }
    for constraint in
        relation.constraints.iter().filter(|constraint| constraint.kind == ConstraintKind::Exclusion)
    {
        if let Some(name) = constraint.columns.iter().find(|name| is_masked(table, name)) {
            let Some(chosen) = chosen(table, name) else { continue };
            if distinctness(&chosen.rule.value, table) != Distinctness::Certain {
                return Err(chosen.rule.locate(Error::config(format!(
                    "{}.{name} is masked and takes part in the exclusion constraint {}",
                    relation.name.short(),
                    constraint.name
                ))));
            }
        }
    }
    Ok(())
}

fn check_index(table: &Classified<'_>, relation: &Relation, index: &Index, is_target: bool) -> Result<()> {
    let masked: Vec<&Chosen> = match &index.key_columns {
        Some(columns) => {
            let masked =
                columns.iter().filter(|name| is_masked(table, name)).filter_map(|name| chosen(table, name));
            masked.collect()
        }
        // An expression: every masked column that its text names may decide.
        None => table
            .columns
            .iter()
            .filter(|chosen| chosen.rule.value.method != Method::Keep)
            .filter(|chosen| names(&index.definition, &chosen.name))
            .collect(),
    };
    let rows = relation.row_estimate.unwrap_or(1_000_000).max(1000);
    for chosen in masked {
        let rule = &chosen.rule.value;
        let full = format!("{}.{}", relation.name.short(), chosen.name);
        let located = |message: String| chosen.rule.locate(Error::config(message));
        // What is null in every row is unique as PostgreSQL counts, unless the index says otherwise.
        if rule.method == Method::Null && !index.definition.contains("NULLS NOT DISTINCT") {
            continue;
        }
        // Values that change places are as different as they were.
        let alone = index.key_columns.as_ref().is_some_and(|columns| *columns == [chosen.name.clone()]);
        if rule.method == Method::Shuffle && alone {
            continue;
        }
        // What the target does not ask for may be given up.
        if rule.allow_duplicates && !is_target {
            continue;
        }
        let suggestion = format!(
            "`{{hash: {}}}`, `{{fpe: digits}}` or a template with `{{hash({})}}` keep values apart",
            needed_digits(rows),
            needed_digits(rows)
        );
        match distinctness(rule, table) {
            Distinctness::Certain if rule.when.is_none() => {}
            Distinctness::Certain => {
                return Err(located(format!(
                    "{full} is unique, and a rule with `when` may make a masked value equal to a kept one"
                ))
                .hint(suggestion));
            }
            Distinctness::Bits(bits) => {
                let expected = (rows as f64).powi(2) / 2_f64.powi(bits as i32 + 1);
                if expected > 1e-9 {
                    return Err(located(format!(
                        "{full} is unique, and a hash of {bits} bits makes two of {rows} rows equal with a probability of {:.1e}",
                        expected.min(1.0)
                    ))
                    .hint(suggestion));
                }
            }
            Distinctness::Among(variety) => {
                return Err(located(format!(
                    "{full} is unique (index {}), and the rule gives one of {variety} results",
                    index.name
                ))
                .hint(suggestion));
            }
        }
    }
    Ok(())
}

/// How many hexadecimal digits so many rows want.
fn needed_digits(rows: u64) -> u32 {
    let bits = 2.0 * (rows as f64).log2() - 1.0 + 30.0;
    (bits / 4.0).ceil().max(16.0) as u32
}

fn distinctness(rule: &Rule, table: &Classified<'_>) -> Distinctness {
    match &rule.method {
        // What the user computes is the user's to know.
        Method::Keep | Method::Fpe | Method::Sql(_) => Distinctness::Certain,
        Method::Card => Distinctness::Certain,
        Method::Hash(length) => Distinctness::Bits(u32::from(*length) * 4),
        Method::Fake(kind, locale) => Distinctness::Among(variety(*kind, *locale).into()),
        Method::Ip => Distinctness::Among(1 << 17),
        Method::Template(template) => of_template(&template.pieces, table),
        Method::Null | Method::Constant(_) => Distinctness::Among(1),
        Method::Noise(_)
        | Method::Shuffle
        | Method::Date(_)
        | Method::Bucket(_)
        | Method::Json(_)
        | Method::Redact(_)
        | Method::Kind(_) => Distinctness::Among(1),
    }
}

fn of_template(pieces: &[Piece], table: &Classified<'_>) -> Distinctness {
    if pieces.iter().any(|piece| matches!(piece, Piece::Unique(_))) {
        return Distinctness::Certain;
    }
    // `user_{id}@example.com`: as unique as its columns together.
    let columns: Vec<&Identifier> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Column(name) => Some(name),
            _ => None,
        })
        .collect();
    let keys = table.source.indexes.iter().filter(|index| index.unique && !index.partial && index.valid);
    let mut keys = keys.filter_map(|index| index.key_columns.as_ref());
    if keys.any(|key| !key.is_empty() && key.iter().all(|column| columns.contains(&column))) {
        return Distinctness::Certain;
    }
    let bits = pieces.iter().filter_map(|piece| match piece {
        Piece::Hash(length) => Some(u32::from(*length) * 4),
        _ => None,
    });
    match bits.max() {
        Some(bits) => Distinctness::Bits(bits),
        None => Distinctness::Among(pieces.iter().fold(1_u128, |product, piece| {
            product.saturating_mul(match piece {
                Piece::Random(n) | Piece::Fresh(n) | Piece::LastDigits(n) => {
                    10_u128.saturating_pow((*n).into())
                }
                Piece::Fake(kind) => variety(*kind, crate::config::sync_rules::Locale::En).into(),
                _ => 1,
            })
        })),
    }
}

/// True where an SQL text names the identifier as a word.
fn names(text: &str, name: &Identifier) -> bool {
    let quoted = name.to_string();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '"';
    text.match_indices(&quoted)
        .any(|(at, found)| !text[..at].ends_with(is_word) && !text[at + found.len()..].starts_with(is_word))
}

/// Columns of one foreign-key component must be of one type, or their masks would differ.
pub(crate) fn same_family(a: &TypeUse, b: &TypeUse, catalog: &Catalog) -> bool {
    family(a, catalog).0 == family(b, catalog).0
}
