//! Negative controls of the attempts: attempts that were denied, made again by a role that bypasses RLS and judged as
//! if the actor had made them. Each must read as a leak, else the run could not have seen one.

use super::tried_world::Tried;
use crate::db::session::Session;
use crate::model::access::{Command, Standing as RowStanding};
use crate::model::attempt::{Outcome, Verdict};
use crate::model::catalog::Table;
use crate::model::failure::Failure;
use crate::model::report::Control;
use crate::verify::form::{Aim, Route, Tells, Who};
use crate::verify::judge::{Case, judge};
use crate::verify::trial::{Observed, Stage, Trial};
use crate::verify::world::Subject;
use crate::verify::world::build::{Reader, Standing};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// How many attempts of one family are tried until one is noticed: a trigger may undo what a role that bypasses RLS
/// does to one table, which says nothing of the judging.
const EACH: usize = 3;

/// A place, behind whether the attempt lacks a grant and whether it tells by its answer alone: the best come first.
type Ranked = ((bool, bool), usize);

/// What a family's attempts have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    /// What rows of that standing are denied.
    Rows(Command, RowStanding),
    /// A right that nothing promises, behind which only policies would stand.
    Right(Command),
}

impl Family {
    fn name(self) -> String {
        match self {
            Self::Rows(command, standing) => format!("attempts: {command} of {standing} rows"),
            Self::Right(command) => format!("attempts: a grant of {command} without a promise"),
        }
    }
}

/// Makes them on the world that stands, `standing` and `whole` being those of the latest time that it was put up.
pub(super) async fn make(
    session: &Session,
    tried: &Tried<'_>,
    stands: (&Standing, &[bool]),
    stepwise: bool,
) -> Vec<Control> {
    let started = Instant::now();
    let controls = made(session, tried, stands, stepwise).await;
    tracing::debug!(milliseconds = started.elapsed().as_millis(), "negative controls of attempts");
    controls.unwrap_or_else(|failure| vec![Control::failed("attempts", &failure)])
}

async fn made(
    session: &Session,
    tried: &Tried<'_>,
    (standing, whole): (&Standing, &[bool]),
    stepwise: bool,
) -> Result<Vec<Control>, Failure> {
    let mut left = candidates(tried);
    let mut controls: BTreeMap<Family, Control> = BTreeMap::new();
    for nth in 0..EACH {
        left.retain(|family, places| {
            places.len() > nth && !controls.get(family).is_some_and(|control| control.noticed)
        });
        let chosen: Vec<(Family, Case<'_>)> =
            left.iter().filter_map(|(family, places)| Some((*family, tried.case(*places.get(nth)?)?))).collect();
        let observed = run(session, tried, (standing, whole), stepwise, &chosen).await?;
        for ((family, case), observed) in chosen.iter().zip(observed) {
            controls.insert(*family, told(*family, case, observed.as_ref()));
        }
    }
    Ok(controls.into_values().collect())
}

/// Family -> the places of its attempts that a control can be made of, the plainest first, of different tables.
fn candidates(tried: &Tried<'_>) -> BTreeMap<Family, Vec<usize>> {
    let mut found: BTreeMap<Family, Vec<Ranked>> = BTreeMap::new();
    for place in 0..tried.program.planned.len() {
        let Some(case) = tried.case(place) else { continue };
        let planned = case.planned;
        let fits = match planned.aim {
            Aim::Rows(_) | Aim::New => true,
            // A statement without WHERE would be let loose on the whole table; this one is its own control already.
            Aim::All(_) | Aim::Rights => planned.command == Command::Truncate,
            Aim::Untouched(_) | Aim::Count(_) => false,
        };
        if !fits || case.persona.actor.bypasses_rls || planned.given.is_some() || planned.route != Route::Plain {
            continue;
        }
        let works = matches!(planned.aim, Aim::Rights) || case.control.is_some_and(|control| control.result.is_ok());
        if !works || case.promised() {
            continue;
        }
        let attempt = judge(&case);
        if !matches!(attempt.verdict, Verdict::Held | Verdict::Leak) {
            continue;
        }
        let ungranted = attempt.expected == Outcome::RefusedGrant;
        // What a write did is told best by what is read back.
        let told = planned.command != Command::Select && planned.tells == Tells::Answer;
        let rank = (ungranted, told);
        found.entry(Family::Rows(planned.command, planned.standing)).or_default().push((rank, place));
        if ungranted && attempt.outcome == Outcome::RefusedGrant && planned.command != Command::Truncate {
            found.entry(Family::Right(planned.command)).or_default().push((rank, place));
        }
    }
    let of_tables = |mut places: Vec<Ranked>| {
        places.sort_unstable();
        let mut tables = BTreeSet::new();
        places.retain(|(_, place)| tables.insert(tried.program.planned[*place].subject));
        places.into_iter().map(|(_, place)| place).take(EACH).collect()
    };
    found.into_iter().map(|(family, places)| (family, of_tables(places))).collect()
}

/// What each comes to; `None` where no statement is run, since the rights decide.
async fn run(
    session: &Session,
    tried: &Tried<'_>,
    (standing, whole): (&Standing, &[bool]),
    stepwise: bool,
    chosen: &[(Family, Case<'_>)],
) -> Result<Vec<Option<Observed>>, Failure> {
    let trial = |(family, case): &(Family, Case<'_>)| {
        let planned = case.planned;
        let runs = matches!(family, Family::Rows(..)) && planned.aim != Aim::Rights;
        runs.then(|| Trial {
            who: Who::Privileged(planned.persona),
            command: planned.command,
            sql: planned.sql.clone(),
            route: Route::Plain,
            reads_back: (planned.tells == Tells::Changes).then_some((planned.subject, planned.persona)),
            holders: None,
        })
    };
    let trials: Vec<Option<Trial>> = chosen.iter().map(trial).collect();
    let made: Vec<Trial> = trials.iter().flatten().cloned().collect();
    let fresh = &tried.program.fresh;
    let reader = Reader { session, setting: tried.setting, standing, whole, fresh, emptied: None };
    let read_backs = reader.prepare(&made.iter().filter_map(|trial| trial.reads_back).collect()).await?;
    let copies = BTreeMap::new();
    let personas = tried.setting.personas;
    let stage = Stage { personas, reader, read_backs: &read_backs, copies: &copies, counter: None, stepwise };
    let mut observed = stage.run(&made, None).await.into_iter();
    Ok(trials
        .iter()
        .zip(chosen)
        .map(|(trial, (family, case))| match (trial, family) {
            (Some(_), _) => observed.next(),
            // What the actor itself met, to be judged as if it had the right.
            (None, Family::Right(_)) => case.observed.cloned(),
            (None, Family::Rows(..)) => None,
        })
        .collect())
}

/// Judges it as the actor's own attempt, with the rights of whoever made it.
fn told(family: Family, case: &Case<'_>, observed: Option<&Observed>) -> Control {
    let role = &case.persona.actor.role;
    let subject = Subject { table: with_every_right(&case.subject.table, role), ..case.subject.clone() };
    let attempt = judge(&Case { subject: &subject, observed, ..*case });
    let noticed = attempt.verdict == Verdict::Leak && (observed.is_some() || case.planned.aim == Aim::Rights);
    let why = if noticed {
        String::new()
    } else {
        let told = if attempt.why.is_empty() { String::new() } else { format!(", {}", attempt.why) };
        format!("made by a role that bypasses RLS it reads as {} ({}{told})", attempt.verdict, attempt.outcome)
    };
    Control { name: family.name(), noticed, shown_by: attempt.id, why }
}

fn with_every_right(table: &Table, role: &str) -> Table {
    let mut table = table.clone();
    table.schema_usage.push(role.to_owned());
    table.grants.insert(role.to_owned(), Command::ALL.iter().map(|command| command.word().to_owned()).collect());
    table
}
