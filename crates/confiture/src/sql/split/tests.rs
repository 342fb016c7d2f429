use proptest::prelude::*;

use super::*;

fn statements(text: &str) -> Vec<String> {
    let split = split(Script::new("a.sql", text)).unwrap();
    split.statements.iter().map(|statement| split.text_of(statement).to_owned()).collect()
}

fn refusal(text: &str) -> (String, String) {
    let error = split(Script::new("a.sql", text)).unwrap_err();
    (error.place().unwrap().to_string(), error.message().to_owned())
}

#[test]
fn semicolons_end_statements_only_where_psql_says_so() {
    for (text, expected) in [
        ("", &[] as &[&str]),
        (" ;; -- only a comment\n/* ; */", &[]),
        ("SELECT 1; SELECT 2", &["SELECT 1", "SELECT 2"]),
        ("SELECT ';' ; SELECT E'\\';'", &["SELECT ';'", "SELECT E'\\';'"]),
        ("SELECT $a$ ; $$ ; $a$; x", &["SELECT $a$ ; $$ ; $a$", "x"]),
        ("SELECT \";\"; /* ; /* ; */ ; */ SELECT 2 -- ;\n;", &["SELECT \";\"", "SELECT 2"]),
        (
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); x",
            &["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "x"],
        ),
        ("BEGIN; SELECT 1; END; x", &["BEGIN", "SELECT 1", "END", "x"]),
        ("SELECT 1\r\n;\r\nSELECT\r\n2;\r\n", &["SELECT 1", "SELECT\r\n2"]),
        ("\u{feff}SELECT 1;", &["SELECT 1"]),
        ("\\restrict abc\nSELECT 1;\n\\unrestrict abc\n", &["SELECT 1"]),
    ] {
        assert_eq!(statements(text), expected, "{text}");
    }
}

/// As psql does, which is told by the server: `'\'` is a whole string or the start of one.
#[test]
fn backslashes_are_read_as_the_script_has_set_it() {
    for off in [
        "SET standard_conforming_strings = off",
        "set local Standard_Conforming_Strings to 'FALSE'",
        "SET SESSION \"standard_conforming_strings\" = 0",
    ] {
        for on in
            ["SET standard_conforming_strings TO DEFAULT", "RESET ALL", "RESET standard_conforming_strings"]
        {
            let text = format!(
                "SELECT '\\'; {off}; SELECT '\\';', N'\\';'; SELECT B'1'; {on}; SELECT '\\'; SELECT 2"
            );
            let expected =
                ["SELECT '\\'", off, "SELECT '\\';', N'\\';'", "SELECT B'1'", on, "SELECT '\\'", "SELECT 2"];
            assert_eq!(statements(&text), expected);
        }
    }
    assert_eq!(statements("SET a.standard_conforming_strings = off; SELECT '\\'; x").len(), 3);
}

#[test]
fn bodies_in_sqls_own_form_are_one_statement() {
    for body in [
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
        "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC INSERT INTO t VALUES (1); END",
        "create function f() returns int begin atomic select case when a then 1 else case b when 1 then 2 end end; end",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT a AS end, t.case; SELECT 2; END",
        "CREATE FUNCTION begin() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$",
    ] {
        assert_eq!(statements(&format!("{body}; SELECT 3;")), [body, "SELECT 3"]);
    }
}

#[test]
fn copy_data_belongs_to_its_statement() {
    let text = "COPY t (a) FROM stdin; -- rows\n1;'\n\\N\n\\.\nSELECT 1; COPY u FROM STDIN WITH (FORMAT csv);\r\n\\.\r\n";
    let split = split(Script::new("a.sql", text)).unwrap();
    let seen: Vec<_> = split
        .statements
        .iter()
        .map(|statement| (split.text_of(statement), statement.data.clone().map(|data| &text[data])))
        .collect();
    assert_eq!(
        seen,
        [
            ("COPY t (a) FROM stdin", Some("1;'\n\\N\n")),
            ("SELECT 1", None),
            ("COPY u FROM STDIN WITH (FORMAT csv)", Some("")),
        ]
    );
    assert_eq!(
        statements("COPY t FROM 'stdin'; COPY (SELECT 1) TO stdout; x"),
        ["COPY t FROM 'stdin'", "COPY (SELECT 1) TO stdout", "x"]
    );
}

#[test]
fn what_is_said_to_psql_alone_is_passed_over() {
    let text =
        "\\set ON_ERROR_STOP on\n\\timing\n\\echo it's begun;\nSELECT 1;\n\\pset pager off\nSELECT 2;\n";
    assert_eq!(statements(text), ["SELECT 1", "SELECT 2"]);
    assert_eq!(refusal("\\set schema app\n").1, "`\\set` is a command to psql, not SQL");
    assert_eq!(refusal("\\echo load it so \\quit\n").1, "`\\echo` is a command to psql, not SQL");
}

#[test]
fn what_cannot_be_split_is_refused_where_it_starts() {
    for (text, place, message) in [
        ("SELECT 1;\n  'abc;\n", "a.sql:2:3", "this string is never closed"),
        ("é /* /* */", "a.sql:1:3", "this comment is never closed"),
        ("\nSELECT $b$ x", "a.sql:2:8", "this dollar-quoted string is never closed"),
        ("SELECT \"a", "a.sql:1:8", "this quoted name is never closed"),
        ("SELECT 1;\n\\i other.sql\n", "a.sql:2:1", "`\\i` is a command to psql, not SQL"),
        ("SELECT 1 \\gset\n", "a.sql:1:10", "`\\gset` is a command to psql, not SQL"),
        ("\\.\n", "a.sql:1:1", "`\\.` is a command to psql, not SQL"),
        ("x;\nCOPY t FROM stdin;\n1\n", "a.sql:2:1", "the rows of this COPY … FROM stdin have no end"),
        (
            "COPY t FROM stdin; x;\n1\n\\.\n",
            "a.sql:1:20",
            "the rows of a COPY … FROM stdin start on the next line",
        ),
    ] {
        assert_eq!(refusal(text), (place.to_owned(), message.to_owned()), "{text}");
    }
}

fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "SELECT 1",
        "a",
        " ",
        "\n",
        "\r\n",
        ";",
        "; ",
        "'x;y'",
        "E'\\''",
        "$$;$$",
        "$t$ $$ ; $t$",
        "(",
        ")",
        "\"q;\"",
        "-- c;\n",
        "/* ; /* */ */",
        "CREATE FUNCTION f() BEGIN ATOMIC ",
        " END",
        " CASE ",
        "COPY t FROM stdin;\n1;\n\\.\n",
        "é",
        "1.5",
        "::",
    ])
}

proptest! {
    #[test]
    fn spans_and_separators_are_the_whole_script(fragments in prop::collection::vec(fragment(), 0..40)) {
        let text = fragments.concat();
        let Ok(split) = split(Script::new("a.sql", text.as_str())) else { return Ok(()) };
        let mut at = 0;
        for statement in &split.statements {
            prop_assert_eq!(statement.lead.end, statement.span.start);
            prop_assert!(at <= statement.lead.start);
            prop_assert!(only_separators(&text[at..statement.span.start]), "{:?}", &text[at..statement.span.start]);
            at = statement.span.end;
            if let Some(data) = &statement.data {
                prop_assert!(only_separators(&text[at..data.start]));
                at = data.end + text[data.end..].find('\n').map_or(0, |end| end + 1);
            }
        }
        prop_assert!(only_separators(&text[at..]), "{:?}", &text[at..]);
    }

    #[test]
    fn splitting_what_was_split_changes_nothing(fragments in prop::collection::vec(fragment(), 0..40)) {
        let text = fragments.concat();
        let Ok(first) = split(Script::new("a.sql", text.as_str())) else { return Ok(()) };
        let mut joined = String::new();
        for statement in &first.statements {
            joined.push_str(first.text_of(statement));
            joined.push_str(";\n");
            if let Some(data) = &statement.data {
                joined.push_str(&text[data.clone()]);
                joined.push_str("\\.\n");
            }
        }
        let again = split(Script::new("a.sql", joined)).unwrap();
        let texts = |split: &SplitScript| -> Vec<String> {
            split.statements.iter().map(|statement| split.text_of(statement).to_owned()).collect()
        };
        // An unbalanced last statement takes the added semicolon in; everything before it must be the same.
        let (mut before, mut after) = (texts(&first), texts(&again));
        if first.statements.last().is_some_and(|last| !last.is_terminated) {
            before.pop();
            after.pop();
        }
        prop_assert_eq!(before, after);
    }
}

fn only_separators(text: &str) -> bool {
    lex(text).all(|token| token.is_blank() || token.kind == TokenKind::Semicolon)
}
