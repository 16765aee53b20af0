//! UPDATE … FROM and DELETE … USING: rows reached through a join with the same table, which is read under the policies
//! of SELECT.

use super::{Aim, Plan, Scene, need};
use crate::model::access::Command;
use crate::model::failure::Failure;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let (name, key) = (scene.name(), scene.key());
    for (standing, rows) in scene.standings() {
        let Some(condition) = scene.where_key(rows[0]) else { continue };
        // Of a large table the one row: else all of it is read.
        let only = if scene.whole { String::new() } else { format!(" WHERE {condition}") };
        let joined = format!("(SELECT {key} AS chartchek_key FROM {name}{only}) AS chartchek_source");
        let condition = format!("WHERE {key} = chartchek_source.chartchek_key AND {condition}");
        let mut add = |command: Command, form: &str, sql: String, columns: &[String]| {
            let needs = vec![need(command, columns), need(Command::Select, &scene.key_columns())];
            let aim = Aim::Rows(vec![rows[0].1.to_owned()]);
            plan.attempts.push(scene.on_rows(standing, &[command, Command::Select], form, sql, aim, needs));
        };
        if let Some((column, constant)) = scene.plain_column() {
            let set = Scene::assignment(&column.name, Some(&constant));
            let sql = format!("UPDATE {name} SET {set} FROM {joined} {condition}");
            add(Command::Update, "from", sql, std::slice::from_ref(&column.name));
        }
        add(Command::Delete, "using", format!("DELETE FROM {name} USING {joined} {condition}"), &[]);
    }
    Ok(())
}
