//! The splitter against psql itself: `psql --echo-queries` prints what it sends.

use std::fmt::Write as _;
use std::process::Command;

use confiture::sql::{
    Script,
    lex::{TokenKind, lex},
    split,
};
use local_postgres::testing::Database;

const FRAGMENTS: &[&str] = &[
    "SELECT 1",
    " a",
    " ",
    "\n",
    "\r\n",
    ";",
    "; ",
    ";\n",
    "'x;y'",
    "E'\\';'",
    "U&'\\0041;'",
    "$$;$$",
    "$t$ $$ ; $t$",
    "(",
    ")",
    "\"q;\"",
    "-- c;'\n",
    "/* ; /* ' */ */",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC ",
    " END",
    " CASE ",
    "é",
    "1.5",
    "::",
    "a$b$",
    "$1",
    "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT 1; ",
    "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
    "- -",
    "*/*;*/",
    ";COPY t FROM stdin;\n1;'\n\\.\n",
    ";COPY t (a) FROM STDIN WITH (FORMAT text);\n\\.\n",
];

/// A random script, the same for the same number.
fn script_of(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 11).unwrap_or_default() % below
    };
    let length = 1 + next(14);
    (0..length).map(|_| FRAGMENTS[next(FRAGMENTS.len())]).collect()
}

/// Without the blanks and comments in front and behind, which psql treats differently from version to version.
fn bare(statement: &str) -> String {
    let tokens: Vec<_> = lex(statement).collect();
    let first = tokens.iter().find(|token| !token.is_blank()).map_or(0, |token| token.span.start);
    let last = tokens.iter().rfind(|token| !token.is_blank()).map_or(0, |token| token.span.end);
    statement[first..last.max(first)].trim_end_matches(';').trim_end().to_owned()
}

/// psql leaves empty lines out.
fn without_empty_lines(text: &str) -> String {
    text.split('\n').filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn is_separator(text: &str) -> bool {
    lex(text).all(|token| token.is_blank() || token.kind == TokenKind::Semicolon)
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_those_that_psql_sends() {
    let database = Database::create().await.unwrap();
    let server = database.server();
    let folder = tempfile::tempdir().unwrap();
    let mut psql = Command::new(server.program("psql"));
    psql.arg("-d").arg(database.url()).args(["-Xqe", "-o", "/dev/null", "-c", "CREATE TABLE t (a text)"]);
    let mut scripts = Vec::new();
    for seed in 0..1500 {
        let text = script_of(seed);
        // What we refuse, psql waits for in vain or runs on; that is tested elsewhere.
        let Ok(split) = split(Script::new("a.sql", text.as_str())) else { continue };
        let path = folder.path().join(format!("{seed}.sql"));
        fs_err::write(&path, &text).unwrap();
        psql.arg("-c").arg(format!("\\echo <<{seed}>>")).arg("-f").arg(path);
        scripts.push((seed, split));
    }
    assert!(scripts.len() > 500, "{}", scripts.len());
    let output = psql.output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    for (seed, split) in &scripts {
        let mark = format!("<<{seed}>>\n");
        let echoed = &output[output.find(&mark).unwrap() + mark.len()..];
        let echoed =
            if echoed.starts_with("<<") { "" } else { echoed.split("\n<<").next().unwrap_or_default() };
        let echoed = without_empty_lines(echoed);
        let mut rest = echoed.as_str();
        let mut trace = String::new();
        for statement in &split.statements {
            let text = without_empty_lines(&bare(split.text_of(statement)));
            let _ = writeln!(trace, "  ours: {text:?}");
            let at = rest
                .find(&text)
                .unwrap_or_else(|| panic!("{seed}: {:?}\n{trace}psql: {echoed}", split.script.text()));
            assert!(is_separator(&rest[..at]), "{seed}: {:?}\n{trace}psql: {echoed}", split.script.text());
            rest = &rest[at + text.len()..];
        }
        assert!(is_separator(rest), "{seed}: {:?}\n{trace}psql: {echoed}", split.script.text());
    }
}
