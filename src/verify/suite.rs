//! The run: plan the worlds, make every attempt in transactions that are always rolled back, judge, report.

mod aftermath;
mod controls;
mod mutation;
mod tried_world;

use crate::contract::validate;
use crate::db::catalog as catalogue;
use crate::db::session::Session;
use crate::model::access::{Contract, TableName};
use crate::model::attempt::{Attempt, Verdict};
use crate::model::catalog::Catalog;
use crate::model::explanation::Explanation;
use crate::model::failure::Failure;
use crate::model::finding::Finding;
use crate::model::mutation::Mutation;
use crate::model::report::{Accepted, AtomSeen, Control, Coverage, NotRun, ProbeCount};
use crate::verify::coverage::atoms::Atoms;
use crate::verify::coverage::tried;
use crate::verify::fitness::{fit_to_judge, is_tried, not_tried};
use crate::verify::form;
use crate::verify::judge::judge;
use crate::verify::options::{Ground, Options};
use crate::verify::persona::{self, Persona, cast};
use crate::verify::probe::site::{Known, Site};
use crate::verify::probe::{self, PROBES, Probe, Probes};
use crate::verify::program::{Place, Program};
use crate::verify::stray::{self, Stray};
use crate::verify::trial::elsewhere::Counter;
use crate::verify::trial::{self, Observed, Stage};
use crate::verify::world::build::{self, Reader, Standing, Unmade};
use crate::verify::world::order::places;
use crate::verify::world::rows::{self, Maker};
use crate::verify::world::{Setting, Subject, World, WorldKind, fit, known};
use crate::verify::{coverage, findings};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tried_world::Tried;

pub use mutation::{Connect, Mutating};

/// How often a world is built anew after a lost connection before the rest is given up.
const LIVES: usize = 3;

/// What a verification found.
#[derive(Debug)]
pub struct Verified {
    /// The catalogue that it was made on.
    pub catalog: Catalog,
    /// The attempts, by table, actor, standing, command and form as planned.
    pub attempts: Vec<Attempt>,
    /// The findings.
    pub findings: Vec<Finding>,
    /// Why attempts came to what they came to: those that findings show, and the one asked for.
    pub explanations: Vec<Explanation>,
    /// Findings that are the server's fault, or that no schema can help.
    pub beyond: Vec<Finding>,
    /// Findings that the contract, or a rule of the design, accepts.
    pub accepted: Vec<Accepted>,
    /// The probes that were made.
    pub probes: Vec<ProbeCount>,
    /// The negative controls.
    pub controls: Vec<Control>,
    /// What was tried of what there is; `None` where only some of it was asked for.
    pub coverage: Option<Coverage>,
    /// What the parts of the policies' conditions were seen as.
    pub atoms: Vec<AtomSeen>,
    /// What probes tried and could not judge.
    pub doubts: Vec<NotRun>,
    /// What was planned and not made.
    pub not_run: Vec<NotRun>,
    /// What can't be tried in this way of running, for information.
    pub not_tried: Vec<NotRun>,
    /// What came of the mutants, where they were asked for and everything held.
    pub mutation: Option<Mutation>,
    /// How long the attempts took, without reading the catalogue.
    pub elapsed: Duration,
    /// A psql script that makes the asked-for attempt, where it was planned.
    pub script: Option<String>,
}

/// Verifies the database that `connect` leads to against the contract.
///
/// # Errors
/// Where the contract does not fit the catalogue, the role does not bypass RLS, or a world cannot be built.
pub async fn verify(
    contract: &Contract,
    ground: Ground,
    options: &Options,
    connect: &mut impl AsyncFnMut() -> Result<Session, Failure>,
) -> Result<Verified, Failure> {
    verify_and_mutate(contract, ground, options, connect, None).await
}

/// As [`verify`]; then, where everything held, the mutants are tried. Never on a target.
///
/// # Errors
/// As [`verify`].
pub async fn verify_and_mutate(
    contract: &Contract,
    ground: Ground,
    options: &Options,
    connect: &mut impl AsyncFnMut() -> Result<Session, Failure>,
    mutating: Option<&Mutating<'_, '_>>,
) -> Result<Verified, Failure> {
    let session = connect().await?;
    let roles: Vec<String> = contract.actors.iter().map(|actor| actor.role.clone()).collect();
    let catalog = catalogue::read_alone(&session, &contract.schemas, &roles).await?;
    fit_to_judge(&catalog, contract)?;
    validate::validate(contract, &catalog)?;
    let subjects = subjects(&session, contract, &catalog).await?;
    let places = places(&subjects);
    let mut personas = cast(contract, &catalog);
    let spares = persona::spares(contract, &catalog, &personas);
    let everyone: Vec<Persona> = personas.iter().chain(&spares).cloned().collect();
    let asked = Setting { contract, catalog: &catalog, subjects: &subjects, personas: &everyone };
    let fits = fit::ask::fits(&session, &asked, &options.rows).await?;
    personas.extend(fit::needed(&fits, &subjects, &personas, spares));
    let policies = tried::policies(&session, contract).await?;
    let mut run = Run {
        setting: Setting { contract, catalog: &catalog, subjects: &subjects, personas: &personas },
        places: &places,
        fits: &fits,
        ground,
        options,
        attempts: Vec::new(),
        explanations: Vec::new(),
        findings: coverage::findings(contract, &catalog),
        not_run: contract.tables.iter().filter(|access| !places.contains_key(&access.table)).map(not_tried).collect(),
        script: None,
        probes: Probes::default(),
        refused: BTreeSet::new(),
        strays: Vec::new(),
        controls: Vec::new(),
        atoms: Atoms::default(),
        mutation: None,
        elapsed: Duration::ZERO,
        explaining: Duration::ZERO,
    };
    run.all_worlds(session, connect).await?;
    if let Some(mutating) = mutating.filter(|_| !ground.target) {
        if run.attempts.iter().all(|attempt| attempt.verdict == Verdict::Held) {
            run.mutation = Some(run.mutate(mutating).await?);
        } else {
            let why = "what does not hold can't show whether a change would be noticed".to_owned();
            run.not_run.push(NotRun { what: "the mutants".to_owned(), why });
        }
    }
    let Run {
        setting,
        elapsed,
        attempts,
        explanations,
        strays,
        mutation,
        mut findings,
        mut not_run,
        script,
        mut probes,
        controls,
        atoms,
        ..
    } = run;
    let strays = stray::findings(&setting, &strays, &probes.explained);
    let all = options.only.is_empty() && probes.not_run.is_empty() && probes.doubts.is_empty();
    probes.not_tried.extend((!attempts.is_empty()).then(form::not_tried));
    probes.accept(&contract.accepts, all, options.today);
    findings.splice(0..0, findings::of_attempts(&attempts, &subjects).into_iter().chain(strays));
    let told = options.only.is_empty().then(|| {
        let (subjects, policies, attempts) = (subjects.as_slice(), policies.as_slice(), attempts.as_slice());
        tried::tell(&tried::Scope { contract, catalog: &catalog, subjects, policies, attempts })
    });
    let coverage = told.as_ref().map(|told| told.coverage);
    if let Some(told) = told {
        findings.extend(told.findings);
        probes.not_tried.extend(told.not_tried);
    }
    let (atoms, never_false) = atoms.told(&setting);
    findings.extend(never_false);
    findings.extend(probes.findings);
    not_run.extend(probes.not_run);
    Ok(Verified {
        attempts,
        explanations,
        findings,
        beyond: probes.beyond,
        accepted: probes.accepted,
        probes: probes.counts,
        controls,
        coverage,
        atoms,
        doubts: probes.doubts,
        not_run,
        not_tried: probes.not_tried,
        mutation,
        elapsed,
        script,
        catalog,
    })
}

/// The tables that are verified, with what is known of whose their rows are.
async fn subjects(session: &Session, contract: &Contract, catalog: &Catalog) -> Result<Vec<Subject>, Failure> {
    let mut subjects = Vec::new();
    for access in &contract.tables {
        let Some(table) = catalog.table(&access.table).filter(|table| is_tried(&table.kind)) else { continue };
        let known = known::paths(session, contract, access, table).await?;
        subjects.push(Subject { access: access.clone(), table: table.clone(), known });
    }
    Ok(subjects)
}

struct Run<'a> {
    setting: Setting<'a>,
    /// Every subject's table, with its index.
    places: &'a BTreeMap<TableName, usize>,
    /// Values that meet the tables' conditions.
    fits: &'a fit::Fits,
    ground: Ground,
    options: &'a Options,
    attempts: Vec<Attempt>,
    explanations: Vec<Explanation>,
    findings: Vec<Finding>,
    not_run: Vec<NotRun>,
    script: Option<String>,
    probes: Probes,
    /// Rows, by subject and number, whose chosen values the database does not take.
    refused: BTreeSet<(usize, usize)>,
    /// What attempts changed elsewhere without a promise.
    strays: Vec<Stray>,
    controls: Vec<Control>,
    atoms: Atoms,
    mutation: Option<Mutation>,
    /// How long the attempts took.
    elapsed: Duration,
    /// How long explaining them and the negative controls took, which is no attempt's time.
    explaining: Duration,
}

impl Run<'_> {
    async fn all_worlds(
        &mut self,
        session: Session,
        connect: &mut impl AsyncFnMut() -> Result<Session, Failure>,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        // The session, and whether its transaction has begun.
        let mut session = Some((session, false));
        for kind in WorldKind::ALL {
            loop {
                let refused = self.refused.clone();
                let maker = self.maker(kind, &refused);
                let world = rows::plan(&maker)?;
                let Some(row) = self.one_world(&maker, &world, &mut session, connect).await? else { break };
                self.refused.insert(row);
            }
        }
        self.elapsed = started.elapsed().saturating_sub(self.explaining);
        self.all_probes(&mut session, connect).await?;
        if let Some((session, _begun)) = session {
            // Nothing was committed: the server rolls back when the connection ends, and is told so first.
            let _rolled_back = session.batch("ROLLBACK").await;
            session.close().await;
        }
        Ok(())
    }

    fn maker<'m>(&self, kind: WorldKind, refused: &'m BTreeSet<(usize, usize)>) -> Maker<'m>
    where
        Self: 'm,
    {
        let Setting { catalog, subjects, personas, .. } = self.setting;
        Maker { kind, catalog, subjects, places: self.places, personas, fits: self.fits, refused }
    }

    /// Makes one world's attempts; or gives the row, by subject and number, that was there for its values' sake and
    /// that the database does not take: the world is to be planned again without them.
    async fn one_world(
        &mut self,
        maker: &Maker<'_>,
        world: &World,
        session: &mut Option<(Session, bool)>,
        connect: &mut impl AsyncFnMut() -> Result<Session, Failure>,
    ) -> Result<Option<(usize, usize)>, Failure> {
        let mut program: Option<Program> = None;
        let mut observed: Vec<Observed> = Vec::new();
        // Keys and standings are the same however often the world is built; what changed is told against the latest.
        let mut first = None;
        let mut latest = None;
        let mut lives = LIVES;
        loop {
            let (current, begun) = open(session, connect).await?;
            let (standing, whole) = match self.stand(&current, begun, world).await {
                Ok(stands) => stands,
                Err(Unmade { failure, row }) => {
                    let row = row.and_then(|row| world.rows.get(row)).filter(|row| rows::is_varied(row));
                    let Some(row) = row.filter(|row| !maker.refused.contains(&(row.subject, row.number))) else {
                        return Err(failure);
                    };
                    *session = Some((current, true));
                    return Ok(Some((row.subject, row.number)));
                }
            };
            if program.is_none() {
                if world.kind == WorldKind::Different {
                    self.findings.extend(
                        coverage::inactive_row_security(&current, self.setting.subjects, self.setting.personas).await?,
                    );
                }
                let place = Place {
                    setting: self.setting,
                    maker,
                    world,
                    standing: &standing,
                    whole: &whole,
                    truncates: !self.ground.target,
                };
                let mut planned = Program::plan(&place, self.options)?;
                self.not_run.append(&mut planned.not_run);
                self.probes.not_tried.append(&mut planned.not_tried);
                program = Some(planned);
                first = Some((standing.clone(), whole.clone()));
            }
            let Some(program) = &program else { break };
            let pairs = program.trials[observed.len()..].iter().filter_map(|trial| trial.reads_back).collect();
            let (setting, fresh) = (self.setting, &program.fresh);
            let counter = Counter::prepare(&current, setting.subjects).await?;
            let emptied = counter.as_ref().and_then(|counter| counter.emptied.as_deref());
            let reader = Reader { session: &current, setting, standing: &standing, whole: &whole, fresh, emptied };
            let read_backs = reader.prepare(&pairs).await?;
            let copies = trial::prepare_copies(&current, &program.trials[observed.len()..]).await?;
            if counter.is_none() && observed.is_empty() && world.kind == WorldKind::Different {
                self.not_run.push(NotRun {
                    what: "what attempts change in other tables than the one they name".to_owned(),
                    why: "track_counts is off: the server does not say which tables are written".to_owned(),
                });
            }
            let stage = Stage {
                personas: self.setting.personas,
                reader,
                read_backs: &read_backs,
                copies: &copies,
                counter: counter.as_ref(),
                stepwise: self.ground.stepwise,
            };
            let more = stage.run(&program.trials[observed.len()..], self.ground.errors_per_session).await;
            if more.is_empty() {
                lives -= 1;
            }
            observed.extend(more);
            let done = observed.len() == program.trials.len();
            if !done && (self.ground.target || lives == 0) {
                self.give_up(program, observed.len());
                break;
            }
            if done {
                *session = Some((current, true));
                latest = Some((standing, whole));
                break;
            }
            current.close().await;
        }
        if let (Some(program), Some(first)) = (program, first) {
            let tried = Tried::new(self.setting, world, &program, &observed, &first.0);
            for place in 0..program.planned.len() {
                let Some(case) = tried.case(place) else { continue };
                if let Some(seen) = case.observed {
                    self.strays.extend(stray::of(&self.setting, world.kind, case.planned, seen, &first.0));
                    self.not_run.extend(stray::unread(&self.setting, case.planned, seen, &first.1));
                }
                self.attempts.push(judge(&case));
            }
            if let Some((session, true)) = session {
                self.look_after(session, &tried, latest).await?;
            }
        }
        Ok(None)
    }

    /// Puts the world up behind the savepoint that attempts and probes go back to.
    async fn stand(&self, session: &Session, begun: bool, world: &World) -> Result<(Standing, Vec<bool>), Unmade> {
        let whole = self.enter(session, begun).await?;
        let keys = build::insert_rows(session, world, self.setting.subjects).await?;
        let sights = build::sights(session, &self.setting, world, &keys, &whole).await?;
        let savepoint = session.batch("SET LOCAL row_security = on; SAVEPOINT attempt").await;
        savepoint.map_err(|error| error.into_failure("the attempts' savepoint was not made"))?;
        Ok((Standing { keys, sights }, whole))
    }

    /// Makes the probes on the first world. What is left when the connection is lost for good is not run.
    async fn all_probes(
        &mut self,
        session: &mut Option<(Session, bool)>,
        connect: &mut impl AsyncFnMut() -> Result<Session, Failure>,
    ) -> Result<(), Failure> {
        let wanted: Vec<&Probe> = PROBES.iter().filter(|probe| self.options.wants_probe(probe.name)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let refused = self.refused.clone();
        let maker = self.maker(WorldKind::Different, &refused);
        let world = rows::plan(&maker)?;
        let strays: Vec<Stray> = self.strays.iter().filter(|stray| stray.kind == world.kind).cloned().collect();
        let mut left = wanted.into_iter().peekable();
        let mut lives = LIVES;
        while left.peek().is_some() && lives > 0 {
            let (current, begun) = open(session, connect).await?;
            let (standing, whole) = self.stand(&current, begun, &world).await.map_err(|unmade| unmade.failure)?;
            let site = Site {
                session: &current,
                setting: self.setting,
                maker: &maker,
                world: &world,
                standing: &standing,
                whole: &whole,
                target: self.ground.target,
                stepwise: self.ground.stepwise,
                strays: &strays,
                known: Known::default(),
            };
            while let Some(probe) = left.next_if(|_| !current.is_closed()) {
                self.probes.make(probe, &site).await;
            }
            if !current.is_closed() {
                let wants = |name: &str| self.options.wants_probe(name);
                self.controls.extend(probe::controls::make(&site, wants).await);
            }
            if let Some(script) = self.script_of_probe(&site).await {
                self.script = Some(script);
            }
            if current.is_closed() {
                lives -= 1;
            } else {
                *session = Some((current, true));
            }
        }
        let why = "the connection was lost".to_owned();
        self.probes.not_run.extend(left.map(|probe| NotRun { what: probe.name.to_owned(), why: why.clone() }));
        Ok(())
    }

    /// Starts or re-enters the transaction, and says for each subject whether it is small enough to be read as a whole.
    async fn enter(&self, session: &Session, begun: bool) -> Result<Vec<bool>, Failure> {
        if begun {
            let again = session.batch("ROLLBACK TO SAVEPOINT world; SET LOCAL row_security = off").await;
            again.map_err(|error| error.into_failure("the first world could not be taken back"))?;
        } else {
            trial::begin(session, self.ground.target).await?;
        }
        if !self.ground.target {
            return Ok(vec![true; self.setting.subjects.len()]);
        }
        let mut whole = Vec::with_capacity(self.setting.subjects.len());
        let bound = self.options.bare_bound;
        let counts = self.setting.subjects.iter().map(|subject| {
            let name = crate::db::quote::table(&subject.table.name());
            format!("SELECT count(*)::text FROM (SELECT FROM {name} LIMIT {}) bounded", bound + 1)
        });
        let counts: Vec<String> = counts.collect();
        let answers = futures::future::try_join_all(counts.iter().map(|sql| session.statement(sql))).await;
        for answer in answers.map_err(|error| error.into_failure("the target's tables could not be counted"))? {
            let count = answer.keys.first().cloned().flatten().and_then(|text| text.parse::<u64>().ok());
            whole.push(count.is_some_and(|count| count <= bound));
        }
        Ok(whole)
    }
}

/// The session and whether its transaction has begun; a new one where there is none, or it is closed.
async fn open(
    session: &mut Option<(Session, bool)>,
    connect: &mut impl AsyncFnMut() -> Result<Session, Failure>,
) -> Result<(Session, bool), Failure> {
    match session.take() {
        Some((current, begun)) if !current.is_closed() => Ok((current, begun)),
        _ => Ok((connect().await?, false)),
    }
}
