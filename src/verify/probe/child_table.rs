//! A partition, or a table that inherits, has row security of its own: who names it directly meets its policies and
//! not the parent's.

use super::Probed;
use super::doorway::{self, Kind};
use super::site::Site;
use crate::model::failure::Failure;

pub(super) async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    doorway::probe(site, Kind::Child).await
}
