//! COPY … TO STDOUT: the table itself, and a query on it. Who may SELECT rows may copy them out, and nobody else.

use super::{Aim, Control, Plan, Route, Scene, need};
use crate::model::access::Command;
use crate::model::catalog::Column;
use crate::model::failure::Failure;
use crate::model::report::NotRun;
use crate::verify::form::Planned;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let (name, key) = (scene.name(), scene.key());
    let needs = || vec![need(Command::Select, &scene.key_columns())];
    for (standing, rows) in scene.standings() {
        let Some((condition, aim)) = scene.reach(&rows) else { continue };
        let on_one_row =
            scene.where_key(rows[0]).map(|condition| format!("SELECT {key} FROM {name} WHERE {condition}"));
        let mut add = |form: &str, sql: String, aim: Aim| {
            let drafted = scene.on_rows(standing, &[Command::Select], form, sql, aim, needs());
            let control = drafted.control.clone().map(|control| Control::bounded(control.who, on_one_row.clone()));
            plan.attempts.push(Planned { route: Route::Copy, control, ..drafted });
        };
        add("copy-query", format!("COPY (SELECT {key} FROM {name}{condition}) TO STDOUT"), aim.clone());
        if let Some(column) = copied_key(scene) {
            add("copy", format!("COPY {name} ({}) TO STDOUT", readable(column)), aim);
        }
    }
    Ok(())
}

/// The key's one column, where COPY writes it as a cast to text does, and the table can be copied without a query:
/// one whose rows lie in partitions cannot.
fn copied_key<'a>(scene: &Scene<'a>) -> Option<&'a Column> {
    let [name] = &scene.key_columns()[..] else { return None };
    let column = scene.table().column(name)?;
    let as_cast = !column.is_array && !matches!(column.base_type.as_str(), "bool" | "bpchar" | "char");
    (as_cast && scene.whole && scene.table().kind == "r").then_some(column)
}

fn readable(column: &Column) -> String {
    crate::db::quote::readable_identifier(&column.name)
}

/// What is decided without a statement, and why.
pub(crate) fn not_tried() -> NotRun {
    NotRun {
        what: "COPY … FROM STDIN".to_owned(),
        why: "on a table with RLS the server refuses it to everyone whom RLS binds (0A000), and the refusal ends the \
              client's connection; who may INSERT at all is told by that command's attempts"
            .to_owned(),
    }
}
