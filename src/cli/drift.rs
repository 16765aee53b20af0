//! `drift`: the target against what its migrations produce, object by object.

use crate::cli::args::{ConnectionArgs, DatabaseUrl, ProjectArgs};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::contract::parse;
use crate::contract::project::{self, Project};
use crate::db::connect;
use crate::db::conninfo::Conninfo;
use crate::db::session::Session;
use crate::migrate::{self, State, Status};
use crate::model::access::Contract;
use crate::model::failure::Failure;
use crate::model::report::{Environment, NotRun, Report};
use crate::report::{comparison, json};
use crate::schema::drift::{self, Drift};
use crate::server::{self, EngineChoice, Regime};

/// Nothing can be written, and all is seen as of one moment.
pub(super) const LOOK: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Flags.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  chartchek-db drift --target                  the database that DATABASE_URL or PG* name\n  chartchek-db drift --database-url URL --format json"
)]
pub(crate) struct Args {
    /// Compare the database that DATABASE_URL or the PG* variables name
    #[arg(long)]
    target: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// Where the scratch database comes from: auto (local PostgreSQL 15 or newer, else embedded), embedded, local
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    engine: EngineChoice,
    /// Default privileges to expect: explicit (Supabase since 2026) or legacy; without it the target's own
    #[arg(long, value_name = "REGIME")]
    regime: Option<Regime>,
    /// What standard output shows
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// A report's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For a terminal.
    Human,
    /// The JSON report, version 1.
    Json,
}

impl Format {
    /// The report in this format; `clean` is what a report without findings says to people.
    pub(crate) fn render(self, report: &Report, clean: &str) -> anyhow::Result<String> {
        Ok(match self {
            Self::Human => comparison::render(report, clean),
            Self::Json => json::render(report)?,
        })
    }
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    if !args.target && args.connection.database_url.is_none() {
        return Err(Failure::usage("drift needs a database to look at")
            .note("DATABASE_URL and the PG* variables alone never choose a target")
            .help("take --target for the database that they name, or --database-url URL")
            .into());
    }
    let project = project::find(args.project.project.as_deref(), args.project.embedded)?;
    let contract = parse::parse(&project.contract)?;
    let files = migrate::load(&project)?;
    let flag = args.connection.database_url.as_ref().map(DatabaseUrl::expose);
    let target = connect::connect(&Conninfo::resolve(flag, |name| std::env::var(name).ok())?).await?;
    let status = migrate::status(&target, &files).await?;
    let regime = match args.regime {
        Some(regime) => regime,
        None => drift::regime(&target).await?,
    };
    let (applied, pending) = applied(&project, &status);
    let (mut found, engine) = compare(&target, &applied, &contract, args.engine, regime).await?;
    drift::without_history(&mut found.findings, &status);
    found.findings.splice(0..0, drift::history(&status));
    found.not_tried.extend(pending);
    let report = Report {
        command: "drift".to_owned(),
        environment: Environment {
            migrations: String::new(),
            subject: format!("target {} against {} objects of its migrations", target.endpoint(), found.objects),
            engine,
            server: format!("PostgreSQL {}", status.server.version),
            project: project.describe(),
            regime: regime.word().to_owned(),
            tool: concat!("chartchek-db ", env!("CARGO_PKG_VERSION")).to_owned(),
        },
        findings: found.findings,
        not_tried: found.not_tried,
        ..Report::default()
    };
    target.close().await;
    output.print(&args.format.render(&report, "no drift")?);
    Ok(if report.findings.is_empty() { Exit::Clean } else { Exit::Findings })
}

/// The project as far as it is applied, and what is left out. Where nothing is applied all of it counts: everything is
/// missing then.
fn applied(project: &Project, status: &Status) -> (Project, Option<NotRun>) {
    let pending: Vec<&str> =
        status.entries.iter().filter(|entry| entry.state == State::Pending).map(|entry| entry.file.as_str()).collect();
    if pending.is_empty() || pending.len() == project.migrations.len() {
        return (project.clone(), None);
    }
    let mut applied = project.clone();
    applied.migrations.retain(|file| !pending.contains(&file.path.as_str()));
    let why = "pending on the target, which is compared with the applied ones".to_owned();
    (applied, Some(NotRun { what: pending.join(", "), why }))
}

/// The target, as of one moment, against a scratch database that the project's migrations make; and its engine.
///
/// # Errors
/// No scratch database, or one of the two could not be read.
pub(super) async fn compare(
    target: &Session,
    project: &Project,
    contract: &Contract,
    engine: EngineChoice,
    regime: Regime,
) -> Result<(Drift, String), Failure> {
    let scratch = server::scratch(engine, regime, &project.fingerprint(), async |session| {
        migrate::apply_all(session, project).await
    })
    .await?;
    let made = scratch.connect().await?;
    batch(target, LOOK).await?;
    let found = drift::drift(&made, target, contract).await;
    batch(target, "ROLLBACK").await?;
    made.close().await;
    Ok((found?, scratch.engine().to_owned()))
}

/// Runs what opens and ends the look.
pub(super) async fn batch(session: &Session, sql: &str) -> Result<(), Failure> {
    session.batch(sql).await.map_err(|error| error.into_failure("the target could not be looked at"))
}
