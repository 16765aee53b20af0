//! A column compared with itself: the wrong capture of a sub-select.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator =
    Operator { name: "column-itself", about: "a column in a policy's condition is compared with itself", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    super::of_conditions(matter, |condition, _policy| condition.compared_with_itself())
}
