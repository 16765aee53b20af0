//! A policy dropped: tighter where it was permissive, looser where it was restrictive.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator = Operator { name: "policy-dropped", about: "a policy is gone", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let dropped = matter
        .policies
        .iter()
        .map(|policy| Mutant::on(policy.on(), policy.label(), "dropped", policy.drop()).about(policy));
    dropped.collect()
}
