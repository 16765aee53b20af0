//! Runs statements as someone, each in a savepoint that is rolled back, pipelined where the engine allows it, and
//! reads back what they changed.

use crate::db::catalog;
use crate::db::error::DbError;
use crate::db::impersonate;
use crate::db::session::{Prepared, Session, StatementResult};
use crate::model::access::Standing as RowStanding;
use crate::model::failure::Failure;
use crate::verify::form::Who;
use crate::verify::persona::Persona;
use crate::verify::world::build::{Standing, parse_read_back};
use futures::StreamExt;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many trials are under way at once: enough to hide 40 ms of round trip, few enough to keep memory small.
const IN_FLIGHT: usize = 200;

/// How long one trial may take before its connection is given up. Servers have their own, shorter timeouts; the
/// embedded engine has none.
const DEADLINE: Duration = Duration::from_secs(60);

/// What goes back to the world as it was put up, with the actor being who they are.
const BACK: &str = "ROLLBACK TO SAVEPOINT actor";

/// A statement to run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Trial {
    pub(crate) who: Who,
    pub(crate) sql: String,
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
    /// One message at a time, and nothing sent after an error: for an engine on which errors are dear.
    pub(crate) stepwise: bool,
}

impl Stage<'_> {
    /// Runs trials in order. Stops early, giving fewer results than there were trials, where `errors_allowed` is used
    /// up or the connection is lost.
    pub(crate) async fn run(&self, trials: &[Trial], errors_allowed: Option<usize>) -> Vec<Observed> {
        let mut observed = Vec::with_capacity(trials.len());
        if !self.stepwise {
            let all = (0..trials.len()).map(|index| self.one(trials, index));
            let mut stream = futures::stream::iter(all).buffered(IN_FLIGHT);
            while let Ok(Some(result)) = tokio::time::timeout(DEADLINE, stream.next()).await {
                if lost(&result) {
                    break;
                }
                observed.push(result);
            }
            return observed;
        }
        let mut errors = 0;
        for index in 0..trials.len() {
            let Ok(result) = tokio::time::timeout(DEADLINE, self.one(trials, index)).await else { break };
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

    /// What goes back to the world and becomes who runs the trial: where that is who ran the one before, a savepoint
    /// has it all.
    fn begin(&self, trials: &[Trial], index: usize) -> Cow<'static, str> {
        let who = trials[index].who;
        if index.checked_sub(1).is_some_and(|before| trials[before].who == who) {
            return BACK.into();
        }
        let become_sql = match who {
            Who::Persona(persona) => self.personas[persona].become_sql.clone(),
            Who::Privileged(persona) => impersonate::claims_only(&self.personas[persona].claims),
        };
        format!("ROLLBACK TO SAVEPOINT attempt; {become_sql}; SAVEPOINT actor").into()
    }

    /// One trial. All its messages are sent at its first poll, in order, so that trials polled together are pipelined.
    async fn one(&self, trials: &[Trial], index: usize) -> Observed {
        let (trial, become_sql) = (&trials[index], self.begin(trials, index));
        // Deferred constraints and triggers fire as the actor, before the outcome is read.
        let after = "SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL ROLE NONE; SET LOCAL row_security = off";
        let read_back = trial.reads_back.and_then(|pair| self.read_backs.get(&pair).map(|prepared| (pair, prepared)));
        let (became, result, deferred, rows) = if self.stepwise {
            let became = self.session.batch(&become_sql).await;
            let result = self.session.statement(&trial.sql).await;
            match (&result, read_back) {
                (Ok(_), Some((_, prepared))) => {
                    let deferred = self.session.batch(after).await;
                    let rows = if deferred.is_ok() { Some(self.session.run(prepared).await) } else { None };
                    (became, result, deferred, rows)
                }
                _ => (became, result, Ok(()), None),
            }
        } else if let Some((_, prepared)) = read_back {
            let (became, result, deferred, rows) = futures::join!(
                self.session.batch(&become_sql),
                self.session.statement(&trial.sql),
                self.session.batch(after),
                self.session.run(prepared),
            );
            (became, result, deferred, Some(rows))
        } else {
            let (became, result) = futures::join!(self.session.batch(&become_sql), self.session.statement(&trial.sql));
            (became, result, Ok(()), None)
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
