//! A condition that is true for no row: tighter.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator = Operator {
    name: "condition-false",
    about: "a policy's USING or WITH CHECK is false: somebody is denied what is promised",
    make,
};

fn make(matter: &Matter) -> Vec<Mutant> {
    super::of_clauses(matter, |_condition| Some("false".to_owned()))
}
