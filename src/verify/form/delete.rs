//! DELETE: one row by key, and everything.

use super::{Aim, Control, Plan, Scene, need, update};
use crate::model::access::Command;
use crate::model::attempt::Outcome;
use crate::model::failure::Failure;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let name = scene.name();
    let denial = scene.denial(&[Command::Delete], Outcome::Hidden);
    for (standing, rows) in scene.standings() {
        let promise = scene.promise(standing, &[Command::Delete]);
        let on_one_row = scene.where_key(rows[0]).map(|condition| format!("DELETE FROM {name} WHERE {condition}"));
        let control = Some(Control::bounded(scene.owner_of(rows[0].1, &[Command::Delete]), on_one_row.clone()));
        if let Some(sql) = on_one_row {
            let needs = vec![need(Command::Delete, &[]), need(Command::Select, &scene.key_columns())];
            let aim = Aim::Rows(vec![rows[0].1.to_owned()]);
            scene.add(plan, standing, Command::Delete, "key", sql, needs, aim, promise, denial, control.clone(), None);
        }
        let own_world = scene.own_world(Command::Delete);
        if scene.whole || own_world.is_some() {
            let aim = Aim::All(rows.iter().map(|(_, key)| (*key).to_owned()).collect());
            let mut needs = vec![need(Command::Delete, &[])];
            needs.extend(own_world.iter().map(|_| need(Command::Select, &scene.key_columns())));
            let sql = format!("DELETE FROM {name}{}", own_world.unwrap_or_default());
            scene.add(plan, standing, Command::Delete, "bare", sql, needs, aim, promise, denial, control, None);
        } else {
            plan.not_run.push(update::not_run(scene, standing, "delete", "bare"));
        }
    }
    Ok(())
}
