//! PostgreSQL URLs and `key=value` connection strings, read as libpq reads them.
//!
//! An error never shows a value: what looks like a host name or a number may be a piece of a password that was not
//! quoted. [`Text::shown`] says when the values are safe to show.

use percent_encoding::percent_decode_str;

use super::connection_parameter::{find, unknown};
use crate::error::{Error, Result};

/// A connection string as parameters, in the order written.
#[derive(Default)]
pub(super) struct Text {
    pub(super) settings: Vec<(&'static str, String)>,
    /// False where a value might be a piece of a password.
    pub(super) shown: bool,
}

/// True where `text` begins as a PostgreSQL URL.
pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("postgresql://") || text.starts_with("postgres://")
}

/// Reads a URL or a `key=value` string.
pub(super) fn parse(text: &str) -> Result<Text> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")) {
        return parse_url(rest);
    }
    match text.split_once("://").map(|(scheme, _)| scheme) {
        Some(scheme)
            if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-:".contains(&byte)) =>
        {
            Err(Error::config(format!("\"{scheme}://\" is not a PostgreSQL URL"))
                .hint("write postgresql://user@host:port/database"))
        }
        _ if text.contains('=') => parse_pairs(text),
        _ => Err(Error::config("this is neither a PostgreSQL URL nor a key=value connection string")
            .hint("write postgresql://user@host:port/database or \"host=… dbname=… user=…\"")),
    }
}

/// `user:password@host:port,host:port/database?key=value&…`
fn parse_url(rest: &str) -> Result<Text> {
    let mut read = Text { shown: true, ..Text::default() };
    // As libpq: the first `@` before any `/` ends the user and the password.
    let authority_end = rest.find(['@', '/']).unwrap_or(rest.len());
    let rest = if rest[authority_end..].starts_with('@') {
        let (user, password) = split_at_first(&rest[..authority_end], ':');
        read.push_decoded("user", user)?;
        read.push_decoded("password", password.unwrap_or_default())?;
        &rest[authority_end + 1..]
    } else {
        rest
    };
    let (before_query, query) = split_at_first(rest, '?');
    if before_query.contains('@') {
        return Err(Error::config("the URL has an \"@\" too many")
            .hint("in a URL, percent-encode these characters of a user name or password: @ as %40, / as %2F, : as %3A, % as %25"));
    }
    read.shown = !rest.contains('@');
    let (hosts, database) = split_at_first(before_query, '/');
    read.push_hosts(hosts)?;
    read.push_decoded("dbname", database.unwrap_or_default())?;
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        read.push_query(pair)?;
    }
    Ok(read)
}

impl Text {
    fn push_decoded(&mut self, name: &'static str, text: &str) -> Result<()> {
        let value = decode(text)?;
        if !value.is_empty() {
            self.settings.push((name, value));
        }
        Ok(())
    }

    /// `host:port,[::1]:port,…`
    fn push_hosts(&mut self, hosts: &str) -> Result<()> {
        let mut names = Vec::new();
        let mut ports = Vec::new();
        for one in hosts.split(',') {
            let (host, port) = match one.strip_prefix('[') {
                Some(inner) => {
                    let (address, after) = inner.split_once(']').ok_or_else(|| {
                        Error::config("the URL has a \"[\" without its \"]\"")
                            .hint("an IPv6 address is written as [::1]:5432")
                    })?;
                    if !after.is_empty() && !after.starts_with(':') {
                        return Err(Error::config(
                            "after the \"]\" of an address comes a port, a \",\" or a \"/\"",
                        )
                        .hint("an IPv6 address is written as [::1]:5432"));
                    }
                    (address, after.strip_prefix(':').unwrap_or_default())
                }
                None => {
                    let (host, port) = split_at_first(one, ':');
                    (host, port.unwrap_or_default())
                }
            };
            // `user:password` whose `@host` was forgotten.
            self.shown &= port.bytes().all(|byte| byte.is_ascii_digit());
            names.push(decode(host)?);
            ports.push(decode(port)?);
        }
        if names.iter().any(|name| !name.is_empty()) {
            self.settings.push(("host", names.join(",")));
        }
        if ports.iter().any(|port| !port.is_empty()) {
            self.settings.push(("port", ports.join(",")));
        }
        Ok(())
    }

    /// `key=value` of a URL's query.
    fn push_query(&mut self, pair: &str) -> Result<()> {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Error::config("a parameter after the URL's \"?\" has no \"=\"")
                .hint("write ?key=value&key=value, with & inside of a value as %26"));
        };
        let (name, value) = (decode(name)?, decode(value)?);
        // As JDBC writes it, and libpq reads it.
        let (name, value) = if name == "ssl" && value == "true" {
            ("sslmode".into(), "require".into())
        } else {
            (name, value)
        };
        let parameter = find(&name).ok_or_else(|| unknown(&name, self.shown))?;
        self.settings.push((parameter.name, value));
        Ok(())
    }
}

/// `key=value key='va lue'`
fn parse_pairs(text: &str) -> Result<Text> {
    let mut read = Text { shown: true, ..Text::default() };
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let number = read.settings.len() + 1;
        let name_end = rest.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let name = &rest[..name_end];
        let Some(value) = rest[name_end..].trim_start().strip_prefix('=') else {
            return Err(Error::config(format!("parameter {number} of the connection string has no \"=\""))
                .hint("write key=value pairs; a value with spaces is written as key='two words'"));
        };
        let parameter = find(name).ok_or_else(|| unknown(name, read.shown))?;
        let quoted = value.trim_start().starts_with('\'');
        let (value, after) = take_value(value.trim_start()).ok_or_else(|| {
            Error::config(format!(
                "the quoted value of {} in the connection string does not end",
                parameter.name
            ))
            .hint("a quote or a backslash inside of a value is written as \\' and \\\\")
        })?;
        // What follows an unquoted password may be the rest of it.
        read.shown &= parameter.name != "password" || quoted;
        read.settings.push((parameter.name, value));
        rest = after.trim_start();
    }
    Ok(read)
}

/// A value, unescaped, and what follows it; `None` where its quote does not end.
fn take_value(text: &str) -> Option<(String, &str)> {
    let (quoted, body) = match text.strip_prefix('\'') {
        Some(body) => (true, body),
        None => (false, text),
    };
    let mut value = String::new();
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Some((value, &body[at + 1..])),
            _ if !quoted && character.is_ascii_whitespace() => return Some((value, &body[at..])),
            _ => value.push(character),
        }
    }
    (!quoted).then_some((value, ""))
}

fn split_at_first(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// Percent-decodes, and refuses what libpq refuses: a `%` without two digits, and `%00`.
fn decode(text: &str) -> Result<String> {
    let malformed = || {
        Error::config("the URL has a \"%\" that does not stand for a character")
            .hint("write a percent sign itself as %25")
    };
    for (at, _) in text.match_indices('%') {
        let digits = text.get(at + 1..at + 3).ok_or_else(malformed)?;
        if digits == "00" || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(malformed());
        }
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| {
        Error::config("the URL's percent-encoded characters are not UTF-8")
            .hint("encode the text as UTF-8 first")
    })?;
    Ok(decoded.into_owned())
}
