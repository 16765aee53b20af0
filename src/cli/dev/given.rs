//! A PostgreSQL that already runs and that the user names with `--database-url`: made like Supabase, migrated, seeded.
//! A host that is not this machine needs `--force`; a hosted Supabase is refused always.

use crate::cli::dev::psql::Psql;
use crate::cli::dev::{UpArgs, WhereArgs, find, migrate_and_seed, migrated};
use crate::cli::output::Output;
use crate::contract::project::Project;
use crate::db::connect::connect;
use crate::db::conninfo::Conninfo;
use crate::db::session::Session;
use crate::model::failure::Failure;
use crate::server::stand_in::{self, AUTHENTICATOR, Found, MIGRATOR};
use crate::server::target;
use std::path::PathBuf;

/// Whose databases are never a plain PostgreSQL.
const HOSTED: &[&str] = &[".supabase.co", ".supabase.com", ".supabase.in", ".supabase.net"];

/// What `--database-url` names, if it was given: a host that may be touched.
///
/// # Errors
/// Usage: the URL is empty or wrong, a hosted Supabase, or a host that is not this machine without `--force`.
pub(super) fn target(place: &WhereArgs) -> Result<Option<Conninfo>, Failure> {
    let Some(url) = &place.database_url else { return Ok(None) };
    if url.expose().trim().is_empty() {
        return Err(Failure::usage("--database-url is empty")
            .note("a secret that is missing in CI looks like this")
            .help("leave it out for a development database of the tool's own"));
    }
    let target = Conninfo::parse(url.expose())?;
    let host = target.host().trim_end_matches('.').to_ascii_lowercase();
    if HOSTED.iter().any(|suffix| host.ends_with(suffix)) {
        return Err(Failure::usage(format!("{host} is a hosted Supabase: `dev` does not touch it"))
            .help("run `chartchek-db migrate` on it"));
    }
    if !target.is_local() && !place.force {
        return Err(Failure::usage(format!("{host} is not this machine: `dev` does not touch it"))
            .help("add --force if it is a database for development or CI all the same"));
    }
    Ok(Some(target))
}

/// Connects, and refuses what is no development database.
async fn open(target: &Conninfo) -> Result<(Session, Found), Failure> {
    let session = connect(target).await?;
    let found = stand_in::inspect(&session).await?;
    if found.supabase && !(found.local_stack && target.is_local()) {
        return Err(Failure::usage(format!("{} is a Supabase: `dev` does not touch it", session.endpoint()))
            .note("tables of Supabase's auth server, or its extension supautils, were found")
            .note("a local stack is known by its public JWT secret, which this database does not carry")
            .help("run `chartchek-db migrate` on it"));
    }
    Ok((session, found))
}

/// As the role that runs migrations: `migrator` with a password of its own, on a local stack the role of the URL.
fn migrator(target: &Conninfo, found: &Found) -> Conninfo {
    if found.supabase { target.clone() } else { stand_in::login(target, MIGRATOR).0 }
}

pub(super) async fn up(target: &Conninfo, args: &UpArgs, anew: bool, output: &Output) -> Result<(), Failure> {
    let (superuser, found) = open(target).await?;
    output.note(&target::header(&superuser).await?);
    if anew {
        stand_in::uninstall(&superuser).await?;
    }
    if found.supabase {
        output.note("a local Supabase stack: it needs no stand-in");
    } else {
        let regime = args.regime.unwrap_or_default();
        let (_, password) = stand_in::login(target, MIGRATOR);
        stand_in::install(&superuser, regime, Some(&password)).await?;
        let (_, password) = stand_in::login(target, AUTHENTICATOR);
        stand_in::set_password(&superuser, AUTHENTICATOR, &password).await?;
        output.note(&format!("the stand-in for Supabase is installed, with {regime} default privileges"));
    }
    superuser.close().await;
    let migrator = migrator(target, &found);
    if !args.stand_in_only {
        let project = find(&args.place)?;
        let mut session = connect(&migrator).await?;
        migrate_and_seed(&mut session, &project).await?;
        output.note(&project.describe());
        output.note(&migrated(&session, &project).await?);
        session.close().await;
    }
    // Alone on standard output, so that a script can take it. A password that the user gave is not repeated.
    let shown = if found.supabase { migrator.with_user_password(migrator.user(), None) } else { migrator };
    output.line(&shown.url());
    Ok(())
}

pub(super) async fn down(target: &Conninfo, output: &Output) -> Result<(), Failure> {
    let (session, _) = open(target).await?;
    stand_in::uninstall(&session).await?;
    output.line(&format!(
        "taken away what `dev up` made in {}; its roles stay, as they are the server's",
        session.endpoint()
    ));
    session.close().await;
    Ok(())
}

pub(super) async fn status(target: &Conninfo, project: &Project, output: &Output) -> Result<(), Failure> {
    let (session, found) = open(target).await?;
    output.line(&target::header(&session).await?);
    output.line(match (found.supabase, found.marked) {
        (true, _) => "a local Supabase stack",
        (false, true) => "the stand-in for Supabase is installed",
        (false, false) => "a plain PostgreSQL; `chartchek-db dev up` with this URL prepares it",
    });
    output.line(&migrated(&session, project).await?);
    session.close().await;
    Ok(())
}

/// A session of the migrator.
pub(super) async fn session_of_migrator(target: &Conninfo) -> Result<Session, Failure> {
    let (session, found) = open(target).await?;
    session.close().await;
    connect(&migrator(target, &found)).await
}

/// How psql reaches it.
pub(super) async fn psql(target: &Conninfo) -> Result<Psql, Failure> {
    let (session, found) = open(target).await?;
    let migrator = migrator(target, &found);
    let application = if found.supabase { target.clone() } else { stand_in::login(target, AUTHENTICATOR).0 };
    Ok(Psql { session, program: PathBuf::from("psql"), migrator, application })
}
