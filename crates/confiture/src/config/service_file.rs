//! `pg_service.conf`: sections of connection parameters under a name.

use std::path::Path;

use super::connection_parameter::find;
use crate::error::{Error, Place, Result};

/// The parameters of `[service]`, first value first, or `None` where the file has no such section.
pub(super) fn find_service(
    text: &str,
    service: &str,
    file: &Path,
) -> Result<Option<Vec<(&'static str, String)>>> {
    let mut found: Option<Vec<(&'static str, String)>> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if section.split_once(']').is_some_and(|(name, _)| name == service) {
                found = Some(Vec::new());
            }
            continue;
        }
        let Some(settings) = &mut found else { continue };
        settings.push(
            read_line(line)
                .map_err(|error| error.at(Place { file: file.to_owned(), line: index + 1, column: 1 }))?,
        );
    }
    Ok(found)
}

/// `key=value`. Neither side is shown in an error: either may be a password gone astray.
fn read_line(line: &str) -> Result<(&'static str, String)> {
    if line.starts_with("ldap://") {
        return Err(
            Error::config("services from LDAP are not supported").hint("write the parameters themselves")
        );
    }
    let Some((name, value)) = line.split_once('=') else {
        return Err(Error::config("a line of a service is key=value, without spaces around \"=\""));
    };
    match find(name) {
        Some(parameter) if matches!(parameter.name, "service" | "servicefile") => {
            Err(Error::config("a service cannot refer to another service"))
        }
        Some(parameter) => Ok((parameter.name, value.to_owned())),
        None => Err(super::connection_parameter::unknown(name, true)),
    }
}

#[cfg(test)]
mod tests {
    use super::find_service;
    use std::path::Path;

    const FILE: &str = "# comment\n[other]\nhost=elsewhere\nnonsense here\n\n[app]\n  host=db \nport=5433\npassword= a=b\n[next]\nhost=no\n";

    #[test]
    fn reads_the_section_and_no_other() {
        let settings = find_service(FILE, "app", Path::new("s.conf")).unwrap().unwrap();
        assert_eq!(
            settings,
            [("host", "db".into()), ("port", "5433".into()), ("password", " a=b".to_string())]
        );
        assert!(find_service(FILE, "ap", Path::new("s.conf")).unwrap().is_none());
    }

    #[test]
    fn says_the_line_of_a_mistake() {
        let error = find_service(FILE, "other", Path::new("s.conf")).unwrap_err();
        assert_eq!(error.place().unwrap().to_string(), "s.conf:4:1");
        let error = find_service("[a]\nhots=x\n", "a", Path::new("s.conf")).unwrap_err();
        assert_eq!(error.message(), "unknown connection parameter \"hots\"");
        assert_eq!(error.hints(), ["did you mean \"host\"?"]);
    }
}
