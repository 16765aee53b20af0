//! Mutation: the database weakened, or tightened, in one way at a time, to see whether the suite notices.

mod condition;
pub(crate) mod matter;

mod and_to_or;
mod cascade_changed;
mod check_removed;
mod column_itself;
mod column_swapped;
mod condition_false;
mod condition_true;
mod conjunct_dropped;
mod disjunct_dropped;
mod execute_revoked;
mod for_all;
mod function_definer;
mod grant_all;
mod grant_column;
mod grant_one;
mod key_dropped;
mod key_loosened;
mod not_distinct;
mod not_forced;
mod or_true;
mod permissive_added;
mod permissive_swapped;
mod policy_dropped;
mod public_execute;
mod right_revoked;
mod row_security_off;
mod search_path_dropped;
mod to_public;
mod trigger_disabled;
mod trigger_dropped;
mod uncorrelated;
mod view_as_owner;

use crate::model::access::{Command, TableName};
use condition::{Changed, Condition};
use matter::{Function, Matter, Policy};
use std::collections::BTreeSet;

/// Every operator, in the order in which mutants are made. Its name is that of its file.
pub(crate) const OPERATORS: &[Operator] = &[
    policy_dropped::OPERATOR,
    condition_true::OPERATOR,
    condition_false::OPERATOR,
    check_removed::OPERATOR,
    conjunct_dropped::OPERATOR,
    disjunct_dropped::OPERATOR,
    or_true::OPERATOR,
    and_to_or::OPERATOR,
    column_itself::OPERATOR,
    column_swapped::OPERATOR,
    not_distinct::OPERATOR,
    uncorrelated::OPERATOR,
    to_public::OPERATOR,
    for_all::OPERATOR,
    permissive_swapped::OPERATOR,
    permissive_added::OPERATOR,
    row_security_off::OPERATOR,
    not_forced::OPERATOR,
    grant_all::OPERATOR,
    grant_one::OPERATOR,
    grant_column::OPERATOR,
    right_revoked::OPERATOR,
    public_execute::OPERATOR,
    execute_revoked::OPERATOR,
    view_as_owner::OPERATOR,
    function_definer::OPERATOR,
    search_path_dropped::OPERATOR,
    trigger_dropped::OPERATOR,
    trigger_disabled::OPERATOR,
    key_dropped::OPERATOR,
    cascade_changed::OPERATOR,
    key_loosened::OPERATOR,
];

/// A way of changing the database.
pub(crate) struct Operator {
    /// Kebab-case.
    pub(crate) name: &'static str,
    /// What is so in its mutants, in one sentence.
    about: &'static str,
    /// Every mutant that it makes of a database.
    make: fn(&Matter) -> Vec<Mutant>,
}

/// The database with one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mutant {
    /// The operator's name.
    pub(crate) operator: &'static str,
    /// What is so in it, as in all of the operator's.
    pub(crate) about: &'static str,
    /// What was changed: `policy chat_threads_select on chat_threads`.
    pub(crate) object: String,
    /// How: `USING became true`.
    pub(crate) change: String,
    /// The statements that change it, in a transaction that is rolled back.
    pub(crate) sql: String,
    /// The tables that it may be noticed on first; those whose policies read them follow.
    pub(crate) tables: BTreeSet<TableName>,
    /// The command that shows it first, where it is one's.
    pub(crate) command: Option<Command>,
    /// The database roles that it is about; empty for all.
    pub(crate) roles: BTreeSet<String>,
}

/// Every mutant, each statement once, and the conditions that could not be changed because they were not understood.
pub(crate) fn mutants(matter: &Matter) -> (Vec<Mutant>, Vec<String>) {
    let mut known = BTreeSet::new();
    let made = OPERATORS.iter().flat_map(|operator| {
        (operator.make)(matter).into_iter().map(|mutant| Mutant {
            operator: operator.name,
            about: operator.about,
            ..mutant
        })
    });
    let mutants = made.filter(|mutant| known.insert(mutant.sql.clone())).collect();
    let opaque = |policy: &Policy| {
        [&policy.using, &policy.check].into_iter().flatten().any(|text| Condition::parse(text).is_none())
    };
    (mutants, matter.policies.iter().filter(|policy| opaque(policy)).map(Policy::label).collect())
}

impl Mutant {
    /// Whether it changes what the catalogue says beside policies: rights, flags, functions, keys.
    pub(crate) fn touches_rights(&self) -> bool {
        !self.sql.starts_with("DROP POLICY") && !self.sql.starts_with("CREATE POLICY")
    }

    /// Whether all that it changes is who sees and reaches which rows; not what a trigger stores, a key allows or a
    /// function gives to who calls it.
    pub(crate) fn shows_in_reach(&self) -> bool {
        let others = [
            "public-execute",
            "execute-revoked",
            "function-definer",
            "search-path-dropped",
            "trigger-dropped",
            "trigger-disabled",
            "key-dropped",
            "key-loosened",
            "cascade-changed",
        ];
        !others.contains(&self.operator)
    }

    fn on(table: TableName, object: String, change: &str, sql: String) -> Self {
        let (change, tables) = (change.to_owned(), BTreeSet::from([table]));
        Self { operator: "", about: "", object, change, sql, tables, command: None, roles: BTreeSet::new() }
    }

    /// A policy made anew: ALTER POLICY can neither change its command nor take a clause away.
    fn replaced(policy: &Policy, changed: &Policy, change: &str) -> Self {
        let sql = format!("{}; {}", policy.drop(), changed.create());
        let named = Self::on(policy.on(), policy.label(), change, sql).about(policy);
        if changed.command != policy.command {
            return Self { command: None, ..named };
        }
        if changed.roles.is_empty() { Self { roles: BTreeSet::new(), ..named } } else { named }
    }

    fn of_function(function: &Function, change: &str, sql: String) -> Self {
        let object = format!("function {}", function.signature);
        let (change, tables) = (change.to_owned(), function.callers().collect());
        Self { operator: "", about: "", object, change, sql, tables, command: None, roles: BTreeSet::new() }
    }

    /// Whom and what a policy is for.
    fn about(self, policy: &Policy) -> Self {
        Self { roles: policy.roles.iter().cloned().collect(), ..self.by(&policy.command) }
    }

    /// A command or privilege, as SQL names it.
    fn by(self, command: &str) -> Self {
        let named = |known: &Command| known.word().eq_ignore_ascii_case(command);
        Self { command: Command::ALL.into_iter().find(named), ..self }
    }

    /// What a role may do.
    fn to(self, role: &str) -> Self {
        Self { roles: BTreeSet::from([role.to_owned()]), ..self }
    }
}

/// A mutant for each change of each condition that is understood.
fn of_conditions(matter: &Matter, change: impl Fn(&Condition, &Policy) -> Vec<Changed>) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for policy in &matter.policies {
        let using = policy.using.as_deref().and_then(Condition::parse);
        for changed in using.iter().flat_map(|condition| change(condition, policy)) {
            let other = Policy { using: Some(changed.text), ..policy.clone() };
            mutants.push(Mutant::replaced(policy, &other, &format!("in USING {}", changed.what)));
        }
        let check = policy.check.as_deref().and_then(Condition::parse);
        for changed in check.iter().flat_map(|condition| change(condition, policy)) {
            let other = Policy { check: Some(changed.text), ..policy.clone() };
            mutants.push(Mutant::replaced(policy, &other, &format!("in WITH CHECK {}", changed.what)));
        }
    }
    mutants
}

/// A mutant for each clause, as a whole.
fn of_clauses(matter: &Matter, change: impl Fn(&str) -> Option<String>) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for policy in &matter.policies {
        if let Some(using) = policy.using.as_deref().and_then(&change) {
            // WITH CHECK is USING where it is not given, and stays what it was.
            let both = matches!(policy.command.as_str(), "UPDATE" | "ALL");
            let check = policy.check.clone().or_else(|| policy.using.clone().filter(|_| both));
            let other = Policy { using: Some(using.clone()), check, ..policy.clone() };
            mutants.push(Mutant::replaced(policy, &other, &format!("USING became {using}")));
        }
        if let Some(check) = policy.check.as_deref().and_then(&change) {
            let other = Policy { check: Some(check.clone()), ..policy.clone() };
            mutants.push(Mutant::replaced(policy, &other, &format!("WITH CHECK became {check}")));
        }
    }
    mutants
}
