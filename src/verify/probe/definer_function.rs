//! Functions that act with other rights than their caller's: each that an actor may call is called with hidden rows'
//! keys and everything else that the world offers, and gives nothing of hidden rows and changes nothing unpromised.

use super::effects::{Looks, effects};
use super::functions::{Call, Function, Secrets};
use super::site::{Results, Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::sqlstate;
use crate::model::access::Standing;
use crate::model::failure::Failure;
use crate::model::finding::Finding;
use crate::model::report::NotRun;
use crate::verify::effect::Effect;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const PROBE: Probe = Probe {
    name: "definer-function",
    about: "a function that an actor may call gives nothing of hidden rows and changes nothing that is not promised",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let functions = site.functions().await?;
    let mut probed = Probed::default();
    let mut calls = Vec::new();
    for function in functions.iter().filter(|function| function.may_do_more()) {
        let callers = function.callers(site);
        if callers.is_empty() {
            continue;
        }
        if let Some(why) = function.obstacle(site) {
            let list = if site.target { &mut probed.not_tried } else { &mut probed.not_run };
            list.push(NotRun { what: function.object(), why });
            continue;
        }
        for persona in callers {
            calls.extend(function.calls(site, persona).into_iter().map(|sql| Call { function, persona, sql }));
        }
    }
    if calls.is_empty() {
        return Ok(probed);
    }
    let personas: BTreeSet<usize> = calls.iter().map(|call| call.persona).collect();
    let secrets: BTreeMap<usize, Secrets> =
        personas.iter().map(|&persona| (persona, Secrets::of(site, persona))).collect();
    let looks = Looks::open(site, "definer_function", personas).await?;
    let scripts: Vec<Vec<Step>> = calls
        .iter()
        .map(|call| {
            let after = [Step::by(call.persona, "SET CONSTRAINTS ALL IMMEDIATE"), looks.look(call.persona)];
            call.function.ask(call.persona, &call.sql).into_iter().chain(after).collect()
        })
        .collect();
    let answers = site.run_all(&scripts).await;
    looks.close(site).await;
    let mut told = BTreeSet::new();
    // Function -> the last error, where no call came to an answer.
    let mut unanswered: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (call, results) in calls.iter().zip(answers) {
        probed.tried += 1;
        let object = call.function.object();
        let answered = match results.first() {
            Some(Ok(_)) => None,
            Some(Err(error)) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE => None,
            Some(Err(error)) => Some(error.code.clone()),
            None => Some("no answer".to_owned()),
        };
        let last = unanswered.entry(object.clone()).or_insert_with(|| answered.clone());
        if last.is_some() {
            *last = answered;
        }
        if told.contains(&object) {
            continue;
        }
        let asked = results.len().saturating_sub(2);
        let told_of = results.iter().take(asked).find_map(|answer| secrets[&call.persona].told(&call.sql, answer));
        if let Some((subject, standing)) = told_of {
            told.insert(object);
            probed.holes.push(reads(site, call, subject, standing));
            continue;
        }
        match changes(site, call, &results) {
            Ok(None) => {}
            Ok(Some(effect)) => {
                told.insert(object);
                probed.holes.push(writes(site, call, &effect));
            }
            Err(why) => probed.doubts.push(NotRun { what: object, why }),
        }
    }
    for (object, last) in unanswered {
        if let Some(code) = last.filter(|_| !told.contains(&object)) {
            let why = format!("no call came to an answer: the last one failed with {code}");
            probed.not_run.push(NotRun { what: object, why });
        }
    }
    Ok(probed)
}

/// The first change that the persona is not promised to make itself.
fn changes(site: &Site<'_>, call: &Call<'_>, results: &Results) -> Result<Option<Effect>, String> {
    match results.as_slice() {
        [asked @ .., Ok(_), looked] if asked.iter().all(Result::is_ok) => {
            let effects = effects(site, call.persona, Some(looked))?;
            Ok(effects
                .into_iter()
                .find(|effect| !effect.promised(&site.setting, call.persona) && !is_log(site, effect)))
        }
        // What failed, at once or at its deferred triggers, changed nothing.
        _ => Ok(None),
    }
}

/// A new row that is nobody's and that nobody is promised to see; what a function does to one's own rows counts.
fn is_log(site: &Site<'_>, effect: &Effect) -> bool {
    effect.before.is_none() && effect.after != Some(Standing::Own) && effect.is_private(&site.setting)
}

fn reads(site: &Site<'_>, call: &Call<'_>, subject: usize, standing: Standing) -> Hole {
    let access = &site.subjects()[subject].access;
    let name = &site.persona(call.persona).name;
    hole(
        call,
        Finding {
            check: String::new(),
            what: format!(
                "{name} learns from {} what stands in hidden rows of {}",
                call.function.object(),
                access.table
            ),
            object: call.function.object(),
            place: Some(access.place.clone()),
            why: format!(
                "its answer holds a value of a row of {} ({standing}) that {name} is not promised to see",
                access.table
            ),
            remedy: remedy(call.function),
            reach: call.function.reach(),
            statement: String::new(),
            attempts: Vec::new(),
        },
    )
}

fn writes(site: &Site<'_>, call: &Call<'_>, effect: &Effect) -> Hole {
    let access = &site.subjects()[effect.subject].access;
    let name = &site.persona(call.persona).name;
    let does = effect.describe(&site.setting);
    hole(
        call,
        Finding {
            check: String::new(),
            what: format!("{name} {does} through {}, which it is not promised", call.function.object()),
            object: call.function.object(),
            place: Some(access.place.clone()),
            why: format!("after the call, {} was read back by a role that bypasses RLS: the call {does}", access.table),
            remedy: remedy(call.function),
            reach: call.function.reach(),
            statement: String::new(),
            attempts: Vec::new(),
        },
    )
}

fn remedy(function: &Function) -> String {
    let name = function.statement_name();
    let roles = function.roles.join(", ");
    if function.definer {
        format!(
            "ALTER {name} SECURITY INVOKER; or ask in it whose the rows are; or REVOKE EXECUTE ON {name} FROM PUBLIC, {roles}"
        )
    } else {
        format!("REVOKE EXECUTE ON {name} FROM PUBLIC, {roles}; or mend what it calls, which acts with other rights")
    }
}

fn hole(call: &Call<'_>, finding: Finding) -> Hole {
    Hole { finding, steps: call.function.ask(call.persona, &call.sql) }
}
