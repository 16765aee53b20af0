//! Which policies PostgreSQL asks, and about which row: the manual's table "Policies Applied by Command Type" (CREATE
//! POLICY), as `src/backend/rewrite/rowsecurity.c` carries it out.

use super::predicate;
use crate::db::quote::literal;
use crate::model::access::Command;
use crate::model::catalog::Table;
use crate::model::explanation::{PolicySeen, RowVersion, Truth};
use crate::verify::form::{Aim, Planned};
use serde::Deserialize;
use std::collections::BTreeSet;

/// What stands between a role and a table's rows.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Stands {
    pub(super) enabled: bool,
    /// Whether it applies to the role.
    pub(super) active: bool,
    pub(super) superuser: bool,
    pub(super) bypasses: bool,
    pub(super) owns: bool,
    /// The schemas whose names the role may not use. Policies may: they keep no names.
    pub(super) closed: Vec<String>,
    /// What the role is granted on the table or a column of it, and through whom.
    grants: Vec<Grant>,
    /// Permissive ones first.
    pub(super) policies: Vec<Policy>,
}

/// A right, and to whom it is granted: the role, one that it is a member of, `PUBLIC`.
#[derive(Debug, Clone, Deserialize)]
struct Grant {
    command: String,
    to: String,
}

/// A policy, its conditions as the current role would write them.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Policy {
    name: String,
    permissive: bool,
    command: String,
    roles: Vec<String>,
    for_role: bool,
    using: Option<String>,
    check: Option<String>,
}

/// Which condition is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clause {
    Using,
    /// WITH CHECK, and USING where a policy has none.
    Check,
}

/// A question to the policies for one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) command: Command,
    pub(super) row: RowVersion,
    pub(super) clause: Clause,
}

/// A condition to evaluate, and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) predicate: predicate::Predicate,
    pub(super) seen: PolicySeen,
}

impl Stands {
    /// The statement that reads it, as the role that it is about.
    pub(super) fn sql(table: &Table) -> String {
        include_str!("policies.sql")
            .replace("$schema", &literal(&table.schema))
            .replace("$table", &literal(&table.table))
    }

    /// Parses what that gives; `None` where there is no such table.
    pub(super) fn parse(answer: Vec<Option<String>>) -> Option<Self> {
        let text = answer.into_iter().next().flatten()?;
        serde_json::from_str(&text).ok()
    }

    /// To whom the command is granted, of those whose rights the role has.
    pub(super) fn granted_to(&self, command: Command) -> String {
        let to = self.grants.iter().filter(|grant| grant.command == command.word()).map(|grant| grant.to.as_str());
        to.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
    }

    /// The policies that answer a question.
    pub(super) fn asked(&self, question: Question) -> Vec<Asked> {
        let word = question.command.word().to_uppercase();
        let fits = |policy: &&Policy| policy.for_role && (policy.command == "ALL" || policy.command == word);
        let asked = self.policies.iter().filter(fits).filter_map(|policy| {
            let (clause, text) = match (question.clause, &policy.check, &policy.using) {
                (Clause::Check, Some(check), _) => ("WITH CHECK", check),
                // A policy without that condition says nothing.
                (_, _, using) => ("USING", using.as_ref()?),
            };
            let seen = PolicySeen {
                name: policy.name.clone(),
                permissive: policy.permissive,
                command: policy.command.clone(),
                roles: policy.roles.clone(),
                clause,
                value: Truth::Null,
                decides: false,
                atoms: Vec::new(),
            };
            Some(Asked { predicate: predicate::parse(text), seen })
        });
        asked.collect()
    }
}

/// What is asked of the policies for a statement, in PostgreSQL's order.
pub(super) fn questions(planned: &Planned) -> Vec<Question> {
    let needs = |command: Command| planned.needs.iter().any(|need| need.command == command);
    let reads = needs(Command::Select);
    let mut questions = Vec::new();
    let mut ask = |command, row, clause| questions.push(Question { command, row, clause });
    let inserts = needs(Command::Insert);
    if inserts {
        // Under the key of a row that is there: what is proposed is asked about first, whatever comes of it.
        let row = if planned.aim == Aim::New { RowVersion::New } else { RowVersion::Proposed };
        ask(Command::Insert, row, Clause::Check);
        if reads {
            ask(Command::Select, row, Clause::Using);
        }
    }
    if !inserts || needs(Command::Update) {
        let others = [Command::Update, Command::Delete].into_iter().filter(|command| needs(*command));
        for command in reads.then_some(Command::Select).into_iter().chain(others) {
            ask(command, RowVersion::Existing, Clause::Using);
        }
    }
    if needs(Command::Update) && planned.command != Command::Select {
        ask(Command::Update, RowVersion::New, Clause::Check);
        if reads {
            ask(Command::Select, RowVersion::New, Clause::Using);
        }
    }
    questions
}

/// What the policies come to together: any permissive one, and every restrictive one. Marks those that decide.
pub(super) fn combine(policies: &mut [PolicySeen]) -> Truth {
    let any = |values: &mut dyn Iterator<Item = Truth>| {
        let mut known = Truth::False;
        for value in values {
            match value {
                Truth::True => return Truth::True,
                Truth::Error => known = Truth::Error,
                Truth::Null if known == Truth::False => known = Truth::Null,
                _ => {}
            }
        }
        known
    };
    let permitted = any(&mut policies.iter().filter(|policy| policy.permissive).map(|policy| policy.value));
    let restricted = policies.iter().filter(|policy| !policy.permissive).map(|policy| policy.value);
    let against = restricted.chain([permitted]).filter(|value| *value != Truth::True);
    // An error ends the statement; false is plainer than null.
    let rank = |value: &Truth| match value {
        Truth::Error => 2,
        Truth::False => 1,
        _ => 0,
    };
    let whole = against.max_by_key(rank).unwrap_or(Truth::True);
    for policy in policies.iter_mut() {
        let passes = policy.value == Truth::True;
        policy.decides = if whole == Truth::True {
            policy.permissive && passes
        } else {
            !passes && (!policy.permissive || permitted != Truth::True)
        };
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use Truth::{False, Null, True};

    fn combined(policies: &[(bool, Truth)]) -> (Truth, Vec<bool>) {
        let mut seen: Vec<PolicySeen> = policies
            .iter()
            .map(|(permissive, value)| PolicySeen {
                name: String::new(),
                permissive: *permissive,
                command: "ALL".to_owned(),
                roles: Vec::new(),
                clause: "USING",
                value: *value,
                decides: false,
                atoms: Vec::new(),
            })
            .collect();
        (combine(&mut seen), seen.iter().map(|policy| policy.decides).collect())
    }

    #[test]
    fn any_permissive_and_every_restrictive_one() {
        assert_eq!(combined(&[]), (False, vec![]));
        assert_eq!(combined(&[(true, False), (true, True)]), (True, vec![false, true]));
        assert_eq!(combined(&[(true, True), (false, Null)]), (Null, vec![false, true]));
        assert_eq!(combined(&[(true, Null), (false, True)]), (Null, vec![true, false]));
        assert_eq!(combined(&[(false, True)]), (False, vec![false]));
    }
}
