//! Writing through a doorway: no row that the contract keeps from the actor may be changed, and none be made.

use super::super::Probed;
use super::super::site::{Site, Step};
use super::{Door, Kind, Way, disturb};
use crate::db::quote::{literal, readable_identifier, table as quote_table};
use crate::db::sqlstate;
use crate::model::access::{Command, Standing};
use crate::model::failure::Failure;
use crate::model::report::NotRun;
use crate::verify::form::Scene;
use crate::verify::world::insert::{insert as insert_sql, key_expression, sql_value};
use std::collections::BTreeSet;

/// Columns that UPDATE is tried on, each on its own: one that can't be set must not hide another.
const COLUMNS: usize = 8;

/// One write, and what shows that it changed something hidden.
struct Write {
    command: Command,
    persona: usize,
    sql: String,
    /// Read before and after: it must stay the same.
    watch: String,
}

/// Tries the writes that are granted.
///
/// # Errors
/// Where no row can be made from the catalogue.
pub(super) async fn attempt(
    door: &Door<'_>,
    site: &Site<'_>,
    ways: &mut Vec<Way>,
    probed: &mut Probed,
) -> Result<(), Failure> {
    let mut writes = Vec::new();
    for persona in site.knockers() {
        plan(door, site, persona, &mut writes)?;
    }
    if writes.is_empty() {
        return Ok(());
    }
    if site.target {
        let why = "writes through it name no row, and are tried on a scratch database only".to_owned();
        probed.not_tried.push(NotRun { what: door.object(), why });
        return Ok(());
    }
    let script = |write: &Write, step: Step| {
        let watch = Step::privileged(write.persona, write.watch.clone());
        let mut steps = door.before(write.persona);
        steps.extend([watch.clone(), step, watch]);
        steps
    };
    let mut scripts = Vec::new();
    for write in &writes {
        scripts.push(script(write, Step::by(write.persona, write.sql.clone())));
        scripts.push(script(write, Step::privileged(write.persona, write.sql.clone())));
    }
    let mut answers = site.run_all(&scripts).await.into_iter();
    // The commands that anybody's write through it did something with, and those that were tried.
    let (mut done, mut tried) = (BTreeSet::new(), BTreeSet::new());
    for (write, steps) in writes.into_iter().zip(scripts.into_iter().step_by(2)) {
        let (own, control) = (answers.next().unwrap_or_default(), answers.next().unwrap_or_default());
        let ([.., before, own, after], [.., control, _]) = (own.as_slice(), control.as_slice()) else { continue };
        let control_worked = control.as_ref().is_ok_and(|result| result.count > 0);
        let what = format!("{}/{}/{}", door.object(), site.persona(write.persona).name, write.command);
        match own {
            Err(error) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE => {}
            // What the server refuses to everyone in the same way is no way in.
            Err(error) if control.as_ref().is_err_and(|control| control.code == error.code) => continue,
            Err(error) => probed.doubts.push(NotRun { what, why: error.to_string() }),
            Ok(result) => {
                if result.count > 0 {
                    done.insert(write.command);
                }
                let (Ok(before), Ok(after)) = (before, after) else {
                    probed.doubts.push(NotRun { what, why: "the rows behind it could not be read back".to_owned() });
                    continue;
                };
                let gone = before.keys.iter().filter(|row| !after.keys.contains(row));
                let came = after.keys.iter().filter(|row| !before.keys.contains(row));
                let subjects: BTreeSet<usize> = gone.chain(came).flatten().filter_map(|row| subject_of(row)).collect();
                if !subjects.is_empty() {
                    // The watching is no part of what shows it.
                    let steps = steps.into_iter().filter(|step| step.sql != write.watch).collect();
                    ways.push(Way { command: write.command, persona: write.persona, subjects, steps });
                }
            }
        }
        tried.insert(write.command);
        if control_worked {
            done.insert(write.command);
        }
    }
    for command in tried.difference(&done) {
        let why = "nobody's write through it changes a row, so that it changes no hidden one shows nothing".to_owned();
        probed.not_run.push(NotRun { what: format!("{}/{command}", door.object()), why });
    }
    Ok(())
}

/// The subject of a line of [`watch`].
fn subject_of(line: &str) -> Option<usize> {
    line.split(' ').next()?.parse().ok()
}

fn plan(door: &Door<'_>, site: &Site<'_>, persona: usize, writes: &mut Vec<Write>) -> Result<(), Failure> {
    let role = &site.persona(persona).actor.role;
    let granted = |command: Command, name: &String| door.table.grants(role, command, std::slice::from_ref(name));
    let name = door.name();
    let mut add = |command: Command, sql: String, watch: Option<String>| {
        writes.extend(watch.map(|watch| Write { command, persona, sql, watch }));
    };
    if door.events & 4 != 0 {
        let mut columns: Vec<_> = door
            .table
            .columns
            .iter()
            .filter(|column| !column.generated && granted(Command::Update, &column.name))
            .collect();
        // Free text can be set to anything; a key or a number less often.
        columns.sort_by_key(|column| column.base_type != "text");
        for column in columns.into_iter().take(COLUMNS) {
            let Some(constant) = site.maker.constant(door.table, &column.name, 999_001) else { continue };
            let sql = format!("UPDATE {name} SET {}", Scene::assignment(&column.name, Some(&constant)));
            add(Command::Update, sql, watch(door, site, persona, Command::Update));
        }
    }
    if door.events & 16 != 0 && door.table.grants(role, Command::Delete, &[]) {
        add(Command::Delete, format!("DELETE FROM {name}"), watch(door, site, persona, Command::Delete));
    }
    if door.events & 8 != 0 {
        let of_itself = if door.kind == Kind::Child { door.own_subject(site) } else { None };
        for &subject in &of_itself.map_or_else(|| door.reads.clone(), |itself| vec![itself]) {
            let Some((hold, mut values)) = disturb::fresh(site, subject, persona, true, "doorway")? else { continue };
            if door.kind == Kind::Child {
                values = site.maker.of_child(door.table, &values, &hold, site.world)?;
            }
            let scene = site.scene(subject, persona);
            if scene.promised(Standing::Other, Command::Insert) {
                continue;
            }
            let there = |name: &String| door.table.column(name).is_some() && granted(Command::Insert, name);
            // A doorway that does not name the owner can't be told whose the row is to be.
            if !hold.keys().all(there) {
                continue;
            }
            let mut sent = if door.kind == Kind::Child { values } else { scene.client_values(values, &hold) };
            sent.retain(|name, _| there(name));
            if sent.is_empty() {
                continue;
            }
            let of_owner: Vec<String> = hold
                .iter()
                .map(|(name, value)| format!("{} = {}", readable_identifier(name), sql_value(value.as_deref())))
                .collect();
            let condition = if of_owner.is_empty() { "true".to_owned() } else { of_owner.join(" AND ") };
            let table = quote_table(&scene.table().name());
            let count = format!("SELECT '{subject} ' || count(*) FROM {table} WHERE {condition}");
            add(Command::Insert, insert_sql(door.table, &sent), Some(count));
        }
    }
    Ok(())
}

/// Lists the versions of the rows behind the doorway on which the contract does not promise the command.
fn watch(door: &Door<'_>, site: &Site<'_>, persona: usize, command: Command) -> Option<String> {
    let mut parts = Vec::new();
    for &subject in &door.reads {
        let scene = site.scene(subject, persona);
        let kept = Standing::ALL.into_iter().filter(|&standing| !scene.promised(standing, command));
        let keys: Vec<String> = kept.flat_map(|standing| scene.rows(standing)).map(|(_, key)| literal(key)).collect();
        if keys.is_empty() {
            continue;
        }
        let key = key_expression(scene.table(), "r.");
        let planted = if door.planted.is_some() {
            format!(" OR r.tableoid = {}::regclass", literal(&door.name()))
        } else {
            String::new()
        };
        parts.push(format!(
            "SELECT '{subject} ' || r.tableoid::text || r.ctid::text || ' ' || {key} FROM {} r \
             WHERE {key} = ANY (ARRAY[{}]::text[]){planted}",
            quote_table(&scene.table().name()),
            keys.join(", ")
        ));
    }
    (!parts.is_empty()).then(|| parts.join(" UNION ALL "))
}
