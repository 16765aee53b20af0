//! AND as OR.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator =
    Operator { name: "and-to-or", about: "an AND in a policy's condition is OR", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    super::of_conditions(matter, |condition, _policy| condition.and_to_or())
}
