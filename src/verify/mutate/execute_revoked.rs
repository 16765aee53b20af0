//! EXECUTE revoked: tighter.

use super::matter::Matter;
use super::{Mutant, Operator};
use crate::db::quote;

pub(super) const OPERATOR: Operator = Operator {
    name: "execute-revoked",
    about: "a role may not execute a function any more: it is denied what is promised",
    make,
};

fn make(matter: &Matter) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    // Who fires a trigger needs no right to its function.
    for function in matter.functions.iter().filter(|function| !function.trigger) {
        for role in &function.roles {
            let from = quote::readable_identifier(role);
            let sql = format!("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC, {from}", function.signature);
            mutants.push(Mutant::of_function(function, &format!("REVOKE EXECUTE FROM {role}"), sql));
        }
    }
    mutants
}
