//! A condition without one operand of an AND.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator =
    Operator { name: "conjunct-dropped", about: "an operand of AND is gone from a policy's condition", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    super::of_conditions(matter, |condition, _policy| condition.conjuncts_dropped())
}
