//! Where probes are made: a world in a transaction that is rolled back, and who may try what in it.

use super::functions::Function;
use super::policies::Policy;
use crate::db::catalog;
use crate::db::error::DbError;
use crate::db::impersonate;
use crate::db::session::{Session, StatementResult};
use crate::db::sqlstate;
use crate::model::access::{Command, Standing as RowStanding};
use crate::model::catalog::Table;
use crate::model::failure::Failure;
use crate::verify::form::{Scene, Who};
use crate::verify::persona::Persona;
use crate::verify::repro;
use crate::verify::stray::Stray;
use crate::verify::world::build::Standing;
use crate::verify::world::rows::Maker;
use crate::verify::world::{Row, Setting, Subject, World};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::OnceCell;

/// How many scripts are under way at once.
const IN_FLIGHT: usize = 50;

/// How long one script may take before the connection is given up.
const DEADLINE: Duration = Duration::from_secs(60);

/// A statement, and who runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) who: Who,
    pub(crate) sql: String,
}

impl Step {
    /// As that persona.
    pub(crate) fn by(persona: usize, sql: impl Into<String>) -> Self {
        Self { who: Who::Persona(persona), sql: sql.into() }
    }

    /// As the session's own role, which bypasses RLS, with the claims of that persona.
    pub(crate) fn privileged(claims_of: usize, sql: impl Into<String>) -> Self {
        Self { who: Who::Privileged(claims_of), sql: sql.into() }
    }
}

/// What each step of a script came to. After the first error the others did not run (25P02).
pub(crate) type Results = Vec<Result<StatementResult, DbError>>;

/// The world of all-different rows, in the database, and everything that is known of it.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) session: &'a Session,
    pub(crate) setting: Setting<'a>,
    pub(crate) maker: &'a Maker<'a>,
    pub(crate) world: &'a World,
    pub(crate) standing: &'a Standing,
    /// For each subject whether it was read as a whole; always, but on large tables of a target.
    pub(crate) whole: &'a [bool],
    /// The user's own database: no DDL, nothing that waits, no statement without WHERE on a table that is not `whole`.
    pub(crate) target: bool,
    /// One message at a time, and nothing sent after an error.
    pub(crate) stepwise: bool,
    /// What this world's attempts changed elsewhere, without a promise.
    pub(crate) strays: &'a [Stray],
    pub(crate) known: Known,
}

/// What several probes ask of the catalogue, read once, by the first of them.
#[derive(Debug, Default)]
pub(crate) struct Known {
    functions: OnceCell<Vec<Function>>,
    policies: OnceCell<Vec<Policy>>,
}

impl<'a> Site<'a> {
    /// Those who [knock](Persona::knocks): indices of personas.
    pub(crate) fn knockers(&self) -> impl Iterator<Item = usize> + use<'a> {
        let personas = self.setting.personas;
        (0..personas.len()).filter(move |&index| personas[index].knocks())
    }

    /// One persona that tries for each database role of those who are not trusted.
    pub(crate) fn roles(&self) -> Vec<usize> {
        let mut roles: Vec<usize> = Vec::new();
        for index in self.knockers() {
            let role = &self.persona(index).actor.role;
            if roles.iter().all(|known| self.persona(*known).actor.role != *role) {
                roles.push(index);
            }
        }
        roles
    }

    /// The persona of that index.
    pub(crate) fn persona(&self, index: usize) -> &'a Persona {
        &self.setting.personas[index]
    }

    /// The table of a subject.
    pub(crate) fn table(&self, subject: usize) -> &'a Table {
        &self.setting.subjects[subject].table
    }

    /// The tables that are verified.
    pub(crate) fn subjects(&self) -> &'a [Subject] {
        self.setting.subjects
    }

    /// One table as one persona: its rows by standing, their keys, promises and statements' parts.
    pub(crate) fn scene(&self, subject: usize, persona: usize) -> Scene<'a> {
        Scene {
            contract: self.setting.contract,
            maker: self.maker,
            world: self.world,
            keys: &self.standing.keys,
            sights: &self.standing.sights[subject],
            subject,
            persona,
            whole: self.whole[subject],
            truncates: !self.target,
        }
    }

    /// The world's rows of a table that stand so to a persona, with their keys.
    pub(crate) fn rows(&self, subject: usize, persona: usize, standing: RowStanding) -> Vec<(&'a Row, &'a str)> {
        self.scene(subject, persona).rows(standing)
    }

    /// Whether rows of the world's are hidden from that persona, by the contract.
    pub(crate) fn hides(&self, subject: usize, persona: usize) -> bool {
        let scene = self.scene(subject, persona);
        RowStanding::ALL
            .into_iter()
            .any(|standing| !scene.promised(standing, Command::Select) && !scene.rows(standing).is_empty())
    }

    /// Who that is, for people.
    pub(crate) fn name(&self, who: Who) -> String {
        match who {
            Who::Persona(index) => self.persona(index).name.clone(),
            Who::Privileged(index) => {
                format!("a role that bypasses RLS, with the claims of {}", self.persona(index).name)
            }
        }
    }

    /// Runs one script of at most 30 steps from the world's savepoint on; what it did is undone before the next one.
    /// Steps in a row by the same person are one request of theirs.
    pub(crate) async fn run(&self, steps: &[Step]) -> Results {
        match tokio::time::timeout(DEADLINE, self.script_results(steps)).await {
            Ok(results) => results,
            Err(_elapsed) => vec![Err(failed("57014", "no answer within 60 s")); steps.len()],
        }
    }

    /// Runs scripts, pipelined where the engine allows it; each from the world's savepoint on.
    pub(crate) async fn run_all(&self, scripts: &[Vec<Step>]) -> Vec<Results> {
        let at_once = if self.stepwise { 1 } else { IN_FLIGHT };
        futures::stream::iter(scripts.iter().map(|steps| self.run(steps))).buffered(at_once).collect().await
    }

    /// The JSON document that `sql` gives as its only row's only column, read as the session's own role; `$1` are the
    /// contract's schemas (text[]), `$2` the database roles of its untrusted actors (text[]).
    ///
    /// # Errors
    /// The server's, and where the document has another shape.
    pub(crate) async fn catalogue<T: DeserializeOwned>(&self, sql: &str) -> Result<T, Failure> {
        let begun = self.session.batch("ROLLBACK TO SAVEPOINT attempt; SET LOCAL row_security = off").await;
        begun.map_err(|error| error.into_failure("the probes' savepoint is gone"))?;
        let mut roles: Vec<String> = self.roles().iter().map(|&index| self.persona(index).actor.role.clone()).collect();
        roles.sort();
        catalog::document(self.session, sql, &self.setting.contract.schemas, &roles).await
    }

    /// Every function outside PostgreSQL's own schemas and extensions.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn functions(&self) -> Result<&[Function], Failure> {
        Ok(self.known.functions.get_or_try_init(|| self.catalogue(include_str!("functions.sql"))).await?)
    }

    /// Every policy of the contract's schemas.
    ///
    /// # Errors
    /// The server's.
    pub(crate) async fn policies(&self) -> Result<&[Policy], Failure> {
        Ok(self.known.policies.get_or_try_init(|| self.catalogue(include_str!("policies.sql"))).await?)
    }

    /// A psql script that shows what `steps` show.
    pub(crate) fn script(&self, steps: &[Step]) -> repro::Script {
        let mut before = None;
        let acts = steps.iter().map(|step| {
            let becomes = (before.replace(step.who) != Some(step.who)).then(|| match step.who {
                Who::Persona(index) => repro::Becoming::new(&self.persona(index).parameters),
                Who::Privileged(index) => {
                    repro::Becoming::new(&[(impersonate::CLAIMS.to_owned(), self.persona(index).claims.clone())])
                }
            });
            repro::Act { who: self.name(step.who), becomes, sql: step.sql.clone(), fires: true }
        });
        repro::Script::new(self.world, self.setting.subjects, acts.collect())
    }

    /// The keys of the world's rows that whoever takes the last step may not read, by the contract.
    pub(crate) fn hidden_from_last(&self, steps: &[Step]) -> BTreeSet<String> {
        let Some(Step { who: Who::Persona(persona), .. }) = steps.last() else { return BTreeSet::new() };
        let rows = self.world.rows.iter().zip(&self.standing.keys);
        rows.filter(|(row, key)| {
            let seen = self.standing.sights[row.subject][*persona].get(*key);
            seen.is_some_and(|seen| !self.scene(row.subject, *persona).promised(seen.standing, Command::Select))
        })
        .map(|(_, key)| key.clone())
        .collect()
    }

    fn become_sql(&self, who: Who) -> String {
        match who {
            Who::Persona(index) => {
                format!("SET LOCAL ROLE NONE; SET LOCAL row_security = on; {}", self.persona(index).become_sql)
            }
            Who::Privileged(index) => format!(
                "SET LOCAL ROLE NONE; SET LOCAL row_security = off; {}",
                impersonate::claims_only(&self.persona(index).claims)
            ),
        }
    }

    async fn script_results(&self, steps: &[Step]) -> Results {
        let mut pending = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            // The savepoint and the first identity in one message; who goes on stays who they are, settings and all.
            let become_sql = match index.checked_sub(1).and_then(|before| steps.get(before)) {
                None => Some(format!("ROLLBACK TO SAVEPOINT attempt; {}", self.become_sql(step.who))),
                Some(before) if before.who != step.who => Some(self.become_sql(step.who)),
                Some(_) => None,
            };
            pending.push(async move {
                let Some(become_sql) = become_sql else { return self.session.statement(&step.sql).await };
                if self.stepwise {
                    self.session.batch(&become_sql).await.map_err(impersonate::not_impersonated)?;
                    return self.session.statement(&step.sql).await;
                }
                let (became, result) =
                    futures::join!(self.session.batch(&become_sql), self.session.statement(&step.sql));
                became.map_err(impersonate::not_impersonated).and(result)
            });
        }
        if !self.stepwise {
            return futures::future::join_all(pending).await;
        }
        let mut results: Results = Vec::with_capacity(steps.len());
        for step in pending {
            if results.last().is_some_and(Result::is_err) {
                results.push(Err(failed("25P02", "a step before it failed")));
            } else {
                results.push(step.await);
            }
        }
        results
    }
}

/// Whether a right is missing, or a policy refuses.
pub(crate) fn is_refused(result: &Result<StatementResult, DbError>) -> bool {
    result.as_ref().is_err_and(|error| error.code == sqlstate::INSUFFICIENT_PRIVILEGE)
}

fn failed(code: &str, message: &str) -> DbError {
    DbError { code: code.to_owned(), message: message.to_owned(), ..DbError::default() }
}
