//! INSERT from a query and of several rows at once: a row of one's own for another's that is seen, or deleted for it; and
//! another's row beside one's own.

use super::insert::{has_parents, hold};
use super::{Aim, Plan, Planned, Promise, Scene, Tells, Who, need};
use crate::db::sqlstate;
use crate::model::access::{Command, Ownership, Standing};
use crate::model::attempt::Outcome;
use crate::model::failure::Failure;
use crate::verify::world::Row;
use crate::verify::world::insert::{set_columns, sql_value};
use crate::verify::world::rows::Values;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    // Where an account can have but one row no second one can be made from it; where a condition decides, nothing says
    // whose a new row would be.
    if scene.one_each() || matches!(scene.ownership(), Ownership::Sql(_)) {
        return Ok(());
    }
    for (standing, rows) in scene.standings() {
        from_row(scene, plan, standing, rows[0])?;
    }
    together(scene, plan)
}

/// What hangs a new row on what is one's own, and how it then stands to oneself; for who owns nothing, on what `row`
/// hangs.
fn name_of_own(scene: &Scene<'_>, standing: Standing, row: &Row) -> Option<(Standing, Values)> {
    if scene.paths().is_empty() {
        return Some((standing, Values::new()));
    }
    let own = scene.persona().uid.as_ref().and_then(|_| hold(scene, |_| Some(scene.persona)));
    if let Some(own) = own.filter(|_| has_parents(scene)) {
        return Some((Standing::Own, own));
    }
    let column = |name: &str| (name.to_owned(), row.values.get(name).cloned().flatten());
    let theirs: Values = scene.paths().iter().map(|path| column(path.column())).collect();
    // A second row on the same is refused to everyone.
    let taken = scene.table().uniques.iter().any(|unique| unique.iter().all(|name| theirs.contains_key(name)));
    (!taken).then_some((standing, theirs))
}

/// A row made for an existing one: it goes in only if that one is seen, and, moved, deleted.
fn from_row(scene: &Scene<'_>, plan: &mut Plan, standing: Standing, (row, key): (&Row, &str)) -> Result<(), Failure> {
    let Some(condition) = scene.where_key((row, key)) else { return Ok(()) };
    let Some((becomes, hold)) = name_of_own(scene, standing, row) else { return Ok(()) };
    let values = scene.maker.fresh(scene.subject, Some(scene.persona), hold.clone(), "copied", scene.world)?;
    let values = scene.client_values(values, &hold);
    // Fresh values: what another row holds, an index may keep from being held twice.
    let literal = |name: &str| values.get(name).map(|value| sql_value(value.as_deref()));
    let (columns, selected) = set_columns(scene.table(), literal);
    if selected.is_empty() {
        return Ok(());
    }
    let (name, selected) = (scene.name(), selected.join(", "));
    let needs = vec![
        need(Command::Insert, &values.keys().cloned().collect::<Vec<_>>()),
        need(Command::Select, &scene.key_columns()),
    ];
    let goes_in = scene.promised(becomes, Command::Insert);
    let mut add = |form: &str, asks: &[Command], sql: String, aim: Aim| {
        let mut drafted = scene.on_rows(standing, asks, form, sql, aim, needs.clone());
        let from = &asks[..asks.len() - 1];
        drafted.promise = if goes_in { scene.promise(standing, from) } else { Promise::No };
        drafted.needs.extend(asks.contains(&Command::Delete).then(|| need(Command::Delete, &[])));
        drafted.control = Some(Who::Privileged(scene.persona).into());
        plan.attempts.push(Planned {
            tells: Tells::Changes,
            // A table with rules takes no DELETE inside a query.
            impossible: vec![sqlstate::FEATURE_NOT_SUPPORTED],
            ..drafted
        });
    };
    add(
        "insert-select",
        &[Command::Select, Command::Insert],
        format!("INSERT INTO {name}{columns} SELECT {selected} FROM {name} WHERE {condition}"),
        Aim::New,
    );
    add(
        "move",
        &[Command::Delete, Command::Select, Command::Insert],
        format!(
            "WITH chartchek_moved AS (DELETE FROM {name} WHERE {condition} RETURNING {}) \
             INSERT INTO {name}{columns} SELECT {selected} FROM chartchek_moved",
            scene.key()
        ),
        Aim::Rows(vec![key.to_owned()]),
    );
    Ok(())
}

/// One's own row and another's in one statement: neither goes in.
fn together(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    if scene.persona().uid.is_none() || scene.paths().is_empty() || !has_parents(scene) {
        return Ok(());
    }
    let Some(other) = scene.other_holder() else { return Ok(()) };
    let (Some(own), Some(foreign)) = (hold(scene, |_| Some(scene.persona)), hold(scene, |_| Some(other))) else {
        return Ok(());
    };
    let row = |holder: usize, hold: Values, name: &str| -> Result<Values, Failure> {
        let values = scene.maker.fresh(scene.subject, Some(holder), hold.clone(), name, scene.world)?;
        Ok(scene.client_values(values, &hold))
    };
    let (own, foreign) = (row(scene.persona, own, "together")?, row(other, foreign, "together, foreign")?);
    let given = |name: &str| own.contains_key(name) || foreign.contains_key(name);
    let set = |values: &Values| {
        let value = |name: &str| values.get(name).map_or_else(|| "DEFAULT".to_owned(), |v| sql_value(v.as_deref()));
        set_columns(scene.table(), |name| given(name).then(|| value(name)))
    };
    let ((columns, own), (_, foreign)) = (set(&own), set(&foreign));
    let sql = format!("INSERT INTO {}{columns} VALUES ({}), ({})", scene.name(), own.join(", "), foreign.join(", "));
    let both = [Standing::Own, Standing::Other].iter().all(|standing| scene.promised(*standing, Command::Insert));
    let set: Vec<String> =
        scene.table().columns.iter().map(|column| column.name.clone()).filter(|name| given(name)).collect();
    plan.attempts.push(Planned {
        needs: vec![need(Command::Insert, &set)],
        promise: if both { Promise::Yes } else { Promise::No },
        denial: scene.denial(&[Command::Insert], Outcome::RefusedPolicy),
        ..scene.draft(Standing::Other, Command::Insert, "together", sql)
    });
    Ok(())
}
