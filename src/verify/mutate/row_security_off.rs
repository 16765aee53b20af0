//! RLS disabled.

use super::matter::Matter;
use super::{Mutant, Operator};
use crate::db::quote;

pub(super) const OPERATOR: Operator =
    Operator { name: "row-security-off", about: "row-level security is not enabled on a table", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let enabled = matter.tables.iter().filter(|table| table.enabled);
    enabled
        .map(|table| {
            let sql = format!("ALTER TABLE {} DISABLE ROW LEVEL SECURITY", quote::table(&table.on()));
            Mutant::on(table.on(), format!("table {}", table.on()), "RLS was disabled", sql)
        })
        .collect()
}
