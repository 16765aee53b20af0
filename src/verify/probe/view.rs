//! A view runs as its owner, whom row security does not hold, unless it has security_invoker: what an actor sees and
//! changes through it is held against what the contract promises on the tables behind it.

use super::doorway::{self, Kind};
use super::site::Site;
use super::{Fault, Probe, Probed};
use crate::model::failure::Failure;

pub(super) const PROBE: Probe = Probe {
    name: "view",
    about: "what is seen and changed through a view is what the contract promises on the tables behind it",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    doorway::probe(site, Kind::View).await
}
