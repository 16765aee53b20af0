//! A materialized view has no row security: whoever may read it reads every row that was in it at the last refresh. It
//! is refreshed in the transaction first, or it would hide what it shows.

use super::Probed;
use super::doorway::{self, Kind};
use super::site::Site;
use crate::model::failure::Failure;

pub(super) async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    doorway::probe(site, Kind::Materialized).await
}
