//! Functions whose answer depends on rows that the caller can't see: the same call, with the hidden rows there and
//! with them gone, must come to the same.

use super::functions::{Function, Secrets, hidden_rows};
use super::site::{Results, Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::quote::table as quote_table;
use crate::model::failure::Failure;
use crate::model::finding::Finding;
use crate::model::report::NotRun;
use crate::verify::world::insert::{key_columns, key_condition};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const PROBE: Probe = Probe {
    name: "function-oracle",
    about: "the answer of an exposed function does not depend on rows that are hidden from its caller",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// A call, made twice on the world and once without what is hidden from the persona.
struct Trial<'a> {
    function: &'a Function,
    persona: usize,
    sql: String,
    without: String,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let functions = site.functions().await?;
    let mut probed = Probed::default();
    let mut trials: Vec<Trial<'_>> = Vec::new();
    for function in functions.iter().filter(|function| function.exposed && !function.procedure && !function.trigger) {
        // What can't be called is told of by definer-function.
        if function.obstacle(site).is_some() {
            continue;
        }
        for persona in function.callers(site) {
            if let Some(without) = take_away(site, persona) {
                let calls = function.calls(site, persona).into_iter();
                trials.extend(calls.map(|sql| Trial { function, persona, sql, without: without.clone() }));
            }
        }
    }
    let scripts: Vec<Vec<Step>> = trials
        .iter()
        .flat_map(|trial| {
            let call = Step::by(trial.persona, trial.sql.clone());
            let without = Step::privileged(trial.persona, trial.without.clone());
            [vec![call.clone()], vec![call.clone()], vec![without, call]]
        })
        .collect();
    let answers = site.run_all(&scripts).await;
    let mut secrets: BTreeMap<usize, Secrets> = BTreeMap::new();
    let mut told = BTreeSet::new();
    // What gives values away is a finding of definer-function, and one is enough.
    for (trial, answers) in trials.iter().zip(answers.chunks(3)) {
        let secrets = secrets.entry(trial.persona).or_insert_with(|| Secrets::of(site, trial.persona));
        let answer = answers.first().and_then(|first| first.last());
        if answer.is_some_and(|answer| secrets.told(&trial.sql, answer).is_some()) {
            told.insert(trial.function.object());
        }
    }
    for (trial, answers) in trials.iter().zip(answers.chunks(3)) {
        let [first, second, without] = answers else { break };
        let object = trial.function.object();
        probed.tried += 1;
        if told.contains(&object) {
            continue;
        }
        if let Some(Err(error)) = without.first() {
            let why = format!(
                "the rows that are hidden from {} could not be taken away: {}",
                site.persona(trial.persona).name,
                error.code
            );
            told.insert(object.clone());
            probed.not_run.push(NotRun { what: object, why });
            continue;
        }
        let differs = answer(first) == answer(second) && answer(first) != answer(without);
        if differs && !(trial.function.takes_document() && is_shape(first, without)) {
            told.insert(object);
            probed.holes.push(hole(site, trial));
        }
    }
    Ok(probed)
}

/// Whether they differ in that a document was looked into and did not have what it was asked for (class 22): it tells that
/// there is some row to look at it for, and any valid document shows what more there is to tell.
fn is_shape(first: &Results, without: &Results) -> bool {
    [first, without]
        .into_iter()
        .any(|results| matches!(results.last(), Some(Err(error)) if error.code.starts_with("22")))
}

/// What a call came to: its rows, or its SQLSTATE.
fn answer(results: &Results) -> Option<Result<Vec<Option<String>>, String>> {
    results.last().map(|result| result.as_ref().map(|result| result.keys.clone()).map_err(|error| error.code.clone()))
}

/// One statement that takes away every row of the world that the persona may not see: of the tables together, so that
/// rows that refer to each other go together.
fn take_away(site: &Site<'_>, persona: usize) -> Option<String> {
    let mut conditions: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for row in hidden_rows(site, persona) {
        let table = site.table(row.subject);
        if let (false, Some(condition)) = (key_columns(table).is_empty(), key_condition(table, &row.values)) {
            conditions.entry(row.subject).or_default().push(format!("({condition})"));
        }
    }
    let parts: Vec<String> = conditions
        .iter()
        .map(|(subject, conditions)| {
            format!(
                "d{subject} AS (DELETE FROM {} WHERE {})",
                quote_table(&site.table(*subject).name()),
                conditions.join(" OR ")
            )
        })
        .collect();
    (!parts.is_empty()).then(|| format!("WITH {} SELECT 'gone'", parts.join(", ")))
}

fn hole(site: &Site<'_>, trial: &Trial<'_>) -> Hole {
    let name = &site.persona(trial.persona).name;
    let function = trial.function;
    let statement_name = function.statement_name();
    Hole {
        finding: Finding {
            check: String::new(),
            what: format!("{name} learns from {} of rows that are hidden from it", function.object()),
            object: function.object(),
            place: None,
            why: "the same call comes to something else once those rows are gone: whether they exist, how many there are, or \
                  whose they are"
                .to_owned(),
            remedy: format!(
                "let it answer for the caller alone (auth.uid() in it, no argument that names a user), or move it to a schema \
                 that is not exposed; or REVOKE EXECUTE ON {statement_name} FROM PUBLIC, {}",
                function.roles.join(", ")
            ),
            reach: function.reach(),
            statement: format!("{}; -- as {name}", trial.sql),
            attempts: Vec::new(),
        },
        steps: vec![
            Step::by(trial.persona, trial.sql.clone()),
            Step::privileged(trial.persona, trial.without.clone()),
            Step::by(trial.persona, trial.sql.clone()),
        ],
    }
}
