//! What an attempt or a probe shows, as a psql script, to see for oneself: the world, the actor, the statement, and
//! nothing remains.

use crate::verify::world::insert::insert;
use crate::verify::world::{Subject, World};
use std::fmt::Write;

/// A statement and who runs it, in words and in SQL.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) who: String,
    /// `None` where whoever ran the step before goes on.
    pub(crate) become_sql: Option<String>,
    pub(crate) sql: String,
}

/// The script. It begins a transaction and rolls it back; run it as a role that bypasses RLS.
pub(crate) fn script(id: &str, steps: &[Step], world: &World, subjects: &[Subject]) -> String {
    let mut script =
        format!("-- {id}\n-- as a role with BYPASSRLS: psql --file THIS; nothing remains of it\n\nBEGIN;\n");
    script.push_str("SET LOCAL row_security = off;\n\n-- the world\n");
    for statement in &world.support {
        let _infallible = writeln!(script, "{statement};");
    }
    for row in &world.rows {
        let _infallible = writeln!(script, "{};", insert(&subjects[row.subject].table, &row.values));
    }
    for step in steps {
        if let Some(become_sql) = &step.become_sql {
            let _infallible = writeln!(script, "\n-- as {}\n{become_sql};", step.who);
        }
        let _infallible = writeln!(script, "{};\nSET CONSTRAINTS ALL IMMEDIATE;", step.sql);
    }
    script.push_str("\nROLLBACK;\n");
    script
}
