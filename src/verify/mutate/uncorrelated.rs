//! A sub-select that is not tied to the row.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator = Operator {
    name: "uncorrelated",
    about: "a sub-select in a policy's condition is not tied to the row any more",
    make,
};

fn make(matter: &Matter) -> Vec<Mutant> {
    super::of_conditions(matter, |condition, policy| condition.uncorrelated(&policy.on()))
}
