//! The embedded engine: PostgreSQL compiled into the binary (pglite-oxide), one server for each scratch database.
//! It takes ONE connection at a time: a second would wait for ever, so it is refused here.

use crate::db::connect::connect;
use crate::db::conninfo::Conninfo;
use crate::db::session::Session;
use crate::model::failure::{Failure, FailureKind};
use crate::server::stand_in::{self, MIGRATOR, Regime};
use pglite_oxide::PgliteServer;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// Measured: a session dies or hangs after 2,800 to 7,000 errors.
const ERRORS_PER_SESSION: usize = 2_000;
/// A server whose session hangs answers no one; a healthy one answers in half a second.
const CONNECT_DEADLINE: Duration = Duration::from_secs(20);
/// How long a drop waits for the server to end by itself before it takes the files away.
const STOP_DEADLINE: Duration = Duration::from_millis(150);

/// A server of its own for one scratch database.
#[derive(Debug)]
pub(crate) struct EmbeddedScratch {
    server: Option<PgliteServer>,
    // After the server, which is stopped first.
    files: Option<TempDir>,
    conninfo: Conninfo,
    name: String,
    connection: Arc<Semaphore>,
}

/// Starts a server, installs the stand-in, and fills it as the migrator.
///
/// # Errors
/// What `fill` fails with. Connection: the server does not start. Usage: a function that this engine can't run.
pub(crate) async fn scratch(
    regime: Regime,
    fill: impl AsyncFnOnce(&mut Session) -> Result<(), Failure>,
) -> Result<EmbeddedScratch, Failure> {
    let (server, files, socket_folder) =
        tokio::task::spawn_blocking(start).await.map_err(|error| not_started(&error.to_string()))??;
    let conninfo = Conninfo::local(&socket_folder.display().to_string(), 5432, "postgres", None, "postgres");
    let mut scratch = EmbeddedScratch {
        server: Some(server),
        files: Some(files),
        conninfo,
        name: String::new(),
        connection: Arc::new(Semaphore::new(1)),
    };
    let mut session = scratch.connect_superuser().await?;
    scratch.name = format!("embedded PostgreSQL {}", version(&session).await?);
    let filled = async {
        stand_in::install(&session, regime, None).await?;
        become_migrator(&session).await?;
        fill(&mut session).await?;
        refuse_catching_functions(&session).await
    }
    .await;
    // Closed on failure too: the server ends when its connection does.
    session.close().await;
    filled.map(|()| scratch)
}

/// Blocking: unpacks the files of a fresh cluster and starts its server on a socket beside them.
fn start() -> Result<(PgliteServer, TempDir, PathBuf), Failure> {
    let files = tempfile::Builder::new()
        .prefix("chartchek-db-")
        .tempdir()
        .map_err(|error| not_started(&format!("no temporary folder: {error}")))?;
    let socket_folder = files.path().join("s");
    let server = PgliteServer::builder()
        .path(files.path().join("data"))
        .unix(socket_folder.join(".s.PGSQL.5432"))
        .relaxed_durability(true)
        .start()
        .map_err(|error| not_started(&format!("{error:#}")))?;
    Ok((server, files, socket_folder))
}

fn not_started(why: &str) -> Failure {
    Failure::new(FailureKind::Connection, "the embedded PostgreSQL did not start")
        .note(why.to_owned())
        .help("install PostgreSQL 15 or newer and take --engine local")
}

/// The session user stays superuser behind SET ROLE; this leaves nothing to go back to but by RESET SESSION
/// AUTHORIZATION. The role's own settings come with a login only, so its search_path is set here.
async fn become_migrator(session: &Session) -> Result<(), Failure> {
    session
        .batch(&format!("SET SESSION AUTHORIZATION {MIGRATOR}; SET search_path = \"$user\", public, extensions"))
        .await
        .map_err(|error| error.into_failure("the embedded server does not let its superuser become the migrator"))
}

async fn version(session: &Session) -> Result<String, Failure> {
    let rows = session
        .text_rows("SHOW server_version")
        .await
        .map_err(|error| error.into_failure("the embedded server does not say its version"))?;
    Ok(rows.into_iter().flatten().flatten().next().unwrap_or_default())
}

/// A block that catches an exception ruins the session: refused before it can turn a verdict into a hang.
async fn refuse_catching_functions(session: &Session) -> Result<(), Failure> {
    let rows = session
        .text_rows(
            "SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc p \
             JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
             WHERE l.lanname = 'plpgsql' AND p.prosrc ~* '\\yexception\\s+when\\y' \
               AND p.pronamespace <> 'pg_catalog'::regnamespace ORDER BY 1",
        )
        .await
        .map_err(|error| error.into_failure("the functions could not be looked at"))?;
    let names: Vec<String> = rows.into_iter().flatten().flatten().collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(Failure::usage("the embedded engine can't run functions that catch exceptions")
        .note(format!("they have an EXCEPTION block: {}", names.join(", ")))
        .help("take --engine local, which needs PostgreSQL 15 or newer on this machine"))
}

impl EmbeddedScratch {
    /// Engine and version.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// One.
    pub(crate) fn max_sessions(&self) -> usize {
        1
    }

    /// A session must be given up before it dies of errors.
    pub(crate) fn errors_per_session(&self) -> Option<usize> {
        Some(ERRORS_PER_SESSION)
    }

    /// What the engine's limits leave out.
    pub(crate) fn not_tried(&self) -> Vec<String> {
        [
            "anything that takes two sessions at once: locks, waiting, races",
            "statement_timeout and cancelling: this engine ignores both",
            "functions that catch exceptions, and deep recursion: this engine does not survive them",
            "the extensions pgcrypto, uuid-ossp and pgTAP, and ICU collations: this engine has none",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// As the migrator.
    pub(crate) async fn connect(&self) -> Result<Session, Failure> {
        let session = self.connect_superuser().await?;
        become_migrator(&session).await?;
        Ok(session)
    }

    /// As the superuser.
    pub(crate) async fn connect_superuser(&self) -> Result<Session, Failure> {
        let permit = Arc::clone(&self.connection).try_acquire_owned().map_err(|_| {
            Failure::usage("the embedded engine takes one connection at a time, and one is open")
                .help("close the other first, or take --engine local")
        })?;
        let mut session = tokio::time::timeout(CONNECT_DEADLINE, connect(&self.conninfo)).await.map_err(|_| {
            Failure::new(FailureKind::Connection, "the embedded server does not answer")
                .note("an earlier session may hang in a statement: this engine knows no timeout")
                .help("take --engine local, which needs PostgreSQL 15 or newer on this machine")
        })??;
        session.hold(permit);
        Ok(session)
    }
}

impl Drop for EmbeddedScratch {
    /// The server ends when its last connection does, and that connection may be driven by this very thread: so it is
    /// stopped on another, and the files go whether or not it has ended by then.
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            let (done, ended) = mpsc::channel::<()>();
            let folder = self.files.as_ref().map(|files| files.path().to_owned());
            let stopper = std::thread::Builder::new().name("embedded-stop".to_owned()).spawn(move || {
                drop(server);
                drop(done);
                // One that ended late may have written what was gone already.
                if let Some(folder) = folder {
                    let _gone_already = std::fs::remove_dir_all(folder);
                }
            });
            if stopper.is_ok() {
                let _ended_or_late = ended.recv_timeout(STOP_DEADLINE);
            }
        }
        drop(self.files.take());
    }
}
