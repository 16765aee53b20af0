//! A condition that is true for every row.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator =
    Operator { name: "condition-true", about: "a policy's USING or WITH CHECK is true", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    super::of_clauses(matter, |_condition| Some("true".to_owned()))
}
