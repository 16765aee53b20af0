//! One cluster of this tool's own: its files, and its server's start and stop. Callers hold the cluster's lock.

use crate::db::connect::connect;
use crate::db::conninfo::Conninfo;
use crate::db::session::Session;
use crate::model::failure::{Failure, FailureKind};
use crate::server::local::account::Account;
use crate::server::local::installation::Installation;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The number in the socket's name, where there is no TCP.
const SOCKET_PORT: u16 = 5432;
/// A socket's path must fit 103 bytes on macOS (107 on Linux), its name included.
const LONGEST_SOCKET_FOLDER: usize = 80;
const START_DEADLINE: Duration = Duration::from_secs(30);
/// Once, and once more where a server that was just stopping was in the way.
const STARTS: usize = 2;
const STOP_DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(4);

/// Who can reach the cluster, and how much its data are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Through a socket in a private folder only; the data are disposable: nothing is synced to disk.
    Private,
    /// On 127.0.0.1 at this port too, by password; the data are kept.
    Loopback(u16),
}

/// A cluster in a folder of its own.
#[derive(Debug, Clone)]
pub struct Cluster {
    installation: Installation,
    account: Account,
    folder: PathBuf,
    access: Access,
}

impl Cluster {
    /// The cluster in `folder`, whether or not it exists yet.
    pub fn new(installation: Installation, account: Account, folder: PathBuf, access: Access) -> Self {
        Self { installation, account, folder, access }
    }

    /// The same cluster, reached otherwise from its next start on.
    #[must_use]
    pub fn with_access(&self, access: Access) -> Self {
        Self { access, ..self.clone() }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What runs it.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Whether it has been made.
    pub fn exists(&self) -> bool {
        self.data().join("PG_VERSION").exists()
    }

    /// To a database of it through its socket, where no password is asked for.
    pub fn conninfo(&self, user: &str, database: &str) -> Conninfo {
        Conninfo::local(&self.socket_folder().display().to_string(), self.port(), user, None, database)
    }

    /// Makes the cluster where there is none, starts its server where none answers, and connects as superuser. Cached
    /// data that no longer start (the machine went down without syncing them) are thrown away and made anew.
    ///
    /// # Errors
    /// Connection: `initdb` or the server failed; notes hold what they said.
    pub async fn ready(&self) -> Result<Session, Failure> {
        match self.try_ready().await {
            // One that answers is only busy.
            Err(failure) if self.access == Access::Private && self.exists() && !self.is_running() => {
                tracing::warn!("the cached cluster is made anew: {failure}");
                self.stop();
                fs::remove_dir_all(self.data()).map_err(|error| self.broken("can't be removed", &error))?;
                self.try_ready().await
            }
            result => result,
        }
    }

    async fn try_ready(&self) -> Result<Session, Failure> {
        if !self.exists() {
            self.make()?;
        }
        let superuser = self.conninfo("postgres", "postgres");
        let deadline = Instant::now() + START_DEADLINE;
        let mut started: Option<Child> = None;
        let mut starts = 0;
        loop {
            let failure = match connect(&superuser).await {
                Ok(session) => return Ok(session),
                Err(failure) => failure,
            };
            let starting = started.as_mut().is_some_and(|server| matches!(server.try_wait(), Ok(None)));
            // While this file is there, a server that was started before may still be starting, or stopping. It may be
            // stale, too: which, only a server that is started can tell.
            let other = starts > 0 && self.data().join("postmaster.pid").exists();
            if !starting && !other && starts < STARTS {
                started = Some(self.start()?);
                starts += 1;
            } else if (!starting && !other) || Instant::now() > deadline {
                return Err(self.log_tail().into_iter().fold(failure, |failure, line| failure.note(line)).help(
                    format!("the cluster is in {}; removing it makes the tool start afresh", self.folder.display()),
                ));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether a server answers on the cluster's socket.
    pub fn is_running(&self) -> bool {
        let socket = self.socket_folder().join(format!(".s.PGSQL.{}", self.port()));
        std::os::unix::net::UnixStream::connect(socket).is_ok()
    }

    /// Stops the server, if it runs, and waits for it. What goes wrong is logged: the next start meets it again.
    pub fn stop(&self) {
        let mut command = self.account.command(&self.installation.program("pg_ctl"));
        command.arg("-D").arg(self.data()).args(["stop", "-W", "-s", "-m", "fast"]);
        if let Err(failure) = run(&mut command) {
            tracing::info!("{failure}");
        }
        let deadline = Instant::now() + STOP_DEADLINE;
        while self.data().join("postmaster.pid").exists() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }

    /// Removes the cluster's files; its server must be stopped.
    ///
    /// # Errors
    /// The system's, as connection.
    pub fn remove(&self) -> Result<(), Failure> {
        fs::remove_dir_all(&self.folder).map_err(|error| self.broken("can't be removed", &error))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    fn port(&self) -> u16 {
        match self.access {
            Access::Private => SOCKET_PORT,
            Access::Loopback(port) => port,
        }
    }

    fn socket_folder(&self) -> PathBuf {
        let beside = self.folder.join("s");
        if beside.as_os_str().len() <= LONGEST_SOCKET_FOLDER {
            return beside;
        }
        let hash = Sha256::digest(self.folder.as_os_str().as_encoded_bytes());
        let short: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        // Not the system's folder for temporary files, whose path is long on macOS.
        PathBuf::from(format!("/tmp/chartchek-db-{}-{short}", self.account.uid()))
    }

    /// Makes the data folder beside its place and moves it there: a half-made one is never found.
    fn make(&self) -> Result<(), Failure> {
        let broken = |error: io::Error| self.broken("can't be made", &error);
        self.account.private_folder(&self.folder).map_err(broken)?;
        let unfinished = self.folder.join("data.new");
        let mut last = Ok(());
        // Not every system has C.UTF-8; plain C orders the same way and knows fewer letters.
        for locale in ["C.UTF-8", "C"] {
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished).map_err(broken)?;
            }
            let mut command = self.account.command(&self.installation.program("initdb"));
            command.arg("-D").arg(&unfinished).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]);
            last = run(command.args(["--no-instructions", "--locale", locale]));
            if last.is_ok() {
                break;
            }
        }
        last?;
        let host = match self.access {
            Access::Private => "",
            Access::Loopback(_) => "host all all 127.0.0.1/32 scram-sha-256\n",
        };
        fs::write(unfinished.join("pg_hba.conf"), format!("local all all trust\n{host}")).map_err(broken)?;
        let settings = unfinished.join("postgresql.conf");
        let mut text = fs::read_to_string(&settings).map_err(broken)?;
        text.push_str("\ninclude 'chartchek-db.conf'\n");
        fs::write(&settings, text).map_err(broken)?;
        fs::rename(&unfinished, self.data()).map_err(broken)
    }

    /// The server outlives this process, and is in a process group of its own: Ctrl-C here stops it under no one else.
    fn start(&self) -> Result<Child, Failure> {
        let broken = |error: io::Error| self.broken("can't be started", &error);
        self.socket_folder_of_ours().map_err(broken)?;
        let settings = self.data().join("chartchek-db.conf");
        fs::write(&settings, self.settings()).map_err(broken)?;
        self.account.own(&settings).map_err(broken)?;
        // Only this start's lines are of interest.
        let log = File::create(self.log()).map_err(broken)?;
        let mut command = self.account.command(&self.installation.program("postgres"));
        command.arg("-D").arg(self.data()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().map_err(broken)
    }

    /// Makes the folder of the socket. In a shared place someone else may have made it first: then it isn't used.
    fn socket_folder_of_ours(&self) -> io::Result<()> {
        let folder = self.socket_folder();
        if let Ok(found) = fs::symlink_metadata(&folder)
            && (!found.is_dir() || found.uid() != self.account.uid())
        {
            return Err(io::Error::other(format!("{} belongs to someone else", folder.display())));
        }
        self.account.private_folder(&folder)
    }

    fn settings(&self) -> String {
        let quoted = |path: PathBuf| path.display().to_string().replace('\'', "''");
        let mut text = format!(
            "# Written by chartchek-db at every start.\nport = {}\nunix_socket_directories = '{}'\n\
             max_connections = 100\nlogging_collector = off\npassword_encryption = 'scram-sha-256'\n",
            self.port(),
            quoted(self.socket_folder()),
        );
        text.push_str(match self.access {
            // Nothing here outlives the process that made it but templates, and those can be made again.
            Access::Private => {
                "listen_addresses = ''\nfsync = off\nsynchronous_commit = off\nfull_page_writes = off\n\
                 autovacuum = off\nwal_level = minimal\nmax_wal_senders = 0\n"
            }
            Access::Loopback(_) => "listen_addresses = '127.0.0.1'\nsynchronous_commit = off\n",
        });
        text
    }

    fn log_tail(&self) -> Vec<String> {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().rev().take(5).map(str::to_owned).collect();
        lines.reverse();
        lines
    }

    fn broken(&self, what: &str, error: &io::Error) -> Failure {
        Failure::new(FailureKind::Connection, format!("the cluster in {} {what}", self.folder.display()))
            .note(error.to_string())
    }
}

/// Runs a program of PostgreSQL's to its end; its standard error becomes the failure's notes.
fn run(command: &mut Command) -> Result<(), Failure> {
    let name = Path::new(command.get_program()).display().to_string();
    let failed = |notes: &str| {
        let failure = Failure::new(FailureKind::Connection, format!("{name} failed"));
        notes.lines().filter(|line| !line.trim().is_empty()).take(8).fold(failure, Failure::note)
    };
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let output = child.map_err(|error| failed(&error.to_string()))?;
    if output.status.success() { Ok(()) } else { Err(failed(&String::from_utf8_lossy(&output.stderr))) }
}
