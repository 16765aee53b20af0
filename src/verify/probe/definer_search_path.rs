//! Functions that act as their owner and look for tables along a path that their caller can put itself in front of:
//! temporary tables come first unless `pg_temp` is named last. Each caller makes views of those names that raise when
//! they are touched, and calls; where nothing can be made, the catalogue says what stands unqualified in the text.

use super::functions::Function;
use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::quote::{identifier, literal};
use crate::db::sqlstate;
use crate::model::access::{Command, Standing};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::verify::form::{Scene, insert};
use crate::verify::world::insert::insert as insert_sql;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const PROBE: Probe = Probe {
    name: "definer-search-path",
    about: "no SECURITY DEFINER function takes its caller's temporary tables for those that it means",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// What a touched view raises: no SQLSTATE of PostgreSQL's.
const TOUCHED: &str = "CCSP1";

/// How many calls of one function are made as one persona.
const CALLS: usize = 12;

/// A relation whose name stands without its schema in a function's text.
#[derive(Debug, Deserialize)]
struct Shadowed {
    function: i64,
    name: String,
    /// Whether it stands where a table's name does, in the function's own text.
    read: bool,
    /// Its columns, all NULL.
    columns: Option<String>,
}

/// A call or statement with the caller's views in the way.
struct Trial<'a> {
    /// Those of which one may touch the views.
    functions: Vec<&'a Function>,
    steps: Vec<Step>,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let functions = site.functions().await?;
    let reached = |function: &&Function| function.definer && (function.in_reach || !function.callers(site).is_empty());
    let functions: Vec<&Function> = functions.iter().filter(reached).collect();
    let mut shadows: BTreeMap<i64, Vec<Shadowed>> = BTreeMap::new();
    if !functions.is_empty() {
        let shadowed: Vec<Shadowed> = site.catalogue(include_str!("definer_search_path.sql")).await?;
        for shadowed in shadowed {
            shadows.entry(shadowed.function).or_default().push(shadowed);
        }
    }
    let mut probed = Probed { tried: functions.len(), ..Probed::default() };
    let trials = if site.target { Vec::new() } else { plan(site, &functions, &shadows)? };
    let scripts: Vec<Vec<Step>> = trials.iter().map(|trial| trial.steps.clone()).collect();
    let mut touched: BTreeSet<i64> = BTreeSet::new();
    for (trial, results) in trials.iter().zip(site.run_all(&scripts).await) {
        match results.first() {
            // Who may make nothing has nothing to be taken for another.
            Some(Err(error)) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE => {}
            Some(Err(error)) => {
                let why = format!("the caller's views could not be made: {error}");
                let what = trial.functions.first().map_or_else(String::new, |function| function.object());
                if probed.doubts.iter().all(|doubt| doubt.what != what) {
                    probed.doubts.push(NotRun { what, why });
                }
            }
            _ => {
                let Some(Err(error)) = results.last() else { continue };
                if error.code != TOUCHED {
                    continue;
                }
                // The stack names who looked, the innermost first.
                let looked = trial.functions.iter().min_by_key(|function| function.place_in(&error.message));
                if let Some(function) = looked.filter(|function| touched.insert(function.oid)) {
                    let why = "its caller made a temporary view of a name that stands in it without a schema, and the \
                               function took that one"
                        .to_owned();
                    probed.holes.push(hole(function, why, trial.steps.clone()));
                }
            }
        }
    }
    for function in functions.into_iter().filter(|function| !touched.contains(&function.oid) && looks_in_temp(function))
    {
        let read = shadows.get(&function.oid).into_iter().flatten().find(|shadowed| shadowed.read);
        if let Some(shadowed) = read {
            let why = format!(
                "{} stands in it without its schema, and a temporary table of that name comes first: its search_path does not \
                 name pg_temp last",
                shadowed.name
            );
            probed.holes.push(hole(function, why, Vec::new()));
        }
    }
    Ok(probed)
}

/// Whether its path leaves temporary tables where they are by default: first. A function whose path is empty finds
/// nothing that is not qualified, so that what stands so in its text is no table.
fn looks_in_temp(function: &Function) -> bool {
    let path = function.config.iter().find_map(|setting| setting.strip_prefix("search_path="));
    path.is_none_or(|path| !path.trim_matches(['"', ' ']).is_empty() && !path.contains("pg_temp"))
}

/// The calls of those that can be called, and the statements that make policies and triggers call the others.
fn plan<'a>(
    site: &Site<'_>,
    functions: &[&'a Function],
    shadows: &BTreeMap<i64, Vec<Shadowed>>,
) -> Result<Vec<Trial<'a>>, Failure> {
    let mut trials = Vec::new();
    let shadowed = functions.iter().copied().filter(|function| shadows.contains_key(&function.oid));
    for function in shadowed.clone() {
        if function.trigger || function.obstacle(site).is_some() {
            continue;
        }
        let plant = plant(shadows.get(&function.oid).into_iter().flatten());
        for persona in site.roles().into_iter().filter(|persona| function.callers(site).contains(persona)) {
            for call in function.calls(site, persona).into_iter().take(CALLS) {
                let steps = vec![Step::by(persona, plant.clone()), Step::by(persona, call)];
                trials.push(Trial { functions: vec![function], steps });
            }
        }
    }
    let indirect: Vec<&Function> = shadowed.filter(|function| function.in_reach).collect();
    if indirect.is_empty() {
        return Ok(trials);
    }
    let plant = plant(indirect.iter().filter_map(|function| shadows.get(&function.oid)).flatten());
    for persona in site.knockers() {
        for subject in 0..site.subjects().len() {
            for sql in statements(site, subject, persona)? {
                let steps = vec![
                    Step::by(persona, plant.clone()),
                    Step::by(persona, sql),
                    Step::by(persona, "SET CONSTRAINTS ALL IMMEDIATE"),
                ];
                trials.push(Trial { functions: indirect.clone(), steps });
            }
        }
    }
    Ok(trials)
}

/// One of each command, on own rows.
fn statements(site: &Site<'_>, subject: usize, persona: usize) -> Result<Vec<String>, Failure> {
    let scene = site.scene(subject, persona);
    let mut statements = vec![format!("SELECT {} FROM {}", scene.key(), scene.name())];
    if let Some(hold) = insert::hold(&scene, |_| Some(persona)) {
        let fresh = site.maker.fresh(subject, Some(persona), hold.clone(), "search-path", site.world)?;
        statements.push(insert_sql(scene.table(), &scene.client_values(fresh, &hold)));
    }
    let own = [Standing::Own, Standing::Any];
    let promised = |command| own.iter().any(|&standing| scene.promised(standing, command));
    let row = own.into_iter().flat_map(|standing| scene.rows(standing)).find_map(|row| scene.where_key(row));
    if let Some(condition) = row {
        if let Some((column, constant)) = scene.plain_column()
            && promised(Command::Update)
        {
            let set = Scene::assignment(&column.name, Some(&constant));
            statements.push(format!("UPDATE {} SET {set} WHERE {condition}", scene.name()));
        }
        if promised(Command::Delete) {
            statements.push(format!("DELETE FROM {} WHERE {condition}", scene.name()));
        }
    }
    Ok(statements)
}

/// Makes, as the caller, a view of each name that raises when it is read or written, and says who did it.
fn plant<'a>(shadowed: impl Iterator<Item = &'a Shadowed>) -> String {
    let mut names = BTreeSet::new();
    let mut views = String::new();
    for Shadowed { name, columns, .. } in shadowed {
        let Some(columns) = columns else { continue };
        // Of one name only one can be made; the catalogue gives the user's own before PostgreSQL's.
        if !names.insert(name.clone()) {
            continue;
        }
        let view = format!("pg_temp.{}", identifier(name));
        // OFFSET keeps the planner from finding out that there are no rows.
        views.push_str(&format!(
            "CREATE VIEW {view} AS SELECT q.* FROM (SELECT {columns} WHERE pg_temp.chartchek_db_touch() OFFSET 0) q; \
             CREATE TRIGGER touch INSTEAD OF INSERT OR UPDATE OR DELETE ON {view} \
             FOR EACH ROW EXECUTE FUNCTION pg_temp.chartchek_db_write(); \
             GRANT ALL ON {view} TO PUBLIC; "
        ));
    }
    let raise = format!(
        "DECLARE stack text; BEGIN GET DIAGNOSTICS stack = PG_CONTEXT; RAISE EXCEPTION USING ERRCODE = {}, MESSAGE = stack; END",
        literal(TOUCHED)
    );
    format!(
        "DO $plant$ BEGIN \
         CREATE FUNCTION pg_temp.chartchek_db_touch() RETURNS boolean LANGUAGE plpgsql AS $touch${raise}$touch$; \
         CREATE FUNCTION pg_temp.chartchek_db_write() RETURNS trigger LANGUAGE plpgsql AS $touch${raise}$touch$; \
         GRANT EXECUTE ON FUNCTION pg_temp.chartchek_db_touch(), pg_temp.chartchek_db_write() TO PUBLIC; \
         {views}END $plant$"
    )
}

fn hole(function: &Function, why: String, steps: Vec<Step>) -> Hole {
    let object = function.object();
    let name = function.statement_name();
    Hole {
        finding: Finding {
            check: String::new(),
            what: format!(
                "{object}, which acts as its owner, takes its caller's temporary tables for those that it means"
            ),
            object,
            place: None,
            why,
            remedy: format!(
                "ALTER {name} SET search_path = '' with every name qualified; or SET search_path = public, pg_temp"
            ),
            reach: Reach::Sql,
            statement: if steps.is_empty() {
                format!(
                    "SELECT proconfig, prosrc FROM pg_proc WHERE oid = {}::regprocedure",
                    literal(&function.signature)
                )
            } else {
                String::new()
            },
            attempts: Vec::new(),
        },
        steps,
    }
}
