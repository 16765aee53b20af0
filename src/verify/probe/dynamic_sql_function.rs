//! Functions that make SQL out of what their caller gives, or change who the request says it is: an argument that holds
//! an expression must never be evaluated, and after a call the role and the claims are what they were.

use super::functions::Call;
use super::site::{Results, Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::quote::table as quote_table;
use crate::model::failure::Failure;
use crate::model::finding::Finding;
use serde_json::json;
use std::collections::BTreeSet;

pub(super) const PROBE: Probe = Probe {
    name: "dynamic-sql-function",
    about: "no function that an actor may call evaluates SQL that stands in an argument, or changes the role or claims",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// What is no number: whoever evaluates the expression says so.
const MARK: &str = "chartchek-db was here";

/// Who the request says it is.
const WHO: &str = "SELECT concat_ws(' ', current_user, current_setting('request.jwt.claims', true), \
                   current_setting('request.jwt.claim.sub', true), current_setting('request.jwt.claim.role', true))";

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let functions = site.functions().await?;
    let mut calls = Vec::new();
    for function in functions.iter().filter(|function| function.may_do_more()) {
        // What can't be called is told of by definer-function.
        if function.obstacle(site).is_some() {
            continue;
        }
        let callers = function.callers(site);
        for persona in site.roles().into_iter().filter(|persona| callers.contains(persona)) {
            let with = |texts: Vec<String>| function.calls_with(site, persona, &texts);
            let given = with(expressions(site)).into_iter().chain(with(identities(site, persona)));
            let all = given.chain(function.calls(site, persona));
            calls.extend(all.map(|sql| Call { function, persona, sql }));
        }
    }
    let scripts: Vec<Vec<Step>> =
        calls.iter().map(|call| vec![Step::by(call.persona, call.sql.clone()), Step::by(call.persona, WHO)]).collect();
    let personas: Vec<usize> = site.roles();
    let before: Vec<Vec<Step>> = personas.iter().map(|&persona| vec![Step::by(persona, WHO)]).collect();
    let before = site.run_all(&before).await;
    let who =
        |results: &Results| results.last().and_then(|result| result.as_ref().ok()).map(|result| result.keys.clone());
    let mut probed = Probed { tried: calls.len(), ..Probed::default() };
    let mut told = BTreeSet::new();
    for (call, results) in calls.iter().zip(site.run_all(&scripts).await) {
        let object = call.function.object();
        if told.contains(&object) {
            continue;
        }
        let same = personas.iter().position(|&persona| persona == call.persona).and_then(|index| who(&before[index]));
        let hole = if evaluated(&results) {
            evaluates(call)
        } else if matches!(results.as_slice(), [Ok(_), Ok(_)]) && same.is_some() && who(&results) != same {
            impersonates(site, call)
        } else {
            continue;
        };
        told.insert(object);
        probed.holes.push(hole);
    }
    Ok(probed)
}

/// The same expression, as it would have to stand in a statement of each kind: as the whole of it or a value in it; within a
/// literal; after a table's name; within a quoted name.
fn expressions(site: &Site<'_>) -> Vec<String> {
    let expression = format!("(SELECT '{MARK}'::pg_catalog.int4)");
    let mut expressions =
        vec![expression.clone(), format!("'||{expression}||'"), format!("pg_class\", {expression} \"mark")];
    if let Some(subject) = site.subjects().first() {
        let name = subject.table.name();
        expressions.push(format!("{} WHERE {expression} = 1 --", quote_table(&name)));
        expressions.push(format!("{} WHERE {expression} = 1 --", name.name));
    }
    expressions
}

/// What a function that sets settings or roles may be given: their names and values, two by two.
fn identities(site: &Site<'_>, persona: usize) -> Vec<String> {
    let other = site.scene(0, persona).other_holder().and_then(|other| site.persona(other).uid.clone());
    let claims = json!({"sub": other, "role": "service_role", "app_metadata": {"role": "admin"}}).to_string();
    let bypass = site.setting.contract.actors.iter().find(|actor| actor.bypasses_rls).map(|actor| actor.role.clone());
    [vec!["request.jwt.claims".to_owned(), claims], bypass.into_iter().collect(), other.into_iter().collect()].concat()
}

/// Whether the mark came back without the expression around it.
fn evaluated(results: &Results) -> bool {
    let shows = |text: &String| text.contains(MARK) && !text.contains(&format!("'{MARK}'"));
    match results.first() {
        Some(Ok(result)) => result.keys.iter().flatten().any(shows),
        Some(Err(error)) => shows(&error.message),
        None => false,
    }
}

fn evaluates(call: &Call<'_>) -> Hole {
    let object = call.function.object();
    let rights = if call.function.definer { ", with its owner's rights" } else { "" };
    hole(
        call,
        format!("{object} runs SQL that stands in its argument{rights}"),
        "an expression was given as an argument, and what it comes to came back",
        "quote with format() and %I or %L, or pass with USING; take no SQL as an argument",
    )
}

fn impersonates(site: &Site<'_>, call: &Call<'_>) -> Hole {
    let object = call.function.object();
    let name = &site.persona(call.persona).name;
    hole(
        call,
        format!("{object} lets {name} change who its request says it is"),
        "after the call the role or the claims were others, for the rest of the request",
        "set neither the role nor request.jwt.claims in a function that requests call",
    )
}

fn hole(call: &Call<'_>, what: String, why: &str, remedy: &str) -> Hole {
    let function = call.function;
    let revoke = format!("REVOKE EXECUTE ON {} FROM PUBLIC, {}", function.statement_name(), function.roles.join(", "));
    Hole {
        finding: Finding {
            check: String::new(),
            what,
            object: function.object(),
            place: None,
            why: why.to_owned(),
            remedy: format!("{remedy}; or {revoke}"),
            reach: function.reach(),
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps: vec![Step::by(call.persona, call.sql.clone()), Step::by(call.persona, WHO)],
    }
}
