//! INSERT … ON CONFLICT: DO UPDATE and DO NOTHING, with one's own row proposed under the key of every standing's row,
//! and with what each other unique index holds of it.

use super::{Aim, Need, Plan, Planned, Promise, Scene, insert::hold, need};
use crate::db::quote::readable_identifier;
use crate::db::sqlstate;
use crate::model::access::{Command, Ownership, Standing};
use crate::model::attempt::Outcome;
use crate::model::failure::Failure;
use crate::verify::world::Row;
use crate::verify::world::insert::insert as insert_row;
use crate::verify::world::rows::Values;

/// The row that is met must be seen to be changed, and the proposed one, too, since the index is looked into.
const ASKS: [Command; 3] = [Command::Insert, Command::Update, Command::Select];

/// With rules on the table, and by a constraint that is deferrable, the server does not take it from anyone.
const REFUSED: [&str; 2] = [sqlstate::FEATURE_NOT_SUPPORTED, sqlstate::NOT_IN_PREREQUISITE_STATE];

/// A proposed row, and what it meets.
pub(super) struct Upsert {
    pub(super) insert: String,
    /// How the proposed row stands to the actor.
    becomes: Standing,
    /// `ON CONFLICT (…)`.
    pub(super) conflict: String,
    /// What DO UPDATE of the plain column needs.
    pub(super) needs: Vec<Need>,
    values: Values,
}

impl Upsert {
    /// Whether the row that is met, of that standing, may be changed by it.
    fn promise(&self, scene: &Scene<'_>, standing: Standing) -> Promise {
        match scene.promise(self.becomes, &[Command::Insert, Command::Select]) {
            Promise::Yes => scene.promise(standing, &[Command::Update, Command::Select]),
            promise => promise,
        }
    }
}

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let Some((column, constant)) = scene.plain_column() else { return Ok(()) };
    let set = Scene::assignment(&column.name, Some(&constant));
    for (standing, rows) in scene.standings() {
        let (row, key) = rows[0];
        let Some(upsert) = by_key(scene, standing, (row, key))? else { continue };
        let sql = format!("{} {} DO UPDATE SET {set}", upsert.insert, upsert.conflict);
        scene.push_both(plan, changing(scene, standing, "on-conflict-update", sql, key, &upsert));
        if scene.one_each() {
            continue;
        }
        nothing(scene, plan, standing, key, &upsert)?;
    }
    Ok(())
}

/// An upsert that changes the row with that key.
pub(super) fn changing(
    scene: &Scene<'_>,
    standing: Standing,
    form: &str,
    sql: String,
    key: &str,
    upsert: &Upsert,
) -> Planned {
    Planned {
        asks: ASKS.to_vec(),
        needs: upsert.needs.clone(),
        aim: Aim::Rows(vec![key.to_owned()]),
        promise: upsert.promise(scene, standing),
        denial: scene.denial(&ASKS, Outcome::RefusedPolicy),
        impossible: REFUSED.to_vec(),
        ..scene.draft(standing, Command::Insert, form, sql)
    }
}

/// The upsert by the table's key; `None` where it has none, or no row of one's own can be proposed under it.
pub(super) fn by_key(scene: &Scene<'_>, standing: Standing, (row, _): (&Row, &str)) -> Result<Option<Upsert>, Failure> {
    let keys = scene.key_columns();
    // There a row under another's key is another's row, which INSERT tells of; one's own can be proposed again.
    if keys.is_empty() || (scene.one_each() && standing != Standing::Own) {
        return Ok(None);
    }
    Ok(proposed(scene, standing, row)?.and_then(|proposed| upsert(scene, &keys, proposed)))
}

fn upsert(scene: &Scene<'_>, unique: &[String], (becomes, values): (Standing, Values)) -> Option<Upsert> {
    let (column, _) = scene.plain_column()?;
    let conflict: Vec<String> = unique.iter().map(|column| readable_identifier(column)).collect();
    let columns: Vec<String> = values.keys().cloned().collect();
    Some(Upsert {
        insert: insert_row(scene.table(), &values),
        becomes,
        conflict: format!("ON CONFLICT ({})", conflict.join(", ")),
        needs: vec![
            need(Command::Insert, &columns),
            need(Command::Update, std::slice::from_ref(&column.name)),
            need(Command::Select, unique),
        ],
        values,
    })
}

/// The same through every unique index but the key's: the proposed row has a key of its own and meets the row in what
/// the index holds of it.
pub(super) fn other_indexes(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let key_columns = scene.key_columns();
    let Some((column, constant)) = scene.plain_column() else { return Ok(()) };
    let set = Scene::assignment(&column.name, Some(&constant));
    let mut seen: Vec<&Vec<String>> = vec![&key_columns];
    for unique in &scene.table().uniques {
        if scene.one_each() || seen.contains(&unique) {
            continue;
        }
        seen.push(unique);
        for (standing, rows) in scene.standings() {
            let met = rows
                .iter()
                .find(|(row, _)| unique.iter().all(|name| row.values.get(name).is_some_and(Option::is_some)));
            let Some((row, key)) = met else { continue };
            let form = format!("on-conflict-{}", unique.join("-"));
            let proposed = proposed_under(scene, standing, row, unique, &form)?;
            let Some(upsert) = proposed.and_then(|proposed| upsert(scene, unique, proposed)) else { continue };
            let (sql, form_of) =
                (format!("{} {}", upsert.insert, upsert.conflict), |what: &str| format!("{form}-{what}"));
            let changes = format!("{sql} DO UPDATE SET {set}");
            scene.push_both(plan, changing(scene, standing, &form_of("update"), changes, key, &upsert));
            let needs = upsert.needs.into_iter().filter(|need| need.command != Command::Update).collect();
            plan.attempts.push(Planned {
                needs,
                aim: Aim::Untouched(vec![(*key).to_owned()]),
                denial: scene.denial(&[Command::Insert, Command::Select], Outcome::Hidden),
                impossible: REFUSED.to_vec(),
                ..scene.draft(standing, Command::Insert, &form_of("nothing"), format!("{sql} DO NOTHING"))
            });
        }
    }
    Ok(())
}

/// DO NOTHING changes no existing row, whoever's it is; what it tells of existence is another check's question. On
/// one's own side it is tried with a key that is free, where it must insert.
fn nothing(scene: &Scene<'_>, plan: &mut Plan, standing: Standing, key: &str, upsert: &Upsert) -> Result<(), Failure> {
    let columns: Vec<String> = upsert.values.keys().cloned().collect();
    let needs = vec![need(Command::Insert, &columns), need(Command::Select, &scene.key_columns())];
    let inserts = matches!(standing, Standing::Own | Standing::Any);
    let (insert, aim) = if inserts {
        let mut free = upsert.values.clone();
        let fresh = scene.maker.fresh(scene.subject, Some(scene.persona), Values::new(), "free key", scene.world)?;
        let names = scene.key_columns();
        free.extend(
            names
                .iter()
                .filter_map(|name| fresh.get_key_value(name))
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        (insert_row(scene.table(), &free), Aim::New)
    } else {
        (upsert.insert.clone(), Aim::Untouched(vec![key.to_owned()]))
    };
    let promise = if inserts { scene.promise(standing, &[Command::Insert, Command::Select]) } else { Promise::No };
    let otherwise = if inserts { Outcome::RefusedPolicy } else { Outcome::Hidden };
    let sql = format!("{insert} {} DO NOTHING", upsert.conflict);
    let planned = Planned {
        needs,
        aim,
        promise,
        denial: scene.denial(&[Command::Insert, Command::Select], otherwise),
        impossible: REFUSED.to_vec(),
        ..scene.draft(standing, Command::Insert, "on-conflict-nothing", sql)
    };
    scene.push_both(plan, planned);
    Ok(())
}

/// The proposed row, and how it stands to the actor: one's own, under the key of `row`; for who owns nothing, and where
/// the key says whose a row is, as `row` itself.
pub(super) fn proposed(
    scene: &Scene<'_>,
    standing: Standing,
    row: &Row,
) -> Result<Option<(Standing, Values)>, Failure> {
    proposed_under(scene, standing, row, &scene.key_columns(), &format!("on-conflict {standing}"))
}

/// As [`proposed`], with `row`'s values in the columns of one unique index. `None` where one of them is NULL, which
/// meets nothing.
fn proposed_under(
    scene: &Scene<'_>,
    standing: Standing,
    row: &Row,
    unique: &[String],
    name: &str,
) -> Result<Option<(Standing, Values)>, Failure> {
    let owned = matches!(scene.ownership(), Ownership::All(_) | Ownership::Any(_));
    let own = if owned && scene.persona().uid.is_some() { hold(scene, |_| Some(scene.persona)) } else { None };
    let by_key = scene.paths().iter().any(|path| unique.iter().any(|column| column == path.column()));
    let becomes = if own.is_some() && !by_key { Standing::Own } else { standing };
    let hold = match own {
        Some(own) => own,
        // Nothing of one's own to hang it on: a row that hangs where the row itself hangs.
        None => scene
            .paths()
            .iter()
            .map(|path| (path.column().to_owned(), row.values.get(path.column()).cloned().flatten()))
            .collect(),
    };
    let mut values = scene.maker.fresh(scene.subject, Some(scene.persona), hold.clone(), name, scene.world)?;
    for column in unique {
        match row.values.get(column) {
            Some(Some(value)) => values.insert(column.clone(), Some(value.clone())),
            _ => return Ok(None),
        };
    }
    let mut kept = hold;
    kept.extend(unique.iter().map(|column| (column.clone(), None)));
    Ok(Some((becomes, scene.client_values(values, &kept))))
}
