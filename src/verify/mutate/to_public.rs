//! A policy TO PUBLIC.

use super::matter::Matter;
use super::matter::Policy;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator = Operator { name: "to-public", about: "a policy is for PUBLIC", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let named = matter.policies.iter().filter(|policy| !policy.roles.is_empty());
    named
        .map(|policy| {
            let changed = Policy { roles: Vec::new(), ..policy.clone() };
            Mutant::replaced(policy, &changed, "TO PUBLIC")
        })
        .collect()
}
