//! SELECT: everything, one row by key, and the count.

use super::{Aim, Control, Plan, Promise, Scene, need};
use crate::model::access::{Command, Standing};
use crate::model::attempt::Outcome;
use crate::model::failure::Failure;
use crate::verify::form::Who;

/// How many rows more than are promised are counted at most, in tables too large to be read whole.
const MORE: u64 = 1_000;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let (name, key) = (scene.name(), scene.key());
    let denial = scene.denial(&[Command::Select], Outcome::Hidden);
    // The row as text: all columns, and no type that a client would first have to ask the server about.
    let list = format!("SELECT {key}, ({}.*)::text FROM {name}", whole_row(scene));
    // Of a large table the world's rows; for the others there is a probe.
    let all = if scene.whole { list.clone() } else { format!("{list} WHERE {}", scene.among_world()) };
    for (standing, rows) in scene.standings() {
        let promise = scene.promise(standing, &[Command::Select]);
        let keys: Vec<String> = rows.iter().map(|(_, key)| (*key).to_owned()).collect();
        let on_one_row = scene.where_key(rows[0]).map(|condition| format!("{list} WHERE {condition}"));
        let control = Control::bounded(scene.owner_of(rows[0].1, &[Command::Select]), on_one_row.clone());
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
        add("all", all.clone(), Aim::All(keys));
        if let Some(sql) = on_one_row.clone() {
            add("key", sql, Aim::Rows(vec![rows[0].1.to_owned()]));
        }
    }
    count(scene, plan, &name, denial);
    Ok(())
}

/// The count has no standing of its own: it is told of the first standing that rows have.
fn count(scene: &Scene<'_>, plan: &mut Plan, name: &str, denial: Outcome) {
    let standings = scene.standings();
    let promised = standings.iter().find(|(standing, _)| scene.promised(*standing, Command::Select));
    let Some((standing, rows)) = promised.or_else(|| standings.first()) else { return };
    let on_one_row =
        scene.where_key(rows[0]).map(|condition| format!("SELECT count(*)::text FROM {name} WHERE {condition}"));
    // How many rows a large table has is not known: who may see more than their own counts the world's.
    let covers_more = Standing::ALL.iter().any(|&any| any != Standing::Own && scene.promised(any, Command::Select));
    let of_world = covers_more && !scene.whole;
    // count(*) is allowed with SELECT on any one column.
    let columns = if of_world { scene.key_columns() } else { scene.any_column(Command::Select) };
    let sight = &scene.sights[scene.persona];
    let expected = sight.values().filter(|seen| scene.promised(seen.standing, Command::Select)).count() as u64;
    let promise = if promised.is_some() { Promise::Yes } else { Promise::No };
    let from = if scene.whole {
        name.to_owned()
    } else if of_world {
        format!("{name} WHERE {}", scene.among_world())
    } else {
        // Planned as without LIMIT: else a LIMIT makes it read in order, past everybody's rows.
        let seen = format!("WITH seen AS MATERIALIZED (SELECT 1 AS one FROM {name}) SELECT one FROM seen");
        format!("({seen} LIMIT {}) bounded", expected + MORE)
    };
    scene.add(
        plan,
        *standing,
        Command::Select,
        "count",
        format!("SELECT count(*)::text FROM {from}"),
        vec![need(Command::Select, &columns)],
        Aim::Count(expected),
        promise,
        denial,
        Some(Control::bounded(Who::Privileged(scene.persona), on_one_row)),
        None,
    );
}

fn whole_row(scene: &Scene<'_>) -> String {
    crate::db::quote::readable_identifier(&scene.table().table)
}
