//! A pooled connection keeps a statement's plan from one request to the next: who comes next must see their own rows,
//! not those of whom the plan was made for. A policy's helper that is wrongly IMMUTABLE is folded into the plan.

use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::sqlstate;
use crate::model::access::{Command, Standing};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use std::collections::BTreeSet;

pub(super) const PROBE: Probe = Probe {
    name: "prepared-across-actors",
    about: "a plan that was made for one actor shows the next one on the same connection no more than a new plan",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// Plans as a pooled connection has them after a few requests.
const GENERIC: &str = "SET LOCAL plan_cache_mode = force_generic_plan";

/// A statement prepared by one actor and run by the next.
struct Trial {
    subject: usize,
    first: usize,
    next: usize,
    /// Not undone with the transaction: so it has a name of its own.
    name: String,
    steps: Vec<Step>,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let mut trials: Vec<Trial> = Vec::new();
    for subject in 0..site.subjects().len() {
        // Whose rows there are to be shown, and everyone else.
        let Some(first) = site.knockers().find(|&persona| {
            let scene = site.scene(subject, persona);
            scene.promised(Standing::Own, Command::Select) && !scene.rows(Standing::Own).is_empty()
        }) else {
            continue;
        };
        for next in site.knockers().chain(site.scene(subject, first).other_holder()).filter(|&next| next != first) {
            for within in [false, true] {
                let name = format!("chartchek_kept_{}", trials.len());
                if let Some(steps) = script(site, subject, first, next, &name, within) {
                    trials.push(Trial { subject, first, next, name, steps });
                }
            }
        }
    }
    let scripts: Vec<Vec<Step>> = trials.iter().map(|trial| trial.steps.clone()).collect();
    let answers = site.run_all(&scripts).await;
    let mut probed = Probed::default();
    let mut told = BTreeSet::new();
    let mut kept = Vec::new();
    for (trial, results) in trials.into_iter().zip(answers) {
        let access = &site.subjects()[trial.subject].access;
        let what = format!("{}/{}", access.table, site.persona(trial.next).name);
        if results.get(1).is_some_and(Result::is_ok) {
            kept.push(format!("DEALLOCATE {}", trial.name));
        }
        if let Some(Err(error)) = results.iter().find(|result| result.is_err()) {
            // Who may not read the table at all is refused, plan or no plan.
            if error.code != sqlstate::INSUFFICIENT_PRIVILEGE {
                probed.doubts.push(NotRun { what, why: error.to_string() });
            }
            continue;
        }
        let keys = |index: usize| -> BTreeSet<String> {
            let result = results.get(index).and_then(|result| result.as_ref().ok());
            result.into_iter().flat_map(|result| result.keys.iter().flatten().cloned()).collect()
        };
        let (firsts, direct, through_plan) = (keys(2), keys(3), keys(4));
        if firsts.is_empty() {
            probed.doubts.push(NotRun { what, why: "the statement showed nothing to who prepared it".to_owned() });
            continue;
        }
        probed.tried += 1;
        if through_plan.difference(&direct).next().is_some() && told.insert(trial.subject) {
            probed.holes.push(hole(site, &trial));
        }
    }
    kept.insert(0, "ROLLBACK TO SAVEPOINT attempt".to_owned());
    let forgotten = site.session.batch(&kept.join("; ")).await;
    forgotten.map_err(|error| error.into_failure("the kept statements were not forgotten"))?;
    Ok(probed)
}

/// The rows that either has, by key, through a plan that the first one made.
fn script(site: &Site<'_>, subject: usize, first: usize, next: usize, name: &str, within: bool) -> Option<Vec<Step>> {
    let scene = site.scene(subject, first);
    let theirs = site.scene(subject, next);
    let rows = scene.rows(Standing::Own).into_iter().chain(theirs.rows(Standing::Own));
    let conditions: Vec<String> = rows
        .filter_map(|row| Some(format!("({})", scene.where_key(row)?)))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    if conditions.is_empty() {
        return None;
    }
    let select = format!("SELECT {} AS key FROM {} WHERE {}", scene.key(), scene.name(), conditions.join(" OR "));
    // Below the top a plan's dependence on the role was once forgotten (CVE-2024-10976).
    let prepared =
        if within { format!("WITH seen AS MATERIALIZED ({select}) SELECT key FROM seen") } else { select.clone() };
    Some(vec![
        Step::by(first, GENERIC),
        Step::by(first, format!("PREPARE {name} AS {prepared}")),
        Step::by(first, format!("EXECUTE {name}")),
        Step::by(next, select),
        Step::by(next, format!("EXECUTE {name}")),
    ])
}

fn hole(site: &Site<'_>, trial: &Trial) -> Hole {
    let access = &site.subjects()[trial.subject].access;
    let (first, next) = (&site.persona(trial.first).name, &site.persona(trial.next).name);
    Hole {
        finding: Finding {
            check: String::new(),
            what: format!("{next} sees rows of {first} in {} through a plan that was made for {first}", access.table),
            object: access.table.to_string(),
            place: Some(access.place.clone()),
            why: "the same statement shows them nothing when it is planned anew; pooled connections keep plans"
                .to_owned(),
            remedy:
                "mark STABLE, not IMMUTABLE, every function in the table's policies that reads claims, settings or \
                     tables"
                    .to_owned(),
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps: trial.steps.clone(),
    }
}
