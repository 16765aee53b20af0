//! Policies whose names mean what search_path says.

use super::{File, Hit};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::{all, parts};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "policy-unqualified-name",
    aliases: &[],
    severity: Severity::Warning,
    condition: "A policy names a table, or a function of the migrations, without its schema.",
    effect: "What the name means is decided by the search_path of whoever runs the migration: on another database the policy can ask another table",
    remedy: "Write the schema: public.notes, private.uid()",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let kinds = [Is::CREATE_POLICY, Is::ALTER_POLICY];
    let policies = file.foreseen.statements.iter().map(|one| &one.node).filter(|node| kinds.contains(&node.kind()));
    policies
        .flat_map(|node| {
            let own: Vec<_> = all(node, Is::WITH_TABLE).filter_map(|one| parts(&one).into_iter().next()).collect();
            let tables = [Is::TABLE_NAME_REF, Is::RELATION_NAME_REF];
            let bare = node.descendants().filter_map(move |one| {
                let called = one.kind() == Is::CALL_EXPR;
                if !called && !tables.contains(&one.kind()) {
                    return None;
                }
                let name = if called { one.children().next()? } else { one.clone() };
                let [written] = <[String; 1]>::try_from(parts(&name)).ok()?;
                let wanted = if called { file.functions.contains(&written) } else { !own.contains(&written) };
                wanted.then_some((name, written))
            });
            bare.map(|(name, written)| {
                let what = format!("{written} stands in a policy without its schema");
                file.hit(&name, &written, what)
            })
        })
        .collect()
}
