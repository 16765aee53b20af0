//! Rewrite rules: what a rule does runs with the rights of the table's owner, so that the policies of the tables that it
//! writes to are not asked. Those of views are the view's matter.

use super::site::Site;
use super::{Fault, Probe, Probed, side_effects};
use crate::model::failure::Failure;

pub(super) const PROBE: Probe = Probe {
    name: "rule",
    about: "no write sets off a rewrite rule that changes rows elsewhere, with the owner's rights, that are not promised",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let rules: Vec<side_effects::Reaction> = site.catalogue(include_str!("rule.sql")).await?;
    side_effects::run(site, "rule", &rules).await
}
