//! A check that is true where a column is NULL (`coalesce(…, true)`, IS DISTINCT FROM) lets in a row of another's that
//! leaves the column out, and lets one's own go that way: each column that a policy names is tried so, and all together.

use super::effects::{Looks, effects};
use super::site::{Results, Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::sqlstate;
use crate::model::access::{Command, Ownership};
use crate::model::catalog::Column;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::verify::effect::Effect;
use crate::verify::form::{Scene, insert};
use crate::verify::world::insert::insert as insert_sql;
use crate::verify::world::rows::Values;
use crate::verify::world::variations;
use std::collections::BTreeSet;

pub(super) const PROBE: Probe = Probe {
    name: "null-value",
    about: "no check lets in a row of another account's, or one's own go to one, because a column of it is NULL",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// A write that gives a row to another account.
struct Trial {
    subject: usize,
    persona: usize,
    command: Command,
    /// The columns that are NULL in it; empty where it is the one to compare with.
    null: Vec<String>,
    sql: String,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let mut trials: Vec<Trial> = Vec::new();
    for persona in site.knockers() {
        for subject in 0..site.subjects().len() {
            trials.extend(plan(site, subject, persona)?);
        }
    }
    let mut probed = Probed { tried: trials.len(), ..Probed::default() };
    if trials.is_empty() {
        return Ok(probed);
    }
    let looks = Looks::open(site, "null_value", trials.iter().map(|trial| trial.persona).collect()).await?;
    let scripts: Vec<Vec<Step>> = trials
        .iter()
        .map(|trial| vec![Step::by(trial.persona, trial.sql.clone()), looks.look(trial.persona)])
        .collect();
    let answers = site.run_all(&scripts).await;
    looks.close(site).await;
    let mut open: BTreeSet<(usize, usize, Command)> = BTreeSet::new();
    let mut told = BTreeSet::new();
    for (trial, results) in trials.iter().zip(answers) {
        let place = (trial.subject, trial.persona, trial.command);
        match stray(site, trial, &results) {
            Ok(None) => {}
            // What is open without a NULL is what the attempts tell of.
            Ok(Some(_)) if trial.null.is_empty() => {
                open.insert(place);
            }
            Ok(Some(effect)) if !open.contains(&place) && told.insert(trial.subject) => {
                probed.holes.push(hole(site, trial, &effect));
            }
            Ok(Some(_)) => {}
            Err(why) => {
                let what = site.subjects()[trial.subject].access.table.to_string();
                if probed.doubts.iter().all(|doubt| doubt.what != what) {
                    probed.doubts.push(NotRun { what, why });
                }
            }
        }
    }
    Ok(probed)
}

/// The first row of the table that is another's now without a promise.
fn stray(site: &Site<'_>, trial: &Trial, results: &Results) -> Result<Option<Effect>, String> {
    match results.as_slice() {
        // Refused to the writer, or by a constraint to everyone.
        [Err(error), ..] if error.code == sqlstate::INSUFFICIENT_PRIVILEGE || error.code.starts_with("23") => Ok(None),
        // Whatever else fails writes nothing, and is for the attempts to say: they make the same statement without NULL.
        [Err(_), ..] => Ok(None),
        [Ok(_), looked] => {
            let effects = effects(site, trial.persona, Some(looked))?;
            Ok(effects.into_iter().find(|effect| {
                effect.subject == trial.subject
                    && effect.command() == trial.command
                    && !effect.promised(&site.setting, trial.persona)
            }))
        }
        _ => Err("no answer".to_owned()),
    }
}

/// An INSERT of another's row and an UPDATE that gives all of one's own away: as they are, with NULL in each column that
/// policies name, and in all that may be NULL.
fn plan(site: &Site<'_>, subject: usize, persona: usize) -> Result<Vec<Trial>, Failure> {
    let scene = site.scene(subject, persona);
    let (table, role) = (scene.table(), &site.persona(persona).actor.role);
    let mut trials = Vec::new();
    let ownership = &site.subjects()[subject].access.ownership;
    if !matches!(ownership, Ownership::All(_) | Ownership::Any(_)) {
        return Ok(trials);
    }
    let Some(hold) = scene.other_holder().and_then(|other| insert::hold(&scene, |_| Some(other))) else {
        return Ok(trials);
    };
    let free: Vec<&Column> = table.columns.iter().filter(|column| may_be_null(&scene, column, &hold)).collect();
    let named: Vec<&Column> = free.iter().copied().filter(|column| variations::is_named(table, column)).collect();
    if named.is_empty() {
        return Ok(trials);
    }
    let of = |columns: &[&Column]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    let mut nulls: Vec<Vec<String>> = vec![Vec::new()];
    nulls.extend(named.iter().map(|column| of(&[column])));
    nulls.push(of(&free));
    let fresh = site.maker.fresh(subject, scene.other_holder(), hold.clone(), "null-value", site.world)?;
    let row = scene.client_values(fresh, &hold);
    for null in nulls {
        let with = |values: &Values| {
            let mut values = values.clone();
            values.extend(null.iter().map(|name| (name.clone(), None)));
            values
        };
        let inserted = with(&row);
        if table.grants(role, Command::Insert, &inserted.keys().cloned().collect::<Vec<_>>()) {
            let sql = insert_sql(table, &inserted);
            trials.push(Trial { subject, persona, command: Command::Insert, null: null.clone(), sql });
        }
        let set = with(&hold);
        if site.whole[subject] && table.grants(role, Command::Update, &set.keys().cloned().collect::<Vec<_>>()) {
            let list: Vec<String> = set.iter().map(|(name, value)| Scene::assignment(name, value.as_deref())).collect();
            let sql = format!("UPDATE {} SET {}", scene.name(), list.join(", "));
            trials.push(Trial { subject, persona, command: Command::Update, null, sql });
        }
    }
    Ok(trials)
}

fn may_be_null(scene: &Scene<'_>, column: &Column, hold: &Values) -> bool {
    let rules = &scene.maker.subjects[scene.subject].access.columns;
    !column.not_null
        && !column.generated
        && !column.identity_always
        && !hold.contains_key(&column.name)
        && !rules.contains_key(&column.name)
}

fn hole(site: &Site<'_>, trial: &Trial, effect: &Effect) -> Hole {
    let access = &site.subjects()[trial.subject].access;
    let name = &site.persona(trial.persona).name;
    let null = trial.null.join(", ");
    Hole {
        finding: Finding {
            check: String::new(),
            what: format!("{name} {}, where {null} is NULL", effect.describe(&site.setting)),
            object: access.table.to_string(),
            place: Some(access.place.clone()),
            why: format!("the same {} without that NULL was refused: a check is true where {null} is NULL", trial.command),
            remedy: "let the check be true only for what is the writer's own: NULL must not make it so (no coalesce(…, true), \
                     IS DISTINCT FROM, IS NOT FALSE)"
                .to_owned(),
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps: vec![Step::by(trial.persona, trial.sql.clone())],
    }
}
