//! Triggers whose functions act with other rights than the writer's: no write changes what is not promised elsewhere.

use super::site::Site;
use super::{Fault, Probe, Probed, side_effects};
use crate::model::failure::Failure;

pub(super) const PROBE: Probe = Probe {
    name: "definer-trigger",
    about: "no write sets off a trigger, at once or deferred, that changes rows elsewhere that are not promised",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let triggers: Vec<side_effects::Reaction> = site.catalogue(include_str!("definer_trigger.sql")).await?;
    side_effects::run(site, "definer_trigger", &triggers).await
}
