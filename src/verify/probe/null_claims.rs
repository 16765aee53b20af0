//! Requests without an account: no claims, claims that are no JSON, a `sub` that is absent, NULL, empty or no uuid. None
//! reaches more than is promised to anyone who holds the role. (An account that is nowhere is a persona of its own.)

use super::disguise::{self, Disguise};
use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

pub(super) const PROBE: Probe = Probe {
    name: "null-claims",
    about: "a request without an account (no claims, no sub, malformed ones) reaches nothing that is not promised to its role",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let disguises: Vec<Disguise> = site.roles().into_iter().flat_map(|persona| disguises(site, persona)).collect();
    let (tried, reached, failed) = disguise::run(site, "null_claims", &disguises, |_| true).await?;
    let mut probed = Probed { tried, ..Probed::default() };
    let mut told = BTreeSet::new();
    for reached in reached {
        let disguise = &disguises[reached.disguise];
        let access = &site.subjects()[reached.subject].access;
        if !told.insert(reached.subject) {
            continue;
        }
        let role = &site.persona(disguise.persona).actor.role;
        let (command, standing) = (reached.command, reached.standing);
        probed.holes.push(Hole {
            finding: Finding {
                check: String::new(),
                what: format!("{role} with {} reaches rows of {} by {command} that are promised to nobody without an account", disguise.what, access.table),
                object: access.table.to_string(),
                place: Some(access.place.clone()),
                why: format!("the statement reached a row ({standing}): a predicate is true where the user's id is NULL or nobody's"),
                remedy: "compare owners with = and never with IS NOT DISTINCT FROM, NOT IN or coalesce; let no row through \
                         because auth.uid() is NULL"
                    .to_owned(),
                // Claims are signed; but PostgREST serves tokens without sub, and the issuer may be another.
                reach: Reach::Api,
                statement: String::new(),
                attempts: Vec::new(),
            },
            steps: reached.steps,
        });
    }
    // Where the question who is asking fails in itself, the same failure is a refusal; another one shows nothing.
    let questions: Vec<Vec<Step>> = disguises
        .iter()
        .map(|disguise| {
            let asks = "SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid::text";
            disguise.setup.iter().cloned().chain([Step::by(disguise.persona, asks)]).collect()
        })
        .collect();
    let questions = site.run_all(&questions).await;
    let mut doubted = BTreeSet::new();
    for failed in failed {
        let declared =
            questions[failed.disguise].last().and_then(|result| result.as_ref().err()).map(|error| error.code.as_str());
        let table = site.subjects()[failed.subject].access.table.to_string();
        if declared != Some(failed.error.code.as_str())
            && !told.contains(&failed.subject)
            && doubted.insert(failed.subject)
        {
            let why = format!("with {}: {}", disguises[failed.disguise].what, failed.error.code);
            probed.doubts.push(NotRun { what: table, why });
        }
    }
    Ok(probed)
}

/// The shapes that a request without an account has.
fn disguises(site: &Site<'_>, persona: usize) -> Vec<Disguise> {
    let claims: Map<String, Value> = serde_json::from_str(&site.persona(persona).claims).unwrap_or_default();
    let with_sub = |sub: Option<Value>| {
        let mut claims = claims.clone();
        match sub {
            Some(sub) => claims.insert("sub".to_owned(), sub),
            None => claims.remove("sub"),
        };
        Value::Object(claims).to_string()
    };
    let shapes = [
        // What is left of a setting that was local to a transaction that is over.
        ("no claims at all", String::new()),
        ("no claim in its token", "{}".to_owned()),
        ("no sub in its claims", with_sub(None)),
        ("a sub that is null", with_sub(Some(Value::Null))),
        ("a sub that is empty", with_sub(Some("".into()))),
        ("a sub that is no uuid", with_sub(Some("nobody".into()))),
        ("the sub of all zeros", with_sub(Some("00000000-0000-0000-0000-000000000000".into()))),
        ("claims that are no JSON", "sub".to_owned()),
        ("claims that are an array", format!("[{}]", with_sub(None))),
    ];
    let disguise = |(what, claims): (&str, String)| Disguise {
        persona,
        what: what.to_owned(),
        setup: vec![Disguise::set(persona, "request.jwt.claims", &claims)],
        nobody: true,
    };
    shapes.into_iter().map(disguise).collect()
}
