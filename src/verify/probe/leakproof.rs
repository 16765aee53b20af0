//! LEAKPROOF: the planner may call such a function on rows before a policy hides them. What PostgreSQL ships so marked
//! tells nothing of its arguments; what others mark may raise, log or store them. No behaviour shows that in general,
//! as it depends on the plan and on what the function does: the catalogue says it.

use super::site::Site;
use super::{Fault, Hole, Probe, Probed};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use serde::Deserialize;

pub(super) const PROBE: Probe = Probe {
    name: "leakproof",
    about: "no function that an actor may call is marked LEAKPROOF but those that PostgreSQL marks",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// A function that somebody marked.
#[derive(Debug, Deserialize)]
struct Marked {
    signature: String,
    /// Whether a request's filter can call it.
    filters: bool,
    roles: Vec<String>,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let marked: Vec<Marked> = site.catalogue(include_str!("leakproof.sql")).await?;
    let hole = |marked: &Marked| {
        let Marked { signature, filters, roles } = marked;
        Hole {
            finding: Finding {
                check: String::new(),
                what: format!("function {signature} is marked LEAKPROOF, and {} may call it", roles.join(", ")),
                object: format!("function {signature}"),
                place: None,
                why: "in a filter it is called on rows before the policies hide them, and PostgreSQL takes it on trust that it \
                      tells nothing of them, by an error or otherwise"
                    .to_owned(),
                remedy: format!(
                    "ALTER FUNCTION {signature} NOT LEAKPROOF; or REVOKE EXECUTE ON FUNCTION {signature} FROM PUBLIC, {}",
                    roles.join(", ")
                ),
                reach: if *filters { Reach::Api } else { Reach::Sql },
                statement: "SELECT oid::regprocedure FROM pg_proc WHERE proleakproof".to_owned(),
                attempts: Vec::new(),
            },
            steps: Vec::new(),
        }
    };
    Ok(Probed { tried: marked.len(), holes: marked.iter().map(hole).collect(), ..Probed::default() })
}
