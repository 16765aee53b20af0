//! SELECT … FOR UPDATE and its weaker kinds: they ask for the right to update, and only rows come that the policies of
//! both commands let through.

use super::{Aim, Control, Plan, Planned, Scene, Tells, need};
use crate::model::access::Command;
use crate::model::failure::Failure;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let list = format!("SELECT {} FROM {}", scene.key(), scene.name());
    let asks = [Command::Update, Command::Select];
    for (standing, rows) in scene.standings() {
        let Some(one) = scene.where_key(rows[0]).map(|condition| format!(" WHERE {condition}")) else { continue };
        let first = Aim::Rows(vec![rows[0].1.to_owned()]);
        let all = if scene.would_disturb(&asks) { None } else { scene.reach(&rows) };
        let (condition, aim) = all.unwrap_or((one.clone(), first.clone()));
        let mut add = |form: &str, condition: &str, strength: &str, aim: Aim| {
            let needs = vec![
                need(Command::Select, &scene.key_columns()),
                // On any one column.
                need(Command::Update, &scene.any_column(Command::Update)),
            ];
            let sql = format!("{list}{condition} {strength}");
            let drafted = scene.on_rows(standing, &asks, form, sql, aim, needs);
            let on_one_row = format!("{list}{one} {strength}");
            let control = drafted.control.clone().map(|control| Control::bounded(control.who, Some(on_one_row)));
            plan.attempts.push(Planned { tells: Tells::Answer, control, ..drafted });
        };
        add("for-update", &condition, "FOR UPDATE", aim);
        add("for-no-key-update", &one, "FOR NO KEY UPDATE", first.clone());
        add("for-share", &one, "FOR SHARE", first);
    }
    Ok(())
}
