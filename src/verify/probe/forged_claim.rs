//! `user_metadata` is the user's own to write: a policy that reads it lets everyone be who they like. Claims with forged
//! metadata, and the account's `raw_user_meta_data`, must not widen what is reached.

use super::disguise::{self, Disguise};
use super::policies::{Policy, likely_values};
use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::quote::literal;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::verify::world::insert::sql_value;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How they are called in claims and in auth.users.
const WORDS: [&str; 2] = ["user_metadata", "raw_user_meta_data"];

pub(super) const PROBE: Probe = Probe {
    name: "forged-claim",
    about: "user_metadata, which every user writes for itself, opens no rows",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let policies: Vec<&Policy> = site.policies().await?.iter().filter(|policy| policy.mentions(&WORDS)).collect();
    let mut disguises = Vec::new();
    let constants: Vec<String> =
        WORDS.iter().flat_map(|word| policies.iter().flat_map(|policy| policy.constants(word))).collect();
    let stored = policies.iter().any(|policy| policy.mentions(&WORDS[1..]));
    for persona in site.roles().into_iter().filter(|_| !policies.is_empty()) {
        let Some(uid) = site.persona(persona).uid.as_deref() else { continue };
        let values = likely_values(site, persona, &constants).into_iter().map(Value::String);
        disguises.extend(
            values.chain([Value::Bool(true)]).map(|value| disguise(site, persona, uid, stored, &constants, &value)),
        );
    }
    let of_policy = |subject: usize| policies.iter().any(|policy| policy.table() == site.table(subject).name());
    let (tried, reached, failed) = disguise::run(site, "forged_claim", &disguises, of_policy).await?;
    let doubts = disguise::not_put_on(site, &disguises, &failed);
    let mut probed = Probed { tried, doubts, ..Probed::default() };
    let mut told = BTreeSet::new();
    for reached in reached {
        let access = &site.subjects()[reached.subject].access;
        if !told.insert(reached.subject) {
            continue;
        }
        let name = &site.persona(disguises[reached.disguise].persona).name;
        let (command, standing) = (reached.command, reached.standing);
        let of_table =
            policies.iter().filter(|policy| policy.table() == access.table).map(|policy| policy.name.as_str());
        probed.holes.push(Hole {
            finding: Finding {
                check: String::new(),
                what: format!("{name} forges its user_metadata and so reaches rows of {} by {command}", access.table),
                object: access.table.to_string(),
                place: Some(access.place.clone()),
                why: format!("a row ({standing}) was reached that is not promised; every user writes its own user_metadata, and policy {} reads it", of_table.collect::<Vec<_>>().join(", ")),
                remedy: "read app_metadata instead, which only the server writes".to_owned(),
                reach: Reach::Api,
                statement: String::new(),
                attempts: Vec::new(),
            },
            steps: reached.steps,
        });
    }
    Ok(probed)
}

/// Every name that the policies mention has that value in the claims' user_metadata, and where policies look there, in
/// what the authentication server stores of it.
fn disguise(site: &Site<'_>, persona: usize, uid: &str, stored: bool, names: &[String], value: &Value) -> Disguise {
    let forged: Map<String, Value> = names.iter().map(|name| (name.clone(), value.clone())).collect();
    let forged = Value::Object(forged);
    let mut claims: Map<String, Value> = serde_json::from_str(&site.persona(persona).claims).unwrap_or_default();
    claims.insert("user_metadata".to_owned(), forged.clone());
    let store = format!(
        "INSERT INTO auth.users (id, raw_user_meta_data) VALUES ({}, {}) \
         ON CONFLICT (id) DO UPDATE SET raw_user_meta_data = excluded.raw_user_meta_data",
        literal(uid),
        sql_value(Some(&forged.to_string()))
    );
    let store = stored.then(|| Step::privileged(persona, store));
    let say = Disguise::set(persona, "request.jwt.claims", &Value::Object(claims).to_string());
    Disguise {
        persona,
        what: "forged user_metadata".to_owned(),
        setup: store.into_iter().chain([say]).collect(),
        nobody: false,
    }
}
