//! A condition without one operand of an OR: tighter.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator = Operator {
    name: "disjunct-dropped",
    about: "an operand of OR is gone from a policy's condition: somebody is denied what is promised",
    make,
};

fn make(matter: &Matter) -> Vec<Mutant> {
    super::of_conditions(matter, |condition, _policy| condition.disjuncts_dropped())
}
