//! What the tests about connections share.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::PathBuf;
use std::process::Command;

use confiture::Error;
use confiture::config::{Connection, Surroundings};
use confiture::postgres::Session;
use local_postgres::{Options, Server};

/// A password with every character that some place escapes.
pub(crate) const PASSWORD: &str = r"p:a\s's w@rd/%41é";

/// [`PASSWORD`], percent-encoded.
pub(crate) const PASSWORD_IN_URL: &str = "p%3Aa%5Cs%27s%20w%40rd%2F%2541%C3%A9";

/// A server on 127.0.0.1 that asks for [`PASSWORD`].
pub(crate) async fn server(options: Options) -> Server {
    Server::throwaway(Options { tcp_port: Some(0), password: Some(PASSWORD.into()), ..options })
        .await
        .unwrap()
}

/// Surroundings with nothing in them but these variables, and a home that does not exist.
pub(crate) fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
    Surroundings {
        variables: variables
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect::<BTreeMap<_, _>>(),
        home: Some(PathBuf::from("/nonexistent")),
        user: Some("postgres".into()),
        folder: PathBuf::from("/nonexistent"),
    }
}

/// Connects with what is really on disk.
pub(crate) async fn connect(text: &str, surroundings: &Surroundings) -> Result<Session, Error> {
    let request = Connection::parse(text, surroundings)?;
    Session::connect(&confiture::disk::resolve_connection(request)?).await
}

/// The error of connecting, with its hints; it must show no password.
pub(crate) async fn failure(text: &str, variables: &[(&str, &str)]) -> Error {
    match connect(text, &surroundings(variables)).await {
        Ok(session) => panic!("{text} connected to {}", session.connection()),
        Err(error) => {
            assert!(!everything(&error).contains(PASSWORD), "{}", everything(&error));
            assert!(!error.hints().is_empty(), "{error} has no hint");
            error
        }
    }
}

/// All that an error could ever show.
pub(crate) fn everything(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}\n{}", error.hints().join("\n"));
    let mut source = error.source();
    while let Some(next) = source {
        text.push_str(&format!("\n{next}\n{next:?}"));
        source = next.source();
    }
    text
}

/// What libpq makes of it: psql's answer to one query, or its complaint.
pub(crate) fn psql(
    server: &Server,
    text: &str,
    variables: &[(&str, &str)],
    query: &str,
) -> Result<String, String> {
    let output = Command::new(server.program("psql"))
        .args(["-X", "-w", "-A", "-t", "-d", text, "-c", query])
        .env_clear()
        .envs(variables.iter().copied())
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
