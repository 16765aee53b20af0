//! INSERT … ON CONFLICT: DO UPDATE and DO NOTHING, with one's own row proposed under the key of every standing's row.

use super::{Aim, Plan, Promise, Scene, Who, insert::hold, need};
use crate::db::quote::readable_identifier;
use crate::model::access::{Command, Ownership, Standing};
use crate::model::attempt::Outcome;
use crate::model::failure::Failure;
use crate::verify::world::Row;
use crate::verify::world::insert::insert as insert_row;
use crate::verify::world::rows::Values;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let keys = scene.key_columns();
    let Some((column, constant)) = scene.plain_column() else { return Ok(()) };
    if keys.is_empty() {
        return Ok(());
    }
    let conflict: Vec<String> = keys.iter().map(|key| readable_identifier(key)).collect();
    let conflict = format!("ON CONFLICT ({})", conflict.join(", "));
    let set = Scene::assignment(&column.name, Some(&constant));
    for (standing, rows) in scene.standings() {
        let (row, key) = rows[0];
        // There a row under another's key is another's row, which INSERT tells of; one's own can be proposed again.
        if scene.one_each() && standing != Standing::Own {
            continue;
        }
        let Some(values) = proposed(scene, standing, row)? else { continue };
        let columns: Vec<String> = values.keys().cloned().collect();
        let insert = insert_row(scene.table(), &values);
        let both = [Command::Insert, Command::Update];
        let needs = vec![
            need(Command::Insert, &columns),
            need(Command::Update, std::slice::from_ref(&column.name)),
            need(Command::Select, &keys),
        ];
        scene.add(
            plan,
            standing,
            Command::Insert,
            "on-conflict-update",
            format!("{insert} {conflict} DO UPDATE SET {set}"),
            needs,
            Aim::Rows(vec![key.to_owned()]),
            scene.promise(standing, &both),
            scene.denial(&both, Outcome::RefusedPolicy),
            Some(Who::Privileged(scene.persona).into()),
            None,
        );
        if scene.one_each() {
            continue;
        }
        let mut free = values;
        let own = own_hold(scene).unwrap_or_default();
        let fresh = scene.maker.fresh(scene.subject, Some(scene.persona), own, "free key", scene.world)?;
        free.extend(
            keys.iter().filter_map(|name| fresh.get_key_value(name)).map(|(name, value)| (name.clone(), value.clone())),
        );
        let free = insert_row(scene.table(), &free);
        nothing(scene, plan, standing, key, &insert, &free, &conflict, &columns);
    }
    Ok(())
}

/// DO NOTHING changes no existing row, whoever's it is; what it tells of existence is another check's question. On
/// one's own side it is tried with a key that is free, where it must insert.
#[expect(clippy::too_many_arguments, reason = "each is a separate fact of the one attempt")]
fn nothing(
    scene: &Scene<'_>,
    plan: &mut Plan,
    standing: Standing,
    key: &str,
    insert: &str,
    free: &str,
    conflict: &str,
    columns: &[String],
) {
    let needs = vec![need(Command::Insert, columns), need(Command::Select, &scene.key_columns())];
    let inserts = matches!(standing, Standing::Own | Standing::Any);
    let (values, aim) = if inserts { (free, Aim::New) } else { (insert, Aim::Untouched(vec![key.to_owned()])) };
    let promise = if inserts { scene.promise(standing, &[Command::Insert]) } else { Promise::No };
    let otherwise = if inserts { Outcome::RefusedPolicy } else { Outcome::Hidden };
    scene.add(
        plan,
        standing,
        Command::Insert,
        "on-conflict-nothing",
        format!("{values} {conflict} DO NOTHING"),
        needs,
        aim,
        promise,
        scene.denial(&[Command::Insert], otherwise),
        Some(Who::Privileged(scene.persona).into()),
        None,
    );
}

/// What makes a new row one's own, for who can own any.
fn own_hold(scene: &Scene<'_>) -> Option<Values> {
    let owned = matches!(scene.ownership(), Ownership::All(_) | Ownership::Any(_));
    if owned && scene.persona().uid.is_some() { hold(scene, |_| Some(scene.persona)) } else { None }
}

/// The proposed row: one's own, under the key of `row`; for who owns nothing, `row`'s own values.
fn proposed(scene: &Scene<'_>, standing: Standing, row: &Row) -> Result<Option<Values>, Failure> {
    let hold = match own_hold(scene) {
        Some(own) => own,
        // Nothing of one's own to hang it on: a row that hangs where the row itself hangs.
        None => scene
            .paths()
            .iter()
            .map(|path| (path.column().to_owned(), row.values.get(path.column()).cloned().flatten()))
            .collect(),
    };
    let name = format!("on-conflict {standing}");
    let mut values = scene.maker.fresh(scene.subject, Some(scene.persona), hold.clone(), &name, scene.world)?;
    for column in scene.key_columns() {
        match row.values.get(&column) {
            Some(Some(value)) => values.insert(column, Some(value.clone())),
            _ => return Ok(None),
        };
    }
    let mut kept = hold;
    kept.extend(scene.key_columns().into_iter().map(|column| (column, None)));
    Ok(Some(scene.client_values(values, &kept)))
}
