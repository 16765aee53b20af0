//! Runs statements as someone, each in a savepoint that is rolled back, pipelined where the engine allows it, and
//! reads back what they changed.

use crate::db::catalog;
use crate::db::error::DbError;
use crate::db::impersonate;
use crate::db::session::{Prepared, Session, StatementResult};
use crate::model::access::Standing as RowStanding;
use crate::model::failure::Failure;
use crate::verify::form::{Route, Who};
use crate::verify::persona::Persona;
use crate::verify::world::build::{Standing, parse_read_back};
use futures::StreamExt;
use futures::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many trials are under way at once: enough to hide 40 ms of round trip, few enough to keep memory small.
const IN_FLIGHT: usize = 200;

/// How long one trial may take before its connection is given up. Servers have their own, shorter timeouts; the
/// embedded engine has none.
const DEADLINE: Duration = Duration::from_secs(60);

/// What goes back to the world as it was put up.
const BACK: &str = "ROLLBACK TO SAVEPOINT attempt";

/// A statement to run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Trial {
    pub(crate) who: Who,
    pub(crate) sql: String,
    pub(crate) route: Route,
    /// The table to read back, and the persona to whom its rows then stand.
    pub(crate) reads_back: Option<(usize, usize)>,
}

/// What a statement changed in the table that was read back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Rows that exist in a new version, existing before or not: key and how they stand now.
    pub(crate) written: BTreeMap<String, RowStanding>,
    /// Rows that are gone.
    pub(crate) gone: BTreeSet<String>,
}

/// What came of a trial.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) result: Result<StatementResult, DbError>,
    /// `None` where nothing was read back.
    pub(crate) changes: Option<Changes>,
}

/// The session and everything that stands in it while a world is tried.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) session: &'a Session,
    pub(crate) personas: &'a [Persona],
    pub(crate) standing: &'a Standing,
    pub(crate) read_backs: &'a BTreeMap<(usize, usize), Prepared>,
    /// The trials that are sent as a COPY, by their SQL.
    pub(crate) copies: &'a BTreeMap<String, Prepared>,
    /// One message at a time, and nothing sent after an error: for an engine on which errors are dear.
    pub(crate) stepwise: bool,
}

impl Stage<'_> {
    /// Runs trials in order. Stops early, giving fewer results than there were trials, where `errors_allowed` is used
    /// up or the connection is lost.
    pub(crate) async fn run(&self, trials: &[Trial], errors_allowed: Option<usize>) -> Vec<Observed> {
        let mut observed = Vec::with_capacity(trials.len());
        if !self.stepwise {
            let mut stream = futures::stream::iter(trials.iter().map(|trial| self.one(trial))).buffered(IN_FLIGHT);
            while let Ok(Some(result)) = tokio::time::timeout(DEADLINE, stream.next()).await {
                if lost(&result) {
                    break;
                }
                observed.push(result);
            }
            return observed;
        }
        let mut errors = 0;
        for trial in trials {
            let Ok(result) = tokio::time::timeout(DEADLINE, self.one(trial)).await else { break };
            if lost(&result) {
                break;
            }
            errors += usize::from(result.result.is_err());
            observed.push(result);
            if errors_allowed.is_some_and(|allowed| errors >= allowed) {
                break;
            }
        }
        observed
    }

    /// One trial. All its messages are sent at its first poll, in order, so that trials polled together are pipelined.
    async fn one(&self, trial: &Trial) -> Observed {
        let become_sql = match trial.who {
            Who::Persona(persona) => self.personas[persona].become_sql.clone(),
            Who::Privileged(persona) => impersonate::claims_only(&self.personas[persona].claims),
        };
        let become_sql = format!("{BACK}; {become_sql}");
        // Deferred constraints and triggers fire as the actor, before the outcome is read.
        let after = "SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL ROLE NONE; SET LOCAL row_security = off";
        let read_back = trial.reads_back.and_then(|pair| self.read_backs.get(&pair).map(|prepared| (pair, prepared)));
        let (first, undo) = match &trial.route {
            Route::After { first, undo } => (Some(first.as_str()), undo.map(|sql| format!("{BACK}; {sql}"))),
            Route::Plain | Route::Copy => (None, None),
        };
        let (became, result, deferred, rows) = if self.stepwise {
            let became = self.session.batch(&become_sql).await;
            let result = match self.optional(first).await {
                Ok(()) => self.statement(trial).await,
                Err(error) => Err(error),
            };
            let (deferred, rows) = match (&result, read_back) {
                (Ok(_), Some((_, prepared))) => {
                    let deferred = self.session.batch(after).await;
                    let rows = if deferred.is_ok() { Some(self.session.run(prepared).await) } else { None };
                    (deferred, rows)
                }
                _ => (Ok(()), None),
            };
            let _undone = self.optional(undo.as_deref()).await;
            (became, result, deferred, rows)
        } else if let Some((_, prepared)) = read_back {
            let (became, prelude, result, deferred, rows, _undone) = futures::join!(
                self.session.batch(&become_sql),
                self.optional(first),
                self.statement(trial),
                self.session.batch(after),
                self.session.run(prepared),
                self.optional(undo.as_deref()),
            );
            (became, prelude.and(result), deferred, Some(rows))
        } else {
            let (became, prelude, result, _undone) = futures::join!(
                self.session.batch(&become_sql),
                self.optional(first),
                self.statement(trial),
                self.optional(undo.as_deref()),
            );
            (became, prelude.and(result), Ok(()), None)
        };
        // Whatever failed first is what came of it: to become someone, the statement, what was deferred. A refusal to
        // become someone says nothing of the statement, so it must not read as a refusal of it.
        let result = match became {
            Ok(()) => match (result, deferred) {
                (Ok(_), Err(error)) => Err(error),
                (result, _) => result,
            },
            Err(error) if error.is_connection() => Err(error),
            Err(error) => {
                Err(DbError { message: format!("the actor could not be impersonated: {error}"), ..unreadable() })
            }
        };
        let (result, changes) = match (result, read_back, rows) {
            (Ok(result), Some((pair, _)), Some(Ok(rows))) => match self.changes(pair, rows.keys) {
                Some(changes) => (Ok(result), Some(changes)),
                None => (Err(unreadable()), None),
            },
            (Ok(_), Some(_), Some(Err(error))) => (Err(error), None),
            (result, _, _) => (result, None),
        };
        Observed { result, changes }
    }

    async fn statement(&self, trial: &Trial) -> Result<StatementResult, DbError> {
        match &trial.route {
            Route::Plain | Route::After { .. } => self.session.statement(&trial.sql).await,
            Route::Copy => match self.copies.get(&trial.sql) {
                Some(prepared) => self.session.copy_out(prepared).await,
                None => Err(unreadable()),
            },
        }
    }

    async fn optional(&self, sql: Option<&str>) -> Result<(), DbError> {
        match sql {
            Some(sql) => self.session.batch(sql).await,
            None => Ok(()),
        }
    }

    fn changes(&self, (subject, persona): (usize, usize), rows: Vec<Option<String>>) -> Option<Changes> {
        let before = &self.standing.sights[subject][persona];
        let mut changes = Changes::default();
        let mut present = BTreeSet::new();
        for row in parse_read_back(rows)? {
            let unchanged = before.get(&row.key).is_some_and(|seen| seen.locator == row.locator);
            if !unchanged {
                changes.written.insert(row.key.clone(), row.standing?);
            }
            present.insert(row.key);
        }
        changes.gone = before.keys().filter(|key| !present.contains(*key)).cloned().collect();
        Some(changes)
    }
}

/// Prepares the COPY statements among the trials, so that each is run in one message.
///
/// # Errors
/// The first error of the server.
pub(crate) async fn prepare_copies(session: &Session, trials: &[Trial]) -> Result<BTreeMap<String, Prepared>, Failure> {
    let copies: BTreeSet<&String> =
        trials.iter().filter(|trial| trial.route == Route::Copy).map(|trial| &trial.sql).collect();
    let prepared = try_join_all(copies.iter().map(|sql| session.prepare(sql)))
        .await
        .map_err(|error| error.into_failure("a COPY could not be prepared"))?;
    Ok(copies.into_iter().cloned().zip(prepared).collect())
}

fn lost(observed: &Observed) -> bool {
    observed.result.as_ref().is_err_and(DbError::is_connection)
}

fn unreadable() -> DbError {
    DbError {
        code: "XX000".to_owned(),
        message: "what was read back was not understood".to_owned(),
        ..DbError::default()
    }
}

/// Opens the transaction in which everything happens; the caller never commits it.
///
/// # Errors
/// Where the server refuses.
pub(crate) async fn begin(session: &Session, repeatable: bool) -> Result<(), Failure> {
    let isolation = if repeatable { "REPEATABLE READ" } else { "READ COMMITTED" };
    session
        .batch(&format!(
            "BEGIN ISOLATION LEVEL {isolation} READ WRITE; SET LOCAL lock_timeout = '3s'; \
             SET LOCAL statement_timeout = '30s'; {}; SET LOCAL row_security = off; SAVEPOINT world",
            catalog::NOT_COMPILED
        ))
        .await
        .map_err(|error| error.into_failure("the verification's transaction did not start"))
}
