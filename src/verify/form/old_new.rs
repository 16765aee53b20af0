//! RETURNING of a row as it was and as it is (PostgreSQL 18): shows only what SELECT is promised.

use super::{Aim, Plan, Scene, need, upsert};
use crate::model::access::Command;
use crate::model::failure::Failure;
use crate::verify::world::insert::key_expression;

/// The first version with it.
const SINCE: u32 = 180_000;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    if scene.version() < SINCE {
        return Ok(());
    }
    // Names of their own: a table may be called old or new.
    let returning = format!(
        "RETURNING WITH (OLD AS chartchek_old, NEW AS chartchek_new) {}, (chartchek_old.*)::text, (chartchek_new.*)::text",
        key_expression(scene.table(), "chartchek_old.")
    );
    let plain = scene.plain_column();
    for (standing, rows) in scene.standings() {
        let Some(condition) = scene.where_key(rows[0]) else { continue };
        let mut add = |command: Command, sql: String, columns: &[String]| {
            let needs = vec![need(command, columns), need(Command::Select, &[])];
            let aim = Aim::Rows(vec![rows[0].1.to_owned()]);
            let sql = format!("{sql} WHERE {condition} {returning}");
            plan.attempts.push(scene.on_rows(standing, &[command, Command::Select], "old-new", sql, aim, needs));
        };
        add(Command::Delete, format!("DELETE FROM {}", scene.name()), &[]);
        let Some((column, constant)) = &plain else { continue };
        let set = Scene::assignment(&column.name, Some(constant));
        add(Command::Update, format!("UPDATE {} SET {set}", scene.name()), std::slice::from_ref(&column.name));
        if let Some(mut upsert) = upsert::by_key(scene, standing, rows[0])? {
            upsert.needs.push(need(Command::Select, &[]));
            let sql = format!("{} {} DO UPDATE SET {set} {returning}", upsert.insert, upsert.conflict);
            plan.attempts.push(upsert::changing(scene, standing, "on-conflict-old-new", sql, rows[0].1, &upsert));
        }
    }
    Ok(())
}
