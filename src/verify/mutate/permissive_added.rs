//! A permissive policy that is always true, for one command and one role.

use super::matter::Matter;
use super::{Mutant, Operator};
use crate::db::quote;

pub(super) const OPERATOR: Operator =
    Operator { name: "permissive-added", about: "a permissive policy that is true for every row is added", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for table in matter.tables.iter().filter(|table| !table.view) {
        for role in &matter.roles {
            for (command, clauses) in [
                ("SELECT", "USING (true)"),
                ("INSERT", "WITH CHECK (true)"),
                ("UPDATE", "USING (true) WITH CHECK (true)"),
                ("DELETE", "USING (true)"),
            ] {
                // Who has no right to the command is stopped before any policy.
                if !table.may(role, command) {
                    continue;
                }
                let (on, to) = (quote::table(&table.on()), quote::readable_identifier(role));
                let change = format!("a policy FOR {command} TO {role} {clauses} was added");
                let sql = format!("CREATE POLICY chartchek_mutant ON {on} FOR {command} TO {to} {clauses}");
                let added = Mutant::on(table.on(), format!("table {}", table.on()), &change, sql);
                mutants.push(added.by(command).to(role));
            }
        }
    }
    mutants
}
