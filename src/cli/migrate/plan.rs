//! `migrate --plan`: what would run, and with `--trace` what it does on a scratch database.

use crate::cli::args::DatabaseUrl;
use crate::cli::exit::Exit;
use crate::cli::migrate::{Args, held, open, reached};
use crate::cli::output::Output;
use crate::contract::parse;
use crate::contract::project::Project;
use crate::db::conninfo::Conninfo;
use crate::db::session::Session;
use crate::migrate::{self, MigrationFile, Plan};
use crate::model::failure::Failure;
use crate::model::plan::PlanReport;
use crate::report::plan::{self, json};
use crate::schema::drift;
use crate::server::{self, EngineChoice, Regime, Scratch};
use std::collections::BTreeSet;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For a terminal
    Human,
    /// JSON, version 1
    Json,
}

pub(super) async fn run(
    args: &Args,
    project: &Project,
    files: &[MigrationFile],
    output: &Output,
) -> anyhow::Result<Exit> {
    let engine = args.engine.unwrap_or(EngineChoice::Auto);
    let report = if args.trace && !is_target_named(args)? {
        on_nothing(args, project, files, engine).await?
    } else {
        on_target(args, project, files, engine).await?
    };
    output.print(&match args.format {
        Format::Human => plan::render(&report),
        Format::Json => json::render(&report)?,
    });
    Ok(Exit::Clean)
}

/// Whether a flag or variable names a database.
///
/// # Errors
/// What is named is wrong.
fn is_target_named(args: &Args) -> Result<bool, Failure> {
    let flag = args.connection.database_url.as_ref().map(DatabaseUrl::expose);
    match Conninfo::resolve(flag, |name| std::env::var(name).ok()) {
        Ok(_) => Ok(true),
        Err(failure) if failure.what() == Conninfo::NOT_NAMED => Ok(false),
        Err(failure) => Err(failure),
    }
}

async fn on_target(
    args: &Args,
    project: &Project,
    files: &[MigrationFile],
    engine: EngineChoice,
) -> Result<PlanReport, Failure> {
    let target = open(&args.connection).await?;
    let plan = migrate::plan(&target, files, args.to).await?;
    let mut report = report(&plan, project);
    report.database = reached(target.endpoint(), &plan.server);
    report.lock = held(plan.holder.as_ref());
    report.files = migrate::predict(&target, &plan, &api_roles(project)).await?;
    if let (true, Some((first, _))) = (args.trace, plan.pending.first()) {
        let regime = drift::regime(&target).await?;
        let mut part = project.clone();
        let applied = |file: &&MigrationFile| file.version() < first.version();
        part.migrations.retain(|source| files.iter().filter(applied).any(|file| file.source() == source));
        let scratch = scratch(engine, regime, &part).await?;
        let session = scratch.connect().await?;
        trace(&session, &plan, &mut report, &scratch, args.show_detail).await?;
        session.close().await;
    }
    target.close().await;
    Ok(report)
}

/// All files, from nothing.
async fn on_nothing(
    args: &Args,
    project: &Project,
    files: &[MigrationFile],
    engine: EngineChoice,
) -> Result<PlanReport, Failure> {
    let mut nothing = project.clone();
    nothing.migrations.clear();
    let scratch = scratch(engine, Regime::default(), &nothing).await?;
    let session = scratch.connect().await?;
    let plan = migrate::plan(&session, files, args.to).await?;
    let mut report = report(&plan, project);
    report.files = migrate::predict(&session, &plan, &api_roles(project)).await?;
    trace(&session, &plan, &mut report, &scratch, args.show_detail).await?;
    session.close().await;
    Ok(report)
}

/// The roles of the contract's actors that row security holds. A contract that is wrong is told of by what needs it.
fn api_roles(project: &Project) -> BTreeSet<String> {
    let contract = parse::parse(&project.contract);
    let actors = contract.into_iter().flat_map(|contract| contract.actors);
    actors.filter(|actor| !actor.bypasses_rls).map(|actor| actor.role).collect()
}

fn report(plan: &Plan<'_>, project: &Project) -> PlanReport {
    PlanReport {
        server: plan.server.version.clone(),
        role: plan.server.role.clone(),
        project: project.describe(),
        applied: plan.applied,
        beyond: plan.beyond,
        ..PlanReport::default()
    }
}

async fn scratch(engine: EngineChoice, regime: Regime, project: &Project) -> Result<Scratch, Failure> {
    server::scratch(engine, regime, &project.fingerprint(), async |session| migrate::apply_all(session, project).await)
        .await
}

async fn trace(
    session: &Session,
    plan: &Plan<'_>,
    report: &mut PlanReport,
    scratch: &Scratch,
    show_detail: bool,
) -> Result<(), Failure> {
    report.traced_on = scratch.engine().to_owned();
    migrate::trace(session, plan, &mut report.files, show_detail).await
}
