//! A trigger dropped.

use super::matter::Matter;
use super::{Mutant, Operator};
use crate::db::quote;

pub(super) const OPERATOR: Operator = Operator { name: "trigger-dropped", about: "a trigger is gone", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let dropped = matter.triggers.iter().map(|trigger| {
        let (name, on) = (quote::readable_identifier(&trigger.name), quote::table(&trigger.on()));
        let object = format!("trigger {} on {}", trigger.name, trigger.on());
        Mutant::on(trigger.on(), object, "dropped", format!("DROP TRIGGER {name} ON {on}"))
    });
    dropped.collect()
}
