//! A trigger disabled.

use super::matter::Matter;
use super::{Mutant, Operator};
use crate::db::quote;

pub(super) const OPERATOR: Operator = Operator { name: "trigger-disabled", about: "a trigger does not fire", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let disabled = matter.triggers.iter().map(|trigger| {
        let (name, on) = (quote::readable_identifier(&trigger.name), quote::table(&trigger.on()));
        let object = format!("trigger {} on {}", trigger.name, trigger.on());
        Mutant::on(trigger.on(), object, "disabled", format!("ALTER TABLE {on} DISABLE TRIGGER {name}"))
    });
    disabled.collect()
}
