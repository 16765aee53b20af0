//! The mutants of `--mutate`: what may be changed, in which order it is tried to notice it, and what became of each.

mod lane;
mod small;

use super::Run;
use crate::db::session::Session;
use crate::model::access::Command;
use crate::model::failure::Failure;
use crate::model::mutation::{Fate, Mutated, Mutation};
use crate::verify::form::Planned;
use crate::verify::mutate::{self, Mutant, matter::Matter};
use crate::verify::persona::Persona;
use crate::verify::world::rows;
use crate::verify::world::{Subject, WorldKind};
use futures::future::{LocalBoxFuture, try_join_all};
use lane::Lane;
use small::Small;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// A way to one database: each call opens a session there.
pub type Connect<'a> = Box<dyn Fn() -> LocalBoxFuture<'a, Result<Session, Failure>> + 'a>;

/// What `--mutate` needs beside the verification's own database.
pub struct Mutating<'p, 'c> {
    /// Disposable databases that are as the verified one is; mutants are tried in all of them at once.
    pub databases: Vec<Connect<'c>>,
    /// Only mutants whose id contains one of these; all where empty.
    pub only: Vec<String>,
    /// Is told how many of how many mutants were tried, whenever one was.
    pub progress: &'p dyn Fn(usize, usize),
}

/// Which of the attempts on a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Those of the command and the roles that it is about, on its own tables.
    Near,
    /// All others on its own tables and on those whose policies read them.
    Far,
    /// Those on tables that it can't change anything about, as far as the catalogue tells.
    Rest,
}

/// What a mutant can change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Affected {
    /// Its own tables, as subjects.
    own: BTreeSet<usize>,
    /// With those whose policies read them.
    all: BTreeSet<usize>,
    command: Option<Command>,
    roles: BTreeSet<String>,
}

impl Affected {
    fn wants(&self, part: Part, planned: &Planned, personas: &[Persona]) -> bool {
        let role = &personas[planned.persona].actor.role;
        let near = self.own.contains(&planned.subject)
            && self.command.is_none_or(|command| command == planned.command)
            && (self.roles.is_empty() || self.roles.contains(role));
        match part {
            Part::Near => near,
            Part::Far => !near && self.all.contains(&planned.subject),
            Part::Rest => !near && !self.all.contains(&planned.subject),
        }
    }
}

/// What something that was tried on one mutant came to.
enum Noticed {
    By(Vec<String>),
    Nothing,
    Unclear(String),
    /// The server refuses the change.
    Impossible(String),
}

/// The mutants, and who takes the next one.
struct Board<'p> {
    mutants: Vec<(Mutant, Affected)>,
    fates: RefCell<Vec<Mutated>>,
    next: Cell<usize>,
    /// Those that were told of as tried.
    done: Cell<usize>,
    progress: &'p dyn Fn(usize, usize),
}

impl Board<'_> {
    /// The next one of that fate in this round.
    fn take(&self, fate: Fate) -> Option<usize> {
        let fates = self.fates.borrow();
        let place = (self.next.get()..fates.len()).find(|&place| fates[place].fate == fate);
        self.next.set(place.map_or(fates.len(), |place| place + 1));
        place
    }

    fn tried(&self) {
        self.done.set(self.done.get() + 1);
        (self.progress)(self.done.get(), self.mutants.len());
    }

    /// Notes what was run and what came of it; whether that ends the matter.
    fn note(&self, place: usize, what: String, noticed: Noticed) -> bool {
        let mut fates = self.fates.borrow_mut();
        let Some(mutated) = fates.get_mut(place) else { return true };
        if !what.is_empty() {
            mutated.tried.push(what);
        }
        match noticed {
            Noticed::By(killers) => {
                mutated.fate = Fate::Killed;
                mutated.killers = killers;
                mutated.why.clear();
                true
            }
            Noticed::Nothing => false,
            // Something later may still tell.
            Noticed::Unclear(why) => {
                mutated.why = why;
                false
            }
            Noticed::Impossible(why) => {
                mutated.fate = Fate::Undecided;
                mutated.why = why;
                true
            }
        }
    }
}

/// A round through the mutants that nothing noticed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// The attempts that are nearest to it.
    Near,
    /// What is different in the small world: nothing in an equivalent.
    Compared,
    /// All attempts that can be affected, and in the first world the probes.
    Affected(WorldKind),
    /// All other attempts.
    Rest,
}

impl Run<'_> {
    /// Tries every mutant, until something notices it.
    ///
    /// # Errors
    /// Where a world can't be built, or the catalogue can't be read.
    pub(super) async fn mutate(&self, mutating: &Mutating<'_, '_>) -> Result<Mutation, Failure> {
        let started = Instant::now();
        let (mutants, opaque) = self.mutants(&mutating.databases).await?;
        let named = survivors(&mutants).into_iter().zip(mutants);
        let wanted = |id: &String| mutating.only.is_empty() || mutating.only.iter().any(|part| id.contains(part));
        let (fates, mutants): (Vec<_>, Vec<_>) = named.filter(|(mutated, _)| wanted(&mutated.id)).unzip();
        let fates = RefCell::new(fates);
        let (next, done, progress) = (Cell::new(0), Cell::new(0), mutating.progress);
        let board = Board { mutants, fates, next, done, progress };
        let small = RefCell::new(String::new());
        let affected = WorldKind::ALL.map(Round::Affected);
        for round in [Round::Near, Round::Compared].into_iter().chain(affected).chain([Round::Rest]) {
            board.next.set(0);
            if board.fates.borrow().iter().all(|mutated| mutated.fate != Fate::Survived) {
                break;
            }
            let lanes = mutating.databases.iter().map(|connect| self.one_lane(&board, round, connect, &small));
            try_join_all(lanes).await?;
        }
        let mut mutants = board.fates.into_inner();
        for mutated in &mut mutants {
            match mutated.fate {
                Fate::Survived if !mutated.why.is_empty() => mutated.fate = Fate::Undecided,
                Fate::Killed => mutated.differences.clear(),
                _ => {}
            }
        }
        Ok(Mutation {
            mutants,
            opaque,
            small_world: small.into_inner(),
            databases: mutating.databases.len(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// One database's part in a round.
    async fn one_lane(
        &self,
        board: &Board<'_>,
        round: Round,
        connect: &Connect<'_>,
        told: &RefCell<String>,
    ) -> Result<(), Failure> {
        let kind = if let Round::Affected(kind) = round { kind } else { WorldKind::Different };
        let refused = self.refused.clone();
        let maker = self.maker(kind, &refused);
        let world = rows::plan(&maker)?;
        let mut lane = Lane::new(self, connect, &maker, &world);
        let mut small: Option<Small> = None;
        while let Some(place) = board.take(Fate::Survived) {
            let Some((mutant, affected)) = board.mutants.get(place) else { break };
            tracing::debug!("{round:?}: {} {}, {}", mutant.operator, mutant.object, mutant.change);
            match round {
                Round::Near => {
                    try_part(board, place, &mut lane, Part::Near).await?;
                    board.tried();
                }
                Round::Affected(kind) => {
                    // In the first world those nearest to it were made.
                    let noticed = (kind == WorldKind::Equal && try_part(board, place, &mut lane, Part::Near).await?)
                        || try_part(board, place, &mut lane, Part::Far).await?;
                    if kind == WorldKind::Different && !noticed {
                        let noticed = lane.probes(mutant).await?;
                        board.note(place, "the probes".to_owned(), noticed);
                    }
                }
                Round::Compared if !mutant.shows_in_reach() => {}
                Round::Compared => {
                    let small = match &mut small {
                        Some(small) => small,
                        none => none.insert(Small::plan(&mut lane).await?),
                    };
                    small.told().clone_into(&mut told.borrow_mut());
                    let differences = small.differences(&mut lane, mutant, &affected.all).await?;
                    let mut fates = board.fates.borrow_mut();
                    let Some(mutated) = fates.get_mut(place) else { continue };
                    mutated.tried.push("the small world".to_owned());
                    if differences.is_empty() && mutated.why.is_empty() {
                        mutated.fate = Fate::Equivalent;
                        "nobody sees, changes, deletes or inserts anything else in the small world"
                            .clone_into(&mut mutated.why);
                    }
                    mutated.differences = differences;
                }
                Round::Rest => {
                    try_part(board, place, &mut lane, Part::Rest).await?;
                }
            }
        }
        lane.close().await;
        Ok(())
    }

    /// Every mutant, with the subjects on which it can be noticed; and what can't be changed.
    async fn mutants(&self, databases: &[Connect<'_>]) -> Result<(Vec<(Mutant, Affected)>, Vec<String>), Failure> {
        let Some(connect) = databases.first() else { return Ok((Vec::new(), Vec::new())) };
        let refused = self.refused.clone();
        let maker = self.maker(WorldKind::Different, &refused);
        let world = rows::plan(&maker)?;
        let mut lane = Lane::new(self, connect, &maker, &world);
        lane.bench().await?;
        let Some(bench) = &lane.bench else { return Err(lane::no_world()) };
        let site = bench.site(self, self.setting, &maker, &world);
        let policies = site.policies().await?;
        let mut roles: Vec<String> = site.roles().iter().map(|&index| site.persona(index).actor.role.clone()).collect();
        roles.sort();
        let matter = Matter::read(&bench.session, &self.setting.contract.schemas, &roles).await?;
        let subjects = self.setting.subjects;
        let index = |name: &_| subjects.iter().position(|subject| subject.table.name() == *name);
        // Table -> tables whose policies read it.
        let mut readers: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for policy in policies {
            for read in &policy.reads {
                if let (Some(read), Some(reader)) = (index(&read.table()), index(&policy.table())) {
                    readers.entry(read).or_default().insert(reader);
                }
            }
        }
        let (mutants, opaque) = mutate::mutants(&matter);
        let mutants = mutants.into_iter().map(|mutant| {
            let affected = affected(&mutant, subjects, &readers);
            (mutant, affected)
        });
        let mutants = mutants.collect();
        lane.close().await;
        Ok((mutants, opaque))
    }
}

/// Makes some of the attempts on a mutant; whether that ends the matter.
async fn try_part(board: &Board<'_>, place: usize, lane: &mut Lane<'_, '_>, part: Part) -> Result<bool, Failure> {
    let Some((mutant, affected)) = board.mutants.get(place) else { return Ok(true) };
    let (made, noticed) = lane.attempts(mutant, part, affected).await?;
    let what = match part {
        Part::Near => "of its command and role on its own tables",
        Part::Far => "else on these and on those whose policies read them",
        Part::Rest => "on all other tables",
    };
    let alike = if lane.world.kind == WorldKind::Equal { ", rows all alike" } else { "" };
    let what = match (made, &noticed) {
        (0, Noticed::By(_)) => "the checks of the catalogue".to_owned(),
        (0, _) => String::new(),
        _ => format!("{made} attempts {what}{alike}"),
    };
    Ok(board.note(place, what, noticed))
}

fn affected(mutant: &Mutant, subjects: &[Subject], readers: &BTreeMap<usize, BTreeSet<usize>>) -> Affected {
    let index = |name: &_| subjects.iter().position(|subject| subject.table.name() == *name);
    let mut own: BTreeSet<usize> = mutant.tables.iter().filter_map(index).collect();
    if own.is_empty() {
        own = (0..subjects.len()).collect();
    }
    let mut all = own.clone();
    loop {
        let more: BTreeSet<usize> = all.iter().filter_map(|table| readers.get(table)).flatten().copied().collect();
        if more.is_subset(&all) {
            return Affected { own, all, command: mutant.command, roles: mutant.roles.clone() };
        }
        all.extend(more);
    }
}

/// All of them, before anything was tried.
fn survivors(mutants: &[(Mutant, Affected)]) -> Vec<Mutated> {
    let mut same: BTreeMap<String, usize> = BTreeMap::new();
    let survivors = mutants.iter().map(|(mutant, _)| {
        let name = format!("{}/{}", mutant.operator, mutant.object.replace(' ', "-"));
        let number = same.entry(name.clone()).or_default();
        *number += 1;
        Mutated {
            id: format!("{name}/{number}"),
            operator: mutant.operator.to_owned(),
            about: mutant.about.to_owned(),
            object: mutant.object.clone(),
            change: mutant.change.clone(),
            statement: mutant.sql.clone(),
            fate: Fate::Survived,
            tried: Vec::new(),
            killers: Vec::new(),
            differences: Vec::new(),
            why: String::new(),
        }
    });
    survivors.collect()
}
