//! UPDATE: a constant by key and without WHERE, moving one's own row to another, and capturing another's.

use super::{Aim, Control, Need, Plan, Promise, Scene, Who, need};
use crate::db::sqlstate;
use crate::model::access::{Command, OwnerPath, Ownership, Standing};
use crate::model::attempt::Outcome;
use crate::model::catalog::{Column, ForeignKey};
use crate::model::failure::Failure;
use crate::model::report::NotRun;
use crate::verify::world::rows::Values;
use crate::verify::world::{Row, WorldKind, variations};

/// Why a statement is not run on a target's large table.
pub const UNBOUNDED: &str = "a write without WHERE, and the table has more rows than may be locked";

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    for (standing, rows) in scene.standings() {
        constant(scene, plan, standing, &rows);
        if scene.persona().uid.is_none() {
            continue;
        }
        if standing == Standing::Own {
            moves(scene, plan, &rows);
        } else {
            captures(scene, plan, standing, &rows);
        }
    }
    Ok(())
}

/// A constant that reads no column: without WHERE the SELECT policy is not asked.
fn constant(scene: &Scene<'_>, plan: &mut Plan, standing: Standing, rows: &[(&Row, &str)]) {
    let Some((column, value)) = scene.plain_column() else { return same_again(scene, plan, standing, rows) };
    let set = Scene::assignment(&column.name, Some(&value));
    let promise = scene.promise(standing, &[Command::Update]);
    let control = scene.owner_of(rows[0].1, &[Command::Update]);
    let columns = vec![column.name.clone()];
    statement(scene, plan, standing, "key", &set, &columns, Some(rows[0]), rows, promise, control, None);
    statement(scene, plan, standing, "bare", &set, &columns, None, rows, promise, control, None);
}

/// For tables that hold only keys and references: one row's column set to what it is, which is a write all the same.
fn same_again(scene: &Scene<'_>, plan: &mut Plan, standing: Standing, rows: &[(&Row, &str)]) {
    let columns = scene.table().columns.iter().filter(|column| !column.generated && !column.identity_always);
    let mut set = columns.filter_map(|column| Some((column, rows[0].0.values.get(&column.name)?.as_deref()?)));
    let Some((column, value)) = set.next() else { return };
    let set = Scene::assignment(&column.name, Some(value));
    let promise = scene.promise(standing, &[Command::Update]);
    let control = scene.owner_of(rows[0].1, &[Command::Update]);
    let columns = vec![column.name.clone()];
    statement(scene, plan, standing, "key", &set, &columns, Some(rows[0]), rows, promise, control, None);
}

/// One's own row to another account, to another's parent, and to nobody.
fn moves(scene: &Scene<'_>, plan: &mut Plan, rows: &[(&Row, &str)]) {
    let privileged = Who::Privileged(scene.persona);
    for (index, path) in scene.paths().iter().enumerate() {
        let suffix = if scene.paths().len() > 1 { format!("-{}", path.column()) } else { String::new() };
        let verb = if matches!(path, OwnerPath::Column(_)) { "transfer" } else { "reparent" };
        if let Some(other) = scene.other_holder()
            && let Some(hold) = scene.maker.hold(path, scene.subject, other, index + 1, scene.world)
        {
            let form = format!("{verb}{suffix}");
            assign(scene, plan, Standing::Own, &form, &hold, Some(rows[0]), rows, privileged, None);
            // Without WHERE the SELECT policy is not asked, which else hides that the check lets the row go.
            // Where any path makes a row one's own, some rows stay so and others do not: one statement for all shows
            // nothing.
            if !matches!(scene.ownership(), Ownership::Any(_)) {
                let bare = format!("{verb}-bare{suffix}");
                assign(scene, plan, Standing::Own, &bare, &hold, None, rows, privileged, None);
                labelled(scene, plan, Standing::Own, &bare, &hold, rows);
            }
        }
        let refused = scene.table().column(path.column()).is_some_and(|column| column.not_null);
        let bare = !refused && !matches!(scene.ownership(), Ownership::Any(_));
        let nobody = Values::from([(path.column().to_owned(), None)]);
        let impossible = refused.then_some(sqlstate::NOT_NULL_VIOLATION);
        assign(
            scene,
            plan,
            Standing::Own,
            &format!("disown{suffix}"),
            &nobody,
            Some(rows[0]),
            rows,
            privileged,
            impossible,
        );
        if bare {
            let form = format!("disown-bare{suffix}");
            assign(scene, plan, Standing::Own, &form, &nobody, None, rows, privileged, None);
        }
    }
}

/// Rows given away, or taken, together with a value that a policy names, or several: the check may let through what has
/// them.
fn labelled(scene: &Scene<'_>, plan: &mut Plan, standing: Standing, bare: &str, hold: &Values, rows: &[(&Row, &str)]) {
    if scene.world.kind != WorldKind::Different || !scene.whole {
        return;
    }
    let rules = &scene.maker.subjects[scene.subject].access.columns;
    let may = |column: &Column| {
        variations::is_named(scene.table(), column)
            && !column.generated
            && !column.identity_always
            && !hold.contains_key(&column.name)
            && !rules.contains_key(&column.name)
            && !scene.paths().iter().any(|path| path.column() == column.name)
    };
    let mut with = |form: String, more: Values| {
        let set: Values = hold.clone().into_iter().chain(more).collect();
        let impossible = Some(sqlstate::CHECK_VIOLATION);
        assign(scene, plan, standing, &form, &set, None, rows, Who::Privileged(scene.persona), impossible);
    };
    for column in scene.table().columns.iter().filter(|column| may(column)) {
        for (word, value) in scene.telling_values(column) {
            with(format!("{bare}-{}-{word}", column.name), Values::from([(column.name.clone(), Some(value))]));
        }
    }
    for (index, varied) in scene.telling_rows(may).into_iter().enumerate() {
        with(format!("{bare}-varied-{}", index + 1), varied);
    }
}

/// Another's row, owner or parent set to one's own, by key and without WHERE.
fn captures(scene: &Scene<'_>, plan: &mut Plan, standing: Standing, rows: &[(&Row, &str)]) {
    let privileged = Who::Privileged(scene.persona);
    for path in scene.paths() {
        let suffix = if scene.paths().len() > 1 { format!("-{}", path.column()) } else { String::new() };
        let Some(hold) = scene.maker.hold(path, scene.subject, scene.persona, 1, scene.world) else { continue };
        let (by_key, bare) = (format!("capture{suffix}"), format!("capture-bare{suffix}"));
        assign(scene, plan, standing, &by_key, &hold, Some(rows[0]), rows, privileged, scene.taken());
        // Of several rows only the first could be taken, and its key can't be named without being read.
        if !scene.one_each() {
            assign(scene, plan, standing, &bare, &hold, None, rows, privileged, scene.taken());
            labelled(scene, plan, standing, &bare, &hold, rows);
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "each is a separate fact of the one attempt")]
fn assign(
    scene: &Scene<'_>,
    plan: &mut Plan,
    standing: Standing,
    form: &str,
    hold: &Values,
    target: Option<(&Row, &str)>,
    rows: &[(&Row, &str)],
    control: Who,
    impossible: Option<&'static str>,
) {
    // Where the owner stands in a composite key, too, the row's parent would have to change hands with it.
    let tied = |key: &ForeignKey| key.columns.len() > 1 && key.columns.iter().any(|name| hold.contains_key(name));
    let tied = scene.table().foreign_keys.iter().any(tied).then_some(sqlstate::FOREIGN_KEY_VIOLATION);
    let impossible = impossible.or(tied);
    let set: Vec<String> = hold.iter().map(|(column, value)| Scene::assignment(column, value.as_deref())).collect();
    let columns: Vec<String> = hold.keys().cloned().collect();
    // Whose the row would be afterwards decides on one's own; a row that is not promised stays out of reach anyway.
    let promise = match scene.promise(standing, &[Command::Update]) {
        Promise::Yes if target.is_some() || standing == Standing::Own => Promise::ByControl,
        promise => promise,
    };
    statement(scene, plan, standing, form, &set.join(", "), &columns, target, rows, promise, control, impossible);
}

#[expect(clippy::too_many_arguments, reason = "each is a separate fact of the one attempt")]
fn statement(
    scene: &Scene<'_>,
    plan: &mut Plan,
    standing: Standing,
    form: &str,
    set: &str,
    columns: &[String],
    target: Option<(&Row, &str)>,
    rows: &[(&Row, &str)],
    promise: Promise,
    control: Who,
    impossible: Option<&'static str>,
) {
    let mut needs: Vec<Need> = vec![need(Command::Update, columns)];
    let mut sql = format!("UPDATE {} SET {set}", scene.name());
    let on_one_row =
        scene.where_key(rows[0]).map(|condition| format!("UPDATE {} SET {set} WHERE {condition}", scene.name()));
    // On one row for its owner too: among all of them may be one whose parent is hidden from its owner.
    let control = Some(Control { who: control, sql: on_one_row });
    let aim = match target {
        Some((row, key)) => {
            let Some(condition) = scene.where_key((row, key)) else { return };
            sql = format!("{sql} WHERE {condition}");
            needs.push(need(Command::Select, &scene.key_columns()));
            Aim::Rows(vec![key.to_owned()])
        }
        None => {
            match scene.own_world(Command::Update) {
                Some(condition) => {
                    sql.push_str(&condition);
                    needs.push(need(Command::Select, &scene.key_columns()));
                }
                None if !scene.whole => {
                    plan.not_run.push(not_run(scene, standing, "update", form));
                    return;
                }
                None => {}
            }
            Aim::All(rows.iter().map(|(_, key)| (*key).to_owned()).collect())
        }
    };
    // A row of one's own that would change hands is refused by the check; others' rows are not even seen.
    let otherwise = if standing == Standing::Own { Outcome::RefusedPolicy } else { Outcome::Hidden };
    let denial = scene.denial(&[Command::Update], otherwise);
    scene.add(plan, standing, Command::Update, form, sql, needs, aim, promise, denial, control, impossible);
}

/// A statement without WHERE on a table that is too large for it.
pub(super) fn not_run(scene: &Scene<'_>, standing: Standing, command: &str, form: &str) -> NotRun {
    NotRun {
        what: format!(
            "{}/{}/{standing}/{command}/{form}{}",
            scene.table().name(),
            scene.persona().name,
            scene.world.kind.suffix()
        ),
        why: UNBOUNDED.to_owned(),
    }
}
