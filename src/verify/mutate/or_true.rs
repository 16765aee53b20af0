//! OR true added to an operand, or to a sub-select's condition.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator =
    Operator { name: "or-true", about: "OR true is added to a part of a policy's condition", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    super::of_conditions(matter, |condition, _policy| condition.or_true())
}
