//! Masks at places in a JSON document. Everything else stays byte by byte: numbers keep all their digits.

use super::{Mask, Row, Unfit};
use crate::config::sync_rules::{JsonPath, Step};

/// Writes the document with the masks applied. A path that leads to an object or an array means all that is in it.
pub(super) fn mask(
    paths: &[(JsonPath, Mask)],
    text: &str,
    row: &Row<'_>,
    out: &mut String,
) -> Result<(), Unfit> {
    let states: Vec<State<'_>> = paths.iter().map(|(path, mask)| State { left: &path.steps, mask }).collect();
    let mut walk = Walk { text, at: 0, row, out };
    walk.value(&states)?;
    let rest = walk.at;
    out.push_str(&text[rest..]);
    Ok(())
}

/// What is left of a path.
#[derive(Clone, Copy)]
struct State<'a> {
    left: &'a [Step],
    mask: &'a Mask,
}

struct Walk<'a, 'o> {
    text: &'a str,
    at: usize,
    row: &'a Row<'a>,
    out: &'o mut String,
}

const BROKEN: Unfit = Unfit("is not the JSON that PostgreSQL writes");

impl<'a> Walk<'a, '_> {
    /// Copies blanks, and gives the next byte.
    fn peek(&mut self) -> Result<u8, Unfit> {
        let rest = &self.text[self.at..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.copy(blanks);
        self.text.as_bytes().get(self.at).copied().ok_or(BROKEN)
    }

    fn copy(&mut self, bytes: usize) {
        self.out.push_str(&self.text[self.at..self.at + bytes]);
        self.at += bytes;
    }

    fn value(&mut self, states: &[State<'_>]) -> Result<(), Unfit> {
        match self.peek()? {
            b'{' => self.container(b'}', states),
            b'[' => self.container(b']', states),
            _ => self.leaf(states),
        }
    }

    fn container(&mut self, end: u8, states: &[State<'_>]) -> Result<(), Unfit> {
        self.copy(1);
        let mut index = 0;
        while self.peek()? != end {
            if self.peek()? == b',' {
                self.copy(1);
                self.peek()?;
            }
            let mut key = None;
            if end == b'}' {
                let raw = self.scalar()?;
                self.copy(raw.len());
                if self.peek()? != b':' {
                    return Err(BROKEN);
                }
                self.copy(1);
                key = Some(serde_json::from_str::<String>(raw).map_err(|_| BROKEN)?);
            }
            let below: Vec<State<'_>> =
                states.iter().flat_map(|state| step(*state, key.as_deref(), index)).flatten().collect();
            self.value(&below)?;
            index += 1;
        }
        self.copy(1);
        Ok(())
    }

    /// The string, number or word that begins here, as it is written.
    fn scalar(&self) -> Result<&'a str, Unfit> {
        let rest = &self.text[self.at..];
        let bytes = rest.as_bytes();
        if bytes.first() != Some(&b'"') {
            let end = rest.find([',', '}', ']', ' ', '\n', '\t', '\r', ':']).unwrap_or(rest.len());
            return if end == 0 { Err(BROKEN) } else { Ok(&rest[..end]) };
        }
        let mut at = 1;
        loop {
            match bytes.get(at) {
                Some(b'"') => return Ok(&rest[..=at]),
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
                None => return Err(BROKEN),
            }
        }
    }

    fn leaf(&mut self, states: &[State<'_>]) -> Result<(), Unfit> {
        let raw = self.scalar()?;
        let reached = states.iter().find(|state| state.left.is_empty());
        let (Some(State { mask, .. }), false) = (reached, raw == "null" || raw == "\"\"") else {
            self.copy(raw.len());
            return Ok(());
        };
        self.at += raw.len();
        let value = match raw.strip_prefix('"') {
            Some(_) => serde_json::from_str::<String>(raw).map_err(|_| BROKEN)?,
            None => raw.to_owned(),
        };
        // What is redacted keeps the rest of the text, and notes itself what it takes out.
        if !matches!(mask, Mask::Keep | Mask::Redact(_)) {
            self.row.note(&value);
        }
        let mut masked = String::new();
        if mask.apply(&value, self.row, &mut masked)? {
            let quoted = serde_json::to_string(&masked).map_err(|_| BROKEN)?;
            // A masked number stays a number where it can.
            let is_number = !raw.starts_with('"') && raw.parse::<f64>().is_ok();
            let stays = is_number && serde_json::from_str::<serde_json::Number>(&masked).is_ok();
            self.out.push_str(if stays { &masked } else { &quoted });
        } else {
            self.out.push_str("null");
        }
        Ok(())
    }
}

/// What is left of a path one level further down.
fn step<'a>(state: State<'a>, key: Option<&str>, index: usize) -> [Option<State<'a>>; 2] {
    let matches = |step: &Step| match (step, key) {
        (Step::Any, _) => true,
        (Step::Key(wanted), Some(key)) => wanted == key,
        (Step::Index(wanted), None) => *wanted == index,
        _ => false,
    };
    match state.left {
        [] => [Some(state), None],
        [Step::Deep, first, rest @ ..] => {
            [Some(state), matches(first).then_some(State { left: rest, ..state })]
        }
        [first, rest @ ..] => [matches(first).then_some(State { left: rest, ..state }), None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(paths: &[&str], text: &str) -> String {
        let paths: Vec<(JsonPath, Mask)> = paths
            .iter()
            .map(|path| (JsonPath::parse(path).unwrap(), Mask::Constant("x".to_owned())))
            .collect();
        let mut out = String::new();
        mask(&paths, text, &Row::empty(), &mut out).unwrap();
        out
    }

    #[test]
    fn what_a_path_names_is_masked_and_the_rest_stays_to_the_digit() {
        let text = r#"{"a": {"email": "q\"@x"}, "n": 12345678901234567890.1230, "l": [{"ip": "1.2.3.4"}, {"ip": null}], "é\u0000": ""}"#;
        assert_eq!(
            masked(&["$.a.email", "$.l[*].ip"], text),
            r#"{"a": {"email": "x"}, "n": 12345678901234567890.1230, "l": [{"ip": "x"}, {"ip": null}], "é\u0000": ""}"#
        );
        assert_eq!(
            masked(&["$..ip"], r#"[[{"ip":1}],{"x":{"ip":[2,"3"]}}]"#),
            r#"[[{"ip":"x"}],{"x":{"ip":["x","x"]}}]"#
        );
        assert_eq!(masked(&["$.*"], "{\"a\":1,\"b\":[]}"), "{\"a\":\"x\",\"b\":[]}");
        assert_eq!(masked(&["$[1]"], "[1,2,3]"), "[1,\"x\",3]");
        assert_eq!(masked(&["$.a"], " \"top\" "), " \"top\" ");
    }
}
