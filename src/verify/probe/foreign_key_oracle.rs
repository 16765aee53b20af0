//! Foreign keys reach across RLS: their check sees every parent. A child must not be attached to a parent that its
//! writer can't see, and a hidden parent must be answered for as a missing one is.

use super::site::{Results, Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::error::DbError;
use crate::model::access::{Command, Ownership, Standing};
use crate::model::catalog::ForeignKey;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::{Accepted, NotRun};
use crate::verify::form::{Scene, insert};
use crate::verify::world::insert::insert as insert_sql;
use crate::verify::world::rows::Values;
use crate::verify::world::values::unique_value;
use crate::verify::world::{Row, WorldKind};
use std::collections::BTreeSet;

pub(super) const PROBE: Probe = Probe {
    name: "foreign-key-oracle",
    about: "no child is attached to a parent that its writer can't see, and a hidden parent is answered as a missing one",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// One child row, attached in turn to a visible, a missing and hidden parents.
struct Trial {
    subject: usize,
    key: usize,
    /// Whether the contract promises the row however the key is set: then it may be attached, but not tell.
    promised: bool,
    visible: Vec<Step>,
    missing: Vec<Step>,
    hidden: Vec<(Standing, Vec<Step>)>,
    /// The values that differ: an answer is compared without them.
    told: Vec<String>,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let random: BTreeSet<(String, String, String)> = site.catalogue(include_str!("unique_oracle.sql")).await?;
    let mut trials = Vec::new();
    for persona in site.knockers() {
        for subject in 0..site.subjects().len() {
            for key in 0..site.table(subject).foreign_keys.len() {
                plan(site, subject, key, persona, &mut trials)?;
            }
        }
    }
    let scripts: Vec<Vec<Step>> = trials
        .iter()
        .flat_map(|trial| {
            [&trial.visible, &trial.missing].into_iter().chain(trial.hidden.iter().map(|(_, steps)| steps))
        })
        .cloned()
        .collect();
    let mut answers = site.run_all(&scripts).await.into_iter();
    let mut probed = Probed::default();
    let mut told = BTreeSet::new();
    for trial in trials {
        let (visible, missing) = (answers.next(), answers.next());
        let hidden: Vec<Option<Results>> = trial.hidden.iter().map(|_| answers.next()).collect();
        if !matches!(answer(visible), Ok(true)) {
            // Who may not attach a row of their own to a parent of their own learns nothing here.
            continue;
        }
        let key = &site.table(trial.subject).foreign_keys[trial.key];
        let object = format!("{}.{}", site.table(trial.subject).name(), key.columns.join(","));
        let missing = match answer(missing) {
            Err(error) if !is_doubtful(&error) => error,
            other => {
                let why = other.err().map_or_else(
                    || {
                        "a parent that does not exist was taken: the key is not enforced, or a trigger changes it"
                            .to_owned()
                    },
                    |error| error.to_string(),
                );
                probed.doubts.push(NotRun { what: object, why });
                continue;
            }
        };
        for ((standing, steps), hidden) in trial.hidden.iter().zip(hidden) {
            probed.tried += 1;
            let hidden = answer(hidden);
            if let Err(error) = &hidden
                && (is_doubtful(error) || same(error, &missing, &trial.told))
            {
                if is_doubtful(error) {
                    probed.doubts.push(NotRun { what: object.clone(), why: error.to_string() });
                }
                continue;
            }
            let attached = hidden.is_ok() && !trial.promised;
            let who = steps.last().map(|step| site.name(step.who)).unwrap_or_default();
            let parent = key.target();
            let id = (parent.schema.clone(), parent.name.clone(), key.target_columns[0].clone());
            if !attached && key.columns.len() == 1 && random.contains(&id) {
                if told.insert((object.clone(), false)) {
                    let what = format!("{who} learns whether a hidden row of {parent} exists");
                    let reason = "by rule: a single-column uuid key with a random default can't be guessed".to_owned();
                    probed.accepted.push(Accepted { id: format!("foreign-key-oracle/{object}"), what, reason });
                }
                continue;
            }
            if told.insert((object.clone(), true)) {
                probed.holes.push(hole(
                    site,
                    &trial,
                    *standing,
                    steps,
                    &who,
                    &object,
                    hidden.err().map(|error| *error),
                    &missing,
                ));
            }
        }
    }
    // One object is told of once, and by what is worse.
    probed.accepted.retain(|accepted| {
        probed.holes.iter().all(|hole| accepted.id != format!("foreign-key-oracle/{}", hole.finding.object))
    });
    Ok(probed)
}

/// Whether a row was written, or why not: the first error of the script.
fn answer(results: Option<Results>) -> Result<bool, Box<DbError>> {
    let mut wrote = false;
    for result in results.unwrap_or_default() {
        wrote |= result?.count > 0;
    }
    Ok(wrote)
}

/// Errors that say nothing of the row: of the connection, of waiting, of the transaction, of the server itself.
fn is_doubtful(error: &DbError) -> bool {
    error.is_connection()
        || ["25", "40", "53", "54", "55", "57", "58", "XX"].iter().any(|class| error.code.starts_with(class))
}

/// Whether two refusals read the same but for the values that were sent.
fn same(one: &DbError, other: &DbError, values: &[String]) -> bool {
    let without = |error: &DbError| values.iter().fold(error.message.clone(), |text, value| text.replace(value, "…"));
    one.code == other.code && without(one) == without(other)
}

#[expect(clippy::too_many_arguments, reason = "each is a separate fact of the one finding")]
fn hole(
    site: &Site<'_>,
    trial: &Trial,
    standing: Standing,
    steps: &[Step],
    who: &str,
    object: &str,
    refusal: Option<DbError>,
    missing: &DbError,
) -> Hole {
    let key = &site.table(trial.subject).foreign_keys[trial.key];
    let (table, parent) = (site.table(trial.subject).name(), key.target());
    let (what, why) = match refusal {
        None if !trial.promised => (
            format!("{who} attaches a row of {table} to a row of {parent} that is hidden ({standing})"),
            format!("the row was taken, with a parent that does not exist it is refused: {}", missing.code),
        ),
        None => (
            format!("{who} learns whether a hidden row of {parent} has a given {}", key.target_columns.join(",")),
            format!("the row was taken, with a parent that does not exist it is refused: {}", missing.code),
        ),
        Some(error) => (
            format!("{who} learns whether a hidden row of {parent} has a given {}", key.target_columns.join(",")),
            format!("a hidden parent is refused with {}, a missing one with {}", error.code, missing.code),
        ),
    };
    Hole {
        finding: Finding {
            check: String::new(),
            what,
            object: object.to_owned(),
            place: Some(site.subjects()[trial.subject].access.place.clone()),
            why,
            remedy: format!(
                "let the policies' WITH CHECK ask whether the parent is the writer's own ({} in a row of {parent} that \
                 is theirs), or put the owner into both keys: FOREIGN KEY ({}, owner) REFERENCES {parent} ({}, owner)",
                key.columns.join(", "),
                key.columns.join(", "),
                key.target_columns.join(", "),
            ),
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps: steps[..1].to_vec(),
    }
}

/// Inserts and updates of one's own row, as one persona, that set one foreign key.
fn plan(site: &Site<'_>, subject: usize, index: usize, persona: usize, trials: &mut Vec<Trial>) -> Result<(), Failure> {
    let scene = site.scene(subject, persona);
    let key = &scene.table().foreign_keys[index];
    let Some(parent) = site.maker.subject_of(&key.target()) else {
        // What no one's rows are is hidden from no one by the contract.
        return Ok(());
    };
    let parents = site.scene(parent, persona);
    let is_seen = |standing: &Standing| parents.promised(*standing, Command::Select);
    let in_path = scene.paths().iter().any(|path| key.columns.iter().any(|column| column == path.column()));
    let any = matches!(site.subjects()[subject].access.ownership, Ownership::Any(_));
    let Some(hold) = insert::hold(&scene, |_| Some(persona)) else { return Ok(()) };
    let fresh = site.maker.fresh(subject, Some(persona), hold.clone(), "foreign-key-oracle", site.world)?;
    let visible = Standing::ALL.into_iter().filter(is_seen).flat_map(|standing| parents.rows(standing)).next();
    let nullable = key.columns.iter().all(|name| scene.table().column(name).is_some_and(|column| !column.not_null));
    let of = |row: &Row| -> Option<Values> {
        let pairs = key.columns.iter().zip(&key.target_columns);
        pairs.map(|(from, to)| Some((from.clone(), Some(row.values.get(to)?.clone()?)))).collect()
    };
    let Some(free) = visible
        .and_then(|(row, _)| of(row))
        .or_else(|| nullable.then(|| key.columns.iter().map(|name| (name.clone(), None)).collect()))
    else {
        return Ok(());
    };
    let Some(missing) = missing(&scene, key) else { return Ok(()) };
    let hidden: Vec<(Standing, Values)> = Standing::ALL
        .into_iter()
        .filter(|standing| !is_seen(standing))
        .filter_map(|standing| Some((standing, of(parents.rows(standing).first()?.0)?)))
        .collect();
    if hidden.is_empty() {
        return Ok(());
    }
    let told = hidden.iter().map(|(_, values)| values).chain([&missing]).flat_map(|values| values.values().flatten());
    let told: Vec<String> = told.cloned().collect();
    // A composite key: whole, and without the columns that make the row one's own.
    let held: Vec<bool> = if key.columns.iter().any(|name| hold.contains_key(name)) && key.columns.len() > 1 {
        vec![false, true]
    } else {
        vec![false]
    };
    let own = Standing::ALL.into_iter().filter(|standing| scene.promised(*standing, Command::Update));
    let own = own.flat_map(|standing| scene.rows(standing)).next().and_then(|row| scene.where_key(row));
    for (keeps_own, updates) in held.into_iter().flat_map(|keeps| [(keeps, false), (keeps, true)]) {
        let part = |values: &Values| -> Values {
            let kept = values.iter().filter(|(name, _)| !(keeps_own && hold.contains_key(*name)));
            kept.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let write = |values: &Values| -> Option<String> {
            let values = part(values);
            if !updates {
                let mut sent = scene.client_values(fresh.clone(), &hold);
                sent.extend(values);
                return Some(insert_sql(scene.table(), &sent));
            }
            let set = values.iter().map(|(name, value)| Scene::assignment(name, value.as_deref()));
            let set = set.collect::<Vec<_>>().join(", ");
            Some(format!("UPDATE {} SET {set} WHERE {}", scene.name(), own.as_ref()?))
        };
        let script = |values: &Values| {
            // A key that is checked late is checked as the actor, too.
            write(values).map(|sql| vec![Step::by(persona, sql), Step::by(persona, "SET CONSTRAINTS ALL IMMEDIATE")])
        };
        let command = if updates { Command::Update } else { Command::Insert };
        let scripts = hidden.iter().filter(|(standing, _)| !in_path || any || !scene.promised(*standing, command));
        let scripts: Vec<_> = scripts.filter_map(|(standing, values)| Some((*standing, script(values)?))).collect();
        if let (Some(visible), Some(missing), false) = (script(&free), script(&missing), scripts.is_empty()) {
            let promised = in_path && any;
            trials.push(Trial { subject, key: index, promised, visible, missing, hidden: scripts, told: told.clone() });
        }
    }
    Ok(())
}

/// A key that no parent has; `None` where the type has too few values to be sure.
fn missing(scene: &Scene<'_>, key: &ForeignKey) -> Option<Values> {
    debug_assert_eq!(scene.world.kind, WorldKind::Different, "probes are made on the first world");
    let column = |name: &String| {
        let column = scene
            .table()
            .column(name)
            .filter(|column| column.enum_labels.is_empty() && column.base_type != "bool" && !column.generated)?;
        Some((name.clone(), Some(unique_value(column, "a parent that is missing", 77_777_777)?)))
    };
    key.columns.iter().map(column).collect()
}
