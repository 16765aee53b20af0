//! A view without security_invoker.

use super::matter::Matter;
use super::{Mutant, Operator};
use crate::db::quote;

pub(super) const OPERATOR: Operator = Operator { name: "view-as-owner", about: "a view runs as its owner", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let invoking = matter.tables.iter().filter(|table| table.view && table.invoker);
    invoking
        .map(|view| {
            let sql = format!("ALTER VIEW {} SET (security_invoker = false)", quote::table(&view.on()));
            Mutant::on(view.on(), format!("view {}", view.on()), "security_invoker was dropped", sql)
        })
        .collect()
}
