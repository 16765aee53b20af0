//! Runs files through refinery: refinery decides what to run and writes the history's lines, this adapter decides how
//! they reach the server.

use crate::db::session::{BatchError, Session};
use crate::db::sqlstate;
use crate::migrate::apply::{ApplyOptions, Event, FileTime};
use crate::migrate::blockers::Watch;
use crate::migrate::diagnose::{self, Prefix, Progress};
use crate::migrate::file::MigrationFile;
use crate::migrate::history::{self, Look};
use crate::migrate::lock::{self, Holder};
use crate::migrate::mend;
use crate::migrate::plan::Plan;
use crate::migrate::sql::{self, Script};
use crate::migrate::stop::Stop;
use crate::model::failure::{Failure, FailureKind};
use rand::Rng;
use refinery::{AsyncMigrate, Migration, Runner, Target};
use refinery_core::traits::r#async::{AsyncQuery, AsyncTransaction};
use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant};

/// deadlock_detected.
const DEADLOCK: &str = "40P01";
/// duplicate_object, duplicate_table, duplicate_schema, duplicate_function.
const DUPLICATES: &[&str] = &["42710", "42P07", "42P06", "42723"];
/// The longest pause between two tries of a file.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Applies the plan's files in order and gives their times.
///
/// # Errors
/// The failure of the first file that failed; those before it stay applied.
pub(crate) async fn run(
    session: &Session,
    plan: Plan<'_>,
    look: &Look,
    options: &ApplyOptions,
    on_event: &mut (dyn FnMut(&Event<'_>) + Send),
) -> Result<Vec<FileTime>, Failure> {
    let migrations: Vec<Migration> = plan.pending.iter().map(|(file, _)| file.migration().clone()).collect();
    let mut runner = Runner::new(&migrations);
    runner.set_migration_table_name(&look.table);
    let mut applier = Applier {
        session,
        look,
        options,
        queue: plan.pending.into(),
        creation: Vec::new(),
        applied: Vec::new(),
        failure: None,
        watch: Watch::new(session, look.pid),
        on_event,
    };
    let result = runner.run_async(&mut applier).await;
    applier.watch.close().await;
    match (applier.failure, result) {
        (Some(failure), _) => Err(failure),
        (None, Err(error)) => Err(Failure::new(FailureKind::Inconclusive, "refinery refused").note(error.to_string())),
        (None, Ok(_)) => Ok(applier.applied),
    }
}

/// What refinery would send to record `files` without running them: the CREATE TABLE, and one INSERT a file.
///
/// # Errors
/// Refinery's, which has no reason for one.
pub(crate) async fn records(files: &[&MigrationFile]) -> Result<(String, Vec<String>), Failure> {
    let migrations: Vec<Migration> = files.iter().map(|file| file.migration().clone()).collect();
    let mut runner = Runner::new(&migrations).set_target(Target::Fake);
    runner.set_migration_table_name(history::TABLE);
    let mut recorder = Recorder(Vec::new());
    runner
        .run_async(&mut recorder)
        .await
        .map_err(|error| Failure::new(FailureKind::Inconclusive, "refinery refused").note(error.to_string()))?;
    let mut sent = recorder.0.into_iter();
    let table = sent.next().ok_or_else(unexpected)?;
    let inserts: Vec<String> = sent.collect();
    if inserts.len() == files.len() { Ok((table, inserts)) } else { Err(unexpected()) }
}

/// Keeps what refinery sends, and sends nothing on.
struct Recorder(Vec<String>);

impl AsyncTransaction for Recorder {
    type Error = Stopped;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(&'a mut self, queries: T) -> Result<usize, Stopped> {
        let before = self.0.len();
        self.0.extend(queries.map(str::to_owned));
        Ok(self.0.len() - before)
    }
}

impl AsyncQuery<Vec<Migration>> for Recorder {
    /// The history is empty.
    async fn query<'a>(&'a mut self, _query: &'a str) -> Result<Vec<Migration>, Stopped> {
        Ok(Vec::new())
    }
}

impl AsyncMigrate for Recorder {}

struct Applier<'a> {
    session: &'a Session,
    look: &'a Look,
    options: &'a ApplyOptions,
    queue: VecDeque<(&'a MigrationFile, Script)>,
    /// What makes the history table, until a file's transaction has taken it along.
    creation: Vec<String>,
    applied: Vec<FileTime>,
    failure: Option<Failure>,
    watch: Watch<'a>,
    on_event: &'a mut (dyn FnMut(&Event<'_>) + Send),
}

/// Tells refinery to stop; the failure itself waits in the adapter.
#[derive(Debug)]
struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a migration failed")
    }
}

impl std::error::Error for Stopped {}

impl AsyncTransaction for Applier<'_> {
    type Error = Stopped;

    /// refinery calls this with `[create table]` first, then with `[file, insert]` a file.
    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(&'a mut self, queries: T) -> Result<usize, Stopped> {
        let queries: Vec<&str> = queries.collect();
        let result = match queries.as_slice() {
            [create] => {
                self.creation = self.look.creation(create);
                Ok(())
            }
            [text, insert] => self.file(text, insert).await,
            _ => Err(unexpected()),
        };
        result.map(|()| queries.len()).map_err(|failure| {
            self.failure = Some(failure);
            Stopped
        })
    }
}

impl AsyncQuery<Vec<Migration>> for Applier<'_> {
    /// Only pending files were handed to refinery, and the history was held against all files before: it has nothing
    /// left to compare.
    async fn query<'a>(&'a mut self, _query: &'a str) -> Result<Vec<Migration>, Stopped> {
        Ok(Vec::new())
    }
}

impl AsyncMigrate for Applier<'_> {}

impl Applier<'_> {
    async fn file(&mut self, text: &str, insert: &str) -> Result<(), Failure> {
        let (file, script) = self.queue.pop_front().ok_or_else(unexpected)?;
        if &*file.source().text != text {
            return Err(unexpected());
        }
        if self.options.stop.is_asked() {
            self.queue.push_front((file, script));
            return Err(diagnose::stopped(&self.progress()));
        }
        (self.on_event)(&Event::Applying { file });
        let started = Instant::now();
        if script.statements.iter().any(|statement| statement.outside.is_some()) {
            self.outside(file, &script, insert).await?;
        } else {
            self.inside(file, &script, insert).await?;
        }
        self.creation.clear();
        let elapsed = started.elapsed();
        (self.on_event)(&Event::Applied { file, elapsed });
        self.applied.push(FileTime { file: file.source().path.clone(), version: file.version(), elapsed });
        Ok(())
    }

    /// A file in its transaction: one message, one round trip. Tried again where a table's lock was not had.
    async fn inside(&mut self, file: &MigrationFile, script: &Script, insert: &str) -> Result<(), Failure> {
        let (session, options) = (self.session, self.options);
        // Where a client waits for this file's lock and this file for the client's, whoever has waited for
        // deadlock_timeout gives up, and that must not be the client.
        let short = options.lock_timeout.min(self.look.deadlock_timeout.mul_f64(0.6));
        let mut lock_timeout = short;
        let started = Instant::now();
        for tries in 1.. {
            let mut before = self.look.begin(lock_timeout, options.statement_timeout);
            before.extend(self.creation.iter().cloned());
            let prefix = Prefix::new(&before);
            // The newline ends a comment on the file's last line, the semicolon its last statement.
            let message = format!(
                "{}{}\n;\n{}{insert}; COMMIT",
                prefix.text,
                &file.source().text[sql::bom(file.source())..],
                self.look.restore()
            );
            // Whom it waits for is told once a try has failed.
            let result =
                attend(session.batch_counting(&message), session, &mut self.watch, &options.stop, &mut |_| {}).await;
            let error = match result {
                Some(Ok(_)) => return Ok(()),
                Some(Err(error)) => error,
                None => return Err(diagnose::unanswered(file, &self.progress())),
            };
            if error.error.is_connection() {
                return Err(self.diagnose(file, script, error, &prefix));
            }
            // A syntax error is found before BEGIN runs.
            if error.finished > 0 {
                session.batch("ROLLBACK").await.map_err(|error| error.into_failure("cannot roll back"))?;
            }
            let lock = [sqlstate::LOCK_NOT_AVAILABLE, DEADLOCK].contains(&error.error.code.as_str());
            if options.stop.is_asked() && (lock || error.error.code == sqlstate::QUERY_CANCELED) {
                return Err(diagnose::interrupted(file, true, &self.progress()));
            }
            if !lock {
                let limit = error.error.code == sqlstate::QUERY_CANCELED;
                let failure = self.diagnose(file, script, error, &prefix);
                return Err(if limit { diagnose::waited(failure, self.watch.seen()) } else { failure });
            }
            let statement = script.statements.get(error.finished.saturating_sub(before.len()));
            let text = statement.and_then(|statement| file.source().text.get(statement.span.clone()));
            let blockers = self.watch.blockers(text.unwrap_or_default()).await?;
            if started.elapsed() >= options.lock_wait {
                return Err(diagnose::blocked(self.diagnose(file, script, error, &prefix), &blockers));
            }
            (self.on_event)(&Event::Blocked { file, blockers: &blockers, tries });
            // At its first statement a file holds no lock that a client could wait for.
            lock_timeout = if error.finished <= before.len() { options.lock_timeout } else { short };
            self.watch.open().await;
            // Full jitter: those who collided once do not collide again.
            let most = Duration::from_millis(250).saturating_mul(1 << tries.min(6)).min(LONGEST_PAUSE);
            let pause = most.mul_f64(rand::rng().random_range(0.0..1.0));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = options.stop.asked() => return Err(diagnose::interrupted(file, true, &self.progress())),
            }
        }
        Err(unexpected())
    }

    /// A file of one statement that PostgreSQL refuses in a transaction: alone in its message, recorded after.
    async fn outside(&mut self, file: &MigrationFile, script: &Script, insert: &str) -> Result<(), Failure> {
        let (session, options) = (self.session, self.options);
        let nothing = Prefix::new(&[]);
        let mut before = vec!["BEGIN".to_owned(), lock::guard()];
        before.append(&mut self.creation);
        before.push("COMMIT".to_owned());
        // Under lock_timeout an unrelated open transaction would leave an INVALID index behind.
        before.push("SET lock_timeout = 0".to_owned());
        before.push(format!("SET statement_timeout = {}", options.statement_timeout.unwrap_or_default().as_millis()));
        before.extend(self.look.end_with_client("SET"));
        let prefix = Prefix::new(&before);
        if let Err(error) = session.batch_counting(&prefix.text).await {
            let _rolled_back = session.batch("ROLLBACK").await;
            return Err(self.diagnose(file, &Script::default(), error, &prefix));
        }
        let on_event = &mut *self.on_event;
        let mut waits = |holders: &[Holder]| on_event(&Event::Waits { file, holders });
        let mended = mend::mend(session, file, options.mend);
        let mended = attend(mended, session, &mut self.watch, &options.stop, &mut waits).await;
        let runs = match mended {
            Some(Ok(mended)) => {
                for (index, how) in &mended {
                    (self.on_event)(&Event::Mended { file, index, how: *how });
                }
                mended.iter().all(|(_, how)| how.runs())
            }
            Some(Err(failure)) => {
                // Where this fails too the connection is gone, and its settings with it.
                let _restored = session.batch(&self.look.restore()).await;
                return Err(if options.stop.is_asked() {
                    diagnose::outside(diagnose::interrupted(file, false, &self.progress()), &[])
                } else {
                    diagnose::told(failure, &self.progress())
                });
            }
            None => return Err(diagnose::unanswered(file, &self.progress())),
        };
        let text = &file.source().text[sql::bom(file.source())..];
        if runs {
            let on_event = &mut *self.on_event;
            let mut waits = |holders: &[Holder]| on_event(&Event::Waits { file, holders });
            let ran = attend(session.batch_counting(text), session, &mut self.watch, &options.stop, &mut waits).await;
            let Some(ran) = ran else { return Err(diagnose::unanswered(file, &self.progress())) };
            if let Err(error) = ran {
                let cancelled = error.error.code == sqlstate::QUERY_CANCELED;
                let failure = if options.stop.is_asked() && cancelled {
                    diagnose::interrupted(file, false, &self.progress())
                } else {
                    let failure = self.diagnose(file, script, error, &nothing);
                    if cancelled { diagnose::waited(failure, self.watch.seen()) } else { failure }
                };
                let invalid = match session.batch(&self.look.restore()).await {
                    Ok(()) => invalid_indexes(session).await.unwrap_or_default(),
                    Err(_) => Vec::new(),
                };
                return Err(diagnose::outside(failure, &invalid));
            }
        }
        let record = format!("{}{insert}", self.look.restore());
        session.batch(&record).await.map_err(|error| {
            error
                .into_failure(&format!("{} ran, but could not be recorded", file.source().path))
                .help(format!("record it by hand, once you have seen that it is there: {insert};"))
        })
    }

    fn diagnose(&self, file: &MigrationFile, script: &Script, error: BatchError, prefix: &Prefix) -> Failure {
        let by_hand =
            DUPLICATES.contains(&error.error.code.as_str()) && self.look.rows.as_deref().is_none_or(<[_]>::is_empty);
        let failure =
            diagnose::diagnose(file.source(), script, error, prefix, &self.progress(), self.options.show_detail);
        if by_hand {
            failure.help("a database whose tables were made by hand is adopted: chartchek-db migrate --adopt")
        } else {
            failure
        }
    }

    fn progress(&self) -> Progress<'_> {
        Progress { applied: &self.applied, waiting: self.queue.iter().map(|(file, _)| *file).collect() }
    }
}

/// Waits for the end of `work`, which runs on `session`. Meanwhile `waits` hears whom it waits for, and where the run is to
/// stop the server is asked to cancel it; nothing where the server does not answer that.
async fn attend<T>(
    work: impl Future<Output = T>,
    session: &Session,
    watch: &mut Watch<'_>,
    stop: &Stop,
    waits: &mut (dyn FnMut(&[Holder]) + Send),
) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = stop.cancel(session) => None,
        never = watch.follow(waits) => match never {},
    }
}

async fn invalid_indexes(session: &Session) -> Option<Vec<String>> {
    let rows = session
        .text_rows(
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_index i \
             JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE NOT i.indisvalid AND c.relkind = 'i' ORDER BY 1",
        )
        .await
        .ok()?;
    Some(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

fn unexpected() -> Failure {
    Failure::new(FailureKind::Inconclusive, "refinery asked for something that this tool does not know")
        .note("nothing more was applied")
        .help("report this as a fault of chartchek-db")
}
