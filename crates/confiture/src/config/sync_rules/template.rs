//! Text with placeholders: `user_{id}@example.com`, `+1-555-{random(4)}`, `**** {last4}`, `{full_name|hash(8)}`.

use super::function::FakeKind;
use crate::error::did_you_mean;
use crate::sql::Identifier;

/// What a column is written as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskTemplate {
    /// Its pieces in order.
    pub pieces: Vec<Piece>,
}

/// One piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// `{id}`: the original value of another column, which must be kept.
    Column(Identifier),
    /// `{full_name|hash(8)}`: so many digits of the keyed hash of another column's value.
    ColumnHash(Identifier, u8),
    /// `{random(4)}`: digits that follow from the key and the row, the same in every run.
    Random(u8),
    /// `{fresh(4)}`: digits that nobody can tell beforehand, others in every run.
    Fresh(u8),
    /// `{unique(9)}`: digits that no two rows share, from a key of one whole number.
    Unique(u8),
    /// `{last4}`: the last digits of this column's own value; stars where that would tell too much.
    LastDigits(u8),
    /// `{first1}`: the first characters of this column's own value; stars where that would tell too much.
    First(u8),
    /// `{domain}`: what stands behind `@` in this column's own value.
    MailDomain,
    /// `{hash(12)}`: hexadecimal digits of the keyed hash of this column's own value.
    Hash(u8),
    /// `{fake.name}`: a word from a list, chosen by this column's own value.
    Fake(FakeKind),
}

/// What is wrong with a template, and the byte where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// The functions, with what stands in their brackets: least and most.
const FUNCTIONS: [(&str, u8, u8); 4] =
    [("random", 1, 38), ("fresh", 1, 38), ("unique", 1, 18), ("hash", 4, 64)];

/// How long a hash is where nobody says it.
pub(super) const HASH_LENGTH: u8 = 16;

impl MaskTemplate {
    /// Reads a template. `{{` and `}}` stand for single braces.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(found) = rest.find(['{', '}']) {
            let at = text.len() - rest.len() + found;
            plain.push_str(&rest[..found]);
            let brace = &rest[found..=found];
            rest = &rest[found + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
            } else if brace == "}" {
                return Err(
                    fault(at, "`}` closes nothing").hint("a brace that is meant is written twice: `}}`")
                );
            } else {
                let Some(end) = rest.find('}') else {
                    return Err(
                        fault(at, "`{` is not closed").hint("a brace that is meant is written twice: `{{`")
                    );
                };
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(placeholder(&rest[..end], at + 1)?);
                rest = &rest[end + 1..];
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces })
    }

    /// The text, where it holds no placeholder.
    #[must_use]
    pub fn as_constant(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The columns that it reads as they are.
    pub fn columns(&self) -> impl Iterator<Item = &Identifier> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column(name) => Some(name),
            _ => None,
        })
    }
}

/// What stands between the braces.
fn placeholder(inside: &str, at: usize) -> Result<Piece, Fault> {
    let word = inside.trim();
    if word.is_empty() {
        return Err(fault(at, "nothing stands between the braces"));
    }
    if let Some((column, function)) = word.split_once('|') {
        return match function_call(function.trim(), at)? {
            Some(Piece::Hash(length)) => Ok(Piece::ColumnHash(column_name(column.trim(), at)?, length)),
            _ => Err(fault(at, format!("`{}` cannot follow a column", function.trim()))
                .hint("write `{column|hash(8)}`")),
        };
    }
    if let Some(list) = word.strip_prefix("fake.") {
        return FakeKind::from_word(list).map(Piece::Fake).ok_or_else(|| {
            fault(at, format!("there is no list `{list}` of fakes")).meant(list, FakeKind::words())
        });
    }
    match function_call(word, at)? {
        Some(piece) => Ok(piece),
        None => column_name(word, at).map(Piece::Column),
    }
}

/// `random(4)`, `last4`, `domain`; `None` for what may be a column.
fn function_call(word: &str, at: usize) -> Result<Option<Piece>, Fault> {
    let counted = |prefix: &str| word.strip_prefix(prefix).and_then(|number| number.parse::<u8>().ok());
    match word {
        "domain" => return Ok(Some(Piece::MailDomain)),
        "hash" => return Ok(Some(Piece::Hash(HASH_LENGTH))),
        _ => {}
    }
    for (prefix, piece) in [("last", Piece::LastDigits as fn(u8) -> Piece), ("first", Piece::First)] {
        match counted(prefix) {
            Some(count @ 1..=4) => return Ok(Some(piece(count))),
            Some(_) => {
                return Err(
                    fault(at, format!("`{word}` would tell too much")).hint("from 1 to 4 are possible")
                );
            }
            None => {}
        }
    }
    let Some((name, argument)) = word.split_once('(') else { return Ok(None) };
    let Some(argument) = argument.strip_suffix(')') else {
        return Err(fault(at, format!("the brackets of `{word}` are not closed")));
    };
    let name = name.trim();
    let Some((_, least, most)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
        return Err(fault(at, format!("there is no function `{name}`"))
            .meant(name, FUNCTIONS.map(|(known, ..)| known)));
    };
    let count = argument.trim().parse::<u8>().ok().filter(|count| (*least..=*most).contains(count));
    let Some(count) = count else {
        return Err(fault(
            at,
            format!("`{name}` wants a number from {least} to {most}, not `{}`", argument.trim()),
        ));
    };
    Ok(Some(match name {
        "random" => Piece::Random(count),
        "fresh" => Piece::Fresh(count),
        "unique" => Piece::Unique(count),
        _ => Piece::Hash(count),
    }))
}

/// A column as SQL writes it: folded to lower case unless it stands in double quotes.
fn column_name(word: &str, at: usize) -> Result<Identifier, Fault> {
    if let Some(quoted) = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
        return Ok(Identifier::new(quoted.replace("\"\"", "\"")));
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    if !word.chars().all(plain) || word.starts_with(|c: char| c.is_numeric()) {
        return Err(fault(at, format!("`{word}` is neither a function nor a column"))
            .hint("write `{column}`, `{random(4)}`, `{last4}`, `{hash(12)}` or `{fake.name}`"));
    }
    Ok(Identifier::new(word.to_lowercase()))
}

fn fault(at: usize, message: impl Into<String>) -> Fault {
    Fault { at, message: message.into(), hint: None }
}

impl Fault {
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn meant<'a>(self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        let candidates: Vec<&str> = candidates.into_iter().collect();
        match did_you_mean(word, candidates.iter().copied()) {
            Some(candidate) => self.hint(format!("did you mean `{candidate}`?")),
            None => self.hint(format!("there are: {}", candidates.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<Piece> {
        MaskTemplate::parse(text).unwrap().pieces
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn the_templates_of_the_guide_are_read() {
        assert_eq!(
            pieces("user_{id}@example.com"),
            [text("user_"), Piece::Column("id".into()), text("@example.com")]
        );
        assert_eq!(pieces("+1-555-{random(4)}"), [text("+1-555-"), Piece::Random(4)]);
        assert_eq!(pieces("**** **** **** {last4}"), [text("**** **** **** "), Piece::LastDigits(4)]);
        assert_eq!(pieces("{full_name|hash(8)}@x"), [Piece::ColumnHash("full_name".into(), 8), text("@x")]);
        assert_eq!(pieces("{fake.name}"), [Piece::Fake(FakeKind::Name)]);
        assert_eq!(pieces("{\"Full Name\"}{{x}}"), [Piece::Column("Full Name".into()), text("{x}")]);
        assert_eq!(pieces(""), [text("")]);
    }

    #[test]
    fn what_is_wrong_has_its_byte_and_a_suggestion() {
        let fault = |text| MaskTemplate::parse(text).unwrap_err();
        assert_eq!(fault("a{ransom(4)}").hint.unwrap(), "did you mean `random`?");
        assert_eq!(fault("a{ransom(4)}").at, 2);
        assert_eq!(fault("{fake.nam}").hint.unwrap(), "did you mean `name`?");
        for text in [
            "{",
            "}",
            "{}",
            "{random}x(",
            "{random(0)}",
            "{random(x)}",
            "{last9}",
            "{a b}",
            "{id|upper}",
            "{hash(2)}",
        ] {
            // `{random}` alone is a column called random: the plan knows whether there is one.
            if text == "{random}x(" {
                assert!(MaskTemplate::parse(text).is_ok());
            } else {
                assert!(MaskTemplate::parse(text).is_err(), "{text}");
            }
        }
    }
}
