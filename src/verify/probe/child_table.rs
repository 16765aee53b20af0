//! A partition, or a table that inherits, has row security of its own: who names it directly meets its policies and
//! not the parent's.

use super::doorway::{self, Kind};
use super::site::Site;
use super::{Fault, Probe, Probed};
use crate::model::failure::Failure;

pub(super) const PROBE: Probe = Probe {
    name: "child-table",
    about: "a partition or inheriting table, named itself, gives no more than the contract promises on its parent",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    doorway::probe(site, Kind::Child).await
}
