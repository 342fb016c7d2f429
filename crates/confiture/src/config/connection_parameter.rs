//! The parameters that a connection string may have: libpq's list, and what becomes of each here.

use crate::error::{Error, Result};

/// One of libpq's connection parameters.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// The environment variable that is its default.
    pub(super) variable: Option<&'static str>,
    pub(super) treatment: Treatment,
}

/// What becomes of a parameter.
pub(super) enum Treatment {
    /// It decides something.
    Used,
    /// It changes nothing that matters here.
    Ignored,
    /// These values say what is done anyway; any other is refused, with this advice.
    Only(&'static [&'static str], &'static str),
    /// Refused, with this advice.
    Refused(&'static str),
}

use Treatment::{Ignored, Only, Refused, Used};

const NO_KERBEROS: &str = "logging in with Kerberos is not supported: use a password for this role";

macro_rules! parameters {
    ($($name:literal $($variable:literal)? => $treatment:expr,)*) => {
        &[$(Parameter { name: $name, variable: parameters!(@ $($variable)?), treatment: $treatment },)*]
    };
    (@) => { None };
    (@ $variable:literal) => { Some($variable) };
}

/// libpq 18's list, and `password_file`, which is Confiture's own: a file with nothing but the password.
pub(super) const PARAMETERS: &[Parameter] = parameters![
    "host" "PGHOST" => Used,
    "hostaddr" "PGHOSTADDR" => Used,
    "port" "PGPORT" => Used,
    "dbname" "PGDATABASE" => Used,
    "user" "PGUSER" => Used,
    "password" "PGPASSWORD" => Used,
    "password_file" => Used,
    "passfile" "PGPASSFILE" => Used,
    "service" "PGSERVICE" => Used,
    "servicefile" "PGSERVICEFILE" => Used,
    "options" "PGOPTIONS" => Used,
    "connect_timeout" "PGCONNECT_TIMEOUT" => Used,
    "sslmode" "PGSSLMODE" => Used,
    "sslrootcert" "PGSSLROOTCERT" => Used,
    "channel_binding" "PGCHANNELBINDING" => Used,
    "target_session_attrs" "PGTARGETSESSIONATTRS" => Used,
    "keepalives" => Used,
    "keepalives_idle" => Used,
    "keepalives_interval" => Used,
    "keepalives_count" => Used,
    "tcp_user_timeout" => Used,
    // The session is always named `confiture` and always UTF-8.
    "application_name" "PGAPPNAME" => Ignored,
    "fallback_application_name" => Ignored,
    "client_encoding" "PGCLIENTENCODING" => Ignored,
    // Off in rustls, as in OpenSSL nowadays.
    "sslcompression" "PGSSLCOMPRESSION" => Ignored,
    // Names for a Kerberos that is not used.
    "krbsrvname" "PGKRBSRVNAME" => Ignored,
    "gsslib" "PGGSSLIB" => Ignored,
    "gssdelegation" "PGGSSDELEGATION" => Only(&["0"], NO_KERBEROS),
    "gssencmode" "PGGSSENCMODE" => Only(&["disable", "prefer"], NO_KERBEROS),
    "load_balance_hosts" "PGLOADBALANCEHOSTS" => Only(&["disable"], "the hosts are tried in the order given"),
    "sslsni" "PGSSLSNI" => Only(&["1"], "the server's name is always sent"),
    "sslnegotiation" "PGSSLNEGOTIATION" => Only(&["postgres"], "leave sslnegotiation out: every server understands the usual way"),
    "ssl_min_protocol_version" "PGSSLMINPROTOCOLVERSION" => Only(&["TLSv1", "TLSv1.1", "TLSv1.2"], "TLS 1.2 and 1.3 are offered; let the server insist on 1.3 by its own ssl_min_protocol_version"),
    "ssl_max_protocol_version" "PGSSLMAXPROTOCOLVERSION" => Only(&["TLSv1.3"], "TLS 1.2 and 1.3 are offered; leave ssl_max_protocol_version out"),
    "min_protocol_version" "PGMINPROTOCOLVERSION" => Only(&["3.0"], "protocol 3.0 is spoken, which every server understands"),
    "max_protocol_version" "PGMAXPROTOCOLVERSION" => Only(&["3.0", "3.2", "latest"], "protocol 3.0 is spoken, which every server understands"),
    "requiressl" "PGREQUIRESSL" => Refused("write sslmode=require"),
    "sslcert" "PGSSLCERT" => Used,
    "sslkey" "PGSSLKEY" => Used,
    "sslpassword" => Refused("encrypted keys are not read: decrypt it with openssl pkey into a file that only you may read"),
    "sslcertmode" "PGSSLCERTMODE" => Only(&["allow"], "the certificate is sent where sslcert names one and the server asks for it"),
    "sslcrl" "PGSSLCRL" => Refused("revocation lists are not read: leave sslcrl out, or trust a narrower authority by sslrootcert"),
    "sslcrldir" "PGSSLCRLDIR" => Refused("revocation lists are not read: leave sslcrldir out, or trust a narrower authority by sslrootcert"),
    "sslkeylogfile" => Refused("session keys are never written to a file"),
    "requirepeer" "PGREQUIREPEER" => Refused("the owner of a Unix socket is not checked: leave requirepeer out"),
    "require_auth" "PGREQUIREAUTH" => Refused("use channel_binding=require, with TLS, to insist on SCRAM"),
    "replication" => Refused("Confiture opens replication connections itself where it needs them: leave replication out"),
    "scram_client_key" => Refused("give the password instead"),
    "scram_server_key" => Refused("give the password instead"),
    "oauth_issuer" => Refused("logging in with OAuth is not supported: use a password for this role"),
    "oauth_client_id" => Refused("logging in with OAuth is not supported: use a password for this role"),
    "oauth_client_secret" => Refused("logging in with OAuth is not supported: use a password for this role"),
    "oauth_scope" => Refused("logging in with OAuth is not supported: use a password for this role"),
];

/// The parameter of this name.
pub(super) fn find(name: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.name == name)
}

/// The error for a name that is none of them. `shown` is false where the name might be a piece of a password.
pub(super) fn unknown(name: &str, shown: bool) -> Error {
    if !shown {
        return Error::config("the connection string has a parameter that does not exist").hint(
            "check the quoting: a password with spaces or quotes is written as password='it\\'s secret'",
        );
    }
    let error = Error::config(format!("unknown connection parameter \"{name}\""));
    let nearest = PARAMETERS
        .iter()
        .map(|parameter| (strsim::jaro_winkler(&name.to_ascii_lowercase(), parameter.name), parameter.name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match (name, nearest) {
        ("schema" | "currentSchema" | "search_path", _) => {
            error.hint("PostgreSQL's way to say it is options=-csearch_path=NAME (in a URL: options=-csearch_path%3DNAME)")
        }
        ("pgbouncer" | "connection_limit" | "pool_timeout" | "pool_max_conns" | "statement_cache_size", _) => {
            error.hint("this is a setting of another program: leave it out")
        }
        ("database", _) => error.hint("did you mean \"dbname\"?"),
        ("username", _) => error.hint("did you mean \"user\"?"),
        (_, Some((_, nearest))) => error.hint(format!("did you mean \"{nearest}\"?")),
        _ => error.hint("PostgreSQL's manual lists them under \"Parameter Key Words\""),
    }
}

/// Refuses what is not supported. `value` is `None` where it may not be shown.
pub(super) fn check_supported(parameter: &Parameter, value: &str, from: &str) -> Result<()> {
    let name = parameter.name;
    match parameter.treatment {
        Used | Ignored => Ok(()),
        Only(values, _) if value.is_empty() || values.contains(&value) => Ok(()),
        Only(_, advice) => {
            Err(Error::config(format!("this value of {name}{from} is not supported")).hint(advice))
        }
        Refused(_) if value.is_empty() => Ok(()),
        Refused(advice) => Err(Error::config(format!("{name}{from} is not supported")).hint(advice)),
    }
}
