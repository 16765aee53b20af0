//! What kept rows safe and is taken away.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::{child, find, name};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "guard-dropped",
    aliases: &[],
    severity: Severity::Error,
    condition: "A policy, trigger, rule or constraint of a table in use is dropped and not made anew in the file, or row security or a trigger is switched off.",
    effect: "What it kept out comes in from that moment on: rows that others may see, or values that nobody checks",
    remedy: "Make the new one in the same file; where it is meant to go, allow this lint over the statement and say what holds instead",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let statements = file.foreseen.statements.iter();
    let dropped = statements.filter_map(|statement| {
        let (own, made) = match statement.node.kind() {
            Is::DROP_POLICY => (Is::POLICY_REF, Is::CREATE_POLICY),
            Is::DROP_TRIGGER => (Is::TRIGGER_REF, Is::CREATE_TRIGGER),
            Is::DROP_RULE => (Is::RULE_REF, Is::CREATE_RULE),
            _ => return None,
        };
        let table = see::subject(statement).filter(|table| !table.new)?;
        let own = name(child(&statement.node, own));
        let again = file.foreseen.statements.iter().any(|other| {
            let names = [Is::POLICY, Is::TRIGGER, Is::RULE];
            other.node.kind() == made
                && other.node.children().any(|child| names.contains(&child.kind()) && name(Some(child)) == own)
                && see::subject(other).is_some_and(|on| on.name == table.name)
        });
        let what = format!("{own} on {} is dropped and not made anew", table.name);
        (!again).then(|| file.hit(&statement.node, &table.name, what))
    });
    let altered = see::altered(file).filter_map(|(statement, table, action)| {
        let what = match action.kind() {
            Is::DROP_CONSTRAINT => {
                let own = name(child(&action, Is::CONSTRAINT_NAME_REF));
                let again =
                    see::added_constraints(file).any(|(_, _, one)| name(find(&one, Is::CONSTRAINT_NAME)) == own);
                if again || see::is_repeated(file, statement, &own) {
                    return None;
                }
                format!("the constraint {own} on {} is dropped and not added anew", table.name)
            }
            Is::DISABLE_RLS => format!("row security of {} is switched off: its policies hold nobody", table.name),
            Is::NO_FORCE_RLS => format!("row security of {} no longer holds its owner", table.name),
            Is::DISABLE_TRIGGER => format!("triggers of {} are switched off", table.name),
            Is::DISABLE_RULE => format!("a rule of {} is switched off", table.name),
            _ => return None,
        };
        Some(file.hit(&action, &table.name, what))
    });
    dropped.chain(altered).collect()
}
