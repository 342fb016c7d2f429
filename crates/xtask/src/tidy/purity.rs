//! What may not be named where: no I/O, clock or async below the driver; no printing and no process in the library.

use super::Remark;
use super::code::{blank_non_code, blank_tests, line_of, paths};
use super::floors::{floor, module_path};
use super::tree::Tree;

/// Never in floors 0 to 2.
const IMPURE_PATHS: &[&str] = &[
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::os::unix::net",
    "std::process",
    "std::thread",
    "std::time::SystemTime",
    "std::time::Instant",
    "SystemTime::now",
    "Instant::now",
    "tokio",
    "tokio_postgres",
    "rand",
];

/// Never in the library, on any floor.
const PROCESS_PATHS: &[&str] = &["std::env", "std::process::exit", "clap"];

/// In the library, named by `disk` alone.
const FILES: &[&str] = &["std::fs", "fs_err", "tokio::fs"];

const PRINTING: &[&str] = &["println", "print", "eprintln", "eprint", "dbg"];

/// What is allowed in one file, each with its reason.
const EXCEPTIONS: &[(&str, &[&str], &str)] = &[(
    "event.rs",
    &["async", "await", "std::time::Instant"],
    "`Execution` goes along with every execution: the floors above wait on it and time their steps with it",
)];

fn is_excepted(inner: &str, word: &str) -> bool {
    EXCEPTIONS.iter().any(|(file, allowed, _)| *file == inner && allowed.contains(&word))
}

pub(super) fn check(tree: &Tree) -> Vec<Remark> {
    tree.library().flat_map(|(path, inner, text)| check_file(path, inner, text)).collect()
}

fn check_file(path: &str, inner: &str, text: &str) -> Vec<Remark> {
    let code = blank_tests(&blank_non_code(text));
    let own = module_path(inner);
    let module = own.first().copied().unwrap_or_default();
    let pure = floor(module).is_some_and(|floor| floor <= 2);
    let mut remarks = Vec::new();
    for (line, named) in paths(&code) {
        if let Some(word) = PROCESS_PATHS.iter().find(|word| begins_with(&named, word)) {
            remarks.push(Remark::fault(
                path,
                line,
                format!("the library names `{word}`: the caller passes it in"),
            ));
        }
        if pure
            && let Some(word) =
                IMPURE_PATHS.iter().find(|word| begins_with(&named, word) && !is_excepted(inner, word))
        {
            remarks.push(Remark::fault(
                path,
                line,
                format!("floors 0 to 2 are pure, and this names `{word}`"),
            ));
        }
        if module != "postgres" && begins_with(&named, "tokio_postgres") {
            remarks.push(Remark::fault(path, line, "only `postgres` names the driver"));
        }
        if module != "disk" && FILES.iter().any(|word| begins_with(&named, word)) {
            remarks.push(Remark::fault(path, line, "only `disk` opens files"));
        }
    }
    for word in words(&code) {
        let line = || line_of(&code, word.as_ptr() as usize - code.as_ptr() as usize);
        if pure && matches!(word, "async" | "await") && !is_excepted(inner, word) {
            remarks.push(Remark::fault(
                path,
                line(),
                format!("floors 0 to 2 are pure, and this is `{word}`"),
            ));
        }
        if let Some(name) = word.strip_suffix('!').filter(|name| PRINTING.contains(name)) {
            remarks.push(Remark::fault(
                path,
                line(),
                format!("the library never prints, and this is `{name}!`"),
            ));
        }
    }
    remarks
}

fn begins_with(path: &str, word: &str) -> bool {
    path.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every word, with the `!` of a macro's call.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character: char| !(character.is_alphanumeric() || matches!(character, '_' | '!')))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(inner: &str, text: &str) -> Vec<String> {
        let path = format!("crates/confiture/src/{inner}");
        check(&Tree::from([(path.as_str(), text)])).into_iter().map(|remark| remark.message).collect()
    }

    #[test]
    fn input_and_output_below_the_driver_is_a_fault() {
        assert_eq!(faults("sql/split.rs", "use std::{fmt, fs};"), ["only `disk` opens files"]);
        assert_eq!(faults("catalog/table.rs", "let t = std::time::Instant::now();").len(), 1);
        assert_eq!(faults("lint/mod.rs", "let t = Instant::now();").len(), 1);
        assert_eq!(faults("config/mod.rs", "tokio::spawn(x)").len(), 1);
        assert_eq!(faults("diff/mod.rs", "pub async fn f() { g().await }").len(), 2);
    }

    #[test]
    fn the_same_is_fine_higher_up_and_in_tests() {
        assert_eq!(faults("config/connection.rs", "use std::net::IpAddr;"), [""; 0]);
        assert_eq!(faults("disk.rs", "use std::fs; async fn f() {}"), [""; 0]);
        assert_eq!(faults("sql/split.rs", "#[cfg(test)] mod tests { use std::fs; }"), [""; 0]);
        assert_eq!(faults("sql/split.rs", "// async std::fs\nlet tokio_word = \"std::env\";"), [""; 0]);
    }

    #[test]
    fn files_are_opened_in_one_place() {
        assert_eq!(faults("build/mod.rs", "fs_err::read(path)"), ["only `disk` opens files"]);
        assert_eq!(faults("disk/text.rs", "fs_err::read(path)"), [""; 0]);
        assert_eq!(faults("build/mod.rs", "use std::path::Path;"), [""; 0]);
    }

    #[test]
    fn an_exception_holds_for_one_file_and_one_thing() {
        let text = "async fn f() { g().await; std::time::Instant::now(); }";
        assert_eq!(faults("event.rs", text), [""; 0]);
        assert_eq!(faults("error.rs", text).len(), 3);
        assert_eq!(faults("event.rs", "std::time::SystemTime::now()").len(), 1);
    }

    #[test]
    fn printing_and_the_process_are_faults_on_every_floor() {
        assert_eq!(faults("build/mod.rs", "println!(\"x\")").len(), 1);
        assert_eq!(faults("postgres/mod.rs", "std::env::var(\"X\")").len(), 1);
        assert_eq!(faults("build/mod.rs", "writeln!(f, \"x\")"), [""; 0]);
    }

    #[test]
    fn the_driver_is_named_in_one_place() {
        assert_eq!(faults("build/mod.rs", "use tokio_postgres::Row;"), ["only `postgres` names the driver"]);
        assert_eq!(faults("postgres/session.rs", "use tokio_postgres::Row;"), [""; 0]);
    }
}
