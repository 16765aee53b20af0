//! GRANT ALL on a table to a role.

use super::matter::Matter;
use super::{Mutant, Operator};
use crate::db::quote;

pub(super) const OPERATOR: Operator =
    Operator { name: "grant-all", about: "a role is granted everything on a table", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for table in &matter.tables {
        for role in &matter.roles {
            let sql = format!("GRANT ALL ON {} TO {}", quote::table(&table.on()), quote::readable_identifier(role));
            mutants.push(
                Mutant::on(table.on(), format!("table {}", table.on()), &format!("GRANT ALL TO {role}"), sql).to(role),
            );
        }
    }
    mutants
}
