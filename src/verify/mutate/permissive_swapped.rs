//! Permissive and restrictive swapped.

use super::matter::Matter;
use super::matter::Policy;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator =
    Operator { name: "permissive-swapped", about: "a permissive policy is restrictive, or the other way round", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let swapped = matter.policies.iter().map(|policy| {
        let changed = Policy { permissive: !policy.permissive, ..policy.clone() };
        Mutant::replaced(policy, &changed, if policy.permissive { "AS RESTRICTIVE" } else { "AS PERMISSIVE" })
    });
    swapped.collect()
}
