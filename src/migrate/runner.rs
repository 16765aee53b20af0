//! Runs files through refinery: refinery decides what to run and writes the history's lines, this adapter decides how
//! they reach the server.

use crate::db::quote;
use crate::db::session::{BatchError, Session};
use crate::db::sqlstate;
use crate::migrate::apply::{ApplyOptions, Event, FileTime};
use crate::migrate::diagnose::{self, Prefix, Progress};
use crate::migrate::file::MigrationFile;
use crate::migrate::history::{self, Look};
use crate::migrate::lock::{self, Holder};
use crate::migrate::mend::{self, Mended};
use crate::migrate::plan::Plan;
use crate::migrate::sql::{self, Script};
use crate::model::failure::{Failure, FailureKind};
use rand::Rng;
use refinery::{AsyncMigrate, Migration, Runner, Target};
use refinery_core::traits::r#async::{AsyncQuery, AsyncTransaction};
use std::collections::VecDeque;
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
    runner.set_migration_table_name(history::TABLE);
    let mut applier = Applier {
        session,
        look,
        options,
        queue: plan.pending.into(),
        creation: Vec::new(),
        applied: Vec::new(),
        failure: None,
        on_event,
    };
    let result = runner.run_async(&mut applier).await;
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
        let mut before = self.look.begin(self.options.lock_timeout);
        before.extend(self.creation.iter().cloned());
        let prefix = Prefix::new(&before);
        // The newline ends a comment on the file's last line, the semicolon its last statement.
        let message = format!(
            "{}{}\n;\n{}{insert}; COMMIT",
            prefix.text,
            &file.source().text[sql::bom(file.source())..],
            self.look.restore()
        );
        let started = Instant::now();
        for tries in 1.. {
            let Err(error) = self.session.batch_counting(&message).await else { return Ok(()) };
            if error.error.is_connection() {
                return Err(self.diagnose(file, script, error, &prefix));
            }
            // A syntax error is found before BEGIN runs.
            if error.finished > 0 {
                self.session.batch("ROLLBACK").await.map_err(|error| error.into_failure("cannot roll back"))?;
            }
            if ![sqlstate::LOCK_NOT_AVAILABLE, DEADLOCK].contains(&error.error.code.as_str()) {
                return Err(self.diagnose(file, script, error, &prefix));
            }
            let statement = script.statements.get(error.finished.saturating_sub(before.len()));
            let text = statement.and_then(|statement| file.source().text.get(statement.span.clone()));
            let holders = table_holders(self.session, text.unwrap_or_default()).await?;
            if started.elapsed() >= self.options.lock_wait {
                return Err(diagnose::blocked(self.diagnose(file, script, error, &prefix), &holders));
            }
            (self.on_event)(&Event::Blocked { file, holders: &holders, tries });
            // Full jitter: those who collided once do not collide again.
            let most = Duration::from_millis(250).saturating_mul(1 << tries.min(6)).min(LONGEST_PAUSE);
            let pause = most.mul_f64(rand::rng().random_range(0.0..1.0));
            tokio::time::sleep(pause).await;
        }
        Err(unexpected())
    }

    /// A file of one statement that PostgreSQL refuses in a transaction: alone in its message, recorded after.
    async fn outside(&mut self, file: &MigrationFile, script: &Script, insert: &str) -> Result<(), Failure> {
        let nothing = Prefix::new(&[]);
        let mut before = vec!["BEGIN".to_owned(), lock::guard()];
        before.append(&mut self.creation);
        before.push("COMMIT".to_owned());
        // Under lock_timeout an unrelated open transaction would leave an INVALID index behind.
        before.push("SET lock_timeout = 0".to_owned());
        before.push("SET statement_timeout = 0".to_owned());
        let prefix = Prefix::new(&before);
        if let Err(error) = self.session.batch_counting(&prefix.text).await {
            let _rolled_back = self.session.batch("ROLLBACK").await;
            return Err(self.diagnose(file, &Script::default(), error, &prefix));
        }
        let runs = match mend::mend(self.session, file, self.options.mend).await {
            Ok(Mended::Nothing) => true,
            Ok(Mended::Dropped(index)) => {
                (self.on_event)(&Event::Mended { file, index: &index, dropped: true });
                true
            }
            Ok(Mended::There(index)) => {
                (self.on_event)(&Event::Mended { file, index: &index, dropped: false });
                false
            }
            Err(failure) => {
                // Where this fails too the connection is gone, and its settings with it.
                let _restored = self.session.batch(&self.look.restore()).await;
                return Err(diagnose::told(failure, &self.progress()));
            }
        };
        let text = &file.source().text[sql::bom(file.source())..];
        let ran = if runs { self.session.batch_counting(text).await } else { Ok(0) };
        if let Err(error) = ran {
            let failure = self.diagnose(file, script, error, &nothing);
            let invalid = match self.session.batch(&self.look.restore()).await {
                Ok(()) => invalid_indexes(self.session).await.unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            return Err(diagnose::outside(failure, &invalid));
        }
        let record = format!("{}{insert}", self.look.restore());
        self.session.batch(&record).await.map_err(|error| {
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

/// Sessions of this database that hold locks on tables in an open transaction: whom the file may have waited for. Those
/// on tables that `statement` names, or all where there is none such. (`pg_blocking_pids` answers only while the waiting
/// goes on, and this connection is the one that waits.)
pub(crate) async fn table_holders(session: &Session, statement: &str) -> Result<Vec<Holder>, Failure> {
    let rows = session
        .text_rows(&format!(
            "SELECT a.pid::text, a.application_name, a.state, \
               greatest(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::bigint::text, \
               bool_or(strpos(lower({}), lower(c.relname)) > 0)::text \
             FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_locks l ON l.pid = a.pid AND l.granted \
               AND l.locktype = 'relation' AND l.relation >= 16384 \
             JOIN pg_catalog.pg_class c ON c.oid = l.relation \
             WHERE a.pid <> pg_catalog.pg_backend_pid() AND a.datname = current_database() \
             GROUP BY 1, 2, 3, a.xact_start ORDER BY a.xact_start",
            quote::literal(statement)
        ))
        .await
        .map_err(|error| error.into_failure("cannot see who holds the table's lock"))?;
    let is_named = |row: &Vec<Option<String>>| row.get(4).is_some_and(|named| named.as_deref() == Some("true"));
    let named: Vec<_> = rows.iter().filter(|row| is_named(row)).cloned().collect();
    Ok(lock::holders(if named.is_empty() { &rows } else { &named }))
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
