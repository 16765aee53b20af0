//! = as IS NOT DISTINCT FROM.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator = Operator {
    name: "not-distinct",
    about: "= in a policy's condition is IS NOT DISTINCT FROM: NULL is equal to NULL",
    make,
};

fn make(matter: &Matter) -> Vec<Mutant> {
    super::of_conditions(matter, |condition, _policy| condition.not_distinct())
}
