//! A function made SECURITY DEFINER.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator =
    Operator { name: "function-definer", about: "a function runs with its owner's rights", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let invoking = matter.functions.iter().filter(|function| !function.definer);
    invoking
        .map(|function| {
            let sql = format!("ALTER FUNCTION {} SECURITY DEFINER", function.signature);
            Mutant::of_function(function, "SECURITY DEFINER", sql)
        })
        .collect()
}
