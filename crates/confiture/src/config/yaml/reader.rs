//! From YAML text to a [`Node`].

use std::collections::HashMap;
use std::path::Path;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};

use super::passage::{Passage, Style};
use super::{Entry, Node, Scalar, Value};
use crate::error::{Error, Place, Result};

/// No file that a person writes is deeper.
const DEEPEST: usize = 64;
/// Aliases of aliases can turn a short file into a huge one.
const MOST_COPIED: usize = 100_000;

/// Reads a file's text. An empty file is an empty map; `file` is only the name that errors show.
pub fn parse(text: &str, file: &Path) -> Result<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source: Vec<char> = text.chars().collect();
    check_characters(&source, file)?;
    let mut reader =
        Reader { file, source: &source, open: Vec::new(), root: None, anchors: HashMap::new(), copied: 0 };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| reader.syntax_error(&error))?;
        reader.receive(event, span)?;
    }
    Ok(reader.root.filter(|root| !root.is_null()).unwrap_or_else(|| Node {
        value: Value::Map(Vec::new()),
        place: Place { file: file.to_owned(), line: 1, column: 1 },
        path: String::new(),
    }))
}

struct Reader<'a> {
    file: &'a Path,
    source: &'a [char],
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    copied: usize,
}

/// A list or a map whose end has not come yet.
struct Open {
    place: Place,
    path: String,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<(String, Place)>),
}

impl Reader<'_> {
    fn receive(&mut self, event: Event<'_>, span: Span) -> Result<()> {
        let place = self.place(&span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Error::config("a second YAML document starts here")
                    .at(place)
                    .hint("keep one document in a file: remove the `---`"))
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                // Not shown: it may be a password that begins with `!` and lacks its quotes.
                Err(Error::config("YAML tags mean nothing here")
                    .at(place)
                    .hint("remove the tag; text that starts with ! wants quotes around all of it"))
            }
            Event::Scalar(text, style, anchor, None) => self.scalar(&text, style, anchor, span),
            Event::SequenceStart(anchor, None) => self.start(anchor, place, Content::List(Vec::new())),
            Event::MappingStart(anchor, None) => self.start(anchor, place, Content::Map(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn start(&mut self, anchor: usize, place: Place, content: Content) -> Result<()> {
        if self.awaits_key() {
            return Err(Error::config("a key must be text").at(place));
        }
        if self.open.len() >= DEEPEST {
            return Err(Error::config(format!("nested deeper than {DEEPEST} levels")).at(place));
        }
        self.open.push(Open { place, path: self.path(), anchor, content });
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(Open { place, path, anchor, content }) = self.open.pop() else {
            return Err(Error::unexpected("the YAML parser closed what it never opened"));
        };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map(entries, _) => Value::Map(entries),
        };
        self.add(Node { value, place, path }, anchor);
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, span: Span) -> Result<()> {
        let mut place = self.place(&span.start);
        if self.awaits_key() {
            return self.key(text, style, place);
        }
        let plain = style == ScalarStyle::Plain;
        if let (true, Some(Open { content: Content::Map(_, Some((_, key))), .. })) =
            (text.is_empty(), self.open.last())
        {
            place = key.clone();
        }
        let value = if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            Value::Null
        } else {
            let style = match style {
                ScalarStyle::Plain => Style::Plain,
                ScalarStyle::SingleQuoted => Style::SingleQuoted,
                ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
                ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
            };
            let source = self.source.get(span.start.index()..).unwrap_or_default();
            let passage = Passage::align(text, style, source, place.line, place.column);
            Value::Scalar(Scalar { text: text.to_owned(), plain, passage })
        };
        let path = self.path();
        self.add(Node { value, place, path }, anchor);
        Ok(())
    }

    fn key(&mut self, text: &str, style: ScalarStyle, place: Place) -> Result<()> {
        if style == ScalarStyle::Plain && text.is_empty() {
            return Err(Error::config("a key is missing before `:`").at(place));
        }
        if style == ScalarStyle::Plain && text == "<<" {
            return Err(Error::config("the merge key `<<` is not supported")
                .at(place)
                .hint("write the keys out, or use an alias for a whole value"));
        }
        let Some(Open { content: Content::Map(entries, key), .. }) = self.open.last_mut() else {
            return Err(Error::unexpected("a YAML key outside a map"));
        };
        if let Some(first) = entries.iter().find(|entry| entry.key == text) {
            let line = first.place.line;
            return Err(Error::config(format!("the key `{text}` is written twice"))
                .at(place)
                .hint(format!("it is already in line {line}: keep one of them")));
        }
        *key = Some((text.to_owned(), place));
        Ok(())
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<()> {
        if self.awaits_key() {
            return Err(Error::config("a key must be text, not an alias").at(place));
        }
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(Error::config("the alias stands inside of what it names").at(place));
        };
        self.copied += count(&node);
        if self.copied > MOST_COPIED || self.open.len() + depth(&node) > DEEPEST {
            return Err(Error::config("the aliases make the file too large").at(place));
        }
        self.add(node, 0);
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map(entries, key)) => {
                if let Some((key, place)) = key.take() {
                    entries.push(Entry { key, place, value: node });
                }
            }
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map(_, None), .. }))
    }

    /// The path of the value that comes next.
    fn path(&self) -> String {
        match self.open.last() {
            None => String::new(),
            Some(Open { path, content: Content::List(items), .. }) => format!("{path}[{}]", items.len()),
            Some(Open { path, content: Content::Map(_, key), .. }) => {
                let key = key.as_ref().map_or("", |(key, _)| key);
                if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
            }
        }
    }

    fn place(&self, marker: &Marker) -> Place {
        Place { file: self.file.to_owned(), line: marker.line(), column: marker.col() + 1 }
    }

    fn syntax_error(&self, error: &ScanError) -> Error {
        let place = self.place(error.marker());
        // A tab in the indentation is the usual culprit, and the parser sees only its consequences.
        for line in [place.line, place.line + 1] {
            if let Some(column) = self.tab_in_indentation(line) {
                return Error::config("a tab indents this line")
                    .at(Place { line, column, ..place })
                    .hint("YAML is indented by spaces: replace the tab");
            }
        }
        let (message, hint) = explain(error.info());
        Error::config(message).at(place).hint(hint)
    }

    fn tab_in_indentation(&self, line: usize) -> Option<usize> {
        let line = self.source.split(|c| *c == '\n').nth(line.checked_sub(1)?)?;
        let blanks = line.iter().take_while(|c| matches!(c, ' ' | '\t'));
        blanks.zip(1..).find(|(c, _)| **c == '\t').map(|(_, column)| column)
    }
}

/// The parser's remark in words that say what to do.
fn explain(info: &str) -> (String, &'static str) {
    let quote = "text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`)";
    let (message, hint) = match info {
        "mapping values are not allowed in this context" => {
            ("a second `:` in this value, or a line indented wrongly", quote)
        }
        "while parsing node, found unknown anchor" => ("this alias names no anchor", quote),
        "while scanning a quoted scalar, found unexpected end of stream" => {
            ("this quote is never closed", "close it, or double a quote that is part of the text")
        }
        "while parsing a flow mapping, did not find expected ',' or '}'" => {
            ("a `{` above is not closed, or a comma is missing", quote)
        }
        "while parsing a flow sequence, expected ',' or ']'" => {
            ("a `[` above is not closed, or a comma is missing", quote)
        }
        "while parsing a block mapping, did not find expected key"
        | "while parsing a block collection, did not find expected '-' indicator" => (
            "this line does not fit the lines above it",
            "indent it as its neighbours are; text after a closing quote is not allowed",
        ),
        "simple key expect ':'" | "simple key expected" => {
            ("this is not a `key: value`", "write a `:` and a blank after the key")
        }
        other => return (format!("not valid YAML: {other}"), quote),
    };
    (message.to_owned(), hint)
}

/// Refuses what YAML refuses; a parser that takes NUL for the end of the file would lose the rest silently.
fn check_characters(source: &[char], file: &Path) -> Result<()> {
    let (mut line, mut column) = (1, 1);
    for c in source {
        let refused = (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}'))
            || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}');
        if refused {
            let place = Place { file: file.to_owned(), line, column };
            return Err(Error::config(format!("the character {c:?} does not belong in a YAML file"))
                .at(place)
                .hint("the file must be UTF-8 text; in double quotes, write the character as an escape"));
        }
        (line, column) = if *c == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    Ok(())
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(entries) => entries.iter().map(|entry| count(&entry.value)).sum(),
        Value::Null | Value::Scalar(_) => 0,
    }
}

fn depth(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
        Value::Null | Value::Scalar(_) => 0,
    }
}
