//! RLS not forced.

use super::matter::Matter;
use super::{Mutant, Operator};
use crate::db::quote;

pub(super) const OPERATOR: Operator =
    Operator { name: "not-forced", about: "row-level security is not forced on a table's owner", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let forced = matter.tables.iter().filter(|table| table.forced);
    forced
        .map(|table| {
            let sql = format!("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", quote::table(&table.on()));
            Mutant::on(table.on(), format!("table {}", table.on()), "RLS is not forced", sql)
        })
        .collect()
}
