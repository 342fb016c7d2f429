use std::path::Path;
use std::time::Duration;

use super::{Node, Value, parse, parse_duration};
use crate::Error;

fn read(text: &str) -> Node {
    parse(text, Path::new("f.yaml")).unwrap_or_else(|error| panic!("{}", shown(&error)))
}

/// `f.yaml:1:2: message (hint; hint)`
fn shown(error: &Error) -> String {
    let place = error.place().map_or("nowhere".to_owned(), ToString::to_string);
    let hints =
        if error.hints().is_empty() { String::new() } else { format!(" ({})", error.hints().join("; ")) };
    format!("{place}: {error}{hints}")
}

fn refusal(text: &str) -> String {
    shown(&parse(text, Path::new("f.yaml")).expect_err(text))
}

/// Line and column.
fn at(node: &Node) -> (usize, usize) {
    (node.place.line, node.place.column)
}

#[test]
fn places_count_characters_from_one() {
    let file = read("# é\nä: b\nlist:\n  - 'x'\n  - {k: v}\nempty:\nblock: |\n  one\n");
    assert_eq!(at(&file), (2, 1));
    assert_eq!(at(file.get("ä").unwrap()), (2, 4));
    let list = file.get("list").unwrap();
    assert_eq!(at(list), (4, 3));
    assert_eq!(at(&list.as_list().unwrap()[0]), (4, 5));
    assert_eq!(at(list.as_list().unwrap()[1].get("k").unwrap()), (5, 9));
    assert_eq!(list.as_list().unwrap()[1].get("k").unwrap().path, "list[1].k");
    assert!(file.get("empty").unwrap().is_null());
    assert_eq!(file.get("block").unwrap().as_text().unwrap(), "one\n");
}

#[test]
fn an_empty_file_is_an_empty_map() {
    for text in ["", "# nothing\n", "---\n", "\u{feff}", "~\n"] {
        assert_eq!(read(text).value, Value::Map(Vec::new()), "{text:?}");
        read(text).fields().unwrap().finish().unwrap();
    }
}

#[test]
fn only_plain_nothing_is_null() {
    for text in ["a:", "a: ~", "a: null", "a: NULL"] {
        assert!(read(text).get("a").unwrap().is_null(), "{text}");
    }
    for (text, value) in
        [("a: 'null'", "null"), ("a: ''", ""), ("a: no", "no"), ("a: 1.10", "1.10"), ("a: 0x1", "0x1")]
    {
        assert_eq!(read(text).get("a").unwrap().as_text().unwrap(), value);
    }
}

#[test]
fn numbers_and_truth_are_plain_words() {
    let value = |text: &str| read(&format!("a: {text}")).get("a").unwrap().clone();
    assert_eq!(value("10_000_000").as_u64().unwrap(), 10_000_000);
    assert_eq!(value("0").as_u64().unwrap(), 0);
    assert_eq!(value("6_000_000.5").as_f64().unwrap(), 6_000_000.5);
    assert_eq!(value("-1e3").as_f64().unwrap(), -1000.0);
    assert_eq!(value("8").as_number::<u16>(1, 64).unwrap(), 8);
    assert!(value("true").as_bool().unwrap());
    assert!(!value("False").as_bool().unwrap());

    let number = |text: &str| shown(&value(text).as_u64().unwrap_err());
    assert_eq!(number("many"), "f.yaml:1:4: `a` must be a whole number, not `many`");
    assert_eq!(number("1__0"), "f.yaml:1:4: `a` must be a whole number, not `1__0`");
    assert_eq!(number("-1"), "f.yaml:1:4: `a` must be a whole number, not `-1`");
    assert_eq!(number("'5'"), "f.yaml:1:4: `a` must be a whole number, not `5`");
    assert_eq!(number("[5]"), "f.yaml:1:4: `a` must be a whole number, not a list");
    assert_eq!(number(""), "f.yaml:1:1: `a` must be a whole number, but nothing is written");
    assert_eq!(
        shown(&value("0").as_number::<u16>(1, 64).unwrap_err()),
        "f.yaml:1:4: `a` must be a whole number from 1 to 64, not `0`"
    );
    assert_eq!(
        shown(&value("yes").as_bool().unwrap_err()),
        "f.yaml:1:4: `a` must be true or false, not `yes`"
    );
    assert_eq!(shown(&value("nan").as_f64().unwrap_err()), "f.yaml:1:4: `a` must be a number, not `nan`");
    assert_eq!(shown(&value("{b: c}").as_text().unwrap_err()), "f.yaml:1:4: `a` must be text, not a map");
    assert_eq!(shown(&value("x").as_list().unwrap_err()), "f.yaml:1:4: `a` must be a list, not `x`");
}

#[test]
fn durations_are_written_as_in_postgresql() {
    for (text, milliseconds) in [
        ("300ms", 300),
        ("300", 300),
        ("5s", 5_000),
        ("1min", 60_000),
        ("1.5 min", 90_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("0", 0),
    ] {
        assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
    }
    assert_eq!(parse_duration("250us"), Some(Duration::from_micros(250)));
    for text in ["", "s", "-5s", "5 seconds", "5m", "1.2.3s", ".5s", "1e3", "99999999d", "5s5s"] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}

#[test]
fn a_key_that_nobody_takes_is_an_error_at_its_place() {
    let file = read("name: x\nserver:\n  prot: 5432\n");
    let mut fields = file.fields().unwrap();
    assert_eq!(fields.take("name").unwrap().as_text().unwrap(), "x");
    let mut server = fields.take_required("server").unwrap().fields().unwrap();
    assert_eq!(server.take("host"), None);
    assert_eq!(server.take("port"), None);
    assert_eq!(
        shown(&server.finish().unwrap_err()),
        "f.yaml:3:3: unknown key `prot` in `server` (did you mean `port`?; known keys: host, port)"
    );
    assert_eq!(shown(&fields.take_required("user").unwrap_err()), "f.yaml:1:1: the file has no `user`");
    fields.finish().unwrap();
}

#[test]
fn what_surprises_people_is_refused() {
    insta::assert_snapshot!(
        [
            "a: 1\nb: 2\na: 3\n",
            "base: &b {x: 1}\nmore:\n  <<: *b\n",
            "a: 1\n---\nb: 2\n",
            "a: !!int 5\n",
            "a: &x [*x]\n",
            "a: *unknown\n",
            "a:\n\tb: 1\n",
            "a:\n  b: 1\n\tc: 1\n",
            "a: b: c\n",
            "a: {b: c\n",
            "a: 'never closed\n",
            "a: |\n  text\n b: c\n",
            "? [a]\n: b\n",
            ": b\n",
            "a: x\0y\nb: 1\n",
            "- a\n b\n- c\nd\n",
        ]
        .map(refusal)
        .join("\n"),
        @r#"
        f.yaml:3:1: the key `a` is written twice (it is already in line 1: keep one of them)
        f.yaml:3:3: the merge key `<<` is not supported (write the keys out, or use an alias for a whole value)
        f.yaml:2:1: a second YAML document starts here (keep one document in a file: remove the `---`)
        f.yaml:1:4: YAML tags mean nothing here (remove the tag; text that starts with ! wants quotes around all of it)
        f.yaml:1:8: the alias stands inside of what it names
        f.yaml:1:4: this alias names no anchor (text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`))
        f.yaml:2:1: a tab indents this line (YAML is indented by spaces: replace the tab)
        f.yaml:3:1: a tab indents this line (YAML is indented by spaces: replace the tab)
        f.yaml:1:5: a second `:` in this value, or a line indented wrongly (text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`))
        f.yaml:2:1: a `{` above is not closed, or a comma is missing (text that holds `: ` or ` #`, or starts with a sign such as { [ * & ! % @ or a quote, wants quotes around all of it, or a block (`|`))
        f.yaml:1:4: this quote is never closed (close it, or double a quote that is part of the text)
        f.yaml:3:2: this line does not fit the lines above it (indent it as its neighbours are; text after a closing quote is not allowed)
        f.yaml:1:3: a key must be text
        f.yaml:1:1: a key is missing before `:`
        f.yaml:1:5: the character '\0' does not belong in a YAML file (the file must be UTF-8 text; in double quotes, write the character as an escape)
        f.yaml:5:1: this is not a `key: value` (write a `:` and a blank after the key)
        "#
    );
    let deep = format!("a: {}{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(refusal(&deep), "f.yaml:1:67: nested deeper than 64 levels");
}

#[test]
fn aliases_copy_and_cannot_explode() {
    let file = read("a: &x {k: v}\nb: *x\n");
    assert_eq!(file.get("a").unwrap(), file.get("b").unwrap());
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..9 {
        let below = vec![format!("*a{}", level - 1); 10].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert!(refusal(&bomb).contains("the aliases make the file too large"));
}

/// The place of a word inside the value of `a`.
fn place_of(text: &str, word: &str) -> (usize, usize) {
    let file = read(text);
    let node = file.get("a").unwrap();
    let offset = node.as_text().unwrap().find(word).unwrap_or_else(|| panic!("{word} in {text:?}"));
    let place = node.place_at(offset);
    (place.line, place.column)
}

#[test]
fn a_word_inside_a_text_has_its_own_place() {
    assert_eq!(place_of("a: one two\n", "two"), (1, 8));
    assert_eq!(place_of("a: ünö two\n", "two"), (1, 8));
    assert_eq!(place_of("a: one\n  two\n  three\n", "three"), (3, 3));
    assert_eq!(place_of("a: 'it''s two'\n", "two"), (1, 11));
    assert_eq!(place_of("a: \"\\u00e9\\tx two\"\n", "two"), (1, 15));
    assert_eq!(place_of("a: \"one \\\n   two\"\n", "two"), (2, 4));
    assert_eq!(place_of("a: \"one\n\n   two\"\n", "two"), (3, 4));
    for block in ["|", "|-", ">", "|2 # why", ">+"] {
        assert_eq!(
            place_of(&format!("a: {block}\n  one\n  two three\n\n  four\n"), "three"),
            (3, 7),
            "{block}"
        );
        assert_eq!(
            place_of(&format!("a: {block}\r\n  one\r\n  two three\r\n\r\n  four\r\n"), "four"),
            (5, 3),
            "{block}"
        );
    }
    assert_eq!(place_of("a: |\n\n  one\n     two\n", "two"), (4, 6));
    assert_eq!(place_of("b:\n  - x\na: |\n      one\n        two\n      three\nc: d\n", "three"), (6, 7));
}
