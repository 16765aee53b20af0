//! A policy FOR ALL commands.

use super::matter::Matter;
use super::matter::Policy;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator = Operator { name: "for-all", about: "a policy for one command is FOR ALL", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let single = matter.policies.iter().filter(|policy| policy.command != "ALL");
    single
        .map(|policy| {
            // An INSERT policy has a WITH CHECK only: as USING it would let the same rows be seen.
            let using = policy.using.clone().or_else(|| policy.check.clone());
            let changed = Policy { command: "ALL".to_owned(), using, ..policy.clone() };
            Mutant::replaced(policy, &changed, "FOR ALL")
        })
        .collect()
}
