//! Policies that hold locks for as long as something slow takes.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "policy-beside-slow",
    aliases: &[],
    severity: Severity::Warning,
    condition: "A policy is made, changed or dropped in a file that also works through a whole table.",
    effect: "On Supabase any policy statement can lock tables of auth, storage and realtime until the file is through: logins wait. Where the lock is not had in time, the slow work is done again",
    remedy: "Put policies into a file of their own, and the slow statement into another",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let statements = &file.foreseen.statements;
    let policies = [Is::CREATE_POLICY, Is::ALTER_POLICY, Is::DROP_POLICY];
    let policy = statements.iter().find(|one| policies.contains(&one.node.kind()));
    let slow = statements.iter().find_map(|one| Some((one, see::slow(one)?)));
    policy
        .zip(slow)
        .map(|(policy, (statement, what))| {
            let table = see::subject(policy).map(|table| table.name.to_string()).unwrap_or_default();
            let line = file.line(&statement.span);
            file.hit(&policy.node, table, format!("a policy stands in one transaction with line {line}, which {what}"))
        })
        .into_iter()
        .collect()
}
