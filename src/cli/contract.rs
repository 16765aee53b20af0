//! `contract check` and `contract draft`: the contract against a catalogue, and a first one for a database without.

use crate::cli::args::{ConnectionArgs, DatabaseUrl, ProjectArgs};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::contract::project;
use crate::contract::{draft, parse, validate};
use crate::db::catalog;
use crate::db::connect;
use crate::db::conninfo::Conninfo;
use crate::db::session::Session;
use crate::migrate;
use crate::model::failure::Failure;
use crate::server::{self, EngineChoice, Regime};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// Flags.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Hold policies/access.toml against a catalogue: what it names exists, and every exposed table is promised or exempted
    Check(CheckArgs),
    /// Write a first contract from a database's foreign keys, grants and policies; a draft, to be read
    Draft(DraftArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Against the database that DATABASE_URL or the PG* variables name; else against what the migrations produce
    #[arg(long, conflicts_with = "engine")]
    target: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// Where the scratch database comes from: auto (local PostgreSQL 15 or newer, else embedded), embedded, local
    #[arg(long, value_name = "ENGINE", conflicts_with = "database_url")]
    engine: Option<EngineChoice>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  chartchek-db contract draft --target                     of the database that DATABASE_URL or PG* name, printed\n  chartchek-db contract draft --database-url URL --write policies/access.toml"
)]
struct DraftArgs {
    /// Of the database that DATABASE_URL or the PG* variables name
    #[arg(long)]
    target: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// A schema that the API exposes; may be given several times. Without it what the server says, else public
    #[arg(long, value_name = "NAME")]
    schema: Vec<String>,
    /// Write it to a file, which must not exist yet, instead of standard output
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    match args.command {
        Command::Check(args) => check(args, output).await,
        Command::Draft(args) => draft(args, output).await,
    }
}

async fn target(connection: &ConnectionArgs) -> Result<Session, Failure> {
    let flag = connection.database_url.as_ref().map(DatabaseUrl::expose);
    let session = connect::connect(&Conninfo::resolve(flag, |name| std::env::var(name).ok())?).await?;
    // The server holds us to it.
    let begin = format!("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; {}", catalog::NOT_COMPILED);
    let begun = session.batch(&begin).await;
    begun.map_err(|error| error.into_failure("the catalogue was not read"))?;
    Ok(session)
}

async fn check(args: CheckArgs, output: &Output) -> anyhow::Result<Exit> {
    let project = project::find(args.project.project.as_deref(), args.project.embedded)?;
    let contract = parse::parse(&project.contract)?;
    let roles: Vec<String> = contract.actors.iter().map(|actor| actor.role.clone()).collect();
    let (catalog, against) = if args.target || args.connection.database_url.is_some() {
        let session = target(&args.connection).await?;
        let catalog = catalog::read(&session, &contract.schemas, &roles).await?;
        let against = session.endpoint().to_string();
        session.close().await;
        (catalog, against)
    } else {
        let choice = args.engine.unwrap_or(EngineChoice::Auto);
        let scratch = server::scratch(choice, Regime::default(), &project.fingerprint(), async |session| {
            migrate::apply_all(session, &project).await
        })
        .await?;
        let session = scratch.connect().await?;
        let catalog = catalog::read_alone(&session, &contract.schemas, &roles).await?;
        session.close().await;
        (catalog, "what the migrations produce".to_owned())
    };
    validate::validate(&contract, &catalog)?;
    let uncovered = validate::uncovered(&contract, &catalog);
    let stale = validate::stale_exempts(&contract, &catalog);
    for table in &uncovered {
        output.line(&format!("uncovered-table: {table} is in an exposed schema, and the contract says nothing of it"));
    }
    for exempt in &stale {
        output.line(&format!(
            "stale-exemption: {} at {}: there is no such table",
            exempt.table,
            exempt.place.location()
        ));
    }
    output.line(&format!(
        "{}: {} actors, {} tables promised, {} exempted, {} findings accepted; against {against}",
        project.contract.path,
        contract.actors.len(),
        contract.tables.len(),
        contract.exempts.len(),
        contract.accepts.len(),
    ));
    Ok(if uncovered.is_empty() && stale.is_empty() { Exit::Clean } else { Exit::Findings })
}

async fn draft(args: DraftArgs, output: &Output) -> anyhow::Result<Exit> {
    if !args.target && args.connection.database_url.is_none() {
        return Err(Failure::usage("contract draft needs a database to look at")
            .note("DATABASE_URL and the PG* variables alone never choose a target")
            .help("take --target for the database that they name, or --database-url URL")
            .into());
    }
    let session = target(&args.connection).await?;
    let text = draft::draft(&session, &args.schema).await?;
    session.close().await;
    let Some(path) = &args.write else {
        output.print(&text);
        return Ok(Exit::Clean);
    };
    let written = OpenOptions::new().write(true).create_new(true).open(path);
    written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        Failure::usage(format!("{} was not written", path.display()))
            .note(error.to_string())
            .help("a contract that exists is never overwritten: name another file")
    })?;
    output.line(&format!("{} is written: a draft; read every line, then: chartchek-db contract check", path.display()));
    Ok(Exit::Clean)
}
