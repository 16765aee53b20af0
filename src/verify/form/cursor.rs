//! Cursors and prepared statements: rows read through them, and rows changed WHERE CURRENT OF one.

use super::{Aim, Control, Plan, Planned, Route, Scene, need};
use crate::db::sqlstate;
use crate::model::access::{Command, Standing};
use crate::model::failure::Failure;
use crate::verify::world::Row;
use crate::verify::world::insert::sql_value;

const CURSOR: &str = "chartchek_cursor";
const PREPARED: &str = "chartchek_prepared";
/// A prepared statement outlives its transaction, and the next one of that name would be refused.
const FORGET: &str = "DEALLOCATE chartchek_prepared";

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let list = format!("SELECT {} FROM {}", scene.key(), scene.name());
    for (standing, rows) in scene.standings() {
        let Some((condition, aim)) = scene.reach(&rows) else { continue };
        let one = scene.where_key(rows[0]).map(|condition| format!("{list} WHERE {condition}"));
        let query = format!("{list}{condition}");
        let mut read = |form: &str, first: String, sql: String, undo: Option<&'static str>| {
            let needs = vec![need(Command::Select, &scene.key_columns())];
            let drafted = scene.on_rows(standing, &[Command::Select], form, sql, aim.clone(), needs);
            let control = drafted.control.clone().map(|control| Control::bounded(control.who, one.clone()));
            plan.attempts.push(Planned { route: Route::After { first, undo }, control, ..drafted });
        };
        read("cursor", declare(&query), format!("FETCH ALL FROM {CURSOR}"), None);
        read("prepared", format!("PREPARE {PREPARED} AS {query}"), format!("EXECUTE {PREPARED}"), Some(FORGET));
        // CURRENT OF needs a scan of each partition in the cursor's plan: the key as text lets the server leave out none.
        let unpruned = format!("{list} WHERE {} = {}", scene.key(), sql_value(Some(rows[0].1)));
        if let Some(one) = if scene.table().kind == "p" { Some(&unpruned) } else { one.as_ref() } {
            current(scene, plan, standing, rows[0], one);
        }
    }
    Ok(())
}

fn declare(query: &str) -> String {
    format!("DECLARE {CURSOR} CURSOR FOR {query}")
}

/// The row on which a cursor stands, changed and deleted. Where the actor does not see the row, the cursor stands on
/// none, and the server says so with an error.
fn current(scene: &Scene<'_>, plan: &mut Plan, standing: Standing, (_, key): (&Row, &str), one: &str) {
    let first = format!("{}; FETCH NEXT FROM {CURSOR}", declare(one));
    let mut add = |command: Command, sql: &str, columns: &[String]| {
        let sql = format!("{sql} WHERE CURRENT OF {CURSOR}");
        let needs = vec![need(Command::Select, &scene.key_columns()), need(command, columns)];
        let aim = Aim::Rows(vec![key.to_owned()]);
        let drafted = scene.on_rows(standing, &[command, Command::Select], "current", sql, aim, needs);
        let route = Route::After { first: first.clone(), undo: None };
        plan.attempts.push(Planned { route, no_row: Some(sqlstate::INVALID_CURSOR_STATE), ..drafted });
    };
    if let Some((column, constant)) = scene.plain_column() {
        let set = Scene::assignment(&column.name, Some(&constant));
        add(Command::Update, &format!("UPDATE {} SET {set}", scene.name()), std::slice::from_ref(&column.name));
    }
    add(Command::Delete, &format!("DELETE FROM {}", scene.name()), &[]);
}
