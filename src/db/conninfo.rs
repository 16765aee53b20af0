//! Where and how to connect, as libpq reads it: a URL or keyword string, and the PG* variables for what it leaves out.
//!
//! PostgreSQL manual, sections 34.1 and 34.15. What libpq reads and this does not yet (the password file, the service
//! file, client certificates, several hosts) is refused by name in `keyword.rs`, never passed over; its place is
//! [`Conninfo::resolve`], after the variables.

mod host;
mod keyword;
mod settings;
mod text;
mod url;

use crate::db::tls::{Roots, SslMode, TlsSettings};
use crate::model::failure::Failure;
use settings::Settings;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use tokio_postgres::config::{ChannelBinding, TargetSessionAttrs};

/// The application name that the server sees where nothing else is asked for.
const PROGRAM: &str = "chartchek-db";
/// How long a connection may take where nothing else is asked for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where and how to connect, complete. `{:?}` shows everything but the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Conninfo {
    host: String,
    hostaddr: Option<IpAddr>,
    port: u16,
    user: String,
    password: Option<String>,
    database: String,
    application_name: String,
    options: Option<String>,
    connect_timeout: Option<Duration>,
    tcp_user_timeout: Option<Duration>,
    keepalives: Keepalives,
    session_attrs: TargetSessionAttrs,
    channel_binding: ChannelBinding,
    tls: TlsSettings,
}

/// How TCP finds out that the other side has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Keepalives {
    on: bool,
    idle: Duration,
    interval: Duration,
    count: u32,
}

impl Default for Keepalives {
    /// A dead peer is noticed after two minutes; the system's own default is two hours and more.
    fn default() -> Self {
        Self { on: true, idle: Duration::from_secs(60), interval: Duration::from_secs(10), count: 6 }
    }
}

impl Conninfo {
    /// What [`Conninfo::resolve`] fails with where neither flag nor variable names a database.
    pub const NOT_NAMED: &str = "no database is named";

    /// Reads a URL (`postgresql://…`) or keyword string (`host=… dbname=…`); no variable is looked at.
    ///
    /// # Errors
    /// Usage: the text is empty or breaks the syntax, or a keyword is unknown or not supported yet.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        Settings::read(text)?.complete()
    }

    /// Reads DATABASE_URL, else the PG* variables; `var` gives a variable's value.
    ///
    /// # Errors
    /// Usage: neither names a database, DATABASE_URL is set but empty, or what [`Conninfo::parse`] refuses.
    pub fn from_environment(var: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        Self::resolve(None, var)
    }

    /// Reads `flag` (`--database-url`), else DATABASE_URL, else the PG* variables, which also fill what a string leaves
    /// out; `var` gives a variable's value.
    ///
    /// # Errors
    /// Usage: none of them names a database, the string is set but empty, or what [`Conninfo::parse`] refuses.
    pub fn resolve(flag: Option<&str>, var: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let from_variable = if flag.is_none() { var("DATABASE_URL") } else { None };
        let (text, name) = match (flag, from_variable) {
            (Some(flag), _) => (Some(flag.to_owned()), "--database-url"),
            (None, text) => (text, "DATABASE_URL"),
        };
        let mut settings = match text {
            Some(text) if text.trim().is_empty() => {
                return Err(Failure::usage(format!("{name} is empty"))
                    .note("a secret that is missing in CI looks like this; no other setting is used in its place")
                    .help("give it the database's URL: postgresql://user:password@host:5432/database"));
            }
            Some(text) => Settings::read(&text).map_err(|failure| failure.note(format!("read from {name}")))?,
            None if keyword::CHOOSING.iter().all(|name| var(name).is_none_or(|value| value.is_empty())) => {
                return Err(Failure::usage(Self::NOT_NAMED).help(
                    "pass --database-url postgresql://user:password@host:5432/database, or set DATABASE_URL, or \
                     PGHOST and the other PG* variables",
                ));
            }
            None => Settings::default(),
        };
        settings.fill(&var)?;
        settings.complete()
    }

    /// A connection to a server of this tool's own, on a loopback address or in a socket folder: without TLS.
    pub fn local(host: &str, port: u16, user: &str, password: Option<&str>, database: &str) -> Self {
        // Over a socket sslmode counts for nothing; its default keeps the URL short.
        let mode = if host.starts_with('/') { SslMode::Prefer } else { SslMode::Disable };
        Self {
            host: host.to_owned(),
            hostaddr: None,
            port,
            user: user.to_owned(),
            password: password.map(str::to_owned),
            database: database.to_owned(),
            application_name: PROGRAM.to_owned(),
            options: None,
            connect_timeout: Some(CONNECT_TIMEOUT),
            tcp_user_timeout: None,
            keepalives: Keepalives::default(),
            session_attrs: TargetSessionAttrs::Any,
            channel_binding: ChannelBinding::Prefer,
            tls: TlsSettings { mode, roots: Roots::Default, direct: false },
        }
    }

    /// Host name, address or socket folder.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port, or the number in the socket's name.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The role that connects.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Whether the host is this machine by its name: a socket folder, localhost, 127.0.0.0/8 or ::1. A tunnel to
    /// production is "local" too.
    pub fn is_local(&self) -> bool {
        host::is_local(&self.host, self.hostaddr)
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// The same database, another role; `None` is no password.
    #[must_use]
    pub fn with_user_password(&self, user: &str, password: Option<&str>) -> Self {
        Self { user: user.to_owned(), password: password.map(str::to_owned), ..self.clone() }
    }

    /// The same under another application name.
    #[must_use]
    pub fn with_application_name(&self, name: &str) -> Self {
        Self { application_name: name.to_owned(), ..self.clone() }
    }

    /// The same at this address, whatever else the host's name stands for.
    #[must_use]
    pub(crate) fn with_hostaddr(&self, address: IpAddr) -> Self {
        Self { hostaddr: Some(address), ..self.clone() }
    }

    /// The address to connect to, where it is not to be looked up by the host's name.
    pub(crate) fn hostaddr(&self) -> Option<IpAddr> {
        self.hostaddr
    }

    /// The folder of the server's socket, where there is no TCP.
    pub(crate) fn socket_folder(&self) -> Option<&str> {
        (self.hostaddr.is_none() && self.host.starts_with('/')).then_some(self.host.as_str())
    }

    /// How the connection is protected.
    pub(crate) fn tls(&self) -> &TlsSettings {
        &self.tls
    }

    /// How long connecting to one address may take; none is no limit.
    pub(crate) fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// The password, where one is given: for programs of PostgreSQL's own, through their environment.
    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Whether a password is given.
    pub(crate) fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The client library's configuration, but for address and TLS.
    pub(crate) fn client_config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .user(&self.user)
            .dbname(&self.database)
            .port(self.port)
            .application_name(&self.application_name)
            .keepalives(self.keepalives.on)
            .keepalives_idle(self.keepalives.idle)
            .keepalives_interval(self.keepalives.interval)
            .keepalives_retries(self.keepalives.count)
            .target_session_attrs(self.session_attrs)
            .channel_binding(self.channel_binding);
        if let Some(password) = &self.password {
            config.password(password);
        }
        if let Some(options) = &self.options {
            config.options(options);
        }
        if let Some(timeout) = self.tcp_user_timeout {
            config.tcp_user_timeout(timeout);
        }
        config
    }
}

impl fmt::Debug for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conninfo")
            .field("host", &self.host)
            .field("hostaddr", &self.hostaddr)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("database", &self.database)
            .field("application_name", &self.application_name)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
