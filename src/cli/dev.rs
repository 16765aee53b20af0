//! `dev`: the local development database, or an already running PostgreSQL prepared like one.

mod given;
mod own;
mod psql;
mod token;
mod users;

use crate::cli::args::{DatabaseUrl, ProjectArgs};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::contract::project::{self, Project};
use crate::db::session::Session;
use crate::migrate;
use crate::model::failure::Failure;
use crate::server::Regime;
use sha2::{Digest, Sha256};

/// Flags.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  chartchek-db dev up\n  chartchek-db dev psql --as alice\n  \
    curl -H \"Authorization: Bearer $(chartchek-db dev token bob)\" …\n  \
    chartchek-db dev up --database-url postgresql://postgres:postgres@localhost:5432/postgres   in CI")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Start the database, migrated and seeded; print URLs, and a token for each development user
    Up(UpArgs),
    /// Stop the server, the data stay; with --database-url take away what `up` made there
    Down(DownArgs),
    /// Make the database anew, migrated and seeded: what was done to it is lost
    Reset(UpArgs),
    /// Say whether it runs, where it is, and how far it is migrated; changes nothing
    Status(WhereArgs),
    /// Open psql, as the role that runs migrations or as one of the development users
    Psql(PsqlArgs),
    /// Print a signed token (JWT) of a development user
    Token(TokenArgs),
}

#[derive(Debug, clap::Args)]
struct WhereArgs {
    /// A plain PostgreSQL that already runs, such as a CI service container, as its superuser; DATABASE_URL and PG* are
    /// not read
    #[arg(long, value_name = "URL")]
    database_url: Option<DatabaseUrl>,
    /// Accept a host that is not this machine; a hosted Supabase is refused all the same
    #[arg(long, requires = "database_url")]
    force: bool,
    #[command(flatten)]
    project: ProjectArgs,
}

#[derive(Debug, clap::Args)]
struct UpArgs {
    /// Stop after the stand-in for Supabase: migrate and seed nothing
    #[arg(long, requires = "database_url")]
    stand_in_only: bool,
    /// Default privileges of a database that is made: explicit (Supabase since 2026, the default) or legacy
    #[arg(long, value_name = "REGIME")]
    regime: Option<Regime>,
    #[command(flatten)]
    place: WhereArgs,
}

#[derive(Debug, clap::Args)]
struct DownArgs {
    /// Remove the data too
    #[arg(long, conflicts_with = "database_url")]
    delete: bool,
    #[command(flatten)]
    place: WhereArgs,
}

#[derive(Debug, clap::Args)]
struct PsqlArgs {
    /// A development user (name, e-mail address or id), or anon or service: with their role and their claims
    #[arg(long = "as", value_name = "USER")]
    who: Option<String>,
    /// Passed on to psql
    #[arg(last = true, value_name = "PSQL ARGUMENT")]
    rest: Vec<String>,
    #[command(flatten)]
    place: WhereArgs,
}

#[derive(Debug, clap::Args)]
struct TokenArgs {
    /// A development user (name, e-mail address or id), or anon or service
    user: String,
    /// How long it is valid
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=876_000))]
    hours: u32,
    #[command(flatten)]
    place: WhereArgs,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    match args.command {
        Command::Up(args) => up(&args, false, output).await?,
        Command::Reset(args) => up(&args, true, output).await?,
        Command::Down(args) => match given::target(&args.place)? {
            Some(target) => given::down(&target, output).await?,
            None => own::down(&find(&args.place)?, args.delete, output).await?,
        },
        Command::Status(place) => match given::target(&place)? {
            Some(target) => given::status(&target, &find(&place)?, output).await?,
            None => own::status(&find(&place)?, output).await?,
        },
        Command::Psql(args) => {
            let psql = match given::target(&args.place)? {
                Some(target) => given::psql(&target).await?,
                None => own::psql(&find(&args.place)?).await?,
            };
            return psql.open(args.who.as_deref(), &args.rest).await.map_err(Into::into);
        }
        Command::Token(args) => {
            let session = match given::target(&args.place)? {
                Some(target) => given::session_of_migrator(&target).await?,
                None => own::session(&find(&args.place)?).await?,
            };
            let actor = users::find(&session, &args.user).await?;
            output.line(&token::sign(&actor, args.hours)?);
            session.close().await;
        }
    }
    Ok(Exit::Clean)
}

async fn up(args: &UpArgs, anew: bool, output: &Output) -> Result<(), Failure> {
    match given::target(&args.place)? {
        Some(target) => given::up(&target, args, anew, output).await,
        None => own::up(&find(&args.place)?, args.regime, anew, output).await,
    }
}

fn find(place: &WhereArgs) -> Result<Project, Failure> {
    project::find(place.project.project.as_deref(), place.project.embedded)
}

/// What the template of a seeded database depends on.
fn key(project: &Project) -> String {
    let mut hash = Sha256::new();
    hash.update(project.fingerprint().as_bytes());
    hash.update(project.seed.as_ref().map_or("", |seed| &*seed.text).as_bytes());
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("seeded {hash}")
}

/// Applies the migrations that are missing, then the development data, which are made to be applied again.
async fn migrate_and_seed(session: &mut Session, project: &Project) -> Result<(), Failure> {
    migrate::apply_all(session, project).await?;
    let Some(seed) = &project.seed else { return Ok(()) };
    // One transaction: half of the data would be no data to rely on.
    let sql = format!("BEGIN;\n{}\nCOMMIT;", seed.text);
    session.batch(&sql).await.map_err(|error| {
        error
            .into_failure(&format!("the development data in {} could not be applied", seed.path))
            .help("where a migration changed a table, change its rows there too")
    })
}

/// One line: how many migrations are applied, and how many are not.
async fn migrated(session: &Session, project: &Project) -> Result<String, Failure> {
    let status = migrate::status(session, &migrate::load(project)?).await?;
    let applied = status.count(migrate::State::Applied);
    Ok(if status.is_clean() {
        format!("all {applied} migrations are applied")
    } else {
        format!("{applied} of {} migrations are applied; `chartchek-db dev up` applies the rest", status.entries.len())
    })
}
