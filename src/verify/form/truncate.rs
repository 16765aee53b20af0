//! TRUNCATE, which RLS does not filter: promised to nobody, so only a missing grant is right.

use super::{Aim, Control, Plan, Promise, Scene, Who, need};
use crate::model::access::Command;
use crate::model::attempt::Outcome;
use crate::model::failure::Failure;

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    // The service key may do everything already; what it lacks is no promise.
    if scene.persona().actor.bypasses_rls || !matches!(scene.table().kind.as_str(), "r" | "p") {
        return Ok(());
    }
    // With CASCADE, since a table that others refer to answers 0A000 even where it is granted.
    let sql = format!("TRUNCATE {} CASCADE", scene.name());
    let needs = vec![need(Command::Truncate, &[])];
    // TRUNCATE asks for no row: one attempt, told of the first standing that rows have.
    let Some((standing, rows)) = scene.standings().into_iter().next() else { return Ok(()) };
    let (aim, control) = if scene.truncates {
        let keys = rows.iter().map(|(_, key)| (*key).to_owned()).collect();
        (Aim::All(keys), Some(Who::Privileged(scene.persona).into()))
    } else {
        (Aim::Rights, None)
    };
    let control: Option<Control> = control;
    let form = if scene.truncates { "cascade" } else { "rights" };
    scene.add(
        plan,
        standing,
        Command::Truncate,
        form,
        sql,
        needs,
        aim,
        Promise::No,
        Outcome::RefusedGrant,
        control,
        None,
    );
    Ok(())
}
