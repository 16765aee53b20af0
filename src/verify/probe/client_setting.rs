//! Headers, cookies and parameters that the client itself sets: a policy that reads one lets everyone be who they like.

use super::disguise::{self, Disguise};
use super::policies::{Policy, likely_values};
use super::site::Site;
use super::{Fault, Hole, Probe, Probed};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What PostgREST sets from the request, and no token signs.
const REQUEST: &str = "request.";

/// What is the connection's and not the request's: in production every request has the same, here it is another.
const CONNECTION: [&str; 5] =
    ["session_user", "inet_client_addr", "inet_client_port", "pg_backend_pid", "pg_stat_activity"];

pub(super) const PROBE: Probe = Probe {
    name: "client-setting",
    about: "headers, cookies and parameters, which clients set as they like, open no rows",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let policies = site.policies().await?;
    let mut probed = Probed::default();
    let mut doubted = BTreeSet::new();
    for policy in policies.iter().filter(|policy| policy.mentions(&CONNECTION)) {
        let what = format!("{}.{}", policy.table(), policy.name);
        let why = "the policy reads what belongs to the connection (session_user, the client's address), which is another \
                   here than behind PostgREST: read the claims instead";
        if doubted.insert(what.clone()) {
            probed.doubts.push(NotRun { what, why: why.to_owned() });
        }
    }
    let settings: BTreeSet<String> = policies.iter().flat_map(Policy::settings).collect();
    let mut told = BTreeSet::new();
    for setting in &settings {
        let readers: Vec<&Policy> = policies.iter().filter(|policy| policy.settings().contains(setting)).collect();
        let mut constants: Vec<String> = readers.iter().flat_map(|policy| policy.constants(setting)).collect();
        constants.retain(|constant| constant != setting);
        let disguises: Vec<Disguise> =
            site.roles().into_iter().flat_map(|persona| disguises(site, persona, setting, &constants)).collect();
        let of_reader = |subject: usize| readers.iter().any(|policy| policy.table() == site.table(subject).name());
        let (tried, reached, failed) = disguise::run(site, "client_setting", &disguises, of_reader).await?;
        probed.tried += tried;
        probed.doubts.extend(disguise::not_put_on(site, &disguises, &failed));
        for reached in reached {
            let access = &site.subjects()[reached.subject].access;
            let object = format!("{} by {setting}", access.table);
            if !told.insert(object.clone()) {
                continue;
            }
            let name = &site.persona(disguises[reached.disguise].persona).name;
            let (command, standing) = (reached.command, reached.standing);
            let request = setting.starts_with(REQUEST);
            let of_table =
                readers.iter().filter(|policy| policy.table() == access.table).map(|policy| policy.name.as_str());
            probed.holes.push(Hole {
                finding: Finding {
                    check: String::new(),
                    what: format!("{name} sets {setting} and so reaches rows of {} by {command}", access.table),
                    object,
                    place: Some(access.place.clone()),
                    why: format!(
                        "a row ({standing}) was reached that is not promised; {}, and policy {} reads it",
                        if request {
                            "every client sets it as it likes"
                        } else {
                            "whoever has SQL sets it as it likes"
                        },
                        of_table.collect::<Vec<_>>().join(", ")
                    ),
                    remedy: "let the policy read request.jwt.claims alone, which are signed".to_owned(),
                    reach: if request { Reach::Api } else { Reach::Sql },
                    statement: String::new(),
                    attempts: Vec::new(),
                },
                steps: reached.steps,
            });
        }
    }
    Ok(probed)
}

/// The setting with each value that may mean something; as headers and cookies under every name that is mentioned.
fn disguises(site: &Site<'_>, persona: usize, setting: &str, constants: &[String]) -> Vec<Disguise> {
    let json = matches!(setting, "request.headers" | "request.cookies");
    let values = likely_values(site, persona, constants).into_iter().map(|value| {
        if !json {
            return value;
        }
        let names = constants.iter().map(|name| (name.clone(), Value::String(value.clone())));
        Value::Object(names.collect::<Map<_, _>>()).to_string()
    });
    values
        .map(|value| Disguise {
            persona,
            what: format!("another {setting}"),
            setup: vec![Disguise::set(persona, setting, &value)],
            nobody: false,
        })
        .collect()
}
