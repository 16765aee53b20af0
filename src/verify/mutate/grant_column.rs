//! A right to one column.

use super::matter::Matter;
use super::{Mutant, Operator};
use crate::db::quote;

pub(super) const OPERATOR: Operator =
    Operator { name: "grant-column", about: "a role is granted a column that it has no right to", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for table in matter.tables.iter().filter(|table| !table.view) {
        for role in &matter.roles {
            for privilege in ["SELECT", "INSERT", "UPDATE"] {
                let may = |column: &str| {
                    table
                        .columns_granted
                        .iter()
                        .any(|(who, what, which)| who == role && what == privilege && which == column)
                };
                let columns = matter.columns(&table.on());
                let Some((column, _)) = columns.iter().find(|(column, _)| !may(column)) else { continue };
                let (on, to) = (quote::table(&table.on()), quote::readable_identifier(role));
                let change = format!("GRANT {privilege} ({column}) TO {role}");
                let sql = format!("GRANT {privilege} ({}) ON {on} TO {to}", quote::readable_identifier(column));
                mutants
                    .push(Mutant::on(table.on(), format!("table {}", table.on()), &change, sql).by(privilege).to(role));
            }
        }
    }
    mutants
}
