//! A lane: one database in which mutants are tried one after the other, each behind a savepoint of a world that stands.

use super::super::Run;
use super::super::tried_world::Tried;
use super::{Affected, Connect, Noticed, Part};
use crate::db::catalog as catalogue;
use crate::db::error::DbError;
use crate::db::session::{Prepared, Session};
use crate::model::attempt::{Attempt, Verdict};
use crate::model::catalog::Catalog;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::Finding;
use crate::verify::coverage;
use crate::verify::judge::judge;
use crate::verify::mutate::Mutant;
use crate::verify::probe::site::{Known, Site};
use crate::verify::probe::{self, Fault, PROBES, Probes};
use crate::verify::program::{Place, Program};
use crate::verify::stray::{self, Stray};
use crate::verify::trial::elsewhere::Counter;
use crate::verify::trial::{self, Observed, Stage};
use crate::verify::world::build::{Reader, Standing};
use crate::verify::world::rows::Maker;
use crate::verify::world::{Setting, Subject, World};
use std::collections::{BTreeMap, BTreeSet};

/// How often a mutant is begun again after a lost connection before it is given up.
const LIVES: usize = 3;

/// A session in which the world stands, with the savepoint `mutant`, and everything that trials need there.
pub(super) struct Bench {
    pub(super) session: Session,
    pub(super) standing: Standing,
    whole: Vec<bool>,
    read_backs: BTreeMap<(usize, usize), Prepared>,
    copies: BTreeMap<String, Prepared>,
    counter: Option<Counter>,
    /// Errors that the session has seen: after so many an engine may want another.
    pub(super) errors: usize,
    /// Whether the small world's rows were added, behind the savepoint `small`.
    pub(super) small: bool,
}

/// One database, and one world in it.
pub(super) struct Lane<'a, 'c> {
    pub(super) run: &'a Run<'a>,
    pub(super) maker: &'a Maker<'a>,
    pub(super) world: &'a World,
    connect: &'a Connect<'c>,
    pub(super) bench: Option<Bench>,
    /// All attempts; planned with the first bench.
    program: Option<Program>,
    parts: BTreeMap<(Part, Affected), Program>,
    /// What the probes find in the database as it is, by their names.
    probed: BTreeMap<&'static str, BTreeSet<String>>,
}

impl<'a, 'c> Lane<'a, 'c> {
    pub(super) fn new(run: &'a Run<'a>, connect: &'a Connect<'c>, maker: &'a Maker<'a>, world: &'a World) -> Self {
        let (bench, program) = (None, None);
        Self { run, maker, world, connect, bench, program, parts: BTreeMap::new(), probed: BTreeMap::new() }
    }

    /// The world put up, unless it stands already.
    pub(super) async fn bench(&mut self) -> Result<&mut Bench, Failure> {
        let most = self.run.ground.errors_per_session;
        let used_up = |bench: &Bench| most.is_some_and(|most| bench.errors >= most);
        if let Some(bench) = self.bench.take_if(|bench| bench.session.is_closed() || used_up(bench)) {
            bench.session.close().await;
        }
        if self.bench.is_none() {
            self.bench = Some(self.put_up().await?);
        }
        self.bench.as_mut().ok_or_else(no_world)
    }

    async fn put_up(&mut self) -> Result<Bench, Failure> {
        let session = (self.connect)().await?;
        let setting = self.run.setting;
        let (standing, whole) = self.run.stand(&session, false, self.world).await.map_err(|unmade| unmade.failure)?;
        if self.program.is_none() {
            let (maker, world) = (self.maker, self.world);
            let place = Place { setting, maker, world, standing: &standing, whole: &whole, truncates: true };
            self.program = Some(Program::plan(&place, self.run.options)?);
        }
        let program = self.program.get_or_insert_default();
        let pairs = program.trials.iter().filter_map(|trial| trial.reads_back).collect();
        let counter = Counter::prepare(&session, setting.subjects).await?;
        let emptied = counter.as_ref().and_then(|counter| counter.emptied.as_deref());
        let fresh = &program.fresh;
        let reader = Reader { session: &session, setting, standing: &standing, whole: &whole, fresh, emptied };
        let read_backs = reader.prepare(&pairs).await?;
        let copies = trial::prepare_copies(&session, &program.trials).await?;
        let savepoint = session.batch("ROLLBACK TO SAVEPOINT attempt; SAVEPOINT mutant; SAVEPOINT attempt").await;
        savepoint.map_err(|error| error.into_failure("the mutants' savepoint was not made"))?;
        Ok(Bench { session, standing, whole, read_backs, copies, counter, errors: 0, small: false })
    }

    /// Ends its session; nothing was committed.
    pub(super) async fn close(self) {
        if let Some(bench) = self.bench {
            let _rolled_back = bench.session.batch("ROLLBACK").await;
            bench.session.close().await;
        }
    }

    /// Makes some of the attempts on a mutant, and says how many those were.
    pub(super) async fn attempts(
        &mut self,
        mutant: &Mutant,
        part: Part,
        affected: &Affected,
    ) -> Result<(usize, Noticed), Failure> {
        let mut observed: Vec<Observed> = Vec::new();
        let mut lives = LIVES;
        loop {
            self.bench().await?;
            let Self { run, bench: Some(bench), program: Some(program), parts, world, .. } = &mut *self else {
                return Err(no_world());
            };
            let personas = run.setting.personas;
            let program = parts
                .entry((part, affected.clone()))
                .or_insert_with(|| program.part(|planned| affected.wants(part, planned, personas)));
            let made = program.planned.len();
            if made == 0 {
                return Ok((0, Noticed::Nothing));
            }
            if let Err(error) = apply(&bench.session, mutant).await {
                if error.is_connection() && lives > 0 {
                    lives -= 1;
                    continue;
                }
                return Ok((0, Noticed::Impossible(error.to_string())));
            }
            let changed = if mutant.touches_rights() { Some(run.reread(&bench.session).await?) } else { None };
            let mut killers = match &changed {
                Some((catalog, subjects)) => run.checks(&bench.session, catalog, subjects).await?,
                None => Vec::new(),
            };
            if !killers.is_empty() {
                return Ok((0, Noticed::By(killers)));
            }
            let stage = bench.stage(run, program);
            let left = &program.trials[observed.len()..];
            let allowed = run.ground.errors_per_session.map(|most| most.saturating_sub(bench.errors));
            let more = stage.run(left, allowed).await;
            bench.errors += more.iter().filter(|seen| seen.result.is_err()).count();
            if more.is_empty() {
                lives = lives.saturating_sub(1);
            }
            observed.extend(more);
            if observed.len() < program.trials.len() {
                if lives == 0 {
                    return Ok((made, Noticed::Unclear("the connection was lost".to_owned())));
                }
                continue;
            }
            let setting = match &changed {
                Some((catalog, subjects)) => Setting { catalog, subjects, ..run.setting },
                None => run.setting,
            };
            let tried = Tried::new(setting, world, program, &observed, &bench.standing);
            let judged: Vec<Attempt> =
                (0..made).filter_map(|place| tried.case(place)).map(|case| judge(&case)).collect();
            let strays = program.planned.iter().zip(&program.of_attempt).filter_map(|(planned, (own, _))| {
                stray::of(&setting, world.kind, planned, observed.get((*own)?)?, &bench.standing)
            });
            let known = |stray: &Stray| run.strays.iter().any(|old| old.id == stray.id && old.effects == stray.effects);
            killers.extend(strays.filter(|stray| !known(stray)).map(|stray| format!("check/side-effect/{}", stray.id)));
            let noticed = judged.iter().filter(|one| matches!(one.verdict, Verdict::Leak | Verdict::OverDenial));
            killers.extend(noticed.map(|one| one.id.clone()));
            if !killers.is_empty() {
                return Ok((made, Noticed::By(killers)));
            }
            let unclear = judged.iter().find(|one| one.verdict == Verdict::Inconclusive);
            let noticed = unclear.map_or(Noticed::Nothing, |one| Noticed::Unclear(format!("{}: {}", one.id, one.why)));
            return Ok((made, noticed));
        }
    }

    /// Makes the schema's probes on a mutant, one after the other until one finds what it does not find without.
    pub(super) async fn probes(&mut self, mutant: &Mutant) -> Result<Noticed, Failure> {
        if self.probed.is_empty() {
            self.bench().await?;
            let Some(bench) = &self.bench else { return Err(no_world()) };
            let site = bench.site(self.run, self.run.setting, self.maker, self.world);
            let mut before = BTreeMap::new();
            for probe in PROBES.iter().filter(|probe| probe.fault == Fault::Schema) {
                before.insert(probe.name, probed(probe, &site).await);
            }
            self.probed = before;
        }
        self.bench().await?;
        let Some(bench) = &self.bench else { return Err(no_world()) };
        if let Err(error) = apply(&bench.session, mutant).await {
            return Ok(Noticed::Impossible(error.to_string()));
        }
        let (catalog, subjects) = self.run.reread(&bench.session).await?;
        let setting = Setting { catalog: &catalog, subjects: &subjects, ..self.run.setting };
        let maker = Maker { catalog: &catalog, subjects: &subjects, ..*self.maker };
        let site = bench.site(self.run, setting, &maker, self.world);
        for probe in PROBES.iter().filter(|probe| probe.fault == Fault::Schema) {
            let found = probed(probe, &site).await;
            let new: Vec<String> = match self.probed.get(probe.name) {
                Some(known) => found.difference(known).map(|id| format!("probe/{id}")).collect(),
                None => Vec::new(),
            };
            if !new.is_empty() {
                return Ok(Noticed::By(new));
            }
        }
        Ok(Noticed::Nothing)
    }
}

impl Bench {
    fn stage<'s>(&'s self, run: &Run<'s>, program: &'s Program) -> Stage<'s> {
        Stage {
            personas: run.setting.personas,
            reader: Reader {
                session: &self.session,
                setting: run.setting,
                standing: &self.standing,
                whole: &self.whole,
                fresh: &program.fresh,
                emptied: self.counter.as_ref().and_then(|counter| counter.emptied.as_deref()),
            },
            read_backs: &self.read_backs,
            copies: &self.copies,
            counter: self.counter.as_ref(),
            stepwise: run.ground.stepwise,
        }
    }

    /// Where probes are made; what it knows of the catalogue is read anew, for a mutant may have changed it.
    pub(super) fn site<'s>(
        &'s self,
        run: &Run<'_>,
        setting: Setting<'s>,
        maker: &'s Maker<'s>,
        world: &'s World,
    ) -> Site<'s> {
        Site {
            session: &self.session,
            setting,
            maker,
            world,
            standing: &self.standing,
            whole: &self.whole,
            target: false,
            stepwise: run.ground.stepwise,
            strays: &[],
            known: Known::default(),
        }
    }
}

impl Run<'_> {
    /// The catalogue as the mutant has it.
    async fn reread(&self, session: &Session) -> Result<(Catalog, Vec<Subject>), Failure> {
        let contract = self.setting.contract;
        let roles: Vec<String> = contract.actors.iter().map(|actor| actor.role.clone()).collect();
        let catalog = catalogue::read(session, &contract.schemas, &roles).await?;
        let subjects = self.setting.subjects.iter().map(|subject| {
            let table = catalog.table(&subject.access.table).cloned().unwrap_or_else(|| subject.table.clone());
            Subject { access: subject.access.clone(), table, known: subject.known.clone() }
        });
        let subjects = subjects.collect();
        Ok((catalog, subjects))
    }

    /// What the checks of the catalogue find in a mutant and not without.
    async fn checks(&self, session: &Session, catalog: &Catalog, subjects: &[Subject]) -> Result<Vec<String>, Failure> {
        let before = ids(&coverage::findings(self.setting.contract, self.setting.catalog));
        let now = ids(&coverage::findings(self.setting.contract, catalog));
        let inactive = coverage::inactive_row_security(session, subjects, self.setting.personas).await?;
        Ok(now.difference(&before).cloned().chain(ids(&inactive)).collect())
    }
}

pub(super) fn no_world() -> Failure {
    Failure::new(FailureKind::Inconclusive, "the mutants' world does not stand")
}

/// Takes the last mutant back and makes this one.
async fn apply(session: &Session, mutant: &Mutant) -> Result<(), DbError> {
    session.batch(&format!("ROLLBACK TO SAVEPOINT mutant; {}; SAVEPOINT attempt", mutant.sql)).await
}

/// The ids of what a probe finds.
async fn probed(probe: &probe::Probe, site: &Site<'_>) -> BTreeSet<String> {
    let mut probes = Probes::default();
    probes.make(probe, site).await;
    probes.findings.iter().map(probe::id).collect()
}

fn ids(findings: &[Finding]) -> BTreeSet<String> {
    findings.iter().map(|finding| format!("check/{}/{}", finding.check, finding.object)).collect()
}
