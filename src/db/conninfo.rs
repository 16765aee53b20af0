//! Where and how to connect: the least that the engines need.

use crate::model::failure::Failure;
use tokio_postgres::config::Host;

/// Where and how to connect.
#[derive(Clone)]
pub struct Conninfo {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    database: String,
}

impl Conninfo {
    /// Reads a URL or keyword string.
    ///
    /// # Errors
    /// Usage: the syntax is broken.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let config: tokio_postgres::Config = text.parse().map_err(|_| Failure::usage("the database URL is wrong"))?;
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => return Err(Failure::usage("the database URL names no host")),
        };
        Ok(Self {
            host,
            port: config.get_ports().first().copied().unwrap_or(5432),
            user: config.get_user().unwrap_or("postgres").to_owned(),
            password: config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            database: config.get_dbname().unwrap_or("postgres").to_owned(),
        })
    }

    /// A server of this machine.
    pub fn local(host: &str, port: u16, user: &str, password: Option<&str>, database: &str) -> Self {
        Self {
            host: host.to_owned(),
            port,
            user: user.to_owned(),
            password: password.map(str::to_owned),
            database: database.to_owned(),
        }
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// The same database, another role.
    #[must_use]
    pub fn with_user_password(&self, user: &str, password: Option<&str>) -> Self {
        Self { user: user.to_owned(), password: password.map(str::to_owned), ..self.clone() }
    }

    /// Host name, address or socket folder.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Role.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Whether the host is this machine by its name.
    pub fn is_local(&self) -> bool {
        self.host.starts_with('/') || self.host == "localhost" || self.host == "::1" || self.host.starts_with("127.")
    }

    /// The URL, password and all: for showing to whoever asked for it.
    pub fn url(&self) -> String {
        let password = self.password.as_ref().map_or(String::new(), |password| format!(":{password}"));
        format!("postgresql://{}{password}@{}:{}/{}", self.user, self.host, self.port, self.database)
    }

    /// The client library's configuration.
    pub(crate) fn client_config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.user(&self.user).host(&self.host).port(self.port).dbname(&self.database);
        if let Some(password) = &self.password {
            config.password(password);
        }
        config
    }
}

impl std::fmt::Debug for Conninfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Conninfo({}:{}/{})", self.host, self.port, self.database)
    }
}
