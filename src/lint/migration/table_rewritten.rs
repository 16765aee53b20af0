//! A table that is written anew while nobody can read or write.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "table-rewritten",
    aliases: &[],
    severity: Severity::Warning,
    condition: "A table in use is written anew: VACUUM FULL, CLUSTER, SET LOGGED, SET TABLESPACE, SET ACCESS METHOD, SET EXPRESSION, REFRESH without CONCURRENTLY.",
    effect: "Nobody can read or write the table until it is written",
    remedy: "Do it outside of migrations, in a maintenance window or with pg_repack; REFRESH MATERIALIZED VIEW CONCURRENTLY, which wants a unique index",
    see: Kind::Migration(check),
};

/// The other subcommands that write all anew have lints of their own.
const ACTIONS: &[Is] =
    &[Is::SET_LOGGED, Is::SET_UNLOGGED, Is::SET_TABLESPACE, Is::SET_ACCESS_METHOD, Is::SET_EXPRESSION];

fn check(file: &File<'_>) -> Vec<Hit> {
    let own = [Is::TRUNCATE, Is::REINDEX];
    let statements = file.foreseen.statements.iter().filter(|one| !own.contains(&one.node.kind()));
    statements
        .filter_map(|statement| {
            let lock = see::in_use(statement).find(|lock| lock.rewrite.is_some() && see::holds_up(lock))?;
            if statement.node.kind() == Is::ALTER_TABLE {
                statement.node.descendants().find(|one| ACTIONS.contains(&one.kind()))?;
            }
            let table = see::shown(&lock.relation);
            let what = format!("{} of {table} wait while it is written anew", see::waits(lock));
            Some(file.hit(&statement.node, table, what))
        })
        .collect()
}
