//! The development database of one project: a cluster of its own in the cache folder, on 127.0.0.1, kept between runs.

use crate::db::connect::connect;
use crate::db::conninfo::Conninfo;
use crate::db::quote::identifier;
use crate::db::session::Session;
use crate::model::failure::{Failure, FailureKind};
use crate::server::local::account::Account;
use crate::server::local::cache::{FileLock, cache_folder};
use crate::server::local::cluster::{Access, Cluster};
use crate::server::local::installation::find_or_fail;
use crate::server::local::template;
use crate::server::stand_in::{self, AUTHENTICATOR, MIGRATOR, Regime};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The development database's name.
const DATABASE: &str = "chartchek";
const HOST: &str = "127.0.0.1";

/// A project's development cluster. While it lives, no other process changes the cluster.
#[derive(Debug)]
pub struct Development {
    cluster: Cluster,
    settings: Settings,
    _changing: FileLock,
}

/// What the cluster keeps beside its data; the file is for its owner's eyes alone.
#[derive(Serialize, Deserialize)]
struct Settings {
    port: u16,
    migrator_password: String,
    application_password: String,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Development {
    /// The cluster of the project that `key` names (its folder), whether or not it has been made yet. Waits for another
    /// process that is changing it; blocks the thread.
    ///
    /// # Errors
    /// Connection: no PostgreSQL here. Usage: the cache folder can't be used, or what is kept there can't be read.
    pub fn open(key: &str) -> Result<Self, Failure> {
        let installation = find_or_fail()?;
        let account = Account::current()?;
        let hash = Sha256::digest(key.as_bytes());
        let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        // Data of one major are of no use to another.
        let folder = cache_folder(&account)?.join(format!("dev-{hash}-{}", installation.major));
        account.private_folder(&folder).map_err(|error| unusable(&folder, &error))?;
        let changing = FileLock::exclusive(&folder.join("changing.lock"))?;
        let path = folder.join("settings.json");
        let mut settings = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| unusable(&path, &error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Settings::invent(),
            Err(error) => return Err(unusable(&path, &error)),
        };
        let mut cluster = Cluster::new(installation, account, folder, Access::Loopback(settings.port));
        if !cluster.is_running() && !is_free(settings.port) {
            settings.port = free_port().map_err(|error| unusable(&path, &error))?;
            cluster = cluster.with_access(Access::Loopback(settings.port));
        }
        Ok(Self { cluster, settings, _changing: changing })
    }

    /// Starts the server where it does not run, and gives a superuser's session.
    ///
    /// # Errors
    /// Connection: it does not start.
    pub async fn start(&mut self) -> Result<Session, Failure> {
        if self.settings.port == 0 {
            self.settings.port = free_port().map_err(|error| unusable(self.cluster.folder(), &error))?;
            self.cluster = self.cluster.with_access(Access::Loopback(self.settings.port));
        }
        self.write_settings()?;
        self.cluster.ready().await
    }

    /// Whether the server answers.
    pub fn is_running(&self) -> bool {
        self.cluster.is_running()
    }

    /// Whether `up` has made the cluster.
    pub fn exists(&self) -> bool {
        self.cluster.exists()
    }

    /// Version and programs: `PostgreSQL 15.18 (/usr/lib/postgresql/15/bin)`.
    pub fn engine(&self) -> String {
        let installation = self.cluster.installation();
        format!("PostgreSQL {} ({})", installation.version, installation.bin.display())
    }

    /// Where the cluster is.
    pub fn folder(&self) -> &Path {
        self.cluster.folder()
    }

    /// The program psql of the same installation, where it is there; else the name, for PATH.
    pub fn psql(&self) -> PathBuf {
        let beside = self.cluster.installation().program("psql");
        if beside.is_file() { beside } else { PathBuf::from("psql") }
    }

    /// Stops the server, if it runs; the data stay.
    pub fn stop(&self) {
        if self.cluster.is_running() {
            self.cluster.stop();
        }
    }

    /// Stops the server and removes everything.
    ///
    /// # Errors
    /// Connection: the files can't be removed.
    pub fn remove(self) -> Result<(), Failure> {
        self.stop();
        self.cluster.remove()
    }

    /// Whether the development database is there.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn has_database(&self, server: &Session) -> Result<bool, Failure> {
        template::exists(server, DATABASE).await
    }

    /// Drops the development database, if it is there, sessions and all.
    ///
    /// # Errors
    /// The server's.
    pub async fn drop_database(&self, server: &Session) -> Result<(), Failure> {
        template::patiently(server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(DATABASE))).await
    }

    /// Makes the development database: a clone of the template for `key`, which `fill` fills where it is missing.
    ///
    /// # Errors
    /// What `fill` fails with, as it is; the server's.
    pub async fn make_database(
        &self,
        server: &Session,
        regime: Regime,
        key: &str,
        fill: impl AsyncFnOnce(&mut Session) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let template = template::ensure(&self.cluster, server, regime, key, fill).await?;
        template::clone(server, &template, DATABASE).await?;
        // Everyone may connect to a database; here only those who are named.
        let database = identifier(DATABASE);
        let rights = format!(
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC; GRANT CONNECT ON DATABASE {database} TO {AUTHENTICATOR}"
        );
        template::patiently(server, &rights).await?;
        stand_in::set_password(server, MIGRATOR, &self.settings.migrator_password).await?;
        stand_in::set_password(server, AUTHENTICATOR, &self.settings.application_password).await
    }

    /// To the development database as the role that runs migrations.
    pub fn migrator(&self) -> Conninfo {
        Conninfo::local(HOST, self.settings.port, MIGRATOR, Some(&self.settings.migrator_password), DATABASE)
    }

    /// To the development database as the role that the application's API connects as.
    pub fn application(&self) -> Conninfo {
        Conninfo::local(HOST, self.settings.port, AUTHENTICATOR, Some(&self.settings.application_password), DATABASE)
    }

    /// Connects as the migrator.
    ///
    /// # Errors
    /// Connection: the server does not run, or has no such database.
    pub async fn connect(&self) -> Result<Session, Failure> {
        if !self.is_running() {
            return Err(Failure::new(FailureKind::Connection, "the development database is not running")
                .help("run `chartchek-db dev up`"));
        }
        connect(&self.migrator()).await
    }

    fn write_settings(&self) -> Result<(), Failure> {
        let path = self.cluster.folder().join("settings.json");
        let text = serde_json::to_string(&self.settings).map_err(|error| unusable(&path, &error.into()))?;
        // A file that exists keeps its mode, which was this one.
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| unusable(&path, &error))
    }
}

impl Settings {
    /// The port is chosen when the server starts first.
    fn invent() -> Self {
        let secret = || format!("{}", uuid::Uuid::new_v4().simple());
        Self { port: 0, migrator_password: secret(), application_password: secret() }
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn free_port() -> io::Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr().map(|address| address.port())
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{} can't be used", path.display()))
        .note(error.to_string())
        .help("remove it, and `chartchek-db dev up` makes it anew")
}
