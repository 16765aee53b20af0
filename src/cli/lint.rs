//! `lint`: what can be seen of a database and of migration files without trying anything.

use crate::cli::args::{ConnectionArgs, DatabaseUrl, ProjectArgs};
use crate::cli::drift::{Format, LOOK, batch};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::contract::project::Project;
use crate::contract::{accept, parse, project};
use crate::db::conninfo::Conninfo;
use crate::db::session::Session;
use crate::db::{catalog, connect};
use crate::lint::catalogue::{self, Scope};
use crate::lint::migration;
use crate::lint::{CATALOGUE, Lint, MIGRATION, Severity, all};
use crate::migrate;
use crate::model::access::{AcceptKind, Contract};
use crate::model::failure::Failure;
use crate::model::finding::Finding;
use crate::model::report::{Environment, Report};
use crate::server::{self, EngineChoice, Regime};

/// Flags.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  chartchek-db lint                            the migration files, and a scratch database made from them\n  chartchek-db lint --files                    the files alone, without a database\n  chartchek-db lint --target                   the database that DATABASE_URL or PG* name\n  chartchek-db explain rls-disabled            why a lint exists, and its examples"
)]
pub(crate) struct Args {
    /// Look at the database that DATABASE_URL or the PG* variables name; nothing can be written
    #[arg(long, conflicts_with = "engine")]
    target: bool,
    /// Look at the migration files alone, without a database
    #[arg(long, conflicts_with_all = ["target", "database_url", "engine"])]
    files: bool,
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
    /// Fail on what is only worth knowing, too
    #[arg(long)]
    strict: bool,
    /// What standard output shows
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    let project = project::find(args.project.project.as_deref(), args.project.embedded)?;
    let contract = parse::parse(&project.contract)?;
    let mut report = Report {
        command: "lint".to_owned(),
        environment: Environment {
            project: project.describe(),
            tool: concat!("chartchek-db ", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Environment::default()
        },
        ..Report::default()
    };
    if args.target || args.connection.database_url.is_some() {
        let flag = args.connection.database_url.as_ref().map(DatabaseUrl::expose);
        let target = connect::connect(&Conninfo::resolve(flag, |name| std::env::var(name).ok())?).await?;
        report.environment.subject = format!("target {}, {} lints", target.endpoint(), CATALOGUE.len());
        report.environment.engine = "target".to_owned();
        look(&target, &contract, &mut report).await?;
        target.close().await;
    } else if args.files {
        read(&project, &contract, &mut report)?;
        let count = MIGRATION.len();
        report.environment.subject = format!("the migration files, {count} lints; no database was looked at");
    } else {
        read(&project, &contract, &mut report)?;
        let engine = args.engine.unwrap_or(EngineChoice::Auto);
        let scratch = server::scratch(engine, args.regime, &project.fingerprint(), async |session| {
            migrate::apply_all(session, &project).await
        })
        .await?;
        let made = scratch.connect().await?;
        report.environment.subject =
            format!("the migration files and a scratch database made from them, {} lints", all().count());
        scratch.engine().clone_into(&mut report.environment.engine);
        args.regime.word().clone_into(&mut report.environment.regime);
        look(&made, &contract, &mut report).await?;
        made.close().await;
    }
    output.print(&args.format.render(&report, "nothing found")?);
    let found = !report.findings.is_empty() || args.strict && !report.beyond.is_empty();
    Ok(if found { Exit::Findings } else { Exit::Clean })
}

/// Runs the lints of migration files.
fn read(project: &Project, contract: &Contract, report: &mut Report) -> Result<(), Failure> {
    let files = migrate::load(project)?;
    let scope = Scope::of(contract);
    enter(migration::run(&files, &scope.schemas, &scope.clients)?, report);
    Ok(())
}

/// Runs the lints of the catalogue in a transaction of their own that can't write.
async fn look(session: &Session, contract: &Contract, report: &mut Report) -> Result<(), Failure> {
    report.environment.server = format!("PostgreSQL {}", catalog::server(session).await?.version);
    batch(session, LOOK).await?;
    let found = catalogue::run(session, &Scope::of(contract)).await;
    batch(session, "ROLLBACK").await?;
    enter(found?, report);
    // Lints of files are allowed in the file.
    let names: Vec<&str> = CATALOGUE.iter().map(|lint| lint.name).collect();
    let mut found = accept::Found {
        kind: AcceptKind::Lint,
        names: &names,
        findings: &mut report.findings,
        beyond: &mut report.beyond,
        accepted: &mut report.accepted,
    };
    accept::apply(&mut found, &contract.accepts, true, time::OffsetDateTime::now_utc().date());
    Ok(())
}

/// What is only worth knowing stands apart.
fn enter(found: Vec<(&'static Lint, Finding)>, report: &mut Report) {
    for (lint, finding) in found {
        match lint.severity {
            Severity::Error | Severity::Warning => report.findings.push(finding),
            Severity::Info => report.beyond.push(finding),
        }
    }
}
