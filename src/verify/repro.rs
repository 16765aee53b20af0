//! One attempt as a psql script, to see for oneself: the world, the actor, the statement, and nothing remains.

use crate::verify::form::Planned;
use crate::verify::persona::Persona;
use crate::verify::world::insert::insert;
use crate::verify::world::{Subject, World};
use std::fmt::Write;

/// The script. It begins a transaction and rolls it back; run it as a role that bypasses RLS.
pub(crate) fn script(id: &str, planned: &Planned, world: &World, subjects: &[Subject], personas: &[Persona]) -> String {
    let mut script =
        format!("-- {id}\n-- as a role with BYPASSRLS: psql --file THIS; nothing remains of it\n\nBEGIN;\n");
    script.push_str("SET LOCAL row_security = off;\n\n-- the world\n");
    for statement in &world.support {
        let _infallible = writeln!(script, "{statement};");
    }
    for row in &world.rows {
        let _infallible = writeln!(script, "{};", insert(&subjects[row.subject].table, &row.values));
    }
    let persona = &personas[planned.persona];
    let _infallible = write!(
        script,
        "\n-- become {}\nSET LOCAL row_security = on;\n{};\n\n-- the attempt\n{};\nSET CONSTRAINTS ALL IMMEDIATE;\n\nROLLBACK;\n",
        persona.name, persona.become_sql, planned.sql
    );
    script
}
