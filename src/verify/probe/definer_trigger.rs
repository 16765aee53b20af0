//! Triggers whose functions act with other rights than the writer's: a write of one's own row changes nobody else's.

use super::site::Site;
use super::{Probed, side_effects};
use crate::model::failure::Failure;

pub(super) async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let triggers: Vec<side_effects::Reaction> = site.catalogue(include_str!("definer_trigger.sql")).await?;
    side_effects::run(site, "definer_trigger", &triggers).await
}
