//! One privilege more: TRUNCATE, which no policy stops, and the others.

use super::matter::Matter;
use super::{Mutant, Operator};
use crate::db::quote;

pub(super) const OPERATOR: Operator =
    Operator { name: "grant-one", about: "a role is granted one more privilege on a table", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for table in &matter.tables {
        for role in &matter.roles {
            for privilege in ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"] {
                if table.may(role, privilege) || (table.view && privilege == "TRUNCATE") {
                    continue;
                }
                let (on, to) = (quote::table(&table.on()), quote::readable_identifier(role));
                let change = format!("GRANT {privilege} TO {role}");
                let sql = format!("GRANT {privilege} ON {on} TO {to}");
                mutants
                    .push(Mutant::on(table.on(), format!("table {}", table.on()), &change, sql).by(privilege).to(role));
            }
        }
    }
    mutants
}
