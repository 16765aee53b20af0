//! One privilege less: tighter.

use super::matter::Matter;
use super::{Mutant, Operator};
use crate::db::quote;

pub(super) const OPERATOR: Operator = Operator {
    name: "right-revoked",
    about: "a role has one privilege less on a table: it is denied what is promised",
    make,
};

fn make(matter: &Matter) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for table in &matter.tables {
        for (role, privilege) in &table.rights {
            let (on, from) = (quote::table(&table.on()), quote::readable_identifier(role));
            let change = format!("REVOKE {privilege} FROM {role}");
            let sql = format!("REVOKE {privilege} ON {on} FROM {from}");
            mutants.push(Mutant::on(table.on(), format!("table {}", table.on()), &change, sql).by(privilege).to(role));
        }
    }
    mutants
}
