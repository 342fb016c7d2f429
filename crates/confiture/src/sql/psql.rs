//! psql's own commands: what to write instead of each in a script that psql does not run.

/// `\copy` of `\copy t from 'f'`.
pub(super) fn name_of(command: &str) -> &str {
    let end = command[1..]
        .find(|c: char| c.is_whitespace() || c == '\\')
        .map_or(command.len(), |length| length + 1);
    &command[..end.max(2).min(command.len())]
}

/// True for what only tells psql how to show things, or when to stop, and for the guard that `pg_dump` puts around its output
/// since August 2025: without it, the script does the same.
pub(super) fn is_about_psql_only(command: &str) -> bool {
    let name = name_of(command);
    let mut words = command[name.len()..].split_whitespace();
    match name {
        "\\restrict" | "\\unrestrict" => true,
        "\\echo" | "\\qecho" | "\\warn" | "\\timing" | "\\pset" | "\\x" => !command[1..].contains('\\'),
        "\\set" => matches!(words.next(), Some("ON_ERROR_STOP" | "QUIET" | "ECHO" | "VERBOSITY")),
        _ => false,
    }
}

/// What the user should do instead.
pub(super) fn instead_of(command: &str) -> &'static str {
    match name_of(command) {
        "\\i" | "\\ir" | "\\include" | "\\include_relative" => {
            "Write here what that file holds; in a schema folder every .sql file runs, in alphabetical order"
        }
        "\\copy" => "Write `COPY … FROM stdin;` with the rows below it, ended by a line `\\.`",
        "\\." => "This line ends the rows of a `COPY … FROM stdin;`, and there is none before it",
        "\\c" | "\\connect" => "Remove the line: the environment says which database is meant",
        "\\set" | "\\unset" | "\\if" | "\\elif" | "\\else" | "\\endif" | "\\gset" | "\\getenv"
        | "\\prompt" => "Write plain SQL: values as they are, conditions in a DO block",
        "\\g" | "\\gx" | "\\gexec" | "\\gdesc" | "\\crosstabview" | "\\watch" | "\\;" => {
            "End the statement with a semicolon"
        }
        "\\!" => "Run shell commands outside of the files; around migrations, as a hook",
        _ => "Remove the line: only SQL is run",
    }
}
