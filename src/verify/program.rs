//! What is made in one world: the attempts that are asked for, and the trials that they and their controls come to.

use crate::model::failure::Failure;
use crate::model::report::NotRun;
use crate::verify::coverage;
use crate::verify::form::{self, Aim, Plan, Planned, Promise, Route, Scene, Tells, Who};
use crate::verify::options::Options;
use crate::verify::trial::Trial;
use crate::verify::world::build::Standing;
use crate::verify::world::insert::key_columns;
use crate::verify::world::rows::Maker;
use crate::verify::world::{Setting, World, WorldKind};
use std::collections::{BTreeMap, BTreeSet};

/// What one world's attempts need, once planned.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) planned: Vec<Planned>,
    pub(crate) trials: Vec<Trial>,
    /// For each planned attempt its own trial and its control's, as indices.
    pub(crate) of_attempt: Vec<(Option<usize>, Option<usize>)>,
    /// Subject -> keys that attempts insert under, for tables too large to be read whole.
    pub(crate) fresh: BTreeMap<usize, BTreeSet<String>>,
    /// What was asked for and can't be made.
    pub(crate) not_run: Vec<NotRun>,
    /// What can't be tried, because no row can show it.
    pub(crate) not_tried: Vec<NotRun>,
}

/// The one world that a program is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) setting: Setting<'a>,
    pub(crate) maker: &'a Maker<'a>,
    pub(crate) world: &'a World,
    pub(crate) standing: &'a Standing,
    /// For each subject whether it is read as a whole.
    pub(crate) whole: &'a [bool],
    /// Whether TRUNCATE may be run.
    pub(crate) truncates: bool,
}

/// An attempt's id: stable, readable, and made of the report's words.
pub(crate) fn id(setting: &Setting<'_>, planned: &Planned) -> String {
    let table = &setting.subjects[planned.subject].access.table;
    let persona = &setting.personas[planned.persona].name;
    format!("{table}/{persona}/{}/{}/{}", planned.standing, planned.command, planned.form)
}

impl Program {
    /// Plans.
    ///
    /// # Errors
    /// Inconclusive where a row cannot be made.
    pub(crate) fn plan(place: &Place<'_>, options: &Options) -> Result<Self, Failure> {
        let Place { setting, maker, world, standing, .. } = *place;
        let mut plan = Plan::default();
        let mut not_tried = Vec::new();
        for (subject, &whole) in place.whole.iter().enumerate() {
            for persona in (0..setting.personas.len()).filter(|&index| setting.personas[index].tries) {
                let scene = Scene {
                    contract: setting.contract,
                    maker,
                    world,
                    keys: &standing.keys,
                    sights: &standing.sights[subject],
                    subject,
                    persona,
                    whole,
                    truncates: place.truncates,
                };
                form::plan(&scene, &mut plan)?;
            }
        }
        if world.kind == WorldKind::Different {
            let (lacking, excluded) = coverage::without_rows(&setting, maker, world, standing);
            plan.not_run.extend(lacking);
            not_tried = excluded;
        }
        plan.attempts.retain(|planned| options.wants_attempt(&id(&setting, planned)));
        plan.not_run.retain(|not_run| options.wants(&not_run.what));
        let mut program = Self { planned: plan.attempts, not_run: plan.not_run, not_tried, ..Self::default() };
        program.make_trials();
        program.name_fresh_keys(place)?;
        Ok(program)
    }

    /// Some of the attempts, with their trials.
    pub(crate) fn part(&self, wanted: impl Fn(&Planned) -> bool) -> Self {
        let planned = self.planned.iter().filter(|planned| wanted(planned)).cloned().collect();
        let mut part = Self { planned, fresh: self.fresh.clone(), ..Self::default() };
        part.make_trials();
        part
    }

    /// One trial for each statement and who runs it, however many attempts it is for.
    fn make_trials(&mut self) {
        let mut known: BTreeMap<Trial, usize> = BTreeMap::new();
        for planned in &self.planned {
            let mut index_of = |who: Who, sql: &str, route: &Route, to: usize, holders: Option<&String>| {
                let reads_back = (planned.tells == Tells::Changes).then_some((planned.subject, to));
                let (command, sql, route) = (planned.command, sql.to_owned(), route.clone());
                let trial = Trial { who, command, sql, route, reads_back, holders: holders.cloned() };
                let next = known.len();
                *known.entry(trial).or_insert(next)
            };
            let holders = planned.given.as_ref().map(|given| &given.holders);
            let own = (planned.aim != Aim::Rights).then(|| {
                index_of(Who::Persona(planned.persona), &planned.sql, &planned.route, planned.persona, holders)
            });
            let control = planned.control.as_ref();
            let control = control.map(|control| {
                // To whom the rows then stand matters only where that decides the promise; else one run serves all.
                let (who, to) = match control.who {
                    Who::Persona(owner) => (control.who, owner),
                    Who::Privileged(_) if planned.promise != Promise::ByControl => (Who::Privileged(0), 0),
                    Who::Privileged(claims) => (control.who, claims),
                };
                let holders = holders.filter(|_| planned.gives_nothing(control));
                match &control.sql {
                    Some(sql) => index_of(who, sql, &Route::Plain, to, holders),
                    None => index_of(who, &planned.sql, &planned.route, to, holders),
                }
            });
            self.of_attempt.push((own, control));
        }
        // Everything of one person together, so that each is become once.
        let mut trials: Vec<(Trial, usize)> = known.into_iter().collect();
        trials.sort_by_key(|(trial, index)| (trial.who, *index));
        let mut places = vec![0; trials.len()];
        for (place, (_, index)) in trials.iter().enumerate() {
            places[*index] = place;
        }
        self.trials = trials.into_iter().map(|(trial, _)| trial).collect();
        for (own, control) in &mut self.of_attempt {
            for index in [own, control].into_iter().flatten() {
                *index = places[*index];
            }
        }
    }

    /// Only on tables too large to be read whole: the keys that attempts insert under.
    fn name_fresh_keys(&mut self, place: &Place<'_>) -> Result<(), Failure> {
        let Place { setting, maker, world, .. } = *place;
        for (index, subject) in setting.subjects.iter().enumerate().filter(|(index, _)| !place.whole[*index]) {
            let columns = key_columns(&subject.table);
            if let [_single] = columns.as_slice() {
                let keys = self.fresh.entry(index).or_default();
                let names = ["plain", "owner-omitted", "no-owner", "orphan-parent", "free key"];
                let names = names.into_iter().chain(form::FRESH).map(str::to_owned);
                let last = world.rows.iter().map(|row| row.number).max().unwrap_or_default();
                let parents = (2..=last).map(|number| format!("plain-{number}"));
                let foreign = maker.paths(index).iter().map(|path| format!("foreign-{}", path.column()));
                for name in names.chain(parents).chain(foreign) {
                    let values = maker.fresh(index, None, BTreeMap::new(), &name, world)?;
                    keys.extend(columns.iter().filter_map(|column| values.get(column).cloned().flatten()));
                }
            }
        }
        Ok(())
    }
}
