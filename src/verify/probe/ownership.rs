//! Owners do as they like: row security does not hold them unless it is forced, and whatever they own they may alter,
//! replace and grant on. No actor's role owns anything.

use super::rights::Told;
use super::site::Site;
use super::{Fault, Probe, Probed};
use crate::model::failure::Failure;
use crate::model::finding::Reach;

pub(super) const PROBE: Probe = Probe {
    name: "ownership",
    about: "no role of an untrusted actor owns anything in the database",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// The kinds of objects that requests reach as they are.
const RELATIONS: [&str; 4] = ["table", "view", "materialized view", "foreign table"];

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let owned: Vec<(String, String, String)> = site.catalogue(include_str!("ownership.sql")).await?;
    let mut probed = Probed { tried: site.roles().len(), ..Probed::default() };
    for (role, kind, identity) in owned {
        let known = site.subjects().iter().find(|subject| {
            let table = &subject.access.table;
            kind == "table" && identity == crate::db::quote::table(table)
        });
        let told = Told {
            what: format!("{role} owns {kind} {identity}"),
            object: format!("{kind} {identity}"),
            access: known.and_then(|subject| site.setting.contract.table(&subject.access.table)),
            why: "an owner alters, replaces and grants on what it owns, and row security holds it only where it is forced",
            remedy: format!("ALTER {} {identity} OWNER TO the role that runs migrations", kind.to_uppercase()),
            reach: if RELATIONS.contains(&kind.as_str()) { Reach::Api } else { Reach::Sql },
            shown_by: format!("SELECT * FROM pg_shdepend WHERE refobjid = '{role}'::regrole AND deptype = 'o'"),
        };
        probed.holes.push(told.hole());
    }
    Ok(probed)
}
