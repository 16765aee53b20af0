//! WITH CHECK removed.

use super::matter::Matter;
use super::matter::Policy;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator = Operator {
    name: "check-removed",
    about: "a policy for UPDATE or ALL has no WITH CHECK: its USING serves for the new row too",
    make,
};

fn make(matter: &Matter) -> Vec<Mutant> {
    let with_both = matter.policies.iter().filter(|policy| policy.using.is_some() && policy.check.is_some());
    with_both
        .map(|policy| {
            let changed = Policy { check: None, ..policy.clone() };
            Mutant::replaced(policy, &changed, "WITH CHECK was removed")
        })
        .collect()
}
