//! INSERT: one's own row, another's, under another's parent, nobody's, and with the owner left out.

use super::{Aim, Need, Plan, Promise, Scene, Who, need};
use crate::db::sqlstate;
use crate::model::access::{Command, OwnerPath, Ownership, Standing};
use crate::model::attempt::Outcome;
use crate::model::catalog::Column;
use crate::model::failure::Failure;
use crate::verify::world::WorldKind;
use crate::verify::world::insert::insert;
use crate::verify::world::rows::{ROWS_EACH, Values};

pub(super) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    if matches!(scene.ownership(), Ownership::None | Ownership::Sql(_)) {
        // Without paths nothing says whose a new row would be; the rows' standing is read afterwards.
        return add(scene, plan, Standing::Any, "plain", &Values::new(), Who::Privileged(scene.persona), None);
    }
    let own = hold(scene, |_| Some(scene.persona)).filter(|_| has_parents(scene));
    if scene.persona().uid.is_some()
        && let Some(own) = &own
    {
        add(scene, plan, Standing::Own, "plain", own, Who::Privileged(scene.persona), scene.taken())?;
    }
    if let Some(other) = scene.other_holder() {
        if let Some(foreign) = hold(scene, |_| Some(other)) {
            others(scene, plan, other, &foreign)?;
            labelled(scene, plan, other, &foreign)?;
        }
        // What lets a row in may depend on which of the other's parents it hangs on.
        if let [path @ OwnerPath::Parent { .. }] = scene.paths() {
            for (number, hold) in scene.maker.other_parents(path, scene.subject, other, scene.world) {
                let form = format!("plain-{number}");
                add(scene, plan, Standing::Other, &form, &hold, control_of(scene, other), None)?;
            }
        }
        if scene.paths().len() > 1 && own.is_some() {
            for index in 0..scene.paths().len() {
                if let Some(mixed) = hold(scene, |path| Some(if path == index { other } else { scene.persona })) {
                    let form = format!("foreign-{}", scene.paths()[index].column());
                    add(scene, plan, Standing::Mixed, &form, &mixed, Who::Privileged(scene.persona), None)?;
                }
            }
        }
    }
    no_owner(scene, plan)?;
    omitted(scene, plan)
}

/// Whether the persona has a row in every owned table that its own new row must refer to.
pub(super) fn has_parents(scene: &Scene<'_>) -> bool {
    let must = |name: &String| scene.table().column(name).is_some_and(|column| column.not_null);
    scene.table().foreign_keys.iter().filter(|key| key.columns.iter().all(must)).all(|key| {
        scene.maker.places.get(&key.target()).is_none_or(|&parent| {
            scene.maker.paths(parent).is_empty() || scene.world.row(parent, scene.persona, 1).is_some()
        })
    })
}

/// What makes a row belong to `holder(path)` by each path, hanging on different parents so that no pair repeats.
pub(crate) fn hold(scene: &Scene<'_>, holder: impl Fn(usize) -> Option<usize>) -> Option<Values> {
    let paths = scene.paths();
    let on = |shift: usize| {
        let holds = paths.iter().enumerate().map(|(index, path)| {
            let number = (index + shift) % ROWS_EACH + 1;
            scene.maker.hold(path, scene.subject, holder(index)?, number, scene.world)
        });
        holds.collect::<Option<Vec<_>>>().map(|holds| holds.into_iter().flatten().collect::<Values>())
    };
    let repeats = |hold: &Values| {
        paths.len() > 1
            && scene
                .world
                .of(scene.subject)
                .any(|row| hold.iter().all(|(name, value)| row.values.get(name) == Some(value)))
    };
    let first = on(0)?;
    if !repeats(&first) {
        return Some(first);
    }
    (1..ROWS_EACH).filter_map(on).find(|hold| !repeats(hold)).or(Some(first))
}

/// Another's row, referring to what is the other's; and, where that makes a difference, to what is one's own: a check
/// that asks only whether the parent is the writer's own lets that in.
fn others(scene: &Scene<'_>, plan: &mut Plan, other: usize, foreign: &Values) -> Result<(), Failure> {
    let row = |holder: usize| -> Result<Values, Failure> {
        let values = scene.maker.fresh(scene.subject, Some(holder), foreign.clone(), "plain", scene.world)?;
        Ok(scene.client_values(values, foreign))
    };
    let (theirs, mixed) = (row(other)?, row(scene.persona)?);
    let promise = scene.promise(Standing::Other, &[Command::Insert]);
    if mixed != theirs {
        let by = Who::Privileged(scene.persona);
        push(scene, plan, Standing::Other, "plain-on-own", &mixed, promise, by, None);
    }
    push(scene, plan, Standing::Other, "plain", &theirs, promise, control_of(scene, other), None);
    Ok(())
}

/// Another's row with each label of each enum, with true and false, and with what policies compare a column with: a
/// check may let in what has one of them.
fn labelled(scene: &Scene<'_>, plan: &mut Plan, other: usize, foreign: &Values) -> Result<(), Failure> {
    if scene.world.kind != WorldKind::Different {
        return Ok(());
    }
    let row = scene.maker.fresh(scene.subject, Some(other), foreign.clone(), "plain", scene.world)?;
    let row = scene.client_values(row, foreign);
    let columns = scene.table().columns.iter();
    for column in columns.filter(|column| !foreign.contains_key(&column.name) && row.contains_key(&column.name)) {
        for (word, value) in scene.telling_values(column) {
            // The one that the plain form has is told of there.
            if row.get(&column.name).is_some_and(|has| has.as_ref() == Some(&value)) {
                continue;
            }
            let form = format!("plain-{}-{word}", column.name);
            let mut values = row.clone();
            values.insert(column.name.clone(), Some(value));
            offer(scene, plan, &form, &values);
        }
    }
    let may = |column: &Column| !foreign.contains_key(&column.name) && row.contains_key(&column.name);
    for (index, varied) in scene.telling_rows(may).into_iter().enumerate() {
        let mut values = row.clone();
        values.extend(varied);
        offer(scene, plan, &format!("plain-varied-{}", index + 1), &values);
    }
    Ok(())
}

/// Another's row with values that a constraint may refuse to everyone, and sound policies to the other account too, such
/// as a reference to a row that it does not see: a role that bypasses RLS shows that it can be made.
fn offer(scene: &Scene<'_>, plan: &mut Plan, form: &str, values: &Values) {
    let promise = scene.promise(Standing::Other, &[Command::Insert]);
    let impossible = Some(sqlstate::CHECK_VIOLATION);
    push(scene, plan, Standing::Other, form, values, promise, Who::Privileged(scene.persona), impossible);
}

/// The account itself shows that its row can be inserted, if it is promised that.
fn control_of(scene: &Scene<'_>, holder: usize) -> Who {
    let access = &scene.maker.subjects[scene.subject].access;
    let actor = &scene.maker.personas[holder].actor;
    // What a rule lets only the writer set stays the writer's.
    let bound = access.columns.values().any(|rule| rule.client_may_set.iter().any(|text| text == ":uid"));
    if !bound && scene.contract.promises(access, actor, Standing::Own, Command::Insert) {
        Who::Persona(holder)
    } else {
        Who::Privileged(scene.persona)
    }
}

/// Nobody's row: the owner columns NULL, and hanging on a parent that is an orphan.
fn no_owner(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let nulls: Values = scene.paths().iter().map(|path| (path.column().to_owned(), None)).collect();
    let refused =
        scene.paths().iter().any(|path| scene.table().column(path.column()).is_some_and(|column| column.not_null));
    let impossible = refused.then_some(sqlstate::NOT_NULL_VIOLATION);
    add(scene, plan, Standing::Orphan, "no-owner", &nulls, Who::Privileged(scene.persona), impossible)?;
    if let [path @ OwnerPath::Parent { .. }] = scene.paths() {
        let hanging = scene
            .rows(Standing::Orphan)
            .into_iter()
            .find(|(row, _)| row.values.get(path.column()).is_some_and(Option::is_some));
        if let Some((row, _)) = hanging {
            let orphan: Values =
                [(path.column().to_owned(), row.values.get(path.column()).cloned().flatten())].into_iter().collect();
            add(scene, plan, Standing::Orphan, "orphan-parent", &orphan, Who::Privileged(scene.persona), None)?;
        }
    }
    Ok(())
}

/// The owner left out: whose the row is then, a default decides.
fn omitted(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let defaulted = scene.paths().iter().all(|path| {
        matches!(path, OwnerPath::Column(column) if scene.table().column(column).is_some_and(|column| column.has_default))
    });
    if !defaulted || scene.persona().uid.is_none() {
        return Ok(());
    }
    let columns: Vec<String> = scene.paths().iter().map(|path| path.column().to_owned()).collect();
    let nothing = Values::new();
    let mut values =
        scene.maker.fresh(scene.subject, Some(scene.persona), nothing.clone(), "owner-omitted", scene.world)?;
    values.retain(|name, _| !columns.contains(name));
    let values = scene.client_values(values, &nothing);
    push(
        scene,
        plan,
        Standing::Own,
        "owner-omitted",
        &values,
        if scene.taken().is_some() { Promise::No } else { Promise::ByControl },
        Who::Privileged(scene.persona),
        scene.taken(),
    );
    Ok(())
}

fn add(
    scene: &Scene<'_>,
    plan: &mut Plan,
    standing: Standing,
    form: &str,
    hold: &Values,
    control: Who,
    impossible: Option<&'static str>,
) -> Result<(), Failure> {
    let values = scene.maker.fresh(scene.subject, Some(scene.persona), hold.clone(), form, scene.world)?;
    let values = scene.client_values(values, hold);
    // Between owners, and where a condition decides, the row itself shows whose it is.
    let promise = if standing == Standing::Mixed || matches!(scene.ownership(), Ownership::Sql(_)) {
        Promise::ByControl
    } else {
        scene.promise(standing, &[Command::Insert])
    };
    // A row that the server refuses to everyone cannot be promised to anyone.
    let promise = if impossible.is_some() { Promise::No } else { promise };
    push(scene, plan, standing, form, &values, promise, control, impossible);
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "each is a separate fact of the one attempt")]
fn push(
    scene: &Scene<'_>,
    plan: &mut Plan,
    standing: Standing,
    form: &str,
    values: &Values,
    promise: Promise,
    control: Who,
    impossible: Option<&'static str>,
) {
    let columns: Vec<String> = values.keys().cloned().collect();
    let needs: Vec<Need> = vec![need(Command::Insert, &columns)];
    let denial = scene.denial(&[Command::Insert], Outcome::RefusedPolicy);
    let sql = insert(scene.table(), values);
    scene.add(
        plan,
        standing,
        Command::Insert,
        form,
        sql,
        needs,
        Aim::New,
        promise,
        denial,
        Some(control.into()),
        impossible,
    );
}
