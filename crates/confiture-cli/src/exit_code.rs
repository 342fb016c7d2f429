//! What the program's exit status says: a contract that scripts may rely on.

use confiture::ErrorKind;

/// Everything went as asked.
pub(crate) const DONE: u8 = 0;

/// Every exit status and its meaning, as `confiture --help` prints them.
pub(crate) const TABLE: [(u8, &str); 11] = [
    (DONE, "done"),
    (1, "unexpected failure"),
    (2, "usage: the command was called wrongly"),
    (3, "no connection to a database"),
    (4, "the server refused a statement"),
    (5, "a configuration, mapping or DDL file is wrong"),
    (6, "another run holds the lock"),
    (7, "a check found something: the command worked, the answer is no"),
    (8, "refused as unsafe"),
    (9, "a hook failed, took too long, or could not be started"),
    (130, "interrupted"),
];

/// The exit status of an error of `kind`.
pub(crate) fn of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage => 2,
        ErrorKind::Connect => 3,
        ErrorKind::Server => 4,
        ErrorKind::Config => 5,
        ErrorKind::Locked => 6,
        ErrorKind::Found => 7,
        ErrorKind::Unsafe => 8,
        ErrorKind::Hook => 9,
        ErrorKind::Interrupted => 130,
        _ => 1,
    }
}

/// The table as help text.
pub(crate) fn help() -> String {
    let mut text = String::from("Exit status:\n");
    for (code, meaning) in TABLE {
        text.push_str(&format!("  {code:>3}  {meaning}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_documented_code() {
        let documented = [
            (ErrorKind::Unexpected, 1),
            (ErrorKind::Usage, 2),
            (ErrorKind::Connect, 3),
            (ErrorKind::Server, 4),
            (ErrorKind::Config, 5),
            (ErrorKind::Locked, 6),
            (ErrorKind::Found, 7),
            (ErrorKind::Unsafe, 8),
            (ErrorKind::Hook, 9),
            (ErrorKind::Interrupted, 130),
        ];
        for (kind, code) in documented {
            assert_eq!(of(kind), code, "{kind:?}");
            assert!(TABLE.iter().any(|(listed, _)| *listed == code), "{code} is not in the table");
        }
        assert_eq!(TABLE.len(), documented.len() + 1, "the table lists a code that nothing returns");
    }
}
