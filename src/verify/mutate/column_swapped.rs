//! A column as another of its type: the wrong owner, the wrong key.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator = Operator {
    name: "column-swapped",
    about: "a column in a policy's condition is another one of the same type",
    make,
};

fn make(matter: &Matter) -> Vec<Mutant> {
    super::of_conditions(matter, |condition, policy| condition.columns_swapped(&policy.on(), matter))
}
