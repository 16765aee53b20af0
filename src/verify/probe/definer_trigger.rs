//! Triggers whose functions act with other rights than the writer's: a write of one's own row changes nobody else's.

use super::site::Site;
use super::{Fault, Probe, Probed, side_effects};
use crate::model::failure::Failure;

pub(super) const PROBE: Probe = Probe {
    name: "definer-trigger",
    about: "a write of one's own row sets off no trigger, at once or deferred, that writes to rows of others",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let triggers: Vec<side_effects::Reaction> = site.catalogue(include_str!("definer_trigger.sql")).await?;
    side_effects::run(site, "definer_trigger", &triggers).await
}
