//! MERGE: rows matched by key, changed and deleted; a row proposed under a key that is taken; new rows; and what no
//! source row matches.

use super::insert::{has_parents, hold};
use super::{Aim, Control, Need, Plan, Planned, Promise, Scene, Who, need, update, upsert};
use crate::db::sqlstate;
use crate::model::access::{Command, Ownership, Standing};
use crate::model::attempt::Outcome;
use crate::model::failure::Failure;
use crate::verify::world::Row;
use crate::verify::world::insert::row_clause;
use crate::verify::world::rows::Values;
use std::collections::BTreeSet;

/// The first version with RETURNING and WHEN NOT MATCHED BY SOURCE.
const RETURNS_SINCE: u32 = 170_000;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let set = scene.plain_column().map(|(column, constant)| {
        let set = Scene::assignment(&column.name, Some(&constant));
        (column.name.clone(), format!("UPDATE SET {set}"))
    });
    for (standing, rows) in scene.standings() {
        if let Some((column, set)) = &set {
            matched(scene, plan, standing, rows[0], Command::Update, set, std::slice::from_ref(column));
            taken_key(scene, plan, standing, rows[0], set, column)?;
            unmatched_by_source(scene, plan, standing, &rows, Command::Update, set, std::slice::from_ref(column));
        }
        matched(scene, plan, standing, rows[0], Command::Delete, "DELETE", &[]);
        unmatched_by_source(scene, plan, standing, &rows, Command::Delete, "DELETE", &[]);
    }
    new_rows(scene, plan)
}

/// `MERGE INTO … ON {condition} {clauses}` with a source of one row, which is only there to match.
fn merge(scene: &Scene<'_>, condition: &str, clauses: &str) -> String {
    format!("MERGE INTO {} USING (SELECT 1) AS chartchek_source ON {condition} {clauses}", scene.name())
}

/// On a table with rules the server takes no MERGE from anyone.
fn push(plan: &mut Plan, planned: Planned) {
    plan.attempts.push(Planned { impossible: vec![sqlstate::FEATURE_NOT_SUPPORTED], ..planned });
}

/// Adds it, and with RETURNING where the server has that.
fn push_both(scene: &Scene<'_>, plan: &mut Plan, planned: Planned) {
    if scene.version() >= RETURNS_SINCE {
        scene.push_both(plan, Planned { impossible: vec![sqlstate::FEATURE_NOT_SUPPORTED], ..planned });
    } else {
        push(plan, planned);
    }
}

/// The row with that key, changed or deleted. A row that is seen and may not be changed raises an error here.
fn matched(
    scene: &Scene<'_>,
    plan: &mut Plan,
    standing: Standing,
    (row, key): (&Row, &str),
    command: Command,
    action: &str,
    columns: &[String],
) {
    let Some(condition) = scene.where_key((row, key)) else { return };
    let sql = merge(scene, &condition, &format!("WHEN MATCHED THEN {action}"));
    let needs = vec![need(command, columns), need(Command::Select, &scene.key_columns())];
    let aim = Aim::Rows(vec![key.to_owned()]);
    push_both(scene, plan, scene.on_rows(standing, &[command, Command::Select], "merge", sql, aim, needs));
}

/// One's own row proposed under the key of each standing's row. Who does not see that row does not match it, and the
/// row that is inserted instead meets the key.
fn taken_key(
    scene: &Scene<'_>,
    plan: &mut Plan,
    standing: Standing,
    (row, key): (&Row, &str),
    set: &str,
    column: &String,
) -> Result<(), Failure> {
    if scene.key_columns().is_empty() || (scene.one_each() && standing != Standing::Own) {
        return Ok(());
    }
    let Some(condition) = scene.where_key((row, key)) else { return Ok(()) };
    let Some((_, values)) = upsert::proposed(scene, standing, row)? else { return Ok(()) };
    let insert = format!("INSERT{}", row_clause(scene.table(), &values));
    let sql = merge(scene, &condition, &format!("WHEN MATCHED THEN {set} WHEN NOT MATCHED THEN {insert}"));
    let needs = vec![
        need(Command::Insert, &values.keys().cloned().collect::<Vec<_>>()),
        need(Command::Update, std::slice::from_ref(column)),
        need(Command::Select, &scene.key_columns()),
    ];
    let asks = [Command::Insert, Command::Update, Command::Select];
    let aim = Aim::Rows(vec![key.to_owned()]);
    let drafted = scene.on_rows(standing, &asks, "merge-taken-key", sql, aim, needs);
    // A row that is there and seen is only updated: for that, INSERT must be granted and no more.
    let promise = if scene.due(Command::Insert) { scene.promise(standing, &asks[1..]) } else { Promise::No };
    let control = Some(Who::Privileged(scene.persona).into());
    push(plan, Planned { promise, control, no_row: Some(sqlstate::UNIQUE_VIOLATION), ..drafted });
    Ok(())
}

/// New rows: one's own and another's.
fn new_rows(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let mut add = |standing: Standing, holder: usize, hold: &Values| -> Result<(), Failure> {
        let values = scene.maker.fresh(scene.subject, Some(holder), hold.clone(), "merged", scene.world)?;
        let values = scene.client_values(values, hold);
        let clause = format!("WHEN NOT MATCHED THEN INSERT{}", row_clause(scene.table(), &values));
        let by_control = matches!(scene.ownership(), Ownership::Sql(_));
        let planned = Planned {
            needs: vec![need(Command::Insert, &values.keys().cloned().collect::<Vec<_>>())],
            promise: if by_control { Promise::ByControl } else { scene.promise(standing, &[Command::Insert]) },
            denial: scene.denial(&[Command::Insert], Outcome::RefusedPolicy),
            ..scene.draft(standing, Command::Insert, "merge", merge(scene, "false", &clause))
        };
        push_both(scene, plan, planned);
        Ok(())
    };
    if scene.paths().is_empty() {
        return add(Standing::Any, scene.persona, &Values::new());
    }
    if scene.persona().uid.is_some()
        && scene.taken().is_none()
        && has_parents(scene)
        && let Some(own) = hold(scene, |_| Some(scene.persona))
    {
        add(Standing::Own, scene.persona, &own)?;
    }
    if let Some(other) = scene.other_holder()
        && let Some(foreign) = hold(scene, |_| Some(other))
    {
        add(Standing::Other, other, &foreign)?;
    }
    Ok(())
}

/// Every row that no source row matches: with a condition that reads the table, the rows that are seen; with one that
/// does not, the policies of SELECT are not asked. Either is refused as a whole where one such row may not be changed.
fn unmatched_by_source(
    scene: &Scene<'_>,
    plan: &mut Plan,
    standing: Standing,
    rows: &[(&Row, &str)],
    command: Command,
    action: &str,
    columns: &[String],
) {
    // Who may change every row shows nothing by it that a row by its key does not.
    if scene.version() < RETURNS_SINCE || scene.would_disturb(&[command]) {
        return;
    }
    if !scene.whole {
        plan.not_run.push(update::not_run(scene, standing, command.word(), "merge-by-source"));
        return;
    }
    let Some(condition) = scene.where_key(rows[0]) else { return };
    let clause = format!("WHEN NOT MATCHED BY SOURCE THEN {action}");
    // All other rows would go, too, were a role that bypasses RLS to run the statement itself.
    let one = merge(scene, &condition, &format!("WHEN MATCHED THEN {action}"));
    let control = Control::bounded(Who::Privileged(scene.persona), Some(one));
    let there: BTreeSet<Standing> = scene.sights[scene.persona].values().map(|seen| seen.standing).collect();
    let mut add = |form: &str, condition: &str, reads: bool| {
        let mut needs: Vec<Need> = vec![need(command, columns)];
        let mut asks = vec![command];
        if reads {
            needs.push(need(Command::Select, &scene.key_columns()));
            asks.push(Command::Select);
        }
        let aim = Aim::All(rows.iter().map(|(_, key)| (*key).to_owned()).collect());
        let source = "USING (SELECT 1 WHERE false) AS chartchek_source";
        let sql = format!("MERGE INTO {} {source} ON {condition} {clause}", scene.name());
        let drafted = scene.on_rows(standing, &asks, form, sql, aim, needs);
        let seen = |standing: &&Standing| !reads || scene.promised(**standing, Command::Select);
        let all = there.iter().filter(seen).all(|standing| scene.promised(*standing, command));
        let promise = if all { drafted.promise } else { Promise::No };
        push(plan, Planned { promise, control: Some(control.clone()), ..drafted });
    };
    add("merge-by-source", &format!("{} IS NULL", scene.key()), true);
    add("merge-by-source-bare", "false", false);
}
