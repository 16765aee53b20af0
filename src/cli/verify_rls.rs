//! `verify-rls`: shows by impersonation that no one reaches another's rows, on a scratch database or on a target.

mod copy;
mod mutants;

use crate::cli::args::{ConnectionArgs, ProjectArgs};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::contract::{parse, project};
use crate::db::connect;
use crate::db::conninfo::Conninfo;
use crate::migrate;
use crate::model::access::Contract;
use crate::model::explanation::Explanation;
use crate::model::failure::Failure;
use crate::model::mutation::Fate;
use crate::model::report::{Environment, NotRun, Report};
use crate::model::source::SourceFile;
use crate::report::json::earlier::{self, Earlier};
use crate::report::{self, against, human, json};
use crate::server::{self, EngineChoice, Regime};
use crate::verify::{self, Ground, Options, UNBOUNDED, Verified};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// How many rows a target's table may have for statements without WHERE to be tried on it, unless told otherwise.
const BARE_BOUND: u64 = 10_000;

/// Flags.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  chartchek-db verify-rls                      on a scratch database made from the migrations\n  chartchek-db verify-rls --target             on the database that DATABASE_URL or PG* name\n  chartchek-db verify-rls --format json --only documents/\n  chartchek-db verify-rls --explain documents/user/other/update/key"
)]
pub(crate) struct Args {
    /// Verify the database that DATABASE_URL or the PG* variables name, in one transaction that is rolled back
    #[arg(long, conflicts_with = "engine")]
    target: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// Where the scratch database comes from: auto (local PostgreSQL 15 or newer, else embedded), embedded, local
    #[arg(long, value_name = "ENGINE", conflicts_with = "database_url")]
    engine: Option<EngineChoice>,
    /// Default privileges of the scratch database: explicit (Supabase since 2026) or legacy
    #[arg(long, value_name = "REGIME", default_value = "explicit")]
    regime: Regime,
    /// Another contract than the project's
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// Only attempts whose id contains this; may be given several times
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Print a psql script that shows this one finding or attempt, instead of a report
    #[arg(long, value_name = "ID", conflicts_with_all = ["only", "format", "reports"])]
    repro: Option<String>,
    /// Print why a finding or attempt came to what it did, held denials too: which policies were consulted, and what each
    /// part of their conditions was for the row; an id that ends in a slash is the beginning of several
    #[arg(long, value_name = "ID", conflicts_with_all = ["repro", "only", "format", "reports"])]
    explain: Option<String>,
    /// Compare with an earlier JSON report: what leaks that did not, what is not tried any more, every promise that was
    /// widened and every accept and exemption that is new
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "repro", "explain"])]
    against: Option<PathBuf>,
    /// Also change the database in every way that could weaken it, one at a time, and tell which changes nothing noticed
    #[arg(long, conflicts_with_all = ["target", "database_url", "only", "repro", "explain"])]
    mutate: bool,
    /// With --mutate, only mutants whose id in the report contains this; may be given several times
    #[arg(long, value_name = "TEXT", requires = "mutate")]
    mutant: Vec<String>,
    /// On a target, try statements without WHERE only on tables of at most so many rows
    #[arg(long, value_name = "ROWS", default_value_t = BARE_BOUND)]
    bare_bound: u64,
    /// Pass although something planned was not run
    #[arg(long)]
    allow_not_run: bool,
    /// Fail on faults of the server's version, and on channels that no schema can close, too
    #[arg(long)]
    strict: bool,
    /// What standard output shows
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Write the report to a file too; may be given several times
    #[arg(long = "report", value_name = "FORMAT=FILE", value_parser = parse_report)]
    reports: Vec<(Format, PathBuf)>,
}

/// A report's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For a terminal.
    Human,
    /// The JSON report, version 1.
    Json,
}

fn parse_report(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, file) = text.split_once('=').ok_or("write it as FORMAT=FILE, such as json=report.json")?;
    let format = <Format as clap::ValueEnum>::from_str(format, false)
        .map_err(|_| format!("unknown format {format:?}: human and json are known"))?;
    if file.is_empty() { Err("the file's name is missing".to_owned()) } else { Ok((format, file.into())) }
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    let project = project::find(args.project.project.as_deref(), args.project.embedded)?;
    let file = match &args.contract {
        Some(path) => SourceFile::new(
            path.display().to_string(),
            std::fs::read_to_string(path).map_err(|error| {
                Failure::usage(format!("contract {} was not read", path.display())).note(error.to_string())
            })?,
        ),
        None => project.contract.clone(),
    };
    let contract = parse::parse(&file)?;
    let earlier = args.against.as_deref().map(read_earlier).transpose()?;
    let asked = args.repro.clone().or_else(|| args.explain.clone());
    let only = asked.as_deref().map_or_else(|| args.only.clone(), Options::scope);
    let today = time::OffsetDateTime::now_utc().date();
    let options = Options {
        only,
        bare_bound: args.bare_bound,
        asked: asked.clone(),
        repro: args.repro.is_some(),
        today,
        rows: project.rows.clone(),
    };
    let tool = concat!("chartchek-db ", env!("CARGO_PKG_VERSION")).to_owned();
    let mut environment = Environment { project: project.describe(), tool, ..Environment::default() };
    let (verified, mut not_tried) = if args.target || args.connection.database_url.is_some() {
        on_target(&args, &contract, &options, &mut environment).await?
    } else {
        on_scratch(&args, &project, &contract, &options, &mut environment, output).await?
    };
    if let Some(id) = &asked {
        let told = if args.repro.is_some() { verified.script } else { explained(id, &verified, &options) };
        let told = told.ok_or_else(|| {
            Failure::usage(format!("there is no attempt or finding {id}"))
                .help("copy an id from a report, such as documents/user/other/select/all")
        })?;
        output.print(&told);
        return Ok(Exit::Clean);
    }
    let tables = verified.catalog.tables.iter().map(|table| table.name().to_string()).collect();
    environment.server = format!("PostgreSQL {}", verified.catalog.server.version);
    not_tried.extend(verified.not_tried);
    let mut report = Report {
        command: "verify-rls".to_owned(),
        environment,
        attempts: verified.attempts,
        findings: verified.findings,
        explanations: verified.explanations,
        beyond: verified.beyond,
        accepted: verified.accepted,
        probes: verified.probes,
        controls: verified.controls,
        contract: Some(contract),
        against: None,
        coverage: verified.coverage,
        atoms: verified.atoms,
        doubts: verified.doubts,
        not_run: verified.not_run,
        not_tried,
        mutation: verified.mutation,
        seconds: verified.elapsed.as_secs_f64(),
    };
    if let Some((file, earlier)) = &earlier {
        let compared = against::compare(file, earlier, &report, &tables);
        report.findings.extend(compared.findings);
        report.not_run.extend(compared.not_run);
        report.against = Some(compared.comparison);
    }
    for (format, path) in &args.reports {
        let text = report::plain(&render(*format, &report)?);
        std::fs::write(path, text).map_err(|error| {
            Failure::usage(format!("report {} was not written", path.display())).note(error.to_string())
        })?;
    }
    output.print(&render(args.format, &report)?);
    Ok(exit(&report, &args))
}

/// The earlier report to compare with, and its file.
fn read_earlier(path: &Path) -> Result<(String, Earlier), Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("report {name} was not read")).note(error.to_string()))?;
    let earlier = earlier::parse(&name, &text)?;
    Ok((name, earlier))
}

/// Why the attempts, or the finding, of that id came to what they came to.
fn explained(id: &str, verified: &Verified, options: &Options) -> Option<String> {
    let findings = || verified.findings.iter().chain(&verified.beyond);
    let finding = findings().find(|finding| finding.id(&verified.attempts) == id);
    let of_finding = |attempt: &str| finding.is_some_and(|finding| finding.attempts.iter().any(|one| one == attempt));
    let asked = |told: &&Explanation| options.asks_for(&told.attempt) || of_finding(&told.attempt);
    let mut text = String::new();
    for told in verified.explanations.iter().filter(asked) {
        let attempt = verified.attempts.iter().find(|attempt| attempt.id == told.attempt)?;
        let head =
            format!("{}: {}, expected {}, got {}", attempt.id, attempt.verdict, attempt.expected, attempt.outcome);
        let statement = format!("{}; -- as {}", attempt.statement, attempt.persona);
        let lines = [statement].into_iter().chain(told.lines()).map(|line| format!("\n  {line}"));
        let _infallible = writeln!(text, "{head}{}", lines.collect::<String>());
    }
    // A probe's finding says itself how it came about.
    let probe = || finding.map(|finding| format!("{id}: {}\n  {}\n  {}\n", finding.what, finding.why, finding.remedy));
    if text.is_empty() { probe() } else { Some(text) }
}

async fn on_scratch(
    args: &Args,
    project: &project::Project,
    contract: &Contract,
    options: &Options,
    environment: &mut Environment,
    output: &Output,
) -> Result<(Verified, Vec<NotRun>), Failure> {
    let choice = args.engine.unwrap_or(EngineChoice::Auto);
    let mut applied = None;
    let scratch = server::scratch(choice, args.regime, &project.fingerprint(), async |session| {
        let started = std::time::Instant::now();
        migrate::apply_all(session, project).await?;
        applied = Some(started.elapsed());
        Ok(())
    })
    .await?;
    environment.migrations = migrations(project, applied);
    environment.subject = "a scratch database made from the migrations".to_owned();
    environment.engine = scratch.engine().to_owned();
    environment.regime = args.regime.word().to_owned();
    let ground = Ground {
        target: false,
        stepwise: scratch.max_sessions() == 1,
        errors_per_session: scratch.errors_per_session(),
    };
    let connect = &mut async || scratch.connect().await;
    let verified = if args.mutate {
        mutants::verify(args, &scratch, output, async |mutating| {
            verify::verify_and_mutate(contract, ground, options, connect, Some(mutating)).await
        })
        .await?
    } else {
        verify::verify(contract, ground, options, connect).await?
    };
    let engine = scratch.engine().to_owned();
    let not_tried =
        scratch.not_tried().into_iter().map(|what| NotRun { what, why: format!("not on {engine}") }).collect();
    Ok((verified, not_tried))
}

/// What became of the migrations: `fill` does not run where the engine keeps a template that they made before.
fn migrations(project: &project::Project, applied: Option<std::time::Duration>) -> String {
    let name = |file: &SourceFile| file.path.rsplit('/').next().unwrap_or_default().to_owned();
    let (Some(first), Some(last)) = (project.migrations.first(), project.migrations.last()) else {
        return "none".to_owned();
    };
    let how = applied.map_or_else(
        || "applied, from a template that the same files made".to_owned(),
        |elapsed| format!("applied in {:.2} s", elapsed.as_secs_f64()),
    );
    format!("{} {how}: {} to {}", project.migrations.len(), name(first), name(last))
}

async fn on_target(
    args: &Args,
    contract: &Contract,
    options: &Options,
    environment: &mut Environment,
) -> Result<(Verified, Vec<NotRun>), Failure> {
    let flag = args.connection.database_url.as_ref().map(super::args::DatabaseUrl::expose);
    let conninfo = Conninfo::resolve(flag, |name| std::env::var(name).ok())?;
    environment.engine = "target".to_owned();
    let ground = Ground { target: true, stepwise: false, errors_per_session: None };
    let mut endpoint = None;
    let mut verified = verify::verify(contract, ground, options, &mut async || {
        let session = connect::connect(&conninfo).await?;
        endpoint = Some(session.endpoint().clone());
        Ok(session)
    })
    .await?;
    let endpoint = endpoint.map_or_else(String::new, |endpoint| endpoint.to_string());
    environment.subject = format!("target {endpoint}");
    match copy::complete(&conninfo, contract, options, &mut verified).await {
        Ok(said) => environment.subject.extend(said),
        Err(failure) => {
            let notes = failure.notes().first().map(|note| format!(": {note}")).unwrap_or_default();
            for not_run in verified.not_run.iter_mut().filter(|not_run| not_run.why == UNBOUNDED) {
                not_run.why = format!("{UNBOUNDED}; there is no copy of the schema to run it on: {failure}{notes}");
            }
        }
    }
    let why = "never run on a target: the rights decide".to_owned();
    Ok((verified, vec![NotRun { what: "TRUNCATE".to_owned(), why }]))
}

fn render(format: Format, report: &Report) -> anyhow::Result<String> {
    Ok(match format {
        Format::Human => human::render(report),
        Format::Json => json::render(report)?,
    })
}

/// Findings come first, then what is inconclusive, not checked or not run.
fn exit(report: &Report, args: &Args) -> Exit {
    let summary = report.summary();
    let nothing = summary.attempts == 0 && summary.probes == 0;
    let strict = args.strict && summary.beyond > 0;
    let mutants = |fate| report.mutation.as_ref().map_or(0, |mutation| mutation.count(fate));
    if summary.findings > 0 || summary.leak > 0 || summary.over_denial > 0 || strict || mutants(Fate::Survived) > 0 {
        Exit::Findings
    } else if report.is_detector_broken()
        || summary.inconclusive > 0
        || nothing
        || mutants(Fate::Undecided) > 0
        || (summary.not_run > 0 && !args.allow_not_run)
    {
        Exit::Inconclusive
    } else {
        Exit::Clean
    }
}
