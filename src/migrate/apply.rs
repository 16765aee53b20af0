//! Applies the pending files: look, lock, look again, run.

use crate::contract::project::Project;
use crate::db::session::Session;
use crate::migrate::blockers::Blockers;
use crate::migrate::file::{self, MigrationFile};
use crate::migrate::history::Server;
use crate::migrate::lock::{self, Holder};
use crate::migrate::mend::Mending;
use crate::migrate::stop::Stop;
use crate::migrate::{history, plan, runner};
use crate::model::failure::Failure;
use std::time::{Duration, Instant};

/// Mending to apply.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// The last version to apply; all without it.
    pub to: Option<i32>,
    /// How long to wait for the migration lock, and for the locks of tables.
    pub lock_wait: Duration,
    /// How long one try of a file may wait for a table's lock, and hold up those who queue behind it. A file that holds
    /// locks already waits less: a client that waits for those must not be the one that a deadlock ends.
    pub lock_timeout: Duration,
    /// How long one statement may run, 0 for ever; without it the role's own limit holds, and what runs without a
    /// transaction has none.
    pub statement_timeout: Option<Duration>,
    /// Whether errors show DETAIL and quoted values, which may be rows'.
    pub show_detail: bool,
    /// Whether what a statement with CONCURRENTLY left whose client died is mended: an invalid index is dropped, work
    /// that is done is recorded.
    pub mend: bool,
    /// Who may end the run early.
    pub stop: Stop,
}

impl Default for ApplyOptions {
    /// All versions, 60 s for locks in tries of 3 s, no values in errors, nothing mended, nobody who ends it early.
    fn default() -> Self {
        Self {
            to: None,
            lock_wait: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(3),
            statement_timeout: None,
            show_detail: false,
            mend: false,
            stop: Stop::default(),
        }
    }
}

/// What happens, as it happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// The server and the history were looked at.
    Looked {
        /// The server.
        server: &'a Server,
        /// How many files are applied.
        applied: usize,
        /// How many are about to be.
        pending: usize,
    },
    /// Another session holds the migration lock.
    Waiting {
        /// Who; `None` where it is gone already.
        holder: Option<&'a Holder>,
        /// For how long so far.
        waited: Duration,
    },
    /// A file begins to run.
    Applying {
        /// The file.
        file: &'a MigrationFile,
    },
    /// A file did not get a table's lock in time; it was rolled back and will be tried again.
    Blocked {
        /// The file.
        file: &'a MigrationFile,
        /// Who was in its way.
        blockers: &'a Blockers,
        /// How many tries were made.
        tries: u32,
    },
    /// A file that runs without a transaction waits for others, for as long as they take.
    Waits {
        /// The file.
        file: &'a MigrationFile,
        /// Whom it waits for.
        holders: &'a [Holder],
    },
    /// What an earlier run of a file left was mended.
    Mended {
        /// The file.
        file: &'a MigrationFile,
        /// The index.
        index: &'a str,
        /// What came of it.
        how: Mending,
    },
    /// A file is applied and recorded.
    Applied {
        /// The file.
        file: &'a MigrationFile,
        /// How long it took.
        elapsed: Duration,
    },
}

/// A file that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTime {
    /// Its path.
    pub file: String,
    /// Its version.
    pub version: i32,
    /// How long it took.
    pub elapsed: Duration,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The files that this run applied.
    pub applied: Vec<FileTime>,
    /// How many were applied before.
    pub before: usize,
    /// How many are still pending, beyond the version asked for.
    pub beyond: usize,
    /// How long all of it took.
    pub elapsed: Duration,
}

/// Applies what is pending, each file in a transaction of its own together with its line in the history. With nothing to
/// do it writes nothing, takes no lock and needs no right but to read the history.
///
/// # Errors
/// Files and history disagree or a file must not run (usage, nothing was applied); no lock in time (lock); a file
/// failed (migration: it left nothing behind, those before it stay); told to stop (interrupted); not enough rights, read-only (connection).
pub async fn apply(
    session: &mut Session,
    files: &[MigrationFile],
    options: &ApplyOptions,
    on_event: &mut (dyn FnMut(&Event<'_>) + Send),
) -> Result<Summary, Failure> {
    let started = Instant::now();
    let look = history::look(session).await?;
    let first = plan::make(files, &look, options.to)?;
    on_event(&Event::Looked { server: &look.server, applied: first.applied, pending: first.pending.len() });
    let nothing = |plan: &plan::Plan<'_>| Summary {
        applied: Vec::new(),
        before: plan.applied,
        beyond: plan.beyond,
        elapsed: started.elapsed(),
    };
    let Some((next, _)) = first.pending.first() else { return Ok(nothing(&first)) };
    look.server.refuse_read_only(|failure| {
        failure.note(format!("{} migrations are pending, the first is {}", first.pending.len(), next.source().path))
    })?;
    let look = lock::acquire(session, options.lock_wait, &options.stop, on_event).await?;
    let done = match plan::make(files, &look, options.to) {
        Ok(plan) if plan.pending.is_empty() => Ok(nothing(&plan)),
        Ok(plan) => {
            let (before, beyond) = (plan.applied, plan.beyond);
            runner::run(session, plan, &look, options, on_event).await.map(|applied| Summary {
                applied,
                before,
                beyond,
                elapsed: started.elapsed(),
            })
        }
        Err(failure) => Err(failure),
    };
    lock::release(session).await;
    done
}

/// Applies all migrations of a project, telling nobody: for databases that the tool makes itself.
///
/// # Errors
/// As [`file::load`] and [`apply`].
pub async fn apply_all(session: &mut Session, project: &Project) -> Result<(), Failure> {
    let files = file::load(project)?;
    apply(session, &files, &ApplyOptions::default(), &mut |_| {}).await.map(|_| ())
}
