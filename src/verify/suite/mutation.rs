//! The mutants of `--mutate`: each is made behind a savepoint of the world that stands, tried, and taken back.

use super::Run;
use super::tried_world::Tried;
use crate::db::catalog as catalogue;
use crate::db::session::{Prepared, Session};
use crate::model::attempt::{Attempt, Verdict};
use crate::model::catalog::Catalog;
use crate::model::failure::{Failure, FailureKind};
use crate::model::mutation::{Fate, Mutated, Mutation};
use crate::verify::coverage;
use crate::verify::judge::judge;
use crate::verify::mutate::{self, Mutant, matter::Matter};
use crate::verify::probe::site::{Known, Site};
use crate::verify::probe::{self, Fault, PROBES, Probes};
use crate::verify::program::{Place, Program};
use crate::verify::stray::{self, Stray};
use crate::verify::trial::elsewhere::Counter;
use crate::verify::trial::{self, Observed, Stage, Trial};
use crate::verify::world::build::{Reader, Standing};
use crate::verify::world::rows::{self, Maker};
use crate::verify::world::{Setting, Subject, World, WorldKind};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// How often a mutant is begun again after a lost connection before it is given up.
const LIVES: usize = 3;

/// A session in which a world stands, with the savepoint `mutant`, and everything that trials need there.
struct Bench {
    session: Session,
    standing: Standing,
    whole: Vec<bool>,
    read_backs: BTreeMap<(usize, usize), Prepared>,
    copies: BTreeMap<String, Prepared>,
    counter: Option<Counter>,
    /// Errors that the session has seen: after so many an engine may want another.
    errors: usize,
}

/// A world in which mutants are tried.
struct Ring<'a> {
    maker: &'a Maker<'a>,
    world: &'a World,
    bench: Option<Bench>,
    /// All attempts in it; planned with the first bench.
    program: Option<Program>,
    /// The attempts on some subjects, by these.
    parts: BTreeMap<BTreeSet<usize>, Program>,
}

/// What one mutant came to in one world.
enum Noticed {
    By(Vec<String>),
    Nothing,
    Unclear(String),
}

impl Run<'_> {
    /// Tries every mutant in both worlds; what survives these, with the probes too.
    ///
    /// # Errors
    /// Where a world can't be built, or the catalogue can't be read.
    pub(super) async fn mutate(
        &self,
        session: &mut Option<(Session, bool)>,
        connect: &mut impl AsyncFnMut() -> Result<Session, Failure>,
    ) -> Result<Mutation, Failure> {
        let started = Instant::now();
        let mut mutation = Mutation::default();
        let mut mutants: Vec<(Mutant, BTreeSet<usize>)> = Vec::new();
        for kind in WorldKind::ALL {
            let refused = self.refused.clone();
            let maker = self.maker(kind, &refused);
            let world = rows::plan(&maker)?;
            let mut ring = Ring { maker: &maker, world: &world, bench: None, program: None, parts: BTreeMap::new() };
            if kind == WorldKind::Different {
                let bench = self.bench(&mut ring, session, connect).await?;
                let (made, opaque) = self.mutants(bench, &maker, &world).await?;
                mutants = made;
                mutation.opaque = opaque;
                mutation.mutants = mutants.iter().map(|(mutant, _)| survivor(mutant)).collect();
            }
            let total = mutants.len();
            for (place, ((mutant, affected), mutated)) in mutants.iter().zip(&mut mutation.mutants).enumerate() {
                if mutated.fate != Fate::Survived {
                    continue;
                }
                tracing::info!(
                    "mutant {} of {total}: {} {}, {}",
                    place + 1,
                    mutant.operator,
                    mutant.object,
                    mutant.change
                );
                let noticed = self.one_mutant(&mut ring, mutant, affected, session, connect).await?;
                note(mutated, noticed);
            }
            if kind == WorldKind::Different {
                self.probe_survivors(&mut ring, &mutants, &mut mutation, session, connect).await?;
            }
            if let Some(bench) = ring.bench.take() {
                *session = Some((bench.session, true));
            }
        }
        mutation.seconds = started.elapsed().as_secs_f64();
        Ok(mutation)
    }

    /// The world put up, unless it stands already.
    async fn bench<'r>(
        &self,
        ring: &'r mut Ring<'_>,
        session: &mut Option<(Session, bool)>,
        connect: &mut impl AsyncFnMut() -> Result<Session, Failure>,
    ) -> Result<&'r mut Bench, Failure> {
        let used_up = |bench: &Bench| self.ground.errors_per_session.is_some_and(|most| bench.errors >= most);
        if let Some(bench) = ring.bench.take_if(|bench| bench.session.is_closed() || used_up(bench)) {
            bench.session.close().await;
        }
        if ring.bench.is_none() {
            let (current, begun) = match session.take() {
                Some((current, begun)) if !current.is_closed() => (current, begun),
                _ => (connect().await?, false),
            };
            let (standing, whole) = self.stand(&current, begun, ring.world).await.map_err(|unmade| unmade.failure)?;
            if ring.program.is_none() {
                let (setting, maker, world) = (self.setting, ring.maker, ring.world);
                let place = Place { setting, maker, world, standing: &standing, whole: &whole, truncates: true };
                ring.program = Some(Program::plan(&place, self.options)?);
            }
            let program = ring.program.get_or_insert_default();
            let pairs = program.trials.iter().filter_map(|trial| trial.reads_back).collect();
            let counter = Counter::prepare(&current, self.setting.subjects).await?;
            let emptied = counter.as_ref().and_then(|counter| counter.emptied.as_deref());
            let (setting, fresh) = (self.setting, &program.fresh);
            let reader = Reader { session: &current, setting, standing: &standing, whole: &whole, fresh, emptied };
            let read_backs = reader.prepare(&pairs).await?;
            let copies = trial::prepare_copies(&current, &program.trials).await?;
            let savepoint = current.batch("ROLLBACK TO SAVEPOINT attempt; SAVEPOINT mutant; SAVEPOINT attempt").await;
            savepoint.map_err(|error| error.into_failure("the mutants' savepoint was not made"))?;
            ring.bench = Some(Bench { session: current, standing, whole, read_backs, copies, counter, errors: 0 });
        }
        ring.bench.as_mut().ok_or_else(|| no_world())
    }

    /// Every mutant, with the subjects on which it can be noticed.
    async fn mutants(
        &self,
        bench: &Bench,
        maker: &Maker<'_>,
        world: &World,
    ) -> Result<(Vec<(Mutant, BTreeSet<usize>)>, Vec<String>), Failure> {
        let site = self.site(bench, self.setting, maker, world);
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
        let affected = |mutant: &Mutant| {
            let mut reached: BTreeSet<usize> = mutant.tables.iter().filter_map(index).collect();
            if reached.is_empty() {
                return (0..subjects.len()).collect();
            }
            loop {
                let more: BTreeSet<usize> =
                    reached.iter().filter_map(|table| readers.get(table)).flatten().copied().collect();
                if more.is_subset(&reached) {
                    return reached;
                }
                reached.extend(more);
            }
        };
        let mutants = mutants.into_iter().map(|mutant| {
            let affected = affected(&mutant);
            (mutant, affected)
        });
        Ok((mutants.collect(), opaque))
    }

    async fn one_mutant(
        &self,
        ring: &mut Ring<'_>,
        mutant: &Mutant,
        affected: &BTreeSet<usize>,
        session: &mut Option<(Session, bool)>,
        connect: &mut impl AsyncFnMut() -> Result<Session, Failure>,
    ) -> Result<Noticed, Failure> {
        let mut observed: Vec<Observed> = Vec::new();
        let mut lives = LIVES;
        loop {
            self.bench(ring, session, connect).await?;
            let Ring { bench: Some(bench), program: Some(program), parts, world, .. } = &mut *ring else {
                return Err(no_world());
            };
            let part = parts.entry(affected.clone()).or_insert_with(|| program.part(affected));
            if let Err(error) = apply(&bench.session, mutant).await {
                if error.is_connection() && lives > 0 {
                    lives -= 1;
                    continue;
                }
                return Ok(Noticed::Unclear(error.to_string()));
            }
            let mut killers = Vec::new();
            let changed = if mutant.touches_rights() { Some(self.reread(bench).await?) } else { None };
            if let Some((catalog, subjects)) = &changed {
                let before: BTreeSet<String> = ids(coverage::findings(self.setting.contract, self.setting.catalog));
                killers.extend(ids(coverage::findings(self.setting.contract, catalog)).difference(&before).cloned());
                let inactive = coverage::inactive_row_security(&bench.session, subjects, self.setting.personas).await?;
                killers.extend(ids(inactive));
            }
            let stage = Stage {
                personas: self.setting.personas,
                reader: Reader {
                    session: &bench.session,
                    setting: self.setting,
                    standing: &bench.standing,
                    whole: &bench.whole,
                    fresh: &part.fresh,
                    emptied: bench.counter.as_ref().and_then(|counter| counter.emptied.as_deref()),
                },
                read_backs: &bench.read_backs,
                copies: &bench.copies,
                counter: bench.counter.as_ref(),
                stepwise: self.ground.stepwise,
            };
            let left: &[Trial] = &part.trials[observed.len()..];
            let allowed = self.ground.errors_per_session.map(|most| most.saturating_sub(bench.errors));
            let more = stage.run(left, allowed).await;
            bench.errors += more.iter().filter(|seen| seen.result.is_err()).count();
            if more.is_empty() && !left.is_empty() {
                lives = lives.saturating_sub(1);
            }
            observed.extend(more);
            if observed.len() < part.trials.len() {
                if lives == 0 {
                    return Ok(Noticed::Unclear("the connection was lost".to_owned()));
                }
                continue;
            }
            let setting = match &changed {
                Some((catalog, subjects)) => Setting { catalog, subjects, ..self.setting },
                None => self.setting,
            };
            let tried = Tried::new(setting, world, part, &observed, &bench.standing);
            let judged = (0..part.planned.len()).filter_map(|place| tried.case(place)).map(|case| judge(&case));
            let judged: Vec<Attempt> = judged.collect();
            let strays = part.planned.iter().zip(&part.of_attempt).filter_map(|(planned, (own, _))| {
                stray::of(&setting, world.kind, planned, observed.get((*own)?)?, &bench.standing)
            });
            let known =
                |stray: &Stray| self.strays.iter().any(|old| old.id == stray.id && old.effects == stray.effects);
            killers.extend(strays.filter(|stray| !known(stray)).map(|stray| format!("check/side-effect/{}", stray.id)));
            let noticed = judged.iter().filter(|one| matches!(one.verdict, Verdict::Leak | Verdict::OverDenial));
            killers.extend(noticed.map(|one| one.id.clone()));
            if !killers.is_empty() {
                return Ok(Noticed::By(killers));
            }
            let unclear = judged.iter().find(|one| one.verdict == Verdict::Inconclusive);
            return Ok(unclear.map_or(Noticed::Nothing, |one| Noticed::Unclear(format!("{}: {}", one.id, one.why))));
        }
    }

    /// Makes the schema's probes on what survives, and on what is undecided.
    async fn probe_survivors(
        &self,
        ring: &mut Ring<'_>,
        mutants: &[(Mutant, BTreeSet<usize>)],
        mutation: &mut Mutation,
        session: &mut Option<(Session, bool)>,
        connect: &mut impl AsyncFnMut() -> Result<Session, Failure>,
    ) -> Result<(), Failure> {
        let mut before: Option<BTreeSet<String>> = None;
        for ((mutant, _), mutated) in mutants.iter().zip(&mut mutation.mutants) {
            if mutated.fate != Fate::Survived {
                continue;
            }
            self.bench(ring, session, connect).await?;
            let Some(bench) = &ring.bench else { continue };
            let known = match &before {
                Some(known) => known.clone(),
                None => {
                    let site = self.site(bench, self.setting, ring.maker, ring.world);
                    before.insert(probed(&site).await).clone()
                }
            };
            if let Err(error) = apply(&bench.session, mutant).await {
                note(mutated, Noticed::Unclear(error.to_string()));
                continue;
            }
            let changed = self.reread(bench).await?;
            let setting = Setting { catalog: &changed.0, subjects: &changed.1, ..self.setting };
            let maker = Maker { catalog: &changed.0, subjects: &changed.1, ..*ring.maker };
            let site = self.site(bench, setting, &maker, ring.world);
            let found: Vec<String> = probed(&site).await.difference(&known).map(|id| format!("probe/{id}")).collect();
            if !found.is_empty() {
                note(mutated, Noticed::By(found));
            }
        }
        Ok(())
    }

    /// The catalogue as the mutant has it.
    async fn reread(&self, bench: &Bench) -> Result<(Catalog, Vec<Subject>), Failure> {
        let contract = self.setting.contract;
        let roles: Vec<String> = contract.actors.iter().map(|actor| actor.role.clone()).collect();
        let catalog = catalogue::read(&bench.session, &contract.schemas, &roles).await?;
        let subjects = self.setting.subjects.iter().map(|subject| {
            let table = catalog.table(&subject.access.table).cloned().unwrap_or_else(|| subject.table.clone());
            Subject { access: subject.access.clone(), table }
        });
        let subjects = subjects.collect();
        Ok((catalog, subjects))
    }

    fn site<'s>(&self, bench: &'s Bench, setting: Setting<'s>, maker: &'s Maker<'s>, world: &'s World) -> Site<'s> {
        Site {
            session: &bench.session,
            setting,
            maker,
            world,
            standing: &bench.standing,
            whole: &bench.whole,
            target: false,
            stepwise: self.ground.stepwise,
            strays: &[],
            known: Known::default(),
        }
    }
}

fn no_world() -> Failure {
    Failure::new(FailureKind::Inconclusive, "the mutants' world does not stand")
}

/// Takes the last mutant back and makes this one.
async fn apply(session: &Session, mutant: &Mutant) -> Result<(), crate::db::error::DbError> {
    session.batch(&format!("ROLLBACK TO SAVEPOINT mutant; {}; SAVEPOINT attempt", mutant.sql)).await
}

/// The ids of what the schema's probes find.
async fn probed(site: &Site<'_>) -> BTreeSet<String> {
    let mut probes = Probes::default();
    for probe in PROBES.iter().filter(|probe| probe.fault == Fault::Schema) {
        probes.make(probe, site).await;
    }
    probes.findings.iter().map(probe::id).collect()
}

fn ids(findings: Vec<crate::model::finding::Finding>) -> BTreeSet<String> {
    findings.iter().map(|finding| format!("check/{}/{}", finding.check, finding.object)).collect()
}

fn survivor(mutant: &Mutant) -> Mutated {
    Mutated {
        operator: mutant.operator.to_owned(),
        object: mutant.object.clone(),
        change: mutant.change.clone(),
        statement: mutant.sql.clone(),
        fate: Fate::Survived,
        killers: Vec::new(),
        why: String::new(),
    }
}

fn note(mutated: &mut Mutated, noticed: Noticed) {
    match noticed {
        Noticed::By(killers) => {
            mutated.fate = Fate::Killed;
            mutated.killers.extend(killers);
        }
        Noticed::Nothing => {}
        Noticed::Unclear(why) => {
            mutated.fate = Fate::Undecided;
            mutated.why = why;
        }
    }
}
