//! Who may ask for what. A page that somebody opened elsewhere may send requests here too, and a name that it owns may lead here.

use confiture::config::Secret;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What decides.
pub(super) struct Door {
    /// True where only this machine is listened to.
    pub(super) loopback: bool,
    /// Without it nothing is told to a run; `None` where nothing is to be told.
    pub(super) token: Option<Secret>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It names another host than this machine.
    Host,
    /// It comes from a page of somebody else.
    Origin,
    /// It is not JSON, which a form of another page could not send.
    ContentType,
    /// It has no token, or a wrong one.
    Token,
    /// Nothing is to be told.
    NoControl,
}

impl Door {
    /// Whether a request may look. On the loopback address only this machine's own names will do: a name in the DNS that leads
    /// here belongs to somebody who wants a browser to tell him what it sees.
    pub(super) fn may_look(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = text(headers, &HOST).unwrap_or_default();
        let is_ours = matches!(without_port(host), "localhost" | "127.0.0.1" | "[::1]");
        if self.loopback && !is_ours { Err(Refusal::Host) } else { Ok(()) }
    }

    /// Whether a request may tell a run something.
    pub(super) fn may_tell(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.may_look(headers)?;
        let token = self.token.as_ref().ok_or(Refusal::NoControl)?;
        if let Some(origin) = text(headers, &ORIGIN) {
            let host = text(headers, &HOST).unwrap_or_default();
            let from = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            if host.is_empty() || from != Some(host) {
                return Err(Refusal::Origin);
            }
        }
        let site = text(headers, &HeaderName::from_static("sec-fetch-site"));
        if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
            return Err(Refusal::Origin);
        }
        let is_json = text(headers, &CONTENT_TYPE)
            .is_some_and(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/json");
        if !is_json {
            return Err(Refusal::ContentType);
        }
        let given = text(headers, &AUTHORIZATION).and_then(|given| given.strip_prefix("Bearer "));
        match given.is_some_and(|given| is_same(given.trim(), token.expose())) {
            true => Ok(()),
            false => Err(Refusal::Token),
        }
    }
}

/// Takes as long for a wrong one as for the right one, wherever it begins to be wrong and however long it is.
fn is_same(given: &str, wanted: &str) -> bool {
    let [given, wanted] = [given, wanted].map(|text| Sha256::digest(text.as_bytes()));
    given.as_slice().ct_eq(wanted.as_slice()).into()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    fn door(loopback: bool) -> Door {
        Door { loopback, token: Some(Secret::new("correct horse battery")) }
    }

    #[test]
    fn only_names_of_this_machine_lead_here() {
        for (host, may) in [
            ("localhost:8787", Ok(())),
            ("127.0.0.1:8787", Ok(())),
            ("127.0.0.1", Ok(())),
            ("[::1]:8787", Ok(())),
            ("rebound.example:8787", Err(Refusal::Host)),
            ("localhost.example", Err(Refusal::Host)),
            ("", Err(Refusal::Host)),
        ] {
            assert_eq!(door(true).may_look(&headers(&[("host", host)])), may, "{host}");
        }
        assert_eq!(door(true).may_look(&headers(&[])), Err(Refusal::Host));
        assert_eq!(door(false).may_look(&headers(&[("host", "monitor.example")])), Ok(()));
    }

    #[test]
    fn telling_needs_the_token_from_our_own_page_or_from_no_page() {
        const GOOD: [(&str, &str); 3] = [
            ("host", "localhost:8787"),
            ("content-type", "application/json"),
            ("authorization", "Bearer correct horse battery"),
        ];
        let with = |more: &[(&'static str, &'static str)]| {
            let mut all = headers(&GOOD);
            all.extend(headers(more));
            door(true).may_tell(&all)
        };
        assert_eq!(with(&[]), Ok(()));
        assert_eq!(with(&[("origin", "http://localhost:8787"), ("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(with(&[("origin", "http://localhost:9999")]), Err(Refusal::Origin));
        assert_eq!(with(&[("origin", "http://evil.example")]), Err(Refusal::Origin));
        assert_eq!(with(&[("origin", "null")]), Err(Refusal::Origin));
        assert_eq!(with(&[("sec-fetch-site", "cross-site")]), Err(Refusal::Origin));
        assert_eq!(with(&[("sec-fetch-site", "same-site")]), Err(Refusal::Origin));
        assert_eq!(with(&[("content-type", "text/plain")]), Err(Refusal::ContentType));
        assert_eq!(with(&[("authorization", "Bearer correct horse batter")]), Err(Refusal::Token));
        assert_eq!(with(&[("authorization", "correct horse battery")]), Err(Refusal::Token));
        let mut none = headers(&GOOD);
        none.remove(AUTHORIZATION);
        assert_eq!(door(true).may_tell(&none), Err(Refusal::Token));
        assert_eq!(Door { loopback: true, token: None }.may_tell(&headers(&GOOD)), Err(Refusal::NoControl));
    }
}
