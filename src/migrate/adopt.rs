//! The transaction of `migrate --adopt --apply`: a reviewed file, what is checked around it, and the history, all or
//! nothing.

use crate::db::session::Session;
use crate::migrate::apply::{ApplyOptions, Event};
use crate::migrate::blockers::{Blockers, table_holders};
use crate::migrate::diagnose::{self, Prefix, Progress};
use crate::migrate::file::MigrationFile;
use crate::migrate::history::{self, Look, Server};
use crate::migrate::sql::{self, Script};
use crate::migrate::{lock, runner};
use crate::model::failure::{Failure, FailureKind};
use crate::model::source::{Place, SourceFile};
use rand::Rng;
use std::time::{Duration, Instant};

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Looks at a database that is about to be adopted, in a read-only transaction.
///
/// # Errors
/// Usage: it has a history, so it is adopted already. The server's.
pub async fn without_history(session: &Session, files: &[MigrationFile]) -> Result<Server, Failure> {
    let look = history::look(session).await?;
    refuse_history(&look, files)?;
    Ok(look.server)
}

/// Runs `source` and records all `files` as applied, in one transaction under the migration lock. `before` runs in the
/// transaction ahead of the file, and what it gives is handed to `after`, which runs once file and history are written:
/// only where it says so is anything committed. All of it is tried again, for as long as `options.lock_wait` allows,
/// where a table's lock was not had. Gives whether it was committed: `after`'s answer.
///
/// # Errors
/// Usage: the database has a history, or the file holds what must not stand in one. Lock: the migration lock or a
/// table's was not had in time. Connection: read-only, not enough rights. Migration: the file failed, with its place.
/// What `before` and `after` fail with. After every one of them the database is as it was.
pub async fn adopt<T>(
    session: &Session,
    files: &[MigrationFile],
    source: &SourceFile,
    options: &ApplyOptions,
    on_event: &mut (dyn FnMut(&Event<'_>) + Send),
    before: impl AsyncFn(&Session) -> Result<T, Failure>,
    after: impl AsyncFn(&Session, T) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    let script = sql::parse(source);
    sql::check(source, &script)?;
    refuse_outside(source, &script)?;
    let look = history::look(session).await?;
    refuse_history(&look, files)?;
    on_event(&Event::Looked { server: &look.server, applied: 0, pending: files.len() });
    look.server.refuse_read_only(|failure| failure.note("nothing was changed"))?;
    let look = lock::acquire(session, options.lock_wait, &options.stop, on_event).await?;
    let done = async {
        refuse_history(&look, files)?;
        let files: Vec<&MigrationFile> = files.iter().collect();
        let (table, mut history) = runner::records(&files).await?;
        history.splice(0..0, look.creation(&table));
        let attempt = Attempt { session, look: &look, source, script: &script, history: &history.join(";\n"), options };
        let started = Instant::now();
        for tries in 1.. {
            match attempt.run(&before, &after).await {
                Err(failure) if failure.kind() == FailureKind::Lock => {
                    if started.elapsed() >= options.lock_wait {
                        let blockers = Blockers { named: false, holders: table_holders(session, "").await? };
                        return Err(diagnose::blocked(failure.note("nothing was changed"), &blockers));
                    }
                }
                done => return done,
            }
            tracing::info!(tries, "a table's lock was not had; all was rolled back and is tried again");
            let most = Duration::from_millis(250).saturating_mul(1 << tries.min(6)).min(LONGEST_PAUSE);
            let pause = most.mul_f64(rand::rng().random_range(0.0..1.0));
            tokio::time::sleep(pause).await;
        }
        Ok(false)
    }
    .await;
    lock::release(session).await;
    done
}

/// What one try needs.
struct Attempt<'a> {
    session: &'a Session,
    look: &'a Look,
    source: &'a SourceFile,
    script: &'a Script,
    /// The statements that make and fill the history table.
    history: &'a str,
    options: &'a ApplyOptions,
}

impl Attempt<'_> {
    async fn run<T>(
        &self,
        before: &impl AsyncFn(&Session) -> Result<T, Failure>,
        after: &impl AsyncFn(&Session, T) -> Result<bool, Failure>,
    ) -> Result<bool, Failure> {
        let begin = self.look.begin(self.options.lock_timeout, self.options.statement_timeout).join(";\n");
        let done = async {
            self.batch(&begin, "the adoption could not begin").await?;
            let kept = before(self.session).await?;
            let text = &self.source.text[sql::bom(self.source)..];
            self.session.batch_counting(text).await.map_err(|error| {
                let progress = Progress { applied: &[], waiting: Vec::new() };
                let show_detail = self.options.show_detail;
                // Of the rows: a value that does not fit, or a rule that is broken.
                let rows = ["22", "23"].iter().any(|class| error.error.code.starts_with(class));
                let failure =
                    diagnose::diagnose(self.source, self.script, error, &Prefix::new(&[]), &progress, show_detail);
                let help = "`chartchek-db migrate --adopt` counts the rows in the way, and lists their keys";
                if rows { failure.help(help) } else { failure }
            })?;
            // A deferred constraint would only fail at the COMMIT, after all checks.
            let record = format!("SET CONSTRAINTS ALL IMMEDIATE; {}{}", self.look.restore(), self.history);
            self.batch(&record, "the history was not written").await?;
            after(self.session, kept).await
        }
        .await;
        if matches!(done, Ok(true)) {
            let committed = self.batch("COMMIT", "the adoption was not committed").await;
            return committed.map(|()| true).map_err(|failure| {
                failure.note("it is either whole or not there at all").help("`chartchek-db status` tells which")
            });
        }
        // Where this fails too the connection is gone, and the transaction with it.
        let _rolled_back = self.session.batch("ROLLBACK").await;
        done
    }

    async fn batch(&self, sql: &str, what: &str) -> Result<(), Failure> {
        self.session.batch(sql).await.map_err(|error| error.into_failure(what).note("nothing was changed"))
    }
}

fn refuse_history(look: &Look, files: &[MigrationFile]) -> Result<(), Failure> {
    let Some(newest) = look.rows.as_deref().and_then(<[_]>::last) else { return Ok(()) };
    let failure = Failure::usage(format!(
        "--adopt is for a database without history, and this one's reaches version {}",
        newest.version
    ))
    .note("nothing was changed")
    .help("`chartchek-db drift --target` shows how it differs from what its migrations make");
    if files.last().is_none_or(|file| file.version() <= newest.version) {
        return Err(failure);
    }
    // `migrate` came first, and stopped at what was there already.
    Err(failure.help(format!(
        "if that is what a `migrate` left that failed on a table made by hand, take the history away, nothing else stands \
         in it, and adopt: drop table {};",
        history::TABLE
    )))
}

/// In one transaction with everything else it would fail, and later.
fn refuse_outside(source: &SourceFile, script: &Script) -> Result<(), Failure> {
    let Some((statement, name)) = script.statements.iter().find_map(|one| one.outside.map(|name| (one, name))) else {
        return Ok(());
    };
    let span = sql::first_line(source, &statement.span);
    Err(Failure::usage(format!("{name} cannot run in a transaction, and an adoption is one"))
        .at(Place { file: source.clone(), span, label: "this one".to_owned() })
        .help("take it out; run it by itself, before or after"))
}
