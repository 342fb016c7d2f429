//! One column's rule: a word, a template, or a map with one method and its options.

use super::function::{FakeKind, Locale, PersonalKind, Truncation};
use super::template::{Fault, HASH_LENGTH, MaskTemplate};
use super::{Domain, FPE_ALPHABETS, JsonPath, Method, Rule};
use crate::config::Spanned;
use crate::config::yaml::{Entry, Fields, Node, Value};
use crate::error::{Error, Result};

/// The methods that a map names.
const METHODS: [&str; 16] = [
    "keep", "null", "shuffle", "constant", "template", "hash", "fpe", "fake", "kind", "date", "bucket",
    "noise", "json", "redact", "sql", "mask",
];

/// Words that stand alone, beside the kinds of personal data.
const WORDS: [&str; 5] = ["keep", "null", "hash", "fpe", "shuffle"];

/// The rule behind a column's name.
pub(super) fn entry_rule(entry: &Entry) -> Result<Spanned<Rule>> {
    if entry.value.is_null() && entry.value.place == entry.place {
        return Err(Error::config(format!("`{}` has no rule", entry.key))
            .at(entry.place.clone())
            .hint("write `keep`, `null`, or how it is masked"));
    }
    Ok(Spanned::at(entry.value.place.clone(), rule(&entry.value)?))
}

/// A rule in any of its forms.
pub(super) fn rule(node: &Node) -> Result<Rule> {
    match &node.value {
        Value::Null => Ok(Rule::of(Method::Null)),
        Value::Scalar(scalar) => scalar_method(node, &scalar.text, scalar.plain).map(Rule::of),
        Value::Map(_) => map_rule(node),
        Value::List(_) => Err(node.must_be("a word, a template or a map")),
    }
}

fn scalar_method(node: &Node, text: &str, plain: bool) -> Result<Method> {
    if !plain || text.contains(['{', '}']) {
        return template(node, text);
    }
    if let Some(kind) = PersonalKind::from_word(text) {
        return Ok(Method::Kind(kind));
    }
    match text {
        "keep" => Ok(Method::Keep),
        "null" => Ok(Method::Null),
        "hash" => Ok(Method::Hash(HASH_LENGTH)),
        "fpe" => Ok(Method::Fpe),
        "shuffle" => Ok(Method::Shuffle),
        "true" | "false" => Ok(Method::Constant(text.to_owned())),
        number if number.parse::<f64>().is_ok() => Ok(Method::Constant(number.to_owned())),
        _ => Err(node
            .error(format!("there is no rule `{text}`"))
            .did_you_mean(text, WORDS.into_iter().chain(PersonalKind::words()))
            .hint("a text that is meant for every row stands in quotes")),
    }
}

fn template(node: &Node, text: &str) -> Result<Method> {
    let template = MaskTemplate::parse(text).map_err(|fault| locate(node, fault))?;
    Ok(match template.as_constant() {
        Some(constant) => Method::Constant(constant.to_owned()),
        None => Method::Template(template),
    })
}

fn locate(node: &Node, fault: Fault) -> Error {
    let error = Error::config(fault.message).at(node.place_at(fault.at));
    fault.hint.into_iter().fold(error, Error::hint)
}

fn map_rule(node: &Node) -> Result<Rule> {
    let named: Vec<&Entry> =
        node.as_map()?.iter().filter(|entry| METHODS.contains(&entry.key.as_str())).collect();
    let mut fields = node.fields()?;
    let options = options(&mut fields)?;
    let locale = fields.take("locale").map(locale).transpose()?;
    let mut taken = Vec::new();
    for method in METHODS {
        taken.extend(fields.take_entry(method));
    }
    fields.finish()?;
    let entry = match named.as_slice() {
        [] => {
            return Err(node
                .error(format!("{} says not what is done", node.called()))
                .hint(format!("one of: {}", METHODS.join(", "))));
        }
        [entry] => *entry,
        [_, second, ..] => {
            return Err(Error::config(format!("`{}` is a second method for one column", second.key))
                .at(second.place.clone())
                .hint("keep one of them"));
        }
    };
    let method = method(entry, locale)?;
    if let Some(place) = locale.and(node.get("locale")).map(|node| node.place.clone())
        && !matches!(method, Method::Fake(..))
    {
        return Err(Error::config("`locale` means something for `fake` alone").at(place));
    }
    Ok(Rule { method, ..options })
}

/// What every method may have beside it.
fn options(fields: &mut Fields<'_>) -> Result<Rule> {
    let mut rule = Rule::of(Method::Keep);
    rule.when = fields.take("when").map(Node::as_spanned_text).transpose()?;
    if let Some(node) = fields.take("nulls") {
        rule.fill_nulls = choice(node, &[("keep", false), ("fill", true)])?;
    }
    if let Some(node) = fields.take("domain") {
        rule.domain = match node.as_text()? {
            "column" => Domain::Column,
            "shared" => Domain::Shared,
            "" => return Err(node.must_be("a name, `column` or `shared`")),
            name => Domain::Named(name.to_owned()),
        };
    }
    if let Some(node) = fields.take("normalize") {
        rule.normalize = choice(node, &[("none", false), ("lower", true)])?;
    }
    if let Some(node) = fields.take("allow_duplicates") {
        rule.allow_duplicates = node.as_bool()?;
    }
    Ok(rule)
}

fn locale(node: &Node) -> Result<Locale> {
    choice(node, Locale::ALL)
}

fn method(entry: &Entry, locale: Option<Locale>) -> Result<Method> {
    let node = &entry.value;
    Ok(match entry.key.as_str() {
        word @ ("keep" | "null" | "shuffle") => {
            if !node.as_bool()? {
                return Err(node.must_be("true"));
            }
            match word {
                "keep" => Method::Keep,
                "null" => Method::Null,
                _ => Method::Shuffle,
            }
        }
        "constant" => Method::Constant(node.as_text()?.to_owned()),
        "template" => template(node, node.as_text()?)?,
        "hash" => Method::Hash(node.as_number(4_u8, 64)?),
        "fpe" => {
            choice(node, &FPE_ALPHABETS.map(|word| (word, ())))?;
            Method::Fpe
        }
        "fake" => Method::Fake(choice(node, FakeKind::ALL)?, locale.unwrap_or(Locale::En)),
        "kind" | "mask" => Method::Kind(choice(node, PersonalKind::ALL)?),
        "date" => Method::Date(choice(node, Truncation::ALL)?),
        "bucket" => Method::Bucket(node.as_number(2_u64, 1_000_000_000_000)?),
        "noise" => Method::Noise(node.as_number(1_u64, 1_000_000_000)?),
        "sql" => Method::Sql(node.as_spanned_text()?),
        "redact" => Method::Redact(kinds(node)?),
        _ => Method::Json(json(node)?),
    })
}

fn kinds(node: &Node) -> Result<Vec<PersonalKind>> {
    let known = PersonalKind::PATTERNS.map(|kind| (kind.word(), kind));
    let kinds = match &node.value {
        Value::Scalar(scalar) if scalar.text == "all" => return Ok(PersonalKind::PATTERNS.to_vec()),
        _ => node.as_list()?.iter().map(|item| choice(item, &known)).collect::<Result<Vec<_>>>()?,
    };
    if kinds.is_empty() { Err(node.must_be("a list of kinds, or `all`")) } else { Ok(kinds) }
}

/// Paths and what is done there: the methods that work on text alone.
fn json(node: &Node) -> Result<Vec<(JsonPath, Method)>> {
    let entries = node.as_map()?;
    if entries.is_empty() {
        return Err(node.must_be("a map of path and rule"));
    }
    let one = |entry: &Entry| {
        let path = JsonPath::parse(&entry.key).map_err(|(_, message)| {
            Error::config(format!("`{}`: {message}", entry.key)).at(entry.place.clone())
        })?;
        let inner = entry_rule(entry)?.value;
        let plain = inner == Rule::of(inner.method.clone());
        let possible = !matches!(
            inner.method,
            Method::Json(_)
                | Method::Shuffle
                | Method::Sql(_)
                | Method::Date(_)
                | Method::Bucket(_)
                | Method::Noise(_)
        );
        if !plain || !possible {
            return Err(entry
                .value
                .error("inside of JSON there are keep, null, constants, templates, hash, fpe, fake, redact and kinds, without options"));
        }
        Ok((path, inner.method))
    };
    entries.iter().map(one).collect()
}

/// One of some words.
pub(super) fn choice<T: Copy>(node: &Node, words: &[(&'static str, T)]) -> Result<T> {
    let written = node.as_text()?;
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == written) {
        return Ok(*value);
    }
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    Err(node
        .error(format!("{} must be one of {}, not `{written}`", node.called(), names.join(", ")))
        .did_you_mean(written, names))
}
