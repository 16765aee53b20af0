//! ON DELETE and ON UPDATE actions reach across RLS: who deletes a row of their own must not delete or change another's
//! with it.

use super::site::{Results, Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::contract::reference;
use crate::db::quote::readable_identifier;
use crate::db::sqlstate;
use crate::model::access::{Command, Standing};
use crate::model::catalog::ForeignKey;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::verify::form::{Scene, insert};
use crate::verify::world::insert::{insert as insert_sql, key_condition, sql_value};
use crate::verify::world::rows::Values;
use crate::verify::world::{Row, parse_standing};
use serde::Deserialize;
use std::collections::BTreeSet;

pub(super) const PROBE: Probe = Probe {
    name: "cascade",
    about: "who deletes or changes a row of their own deletes and changes no row of another's with it",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// How many keys in a row are followed from a child upward.
const DEPTH: usize = 5;

/// Between the standing and the row's text in what is read.
const SEPARATOR: char = '\u{1f}';

/// What a foreign key does to the child.
#[derive(Debug, Clone, Deserialize)]
struct Action {
    schema: String,
    table: String,
    name: String,
    /// ON DELETE CASCADE, SET NULL or SET DEFAULT.
    deletes: bool,
    /// ON DELETE CASCADE.
    takes_along: bool,
    /// ON UPDATE CASCADE, SET NULL or SET DEFAULT.
    updates: bool,
}

/// Another's child hangs on a row that one may delete or change.
struct Trial {
    child: usize,
    key: usize,
    persona: usize,
    /// DELETE or UPDATE of this table.
    acts_on: usize,
    command: Command,
    steps: Vec<Step>,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let actions: Vec<Action> = site.catalogue(include_str!("cascade.sql")).await?;
    let mut trials = Vec::new();
    for child in 0..site.subjects().len() {
        for key in 0..site.table(child).foreign_keys.len() {
            for persona in site.knockers() {
                plan(site, &actions, child, key, persona, &mut trials)?;
            }
        }
    }
    let scripts: Vec<Vec<Step>> = trials.iter().map(|trial| trial.steps.clone()).collect();
    let mut probed = Probed::default();
    let mut told = BTreeSet::new();
    for (trial, results) in trials.into_iter().zip(site.run_all(&scripts).await) {
        let (table, key) = (site.table(trial.child), &site.table(trial.child).foreign_keys[trial.key]);
        let object = format!("{}.{}", table.name(), key.columns.join(","));
        let Some(before) = anothers(site, &trial, &results) else { continue };
        probed.tried += 1;
        let failed = results.iter().skip(2).find_map(|result| result.as_ref().err());
        if let Some(error) = failed {
            // Refused by the policies, or for the child's sake: so it should be.
            if ![sqlstate::INSUFFICIENT_PRIVILEGE, sqlstate::FOREIGN_KEY_VIOLATION].contains(&error.code.as_str()) {
                probed.doubts.push(NotRun { what: object, why: error.to_string() });
            }
            continue;
        }
        let after = results.get(4).and_then(|result| result.as_ref().ok()).map(|result| result.keys.as_slice());
        let after: BTreeSet<&str> = after.unwrap_or_default().iter().flatten().filter_map(|text| row(text)).collect();
        if before.iter().all(|row| after.contains(row)) || !told.insert(object.clone()) {
            continue;
        }
        let becomes = if after.is_empty() { "deletes" } else { "changes" };
        probed.holes.push(hole(site, &trial, object, becomes));
    }
    Ok(probed)
}

/// The text of a row that was read.
fn row(read: &str) -> Option<&str> {
    read.split_once(SEPARATOR).map(|(_, row)| row)
}

/// The child rows that are another's and out of the persona's own reach, as they were before; `None` where the other
/// could not attach one.
fn anothers<'r>(site: &Site<'_>, trial: &Trial, results: &'r Results) -> Option<BTreeSet<&'r str>> {
    let attached = results.first()?.as_ref().ok().filter(|result| result.count > 0);
    attached?;
    let read = results.get(1)?.as_ref().ok()?;
    let scene = site.scene(trial.child, trial.persona);
    let out_of_reach = |read: &&str| {
        let standing = read.split_once(SEPARATOR).and_then(|(word, _)| parse_standing(word));
        standing == Some(Standing::Other) && !scene.promised(Standing::Other, trial.command)
    };
    let rows: BTreeSet<&str> =
        read.keys.iter().flatten().map(String::as_str).filter(out_of_reach).filter_map(row).collect();
    (!rows.is_empty()).then_some(rows)
}

fn hole(site: &Site<'_>, trial: &Trial, object: String, becomes: &str) -> Hole {
    let key = &site.table(trial.child).foreign_keys[trial.key];
    let (child, parent) = (site.table(trial.child).name(), site.table(trial.acts_on).name());
    let who = &site.persona(trial.persona).name;
    let (acts, clause) = if trial.command == Command::Delete { ("deletes", "DELETE") } else { ("changes", "UPDATE") };
    Hole {
        finding: Finding {
            check: String::new(),
            what: format!("{who} {becomes} another's row of {child}: it goes along with a row of {parent}"),
            object,
            place: Some(site.subjects()[trial.child].access.place.clone()),
            why: format!(
                "another account attached a row of its own, then {who} {acts} the row of {parent}, and ON {clause} of {} \
                 asks no policy of {child}",
                key.name
            ),
            remedy: format!(
                "make {} ON {clause} RESTRICT, or let only the owner of the row of {} attach to it in the policies of \
                 {child}; or, where it is wanted, accept it in policies/access.toml with a reason",
                key.name,
                key.target()
            ),
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps: trial.steps[..3].to_vec(),
    }
}

/// Everything that one persona may do to a parent on which another account may hang a child.
fn plan(
    site: &Site<'_>,
    actions: &[Action],
    child: usize,
    index: usize,
    persona: usize,
    trials: &mut Vec<Trial>,
) -> Result<(), Failure> {
    let key = &site.table(child).foreign_keys[index];
    let Some(action) = action(actions, site, child, key) else { return Ok(()) };
    let Some(parent) = site.maker.subject_of(&key.target()) else {
        return Ok(());
    };
    let Some(other) = site.scene(child, persona).other_holder() else { return Ok(()) };
    let theirs = site.scene(child, other);
    let Some(hold) = insert::hold(&theirs, |_| Some(other)) else { return Ok(()) };
    let fresh = site.maker.fresh(child, Some(other), hold.clone(), "cascade", site.world)?;
    let parents = site.scene(parent, persona);
    let mut add = |acts_on: usize, command: Command, parent_row: &Row, acted_on: &Row| {
        let pairs = key.columns.iter().zip(&key.target_columns);
        let hang: Option<Values> =
            pairs.map(|(from, to)| Some((from.clone(), Some(parent_row.values.get(to)?.clone()?)))).collect();
        let Some(hang) = hang else { return };
        let mut sent = theirs.client_values(fresh.clone(), &hold);
        sent.extend(hang.clone());
        let Some(act) = act(site, acts_on, command, key, acted_on) else { return };
        let by_parent = || {
            let parts: Vec<String> = hang
                .iter()
                .map(|(name, value)| format!("{} = {}", readable_identifier(name), sql_value(value.as_deref())))
                .collect();
            parts.join(" AND ")
        };
        let mut all = fresh.clone();
        all.extend(hang.clone());
        let condition = key_condition(theirs.table(), &all).unwrap_or_else(by_parent);
        let (access, uid) = (&site.subjects()[child].access, site.persona(persona).uid_or_nobody());
        let standing = reference::standing(site.setting.contract, site.setting.catalog, access, "r", uid);
        let read = format!("SELECT {standing} || chr(31) || (r.*)::text FROM {} r WHERE {condition}", theirs.name());
        let steps = vec![
            Step::by(other, insert_sql(theirs.table(), &sent)),
            Step::privileged(persona, read.clone()),
            Step::by(persona, act),
            Step::by(persona, "SET CONSTRAINTS ALL IMMEDIATE"),
            Step::privileged(persona, read),
        ];
        trials.push(Trial { child, key: index, persona, acts_on, command, steps });
    };
    for standing in Standing::ALL {
        let Some((row, _)) = parents.rows(standing).into_iter().next() else { continue };
        if action.updates && parents.promised(standing, Command::Update) {
            add(parent, Command::Update, row, row);
        }
        if action.deletes {
            for (acts_on, acted_on) in above(site, actions, parent, row, DEPTH) {
                let scene = site.scene(acts_on, persona);
                let promised = Standing::ALL.into_iter().any(|standing| {
                    scene.promised(standing, Command::Delete)
                        && scene.rows(standing).iter().any(|(row, _)| std::ptr::eq(*row, acted_on))
                });
                if promised {
                    add(acts_on, Command::Delete, row, acted_on);
                }
            }
        }
    }
    Ok(())
}

fn action<'a>(actions: &'a [Action], site: &Site<'_>, child: usize, key: &ForeignKey) -> Option<&'a Action> {
    let table = site.table(child);
    actions
        .iter()
        .find(|action| action.schema == table.schema && action.table == table.table && action.name == key.name)
}

/// The row, and every row whose deletion takes it along.
fn above<'a>(site: &Site<'a>, actions: &[Action], subject: usize, row: &'a Row, depth: usize) -> Vec<(usize, &'a Row)> {
    let mut all = vec![(subject, row)];
    if depth == 0 {
        return all;
    }
    for key in &site.table(subject).foreign_keys {
        let takes_along = action(actions, site, subject, key).is_some_and(|action| action.takes_along);
        let parent = site.maker.subject_of(&key.target());
        let (true, Some(parent)) = (takes_along, parent) else { continue };
        let refers = |candidate: &&Row| {
            key.columns.iter().zip(&key.target_columns).all(|(from, to)| {
                row.values.get(from).is_some_and(Option::is_some) && row.values.get(from) == candidate.values.get(to)
            })
        };
        if let Some(found) = site.world.of(parent).find(refers).filter(|found| !std::ptr::eq(*found, row)) {
            all.extend(above(site, actions, parent, found, depth - 1));
        }
    }
    all
}

/// The statement that deletes the row, or gives it another key.
fn act(site: &Site<'_>, subject: usize, command: Command, key: &ForeignKey, row: &Row) -> Option<String> {
    let table = site.table(subject);
    let (name, condition) = (crate::db::quote::table(&table.name()), key_condition(table, &row.values)?);
    if command == Command::Delete {
        return Some(format!("DELETE FROM {name} WHERE {condition}"));
    }
    let fresh = site.maker.fresh(subject, row.holder, Values::new(), "cascade", site.world).ok()?;
    let set: Option<Vec<String>> = key
        .target_columns
        .iter()
        // The owner that stands in the key stays who it is.
        .filter(|column| !site.maker.paths(subject).iter().any(|path| path.column() == *column))
        .map(|column| Some(Scene::assignment(column, fresh.get(column)?.as_deref())))
        .collect();
    set.filter(|set| !set.is_empty()).map(|set| format!("UPDATE {name} SET {} WHERE {condition}", set.join(", ")))
}
