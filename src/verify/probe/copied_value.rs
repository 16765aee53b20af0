//! Copies: a trigger may write what stands in one row into another, which others are rightly shown. Every row that an actor
//! is promised is read, as the world made it and after another account's writes, and holds nothing of hidden rows.

use super::functions::Secrets;
use super::site::{Results, Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::error::DbError;
use crate::db::quote::readable_identifier;
use crate::db::session::StatementResult;
use crate::model::access::{Command, Standing, TableName};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::verify::form::{Scene, insert};
use crate::verify::world::insert::{insert as insert_sql, key_columns};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const PROBE: Probe = Probe {
    name: "copied-value",
    about: "no trigger or rule copies what stands in hidden rows into rows that others are promised to see",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// Between the table's number, the key and the values of what is read.
const SEPARATOR: char = '\u{1f}';

/// How many rows of a table are read.
const ROWS: usize = 1_000;

#[derive(Debug, Deserialize)]
struct Written {
    schema: String,
    name: String,
}

/// A write of another account's, and a reading after it.
struct Trial {
    persona: usize,
    /// Who writes what to which table; `None` where the world's own rows did.
    write: Option<(usize, usize, String)>,
    read: String,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let written: Vec<Written> = site.catalogue(include_str!("copied_value.sql")).await?;
    let written: BTreeSet<TableName> =
        written.into_iter().map(|table| TableName { schema: table.schema, name: table.name }).collect();
    let written: Vec<usize> =
        (0..site.subjects().len()).filter(|&subject| written.contains(&site.table(subject).name())).collect();
    let mut trials = Vec::new();
    for persona in site.knockers().filter(|_| !written.is_empty()) {
        let Some(read) = reading(site, persona) else { continue };
        trials.push(Trial { persona, write: None, read: read.clone() });
        let Some(other) = site.scene(0, persona).other_holder() else { continue };
        for &subject in &written {
            let writes = writes(site, subject, other)?.into_iter();
            trials.extend(writes.map(|sql| Trial { persona, write: Some((other, subject, sql)), read: read.clone() }));
        }
    }
    let scripts: Vec<Vec<Step>> = trials.iter().map(steps).collect();
    let mut probed = Probed { tried: trials.len(), ..Probed::default() };
    let mut secrets: BTreeMap<usize, Secrets> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for (trial, results) in trials.iter().zip(site.run_all(&scripts).await) {
        let secrets = secrets.entry(trial.persona).or_insert_with(|| Secrets::of(site, trial.persona));
        match copies(site, trial.persona, secrets, &results) {
            Ok(copies) => {
                for (subject, source, standing) in copies {
                    if told.insert((subject, source)) {
                        probed.holes.push(hole(site, trial, subject, source, standing));
                    }
                }
            }
            Err(why) => {
                let what = site.persona(trial.persona).name.clone();
                if probed.doubts.iter().all(|doubt| doubt.what != what) {
                    probed.doubts.push(NotRun { what, why });
                }
            }
        }
    }
    Ok(probed)
}

fn steps(trial: &Trial) -> Vec<Step> {
    let write = trial
        .write
        .iter()
        .flat_map(|(other, _, sql)| [Step::by(*other, sql.clone()), Step::by(*other, "SET CONSTRAINTS ALL IMMEDIATE")]);
    write.chain([Step::by(trial.persona, trial.read.clone())]).collect()
}

/// Everything that the persona may read of every table that it is promised rows of.
fn reading(site: &Site<'_>, persona: usize) -> Option<String> {
    let role = &site.persona(persona).actor.role;
    let of = |subject: usize| {
        let scene = site.scene(subject, persona);
        let table = scene.table();
        let readable = |names: &[String]| table.grants(role, Command::Select, names);
        if !promised_somewhere(&scene, Command::Select) || !readable(&key_columns(table)) {
            return None;
        }
        let columns = table.columns.iter().map(|column| &column.name);
        let columns = columns.filter(|name| readable(std::slice::from_ref(name)));
        let columns: Vec<String> = columns.map(|name| readable_identifier(name)).collect();
        Some(format!(
            "(SELECT '{subject}' || chr(31) || {} || chr(31) || concat_ws(' ', {}) FROM {} LIMIT {ROWS})",
            scene.key(),
            columns.join(", "),
            scene.name()
        ))
    };
    let parts: Vec<String> = (0..site.subjects().len()).filter_map(of).collect();
    (!parts.is_empty()).then(|| parts.join(" UNION ALL "))
}

fn promised_somewhere(scene: &Scene<'_>, command: Command) -> bool {
    Standing::ALL.into_iter().any(|standing| scene.promised(standing, command))
}

/// What the account may do to its own row: make, change, and take away one.
fn writes(site: &Site<'_>, subject: usize, persona: usize) -> Result<Vec<String>, Failure> {
    let scene = site.scene(subject, persona);
    let mut writes = Vec::new();
    if promised_somewhere(&scene, Command::Insert)
        && let Some(hold) = insert::hold(&scene, |_| Some(persona))
    {
        let fresh = site.maker.fresh(subject, Some(persona), hold.clone(), "copied-value", site.world)?;
        writes.push(insert_sql(scene.table(), &scene.client_values(fresh, &hold)));
    }
    let Some(condition) = scene.rows(Standing::Own).into_iter().find_map(|row| scene.where_key(row)) else {
        return Ok(writes);
    };
    if promised_somewhere(&scene, Command::Update)
        && let Some((column, constant)) = scene.plain_column()
    {
        let set = Scene::assignment(&column.name, Some(&constant));
        writes.push(format!("UPDATE {} SET {set} WHERE {condition}", scene.name()));
    }
    if promised_somewhere(&scene, Command::Delete) {
        writes.push(format!("DELETE FROM {} WHERE {condition}", scene.name()));
    }
    Ok(writes)
}

/// Which tables' promised rows hold something of which tables' hidden ones.
fn copies(
    site: &Site<'_>,
    persona: usize,
    secrets: &Secrets,
    results: &Results,
) -> Result<Vec<(usize, usize, Standing)>, String> {
    let rows = match results.as_slice() {
        [Ok(rows)] | [Ok(_), Ok(_), Ok(rows)] => rows,
        [Err(error)] | [Ok(_), Ok(_), Err(error)] => return Err(format!("its rows could not be read: {}", error.code)),
        // What could not be written is copied nowhere; whether it may fail is for the attempts to say.
        _ => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    for row in rows.keys.iter().flatten() {
        let mut parts = row.splitn(3, SEPARATOR);
        let (Some(subject), Some(key), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("what was read was not understood".to_owned());
        };
        let Ok(subject) = subject.parse::<usize>() else { continue };
        let scene = site.scene(subject, persona);
        let seen = site.standing.sights[subject][persona].get(key);
        // What it is not promised is the attempts' matter.
        if seen.is_some_and(|seen| !scene.promised(seen.standing, Command::Select)) {
            continue;
        }
        let text: Result<StatementResult, DbError> =
            Ok(StatementResult { keys: vec![Some(text.to_owned())], ..StatementResult::default() });
        if let Some((source, standing)) = secrets.told("", &text) {
            found.push((subject, source, standing));
        }
    }
    Ok(found)
}

fn hole(site: &Site<'_>, trial: &Trial, subject: usize, source: usize, standing: Standing) -> Hole {
    let name = &site.persona(trial.persona).name;
    let (shown, hidden) = (&site.subjects()[subject].access, &site.subjects()[source].access.table);
    let after = match &trial.write {
        None => "when rows were made".to_owned(),
        Some((other, table, _)) => {
            let table = &site.subjects()[*table].access.table;
            format!("after {} wrote to its own row of {table}", site.persona(*other).name)
        }
    };
    Hole {
        finding: Finding {
            check: String::new(),
            what: format!(
                "{name} reads in rows of {}, which it is promised, what stands in hidden rows of {hidden}",
                shown.table
            ),
            object: format!("{} of {hidden}", shown.table),
            place: Some(shown.place.clone()),
            why: format!(
                "a value of a row of {hidden} ({standing}) stood there {after}: a trigger or rule put it there"
            ),
            remedy: format!(
                "let what writes to {} leave values of {hidden} out; or promise its rows to those alone who may see {hidden}",
                shown.table
            ),
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps: steps(trial),
    }
}
