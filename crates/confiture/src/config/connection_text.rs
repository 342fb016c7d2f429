//! A connection as text that leads back to it, but for its password.

use crate::config::Connection;

impl Connection {
    /// A `key=value` connection string of libpq. It never holds the password: whoever reads it gets that anew from the
    /// environment, the password file or the environment's own file.
    #[must_use]
    pub fn to_dsn(&self) -> String {
        let hosts: Vec<&str> = self.endpoints.iter().map(|endpoint| endpoint.host.as_str()).collect();
        let ports: Vec<String> = self.endpoints.iter().map(|endpoint| endpoint.port.to_string()).collect();
        let mut text = String::new();
        let mut add = |key: &str, value: &str| {
            let space = if text.is_empty() { "" } else { " " };
            text.push_str(&format!("{space}{key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
        };
        add("host", &hosts.join(","));
        add("port", &ports.join(","));
        add("dbname", &self.database);
        add("user", &self.user);
        add("sslmode", self.ssl_mode.as_str());
        if let Some(root) = &self.ssl_root_cert {
            add("sslrootcert", &root.display().to_string());
        }
        if let Some(options) = &self.options {
            add("options", options);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Connection, Endpoint, Secret};

    #[test]
    fn the_password_stays_out_and_the_rest_is_quoted() {
        let mut connection = Connection::new(Endpoint::new("/tmp/a b", 5433), "o'neil", "my db");
        connection.password = Some(Secret::new("hunter2"));
        let text = connection.to_dsn();
        assert_eq!(text, r"host='/tmp/a b' port='5433' dbname='my db' user='o\'neil' sslmode='prefer'");
    }
}
