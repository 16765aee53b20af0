//! A materialized view has no row security: whoever may read it reads every row that was in it at the last refresh. It
//! is refreshed in the transaction first, or it would hide what it shows.

use super::doorway::{self, Kind};
use super::site::Site;
use super::{Fault, Probe, Probed};
use crate::model::failure::Failure;

pub(super) const PROBE: Probe = Probe {
    name: "materialized-view",
    about: "a materialized view, which has no row security, shows an actor no row that the contract hides",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    doorway::probe(site, Kind::Materialized).await
}
