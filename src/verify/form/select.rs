//! SELECT: everything, one row by key, and the count.

use super::{Aim, Control, Plan, Promise, Scene, need};
use crate::model::access::{Command, Ownership, Standing};
use crate::model::attempt::Outcome;
use crate::model::failure::Failure;
use crate::verify::form::Who;
use crate::verify::world::insert::keys_condition;

/// How many rows of a large table are looked at beside the world's.
const SAMPLE: usize = 1_000;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let (name, key) = (scene.name(), scene.key());
    let denial = scene.denial(&[Command::Select], Outcome::Hidden);
    // The row as text: all columns, and no type that a client would first have to ask the server about.
    let list = format!("SELECT {key}, ({}.*)::text FROM {name}", whole_row(scene));
    for (standing, rows) in scene.standings() {
        let promise = scene.promise(standing, &[Command::Select]);
        let keys: Vec<String> = rows.iter().map(|(_, key)| (*key).to_owned()).collect();
        let on_one_row = scene.where_key(rows[0]).map(|condition| format!("{list} WHERE {condition}"));
        let control = Control::bounded(scene.owner_of(rows[0].1, Command::Select), on_one_row.clone());
        let needs = vec![need(Command::Select, &[])];
        let mut add = |form: &str, sql: String, aim: Aim| {
            scene.add(
                plan,
                standing,
                Command::Select,
                form,
                sql,
                needs.clone(),
                aim,
                promise,
                denial,
                Some(control.clone()),
                None,
            );
        };
        add("all", everything(scene, &list), Aim::All(keys));
        if let Some(sql) = on_one_row.clone() {
            add("key", sql, Aim::Rows(vec![rows[0].1.to_owned()]));
        }
    }
    count(scene, plan, &name, denial);
    Ok(())
}

/// Everything that the persona sees. Of a table too large to be read as a whole that is the world's rows, and a sample
/// of whatever else there is for those who must see nothing else.
fn everything(scene: &Scene<'_>, list: &str) -> String {
    if scene.whole {
        return list.to_owned();
    }
    let world = format!("{list} WHERE {}", of_the_world(scene));
    // Where a condition decides, a row that is not read back may be one's own.
    let told = sees_all(scene) || matches!(scene.ownership(), Ownership::Sql(_));
    if told {
        return world;
    }
    // Planned as the statement without LIMIT is: else a LIMIT makes it read in order, past everybody's rows.
    format!("{world} UNION ALL (WITH seen AS MATERIALIZED ({list}) SELECT * FROM seen LIMIT {SAMPLE})")
}

/// A condition that holds for the world's rows.
fn of_the_world(scene: &Scene<'_>) -> String {
    let keys: Vec<&str> = scene.world.keyed(scene.subject, scene.keys).map(|(_, key)| key.as_str()).collect();
    keys_condition(scene.table(), "", &keys)
}

fn sees_all(scene: &Scene<'_>) -> bool {
    scene.promised(Standing::Other, Command::Select) || scene.promised(Standing::Any, Command::Select)
}

/// The count has no standing of its own: it is told of the first standing that rows have.
fn count(scene: &Scene<'_>, plan: &mut Plan, name: &str, denial: Outcome) {
    let standings = scene.standings();
    let promised = standings.iter().find(|(standing, _)| scene.promised(*standing, Command::Select));
    let Some((standing, rows)) = promised.or_else(|| standings.first()) else { return };
    let on_one_row =
        scene.where_key(rows[0]).map(|condition| format!("SELECT count(*)::text FROM {name} WHERE {condition}"));
    // How many rows a large table has is not known: whoever sees all of them counts the world's.
    let scope = sees_all(scene) && !scene.whole;
    let scope = if scope { format!(" WHERE {}", of_the_world(scene)) } else { String::new() };
    // count(*) is allowed with SELECT on any one column.
    let columns = if scope.is_empty() { any_column(scene) } else { scene.key_columns() };
    let sight = &scene.sights[scene.persona];
    let expected = sight.values().filter(|seen| scene.promised(seen.standing, Command::Select)).count() as u64;
    let promise = if promised.is_some() { Promise::Yes } else { Promise::No };
    scene.add(
        plan,
        *standing,
        Command::Select,
        "count",
        format!("SELECT count(*)::text FROM {name}{scope}"),
        vec![need(Command::Select, &columns)],
        Aim::Count(expected),
        promise,
        denial,
        Some(Control::bounded(Who::Privileged(scene.persona), on_one_row)),
        None,
    );
}

/// A column with SELECT, where there is one; else those of the key.
fn any_column(scene: &Scene<'_>) -> Vec<String> {
    let (role, table) = (&scene.persona().actor.role, scene.table());
    let names = table.columns.iter().map(|column| vec![column.name.clone()]);
    let mut granted = names.filter(|name| table.grants(role, Command::Select, name));
    granted.next().unwrap_or_else(|| scene.key_columns())
}

fn whole_row(scene: &Scene<'_>) -> String {
    crate::db::quote::readable_identifier(&scene.table().table)
}
