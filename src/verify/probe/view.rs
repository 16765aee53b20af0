//! A view runs as its owner, whom row security does not hold, unless it has security_invoker: what an actor sees and
//! changes through it is held against what the contract promises on the tables behind it.

use super::Probed;
use super::doorway::{self, Kind};
use super::site::Site;
use crate::model::failure::Failure;

pub(super) async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    doorway::probe(site, Kind::View).await
}
