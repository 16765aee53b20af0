//! Grants where nothing is promised, on the table or on a single column of it: other forms name columns that may be
//! refused, and show nothing then.

use super::{Aim, Plan, Promise, Scene, need};
use crate::db::quote::readable_identifier;
use crate::model::access::{Command, Standing};
use crate::model::attempt::Outcome;
use crate::model::failure::Failure;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let (role, table, name) = (&scene.persona().actor.role, scene.table(), scene.name());
    let standing = scene.standings().first().map_or(Standing::Any, |(standing, _)| *standing);
    for command in Command::PROMISABLE.into_iter().filter(|command| !scene.due(*command)) {
        let granted = |column: &String| table.grants(role, command, std::slice::from_ref(column));
        let Some(column) = table.columns.iter().map(|column| column.name.clone()).find(granted) else { continue };
        let quoted = readable_identifier(&column);
        let sql = match command {
            Command::Select => format!("SELECT {quoted} FROM {name}"),
            Command::Insert => format!("INSERT INTO {name} ({quoted}) VALUES (DEFAULT)"),
            Command::Update => format!("UPDATE {name} SET {quoted} = DEFAULT"),
            Command::Delete | Command::Truncate => format!("DELETE FROM {name}"),
        };
        let (form, needs) = (format!("rights{}", scene.world.kind.suffix()), vec![need(command, &[column])]);
        let denial = Outcome::RefusedGrant;
        plan.attempts.push(scene.planned(
            standing,
            command,
            &form,
            sql,
            needs,
            Aim::Rights,
            Promise::No,
            denial,
            None,
            None,
        ));
    }
    Ok(())
}
