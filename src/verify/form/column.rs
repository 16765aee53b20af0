//! Columns under a rule of the contract (`client_may_set`): each kind of value by insert, update and upsert. What is not
//! allowed must be refused or not be stored; what is allowed must be stored.

use super::{Aim, Control, Given, Plan, Planned, Promise, Scene, Who, insert::hold, need, upsert};
use crate::db::quote::{literal, readable_identifier};
use crate::model::access::{ColumnRule, Command, Ownership, Standing};
use crate::model::attempt::Outcome;
use crate::model::catalog::Column;
use crate::model::failure::Failure;
use crate::verify::world::insert::{insert as insert_row, key_expression, keys_condition};
use crate::verify::world::rows::Values;
use crate::verify::world::values::{unique_value, value};
use crate::verify::world::{Row, WorldKind};

/// The types that can hold an account's id.
const IDS: [&str; 5] = ["uuid", "text", "varchar", "citext", "name"];

/// What a client may try to set the column to.
struct Class {
    /// `own`, `another`, `null`, `constant`, or the value itself.
    word: String,
    value: Option<String>,
    allowed: bool,
}

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    // A trusted actor is no client.
    if scene.world.kind != WorldKind::Different || scene.persona().actor.bypasses_rls {
        return Ok(());
    }
    for (name, rule) in &scene.maker.subjects[scene.subject].access.columns {
        let Some(column) = scene.table().column(name) else { continue };
        for class in classes(scene, column, rule) {
            insert(scene, plan, column, &class)?;
            update(scene, plan, column, &class);
            conflict(scene, plan, column, &class)?;
        }
    }
    Ok(())
}

/// Each kind of value that the column can have.
fn classes(scene: &Scene<'_>, column: &Column, rule: &ColumnRule) -> Vec<Class> {
    let (table, own) = (scene.table(), scene.persona().uid.clone());
    let may = &rule.client_may_set;
    let mut values: Vec<(String, Option<String>)> = Vec::new();
    if !column.not_null {
        values.push(("null".to_owned(), None));
    }
    let names_account = may.iter().any(|text| text == ":uid") || column.base_type == "uuid";
    let refers = table.foreign_keys.iter().any(|key| key.columns.contains(&column.name));
    let supported = !refers || may.iter().any(|text| text == ":uid");
    let is_id = !column.is_array && IDS.contains(&column.base_type.as_str());
    if is_id && names_account && supported {
        values.extend(own.clone().map(|uid| ("own".to_owned(), Some(uid))));
        let another = scene.other_holder().and_then(|other| scene.maker.personas[other].uid.clone());
        values.extend(another.map(|uid| ("another".to_owned(), Some(uid))));
    }
    let words = may.iter().filter(|text| !matches!(text.as_str(), ":uid" | "null"));
    values.extend(words.map(|text| (text.clone(), Some(text.clone()))));
    values.extend(scene.telling_values(column).into_iter().map(|(word, value)| (word, Some(value))));
    values.extend(constant(scene, column, refers).map(|value| ("constant".to_owned(), Some(value))));
    let mut classes: Vec<Class> = Vec::new();
    for (word, value) in values {
        if classes.iter().any(|known| known.value == value) {
            continue;
        }
        let allowed = may.iter().any(|text| match text.as_str() {
            ":uid" => value.is_some() && value == own,
            "null" => value.is_none(),
            text => value.as_deref() == Some(text),
        });
        let same = classes.iter().filter(|known| known.word == word).count();
        let word = if same == 0 { word } else { format!("{word}~{}", same + 1) };
        classes.push(Class { word, value, allowed });
    }
    classes
}

/// A value like any other: one that a row of another's holds, so that the table's constraints take it.
fn constant(scene: &Scene<'_>, column: &Column, refers: bool) -> Option<String> {
    if scene.table().uniques.iter().any(|columns| columns.contains(&column.name)) {
        return if refers { None } else { unique_value(column, "given", 999_005) };
    }
    let sight = &scene.sights[scene.persona];
    let rows = scene.world.rows.iter().zip(scene.keys).filter(|(row, _)| row.subject == scene.subject);
    let others = rows.filter(|(_, key)| sight.get(*key).is_some_and(|seen| seen.standing != Standing::Own));
    let held = others.filter_map(|(row, _)| row.values.get(&column.name).cloned().flatten()).next();
    held.or_else(|| if refers { None } else { value(column, 999_005) })
}

/// A new row of one's own, or of nobody's, with the value.
fn insert(scene: &Scene<'_>, plan: &mut Plan, column: &Column, class: &Class) -> Result<(), Failure> {
    let Some((standing, hold)) = fresh(scene) else { return Ok(()) };
    // Where there is no default, to give NULL is to give nothing.
    if scene.taken().is_some() || (class.value.is_none() && !class.allowed && !column.has_default) {
        return Ok(());
    }
    let values = scene.maker.fresh(scene.subject, Some(scene.persona), hold.clone(), "plain", scene.world)?;
    let without = scene.client_values(values, &hold);
    let mut values = without.clone();
    values.insert(column.name.clone(), class.value.clone());
    let columns: Vec<String> = values.keys().cloned().collect();
    let needs = vec![need(Command::Insert, &columns)];
    let control = Control { who: Who::Persona(scene.persona), sql: Some(insert_row(scene.table(), &without)) };
    let form = format!("column-{}-{}", column.name, class.word);
    let planned = scene.planned(
        standing,
        Command::Insert,
        &form,
        insert_row(scene.table(), &values),
        needs,
        Aim::New,
        promise(class),
        Outcome::RefusedPolicy,
        Some(control),
        None,
    );
    let written = match &scene.key_columns()[..] {
        [key] => values.get(key).cloned().flatten(),
        _ => None,
    };
    plan.attempts.push(about(scene, planned, column, class, written));
    Ok(())
}

/// One row that one may change, and that does not hold the value yet.
fn update(scene: &Scene<'_>, plan: &mut Plan, column: &Column, class: &Class) {
    let Some((standing, target)) = changeable(scene, column, class, Command::Update) else { return };
    let Some(condition) = scene.where_key(target) else { return };
    let set = Scene::assignment(&column.name, class.value.as_deref());
    let write = |set: &str| format!("UPDATE {} SET {set} WHERE {condition}", scene.name());
    let needs =
        vec![need(Command::Update, std::slice::from_ref(&column.name)), need(Command::Select, &scene.key_columns())];
    let planned = scene.planned(
        standing,
        Command::Update,
        &format!("column-{}-{}", column.name, class.word),
        write(&set),
        needs,
        Aim::Rows(vec![target.1.to_owned()]),
        promise(class),
        Outcome::RefusedPolicy,
        Some(other_column(scene).map_or(Who::Privileged(scene.persona).into(), |set| Control {
            who: Who::Persona(scene.persona),
            sql: Some(write(&set)),
        })),
        None,
    );
    plan.attempts.push(about(scene, planned, column, class, None));
}

/// One's own row proposed again with the value.
fn conflict(scene: &Scene<'_>, plan: &mut Plan, column: &Column, class: &Class) -> Result<(), Failure> {
    let keys = scene.key_columns();
    let both = [Command::Insert, Command::Update];
    if keys.is_empty() || keys.contains(&column.name) {
        return Ok(());
    }
    let Some((standing, (row, key))) = changeable(scene, column, class, Command::Insert) else { return Ok(()) };
    if !both.iter().all(|command| scene.promised(standing, *command)) {
        return Ok(());
    }
    let Some((_, without)) = upsert::proposed(scene, standing, row)? else { return Ok(()) };
    let mut values = without.clone();
    values.insert(column.name.clone(), class.value.clone());
    let columns: Vec<String> = values.keys().cloned().collect();
    let names: Vec<String> = keys.iter().map(|key| readable_identifier(key)).collect();
    let write = |values: &Values, set: &str| {
        format!("{} ON CONFLICT ({}) DO UPDATE SET {set}", insert_row(scene.table(), values), names.join(", "))
    };
    let name = readable_identifier(&column.name);
    let needs = vec![
        need(Command::Insert, &columns),
        need(Command::Update, std::slice::from_ref(&column.name)),
        need(Command::Select, &keys),
    ];
    let planned = scene.planned(
        standing,
        Command::Insert,
        &format!("on-conflict-column-{}-{}", column.name, class.word),
        write(&values, &format!("{name} = EXCLUDED.{name}")),
        needs,
        Aim::Rows(vec![key.to_owned()]),
        promise(class),
        Outcome::RefusedPolicy,
        Some(other_column(scene).map_or(Who::Privileged(scene.persona).into(), |set| Control {
            who: Who::Persona(scene.persona),
            sql: Some(write(&without, &set)),
        })),
        None,
    );
    plan.attempts.push(about(scene, planned, column, class, None));
    Ok(())
}

/// Whose a new row is that one may insert, and what makes it that.
fn fresh(scene: &Scene<'_>) -> Option<(Standing, Values)> {
    let (standing, hold) = match scene.ownership() {
        Ownership::None => (Standing::Any, Values::new()),
        // Nothing says how to make a row one's own.
        Ownership::Sql(_) => return None,
        Ownership::All(_) | Ownership::Any(_) => {
            scene.persona().uid.as_ref()?;
            (Standing::Own, hold(scene, |_| Some(scene.persona))?)
        }
    };
    scene.promised(standing, Command::Insert).then_some((standing, hold))
}

/// A row for which the command is promised and that does not hold the value.
fn changeable<'a>(
    scene: &Scene<'a>,
    column: &Column,
    class: &Class,
    command: Command,
) -> Option<(Standing, (&'a Row, &'a str))> {
    Standing::ALL.into_iter().filter(|standing| scene.promised(*standing, command)).find_map(|standing| {
        let mut rows = scene.rows(standing).into_iter();
        let row = rows.find(|(row, _)| row.values.get(&column.name).is_some_and(|held| *held != class.value));
        row.map(|row| (standing, row))
    })
}

/// What sets a column that is under no rule, for the control.
fn other_column(scene: &Scene<'_>) -> Option<String> {
    let rules = &scene.maker.subjects[scene.subject].access.columns;
    let (column, value) = scene.plain_column().filter(|(column, _)| !rules.contains_key(&column.name))?;
    Some(Scene::assignment(&column.name, Some(&value)))
}

fn promise(class: &Class) -> Promise {
    if class.allowed { Promise::Yes } else { Promise::No }
}

/// With the query that tells whether the value is stored; `written` is the key of the row that is inserted, where the
/// statement names it.
fn about(scene: &Scene<'_>, planned: Planned, column: &Column, class: &Class, written: Option<String>) -> Planned {
    let name = readable_identifier(&column.name);
    let condition = match &class.value {
        None => format!("r.{name} IS NULL"),
        // As text, since some types have no equality.
        Some(value) => format!("r.{name}::text = {}::{}::text", literal(value).trim_start(), column.type_name),
    };
    let key = key_expression(scene.table(), "r.");
    // In a table too large to be read whole, only the row that it is about.
    let only = match &planned.aim {
        _ if scene.whole => None,
        Aim::Rows(keys) => Some(keys.clone()),
        _ => written.map(|key| vec![key]),
    };
    let only = only.map_or_else(String::new, |keys| {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        format!(" AND {}", keys_condition(scene.table(), "r.", &keys))
    });
    let holders = format!("SELECT {key} FROM {} r WHERE {condition}{only}", scene.name());
    Planned { given: Some(Given { column: column.name.clone(), holders }), ..planned }
}
