//! Unique keys and exclusion constraints reach across RLS: who may write a row of their own learns from 23505 (or from
//! `INSERT 0 0` of ON CONFLICT DO NOTHING) that a row with such a key exists, although it is hidden.

use super::site::{Results, Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::error::DbError;
use crate::db::sqlstate;
use crate::model::access::{Command, Standing};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::{Accepted, NotRun};
use crate::verify::form::{Scene, insert};
use crate::verify::world::Row;
use crate::verify::world::insert::insert as insert_sql;
use crate::verify::world::rows::Values;
use std::collections::BTreeSet;

pub(super) const PROBE: Probe = Probe {
    name: "unique-oracle",
    about: "a unique key or exclusion constraint tells whether a row exists that the actor can't see (23505, 23P01)",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// unique_violation and exclusion_violation.
const TAKEN: [&str; 2] = ["23505", "23P01"];

/// A write that collides with a hidden row, and the same write that does not.
struct Trial {
    subject: usize,
    /// The key's columns; `None` where all columns under no plain key are taken over, for keys over expressions, with
    /// predicates, and exclusion constraints.
    columns: Option<Vec<String>>,
    free: Step,
    taken: Step,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let random: BTreeSet<(String, String, String)> = site.catalogue(include_str!("unique_oracle.sql")).await?;
    let mut trials = Vec::new();
    for persona in site.knockers() {
        for subject in 0..site.subjects().len() {
            plan(site, subject, persona, &mut trials)?;
        }
    }
    let scripts: Vec<Vec<Step>> =
        trials.iter().flat_map(|trial| [vec![trial.free.clone()], vec![trial.taken.clone()]]).collect();
    let mut answers = site.run_all(&scripts).await.into_iter();
    let mut probed = Probed::default();
    let mut told = BTreeSet::new();
    for trial in trials {
        let (free, taken) = (answers.next(), answers.next());
        if !worked(free) {
            // Nobody who may not write a row of their own learns anything here.
            continue;
        }
        probed.tried += 1;
        let table = &site.table(trial.subject).name();
        let error = match taken.and_then(|results| results.into_iter().last()) {
            Some(Err(error)) => error,
            Some(Ok(_)) if trial.columns.is_none() => continue,
            _ => {
                let what = format!("{table}.{}", trial.columns.unwrap_or_default().join(","));
                let why = "a key that is taken was free: the index is not valid, or a trigger changes it".to_owned();
                probed.doubts.push(NotRun { what, why });
                continue;
            }
        };
        let name = match &trial.columns {
            Some(columns) => columns.join(","),
            None => error.constraint.clone().unwrap_or_default(),
        };
        let object = format!("{table}.{name}");
        if TAKEN.contains(&error.code.as_str()) {
            if !told.insert(object.clone()) {
                continue;
            }
            let what =
                format!("{} learns whether a hidden row of {table} has a given {name}", site.name(trial.taken.who));
            // Who names the key must guess all of it.
            let by_rule = trial
                .columns
                .iter()
                .flatten()
                .any(|column| random.contains(&(table.schema.clone(), table.name.clone(), column.clone())));
            if by_rule {
                let reason = "by rule: a key with a uuid that has a random default can't be guessed".to_owned();
                probed.accepted.push(Accepted { id: format!("unique-oracle/{object}"), what, reason });
                continue;
            }
            probed.holes.push(hole(site, trial, what, object, &error));
        } else if error.code != sqlstate::INSUFFICIENT_PRIVILEGE && trial.columns.is_some() {
            probed.doubts.push(NotRun { what: object, why: error.to_string() });
        }
    }
    Ok(probed)
}

/// Whether the write wrote a row.
fn worked(results: Option<Results>) -> bool {
    let last = results.and_then(|results| results.into_iter().last());
    last.is_some_and(|result| result.is_ok_and(|result| result.count > 0))
}

fn hole(site: &Site<'_>, trial: Trial, what: String, object: String, error: &DbError) -> Hole {
    Hole {
        finding: Finding {
            check: String::new(),
            what,
            object,
            place: Some(site.subjects()[trial.subject].access.place.clone()),
            why: format!(
                "the same statement with a free value runs, with a hidden row's it is refused: {}; ON CONFLICT DO NOTHING \
                 tells the same by its count",
                error.code
            ),
            remedy: "make the owner part of the key; or, where the value can't be guessed, accept it in \
                     policies/access.toml with a reason"
                .to_owned(),
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps: vec![trial.taken],
    }
}

/// Inserts and updates of one's own row, as one persona, that collide with a row that it may not see.
fn plan(site: &Site<'_>, subject: usize, persona: usize, trials: &mut Vec<Trial>) -> Result<(), Failure> {
    let scene = site.scene(subject, persona);
    let hidden = Standing::ALL.into_iter().filter(|&standing| !scene.promised(standing, Command::Select));
    let hidden: Vec<&Row> = hidden.flat_map(|standing| scene.rows(standing)).map(|(row, _)| row).collect();
    let Some(hold) = insert::hold(&scene, |_| Some(persona)) else { return Ok(()) };
    let fresh = site.maker.fresh(subject, Some(persona), hold.clone(), "unique-oracle", site.world)?;
    let own = scene.rows(Standing::Own);
    let mut add = |columns: Option<Vec<String>>, collision: &Values| {
        let mut sent = scene.client_values(fresh.clone(), &hold);
        let keep: Values = sent.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let free_insert = insert_sql(scene.table(), &with(&mut sent, &only(&fresh, collision)));
        let taken_insert = insert_sql(scene.table(), &with(&mut keep.clone(), collision));
        let mut push = |free: String, taken: String| {
            let (free, taken) = (Step::by(persona, free), Step::by(persona, taken));
            trials.push(Trial { subject, columns: columns.clone(), free, taken });
        };
        push(free_insert, taken_insert);
        if let Some(condition) = own.first().and_then(|own| scene.where_key((own.0, own.1))) {
            let update = |values: &Values| {
                let set: Vec<String> =
                    values.iter().map(|(name, value)| Scene::assignment(name, value.as_deref())).collect();
                format!("UPDATE {} SET {} WHERE {condition}", scene.name(), set.join(", "))
            };
            push(update(&only(&fresh, collision)), update(collision));
        }
    };
    let given =
        |name: &String| scene.table().column(name).is_some_and(|column| !column.generated && !column.identity_always);
    for columns in scene.table().uniques.iter().filter(|columns| columns.iter().all(given)) {
        let collision = hidden.iter().find_map(|row| {
            columns
                .iter()
                .map(|name| Some((name.clone(), Some(row.values.get(name)?.clone()?))))
                .collect::<Option<Values>>()
        });
        if let Some(collision) = collision {
            add(Some(columns.clone()), &collision);
        }
    }
    if let Some(row) = hidden.first() {
        let references = |name: &String| scene.table().foreign_keys.iter().any(|key| key.columns.contains(name));
        let plain = |name: &String| scene.table().uniques.iter().any(|columns| columns.contains(name));
        for with_references in [true, false] {
            let collision: Values = row
                .values
                .iter()
                .filter(|(name, _)| given(name) && !plain(name) && !hold.contains_key(*name))
                .filter(|(name, _)| with_references || !references(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            if !collision.is_empty() {
                add(None, &collision);
            }
        }
    }
    Ok(())
}

/// The values of `all` under the names that `names` has.
fn only(all: &Values, names: &Values) -> Values {
    all.iter()
        .filter(|(name, _)| names.contains_key(*name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn with(values: &mut Values, more: &Values) -> Values {
    values.extend(more.clone());
    values.clone()
}
