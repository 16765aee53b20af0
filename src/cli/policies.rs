//! `policies check` and `policies write`: the files of `policies/` and the migrations, held together.

use crate::cli::args::{ConnectionArgs, DatabaseUrl, ProjectArgs};
use crate::cli::drift::Format;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::contract::parse;
use crate::contract::project::{self, Project};
use crate::db::connect;
use crate::db::conninfo::Conninfo;
use crate::migrate::{self, State};
use crate::model::failure::Failure;
use crate::model::report::{Environment, Report};
use crate::model::source::SourceFile;
use crate::schema::policies;
use crate::server::{self, EngineChoice, Regime, Scratch};
use std::fs;
use std::io::Write;
use std::path::Path;

/// Flags.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Compare policies/*.sql with what the migrations produce
    Check(CheckArgs),
    /// Write the next migration from the difference
    Write(WriteArgs),
}

#[derive(Debug, clap::Args)]
struct ScratchArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// Where the scratch database comes from: auto (local PostgreSQL 15 or newer, else embedded), embedded, local
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    engine: EngineChoice,
    /// Default privileges of the scratch database: explicit (Supabase since 2026) or legacy
    #[arg(long, value_name = "REGIME", default_value = "explicit")]
    regime: Regime,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    #[command(flatten)]
    scratch: ScratchArgs,
    /// What standard output shows
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct WriteArgs {
    /// The migration's name after its version
    #[arg(value_name = "NAME", default_value = "policies", conflicts_with = "amend")]
    name: String,
    /// Rewrite the newest migration instead, while it is applied nowhere shared; it must be one that this command wrote
    #[arg(long)]
    amend: bool,
    #[command(flatten)]
    scratch: ScratchArgs,
    /// With --amend: the shared database, where the newest migration must not be applied
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    match args.command {
        Command::Check(args) => check(args, output).await,
        Command::Write(args) => write(args, output).await,
    }
}

async fn check(args: CheckArgs, output: &Output) -> anyhow::Result<Exit> {
    let project = find(&args.scratch)?;
    let contract = parse::parse(&project.contract)?;
    let scratch = scratch(&args.scratch, &project).await?;
    let session = scratch.connect().await?;
    let findings = policies::check(&session, &project, &contract).await?;
    session.close().await;
    let report = Report {
        command: "policies check".to_owned(),
        environment: Environment {
            subject: format!("{} files of policies/ against the migrations", project.policies.len()),
            engine: scratch.engine().to_owned(),
            project: project.describe(),
            regime: args.scratch.regime.word().to_owned(),
            tool: concat!("chartchek-db ", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Environment::default()
        },
        findings,
        ..Report::default()
    };
    output.print(&args.format.render(&report, "they agree")?);
    Ok(if report.findings.is_empty() { Exit::Clean } else { Exit::Findings })
}

async fn write(args: WriteArgs, output: &Output) -> anyhow::Result<Exit> {
    let project = find(&args.scratch)?;
    let contract = parse::parse(&project.contract)?;
    let amended = if args.amend { Some(policies::without_newest(&project)?) } else { None };
    let path = match &amended {
        Some((newest, _)) => {
            not_applied(newest, &project, &args.connection, output).await?;
            newest.path.clone().into()
        }
        None => migrate::next_file(&project, &args.name)?,
    };
    let base = amended.as_ref().map_or(&project, |(_, rest)| rest);
    let scratch = scratch(&args.scratch, base).await?;
    let session = scratch.connect().await?;
    let text = policies::write(&session, base, &contract).await?;
    session.close().await;
    let Some(text) = text else {
        let what = match &amended {
            Some((newest, _)) => format!("policies/ and the migrations before {} agree: remove that file", newest.path),
            None => "policies/ and the migrations agree: there is nothing to write".to_owned(),
        };
        output.line(&what);
        return Ok(if amended.is_some() { Exit::Findings } else { Exit::Clean });
    };
    save(&path, &text, args.amend)?;
    output.line(&format!("written: {}; tried: with it policies/ and the migrations agree", path.display()));
    output.line("next: read it, then chartchek-db verify-rls");
    Ok(Exit::Clean)
}

fn find(args: &ScratchArgs) -> Result<Project, Failure> {
    project::find(args.project.project.as_deref(), args.project.embedded)
}

async fn scratch(args: &ScratchArgs, project: &Project) -> Result<Scratch, Failure> {
    server::scratch(args.engine, args.regime, &project.fingerprint(), async |session| {
        migrate::apply_all(session, project).await
    })
    .await
}

/// Refuses where the named database has the migration already.
async fn not_applied(
    newest: &SourceFile,
    project: &Project,
    connection: &ConnectionArgs,
    output: &Output,
) -> Result<(), Failure> {
    let Some(url) = connection.database_url.as_ref().map(DatabaseUrl::expose) else {
        output.note(&format!(
            "whether {} is applied anywhere was not asked: --database-url names the shared database",
            newest.path
        ));
        return Ok(());
    };
    let session = connect::connect(&Conninfo::resolve(Some(url), |name| std::env::var(name).ok())?).await?;
    let status = migrate::status(&session, &migrate::load(project)?).await?;
    let endpoint = session.endpoint().to_string();
    session.close().await;
    let entry = status.entries.iter().find(|entry| entry.file == newest.path);
    if entry.is_none_or(|entry| entry.state == State::Pending) {
        return Ok(());
    }
    Err(Failure::usage(format!("{} is applied on {endpoint}", newest.path))
        .note("a migration that is applied is never edited; nothing was written")
        .help("leave --amend out: the difference goes into the next migration"))
}

/// Never over a file that is there, but for the one that is amended, and that whole or not at all.
fn save(path: &Path, text: &str, amend: bool) -> Result<(), Failure> {
    let unwritten =
        |error: std::io::Error| Failure::usage(format!("{} was not written", path.display())).note(error.to_string());
    if amend {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(unwritten)?;
        file.write_all(text.as_bytes()).map_err(unwritten)?;
        // A temporary file is its maker's alone.
        let permissions = fs::metadata(path).map_err(unwritten)?.permissions();
        file.as_file().set_permissions(permissions).map_err(unwritten)?;
        return file.persist(path).map(drop).map_err(|error| unwritten(error.error));
    }
    let mut file = fs::File::create_new(path).map_err(unwritten)?;
    file.write_all(text.as_bytes()).map_err(unwritten)
}
