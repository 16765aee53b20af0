//! What was tried of what there is: tables, actors, column rules and owner paths of the contract, policies of the
//! schema. What nothing tried is a finding: nothing is known of it.

use crate::contract::validate;
use crate::db::session::Session;
use crate::db::{catalog, quote};
use crate::model::access::{Actor, Command, Contract, OwnerPath, TableName};
use crate::model::attempt::{Attempt, Outcome};
use crate::model::catalog::Catalog;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::{Coverage, NotRun, Tried};
use crate::model::source::Place;
use crate::verify::world::Subject;
use serde::Deserialize;

/// A policy of an exposed schema.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Policy {
    schema: String,
    table: String,
    name: String,
    /// `pg_policy.polcmd`: r, a, w, d, or *.
    command: char,
    /// The roles that it names.
    to: Vec<String>,
    /// The contract's actors' roles to whom it applies.
    roles: Vec<String>,
}

/// Reads the policies of the contract's schemas.
///
/// # Errors
/// The server's.
pub(crate) async fn policies(session: &Session, contract: &Contract) -> Result<Vec<Policy>, Failure> {
    let roles: Vec<String> = contract.actors.iter().map(|actor| actor.role.clone()).collect();
    catalog::document(session, include_str!("policies.sql"), &contract.schemas, &roles).await
}

/// Everything that could be tried, and what was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) catalog: &'a Catalog,
    pub(crate) subjects: &'a [Subject],
    pub(crate) policies: &'a [Policy],
    pub(crate) attempts: &'a [Attempt],
}

/// What coverage comes to.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) coverage: Coverage,
    pub(crate) findings: Vec<Finding>,
    /// Policies that hold for nobody: known, and no fault.
    pub(crate) not_tried: Vec<NotRun>,
}

/// Holds the attempts against what there is.
pub(crate) fn tell(scope: &Scope<'_>) -> Told {
    let mut told = Told::default();
    scope.tables(&mut told);
    scope.actors(&mut told);
    scope.columns(&mut told);
    scope.policies(&mut told);
    told
}

impl Scope<'_> {
    fn of<'s>(&'s self, table: &TableName) -> impl Iterator<Item = &'s Attempt> {
        let name = table.to_string();
        self.attempts.iter().filter(move |attempt| attempt.table == name)
    }

    /// Every relation of the exposed schemas, but for those that are exempted; that the contract does not know some is
    /// a finding of its own.
    fn tables(&self, told: &mut Told) {
        let tried = self.subjects.iter().filter(|subject| self.of(&subject.access.table).next().is_some()).count();
        let unknown = validate::uncovered(self.contract, self.catalog).len();
        told.coverage.tables = Tried { tried, of: self.contract.tables.len() + unknown };
        for subject in self.subjects.iter().filter(|subject| self.of(&subject.access.table).next().is_none()) {
            let table = &subject.access.table;
            told.findings.push(untried(
                "untried-table",
                format!("nothing was tried on {table}"),
                table.to_string(),
                Some(&subject.access.place),
                "no attempt came to be on any of its rows, so nothing is known of who reaches them",
                "exempt the table with a reason, or give its rows what they need",
            ));
        }
    }

    fn actors(&self, told: &mut Told) {
        let (tried, untried_actors): (Vec<&Actor>, Vec<&Actor>) = self
            .contract
            .actors
            .iter()
            .partition(|actor| self.attempts.iter().any(|attempt| attempt.actor == actor.name));
        told.coverage.actors = Tried { tried: tried.len(), of: self.contract.actors.len() };
        for actor in untried_actors {
            told.findings.push(untried(
                "untried-actor",
                format!("nothing was tried as {}", actor.name),
                actor.name.clone(),
                Some(&actor.place),
                "no attempt was made with its token, so nothing is known of what it reaches",
                "promise it something, or take the actor out of policies/access.toml",
            ));
        }
    }

    /// Columns under a rule, and those that say whose a row is where several do.
    fn columns(&self, told: &mut Told) {
        let coverage = &mut told.coverage.columns;
        for subject in self.subjects {
            let access = &subject.access;
            for (column, rule) in &access.columns {
                coverage.of += 1;
                if self.of(&access.table).any(|attempt| attempt.column.as_ref() == Some(column)) {
                    coverage.tried += 1;
                    continue;
                }
                told.findings.push(untried(
                    "untried-column",
                    format!("nothing was tried on {}.{column}, which is under a rule", access.table),
                    format!("{}.{column}", access.table),
                    Some(&rule.place),
                    "nobody who is not trusted is promised to write rows of the table that could be made",
                    "take the rule out of policies/access.toml, or promise someone to insert or update",
                ));
            }
            let paths = access.ownership.paths();
            for column in paths.iter().map(OwnerPath::column) {
                coverage.of += 1;
                // Of a single path every attempt is about it; of several those that name its column.
                let names = |attempt: &Attempt| {
                    let form = attempt.form.split('@').next().unwrap_or_default();
                    paths.len() == 1 || form.trim_end_matches("-returning").ends_with(&format!("-{column}"))
                };
                if self.of(&access.table).any(names) {
                    coverage.tried += 1;
                    continue;
                }
                told.findings.push(untried(
                    "untried-column",
                    format!("nothing was tried on {}.{column}, by which rows are owned", access.table),
                    format!("{}.{column}", access.table),
                    Some(&access.place),
                    "no row could be made that is another's by this column alone, and none given away by it",
                    "exempt the table with a reason, or give its rows what they need",
                ));
            }
        }
    }

    /// Policies of tables that were tried; the others are told of with their table.
    fn policies(&self, told: &mut Told) {
        for policy in self.policies {
            let table = TableName { schema: policy.schema.clone(), name: policy.table.clone() };
            if !self.subjects.iter().any(|subject| subject.access.table == table) {
                continue;
            }
            told.coverage.policies.of += 1;
            let trusted =
                |role: &&String| self.contract.actors.iter().any(|actor| actor.role == **role && actor.bypasses_rls);
            let (bypassing, knocking): (Vec<&String>, Vec<&String>) = policy.roles.iter().partition(trusted);
            if self.of(&table).any(|attempt| policy.is_asked(attempt, &knocking, self.contract)) {
                told.coverage.policies.tried += 1;
                continue;
            }
            let object = format!("policy {table}.{}", policy.name);
            let roles = policy.to.join(", ");
            let command = policy.word();
            if knocking.is_empty() && !bypassing.is_empty() {
                let why = format!("it is for {roles} alone, which bypasses RLS: no policy is asked");
                told.not_tried.push(NotRun { what: object, why });
                continue;
            }
            let why = if knocking.is_empty() {
                format!("it is for {roles}, and no actor of the contract has such a role")
            } else {
                format!("it is for {command}, and {roles} has no right to do that on {table}")
            };
            let drop = format!("DROP POLICY {} ON {}", quote::readable_identifier(&policy.name), quote::table(&table));
            told.findings.push(untried(
                "untried-policy",
                format!("no attempt could have asked {object}, for {command} to {roles}"),
                object,
                None,
                &why,
                &format!("{drop}; or name an actor with such a role in policies/access.toml, or grant what it is for"),
            ));
        }
    }
}

impl Policy {
    fn word(&self) -> &'static str {
        match self.command {
            'r' => "select",
            'a' => "insert",
            'w' => "update",
            'd' => "delete",
            _ => "all",
        }
    }

    /// Whether the server had to ask it for that attempt: not where a right was missing.
    fn is_asked(&self, attempt: &Attempt, roles: &[&String], contract: &Contract) -> bool {
        let actor = contract.actor(&attempt.actor);
        if attempt.outcome == Outcome::RefusedGrant
            || attempt.form.starts_with("rights")
            || !actor.is_some_and(|actor| roles.contains(&&actor.role))
        {
            return false;
        }
        let upsert = attempt.form.starts_with("on-conflict");
        match (self.command, attempt.command) {
            (_, Command::Truncate) => false,
            // Whatever names a row, or gives it back, asks the SELECT policies too.
            ('r', Command::Select | Command::Update | Command::Delete) | ('*', _) => true,
            ('r', Command::Insert) => upsert || attempt.form.contains("-returning"),
            ('a', command) => command == Command::Insert,
            ('w', command) => command == Command::Update || (upsert && command == Command::Insert),
            (_, command) => command == Command::Delete,
        }
    }
}

fn untried(check: &str, what: String, object: String, place: Option<&Place>, why: &str, remedy: &str) -> Finding {
    Finding {
        check: check.to_owned(),
        what,
        object,
        place: place.cloned(),
        why: why.to_owned(),
        remedy: remedy.to_owned(),
        reach: Reach::Sql,
        statement: String::new(),
        attempts: Vec::new(),
    }
}
