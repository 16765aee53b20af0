//! Runs statements as someone, each in a savepoint that is rolled back, pipelined where the engine allows it, and
//! reads back what they changed, in the table that they name and wherever else something was written.

pub(crate) mod elsewhere;

use crate::db::catalog;
use crate::db::error::DbError;
use crate::db::impersonate;
use crate::db::session::{Prepared, Session, StatementResult};
use crate::model::access::{Command, Standing as RowStanding};
use crate::model::failure::Failure;
use crate::verify::form::{Route, Who};
use crate::verify::persona::Persona;
use crate::verify::world::Sight;
use crate::verify::world::build::{ReadBack, Reader, parse_read_back, take_emptied};
use elsewhere::{Counter, Counts, Group, Watch, groups};
use futures::StreamExt;
use futures::future::{join_all, try_join_all};
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
    pub(crate) command: Command,
    pub(crate) sql: String,
    pub(crate) route: Route,
    /// The table to read back, and the persona to whom its rows then stand.
    pub(crate) reads_back: Option<(usize, usize)>,
    /// A query for the keys of the rows that then hold the value which the statement gives to a column.
    pub(crate) holders: Option<String>,
}

/// What a statement changed in a table that was read back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Rows that exist in a new version, existing before or not: key and how they stand now.
    pub(crate) written: BTreeMap<String, RowStanding>,
    /// Rows that are gone.
    pub(crate) gone: BTreeSet<String>,
}

impl Changes {
    /// From what was read back; `None` where the standing of a row that changed is missing.
    pub(crate) fn since(before: &Sight, rows: Vec<ReadBack>) -> Option<Self> {
        let mut changes = Self::default();
        let mut present = BTreeSet::new();
        for row in rows {
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

/// What came of a trial.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) result: Result<StatementResult, DbError>,
    /// `None` where nothing was read back.
    pub(crate) changes: Option<Changes>,
    /// The keys of the rows that hold the given value; `None` where that was not asked.
    pub(crate) holding: Option<BTreeSet<String>>,
    /// The tables that TRUNCATE emptied, by subject.
    pub(crate) emptied: BTreeSet<usize>,
    /// What changed in tables that the statement does not name, by subject.
    pub(crate) elsewhere: BTreeMap<usize, Changes>,
}

/// The session and everything that stands in it while a world is tried.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) personas: &'a [Persona],
    pub(crate) reader: Reader<'a>,
    pub(crate) read_backs: &'a BTreeMap<(usize, usize), Prepared>,
    /// The trials that are sent as a COPY, by their SQL.
    pub(crate) copies: &'a BTreeMap<String, Prepared>,
    /// Tells which tables are written; `None` where the server does not count.
    pub(crate) counter: Option<&'a Counter>,
    /// One message at a time, and nothing sent after an error: for an engine on which errors are dear.
    pub(crate) stepwise: bool,
}

/// A step of a run, done.
enum Done<'g> {
    Tried(Box<Observed>),
    /// `None` where the connection is lost.
    Counted(&'g Group, Option<Counts>),
}

/// What was read after a statement: the table that it names, who holds the given value, and other tables.
type Read = (Vec<Option<String>>, Option<BTreeSet<String>>, Vec<Vec<Option<String>>>);

impl<'a> Stage<'a> {
    fn session(&self) -> &'a Session {
        self.reader.session
    }

    /// Runs trials in order. Stops early, giving fewer results than there were trials, where `errors_allowed` is used
    /// up or the connection is lost.
    pub(crate) async fn run(&self, trials: &[Trial], errors_allowed: Option<usize>) -> Vec<Observed> {
        let Some(before) = self.count().await else { return Vec::new() };
        let mut watch = Watch::new(before);
        let groups = groups(trials);
        let mut observed: Vec<Observed> = Vec::with_capacity(trials.len());
        let mut errors = 0;
        let mut intact = true;
        let steps = groups.iter().flat_map(|group| {
            let trials = group.trials.clone().map(move |index| (Some(index), group));
            trials.chain(group.subject.map(move |_| (None, group)))
        });
        let steps = steps.map(|(index, group)| async move {
            match index {
                Some(index) => {
                    let trial = &trials[index];
                    // Where the one before was theirs too, a savepoint has all that makes them who they are; to count
                    // takes it away.
                    let goes_on = index > group.trials.start && trials[index - 1].who == trial.who;
                    Done::Tried(Box::new(self.one(trial, goes_on, &[]).await))
                }
                None => Done::Counted(group, self.count().await),
            }
        });
        let mut stream = futures::stream::iter(steps).buffered(if self.stepwise { 1 } else { IN_FLIGHT });
        loop {
            match tokio::time::timeout(DEADLINE, stream.next()).await {
                Ok(None) => break,
                Ok(Some(Done::Tried(result))) if !lost(&result) => {
                    errors += usize::from(result.result.is_err());
                    watch.emptied(observed.len(), &trials[observed.len()], &result.emptied);
                    observed.push(*result);
                    if errors_allowed.is_some_and(|allowed| errors >= allowed) {
                        break;
                    }
                }
                Ok(Some(Done::Counted(group, Some(after)))) => watch.counted(group, observed.len(), after),
                Ok(Some(_)) | Err(_) => {
                    intact = false;
                    break;
                }
            }
        }
        drop(stream);
        if let Some(open) = watch.open(&groups, observed.len()) {
            match if intact { self.count().await } else { None } {
                Some(after) => watch.counted(open, observed.len(), after),
                None => observed.truncate(open.trials.start),
            }
        }
        if intact {
            self.look_elsewhere(trials, &mut observed, &watch.again).await;
        } else if let Some(first) = watch.again.keys().next() {
            observed.truncate(*first);
        }
        observed
    }

    async fn count(&self) -> Option<Counts> {
        match self.counter {
            Some(counter) => counter.count(self.session(), self.stepwise).await,
            None => Some(Counts::default()),
        }
    }

    /// Makes trials again after which other tables were found written, and reads those back. What failed left nothing,
    /// and what a trusted actor does anywhere is promised. Where the connection is lost, so are the results from the
    /// first that is not known.
    async fn look_elsewhere(
        &self,
        trials: &[Trial],
        observed: &mut Vec<Observed>,
        again: &BTreeMap<usize, BTreeSet<usize>>,
    ) {
        let tried = again.iter().filter_map(|(&index, moved)| match (trials[index].who, observed.get(index)?) {
            (Who::Persona(persona), Observed { result: Ok(_), changes: Some(_), .. })
                if !self.personas[persona].actor.bypasses_rls =>
            {
                Some((index, moved.iter().map(|&subject| (subject, persona)).collect::<Vec<_>>()))
            }
            _ => None,
        });
        let tried: Vec<(usize, Vec<(usize, usize)>)> = tried.collect();
        let Some((first, _)) = tried.first() else { return };
        let pairs: BTreeSet<(usize, usize)> = tried.iter().flat_map(|(_, pairs)| pairs.iter().copied()).collect();
        let back = self.session().batch("ROLLBACK TO SAVEPOINT attempt").await;
        let prepared = match back {
            Ok(()) => self.reader.prepare(&pairs).await.ok(),
            Err(_) => None,
        };
        let Some(prepared) = prepared else { return observed.truncate(*first) };
        let looks = tried.iter().map(|(index, pairs)| {
            let also: Vec<_> = pairs.iter().filter_map(|pair| Some((*pair, prepared.get(pair)?))).collect();
            async move { (*index, self.one(&trials[*index], false, &also).await) }
        });
        let mut stream = futures::stream::iter(looks).buffered(if self.stepwise { 1 } else { IN_FLIGHT });
        for (expected, _) in &tried {
            match tokio::time::timeout(DEADLINE, stream.next()).await {
                Ok(Some((index, looked))) if !lost(&looked) => observed[index].elsewhere = looked.elsewhere,
                _ => return observed.truncate(*expected),
            }
        }
    }

    /// One trial, and what it changed in the table that it names and in those of `also`. All its messages are sent at
    /// its first poll, in order, so that trials polled together are pipelined.
    /// `goes_on` where the trial before this one was the same person's.
    async fn one(&self, trial: &Trial, goes_on: bool, also: &[((usize, usize), &Prepared)]) -> Observed {
        let become_sql = match trial.who {
            _ if goes_on => BACK.to_owned(),
            Who::Persona(persona) => becoming(&self.personas[persona].become_sql),
            Who::Privileged(persona) => becoming(&impersonate::claims_only(&self.personas[persona].claims)),
        };
        // Deferred constraints and triggers fire as the actor, before the outcome is read.
        let after = "SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL ROLE NONE; SET LOCAL row_security = off";
        let read_back = trial.reads_back.and_then(|pair| self.read_backs.get(&pair).map(|prepared| (pair, prepared)));
        let (first, undo) = match &trial.route {
            Route::After { first, undo } => (Some(first.as_str()), undo.map(|sql| format!("{BACK}; {sql}"))),
            Route::Plain | Route::Copy => (None, None),
        };
        let session = self.session();
        let (became, result, deferred, read) = if self.stepwise {
            let became = session.batch(&become_sql).await;
            let result = match self.optional(first).await {
                Ok(()) => self.statement(trial).await,
                Err(error) => Err(error),
            };
            let (deferred, read) = match (&result, read_back) {
                (Ok(_), Some((_, prepared))) => {
                    let deferred = session.batch(after).await;
                    let read = if deferred.is_ok() { Some(self.read(trial, prepared, also).await) } else { None };
                    (deferred, read)
                }
                _ => (Ok(()), None),
            };
            let _undone = self.optional(undo.as_deref()).await;
            (became, result, deferred, read)
        } else if let Some((_, prepared)) = read_back {
            let (became, prelude, result, deferred, read, _undone) = futures::join!(
                session.batch(&become_sql),
                self.optional(first),
                self.statement(trial),
                session.batch(after),
                self.read(trial, prepared, also),
                self.optional(undo.as_deref()),
            );
            (became, prelude.and(result), deferred, Some(read))
        } else {
            let (became, prelude, result, _undone) = futures::join!(
                session.batch(&become_sql),
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
            Err(error) => Err(impersonate::not_impersonated(error)),
        };
        let nothing = |result| Observed {
            result,
            changes: None,
            holding: None,
            emptied: BTreeSet::new(),
            elsewhere: BTreeMap::new(),
        };
        match (result, read_back, read) {
            (Ok(result), Some((pair, _)), Some(Ok((mut rows, holding, others)))) => {
                let emptied = take_emptied(&mut rows);
                let others =
                    also.iter().zip(others).map(|((pair, _), rows)| Some((pair.0, self.changes(*pair, rows)?)));
                match (self.changes(pair, rows), others.collect::<Option<BTreeMap<_, _>>>()) {
                    (Some(changes), Some(elsewhere)) => {
                        Observed { result: Ok(result), changes: Some(changes), holding, emptied, elsewhere }
                    }
                    _ => nothing(Err(unreadable())),
                }
            }
            (Ok(_), Some(_), Some(Err(error))) => nothing(Err(error)),
            (result, _, _) => nothing(result),
        }
    }

    async fn statement(&self, trial: &Trial) -> Result<StatementResult, DbError> {
        match &trial.route {
            Route::Plain | Route::After { .. } => self.session().statement(&trial.sql).await,
            Route::Copy => match self.copies.get(&trial.sql) {
                Some(prepared) => self.session().copy_out(prepared).await,
                None => Err(unreadable()),
            },
        }
    }

    async fn optional(&self, sql: Option<&str>) -> Result<(), DbError> {
        match sql {
            Some(sql) => self.session().batch(sql).await,
            None => Ok(()),
        }
    }

    async fn read(&self, trial: &Trial, own: &Prepared, also: &[((usize, usize), &Prepared)]) -> Result<Read, DbError> {
        let session = self.session();
        let holding = async {
            match &trial.holders {
                None => Ok(None),
                Some(sql) => session.statement(sql).await.map(Some),
            }
        };
        let others = also.iter().map(|(_, prepared)| session.run(prepared));
        let (rows, holding, others) = if self.stepwise {
            let (rows, holding) = (session.run(own).await?, holding.await?);
            let mut all = Vec::with_capacity(also.len());
            for other in others {
                all.push(other.await);
            }
            (rows, holding, all)
        } else {
            let (rows, holding, others) = futures::join!(session.run(own), holding, join_all(others));
            (rows?, holding?, others)
        };
        let others: Result<Vec<StatementResult>, DbError> = others.into_iter().collect();
        let holding = holding.map(|result| result.keys.into_iter().flatten().collect());
        Ok((rows.keys, holding, others?.into_iter().map(|result| result.keys).collect()))
    }

    fn changes(&self, (subject, persona): (usize, usize), mut rows: Vec<Option<String>>) -> Option<Changes> {
        take_emptied(&mut rows);
        Changes::since(&self.reader.standing.sights[subject][persona], parse_read_back(rows)?)
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

/// What goes back to the world and makes somebody of the session.
fn becoming(become_sql: &str) -> String {
    format!("ROLLBACK TO SAVEPOINT attempt; {become_sql}; SAVEPOINT actor")
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
