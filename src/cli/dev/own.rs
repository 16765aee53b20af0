//! The development database that the tool runs itself: one cluster for each project.

use crate::cli::dev::psql::Psql;
use crate::cli::dev::{key, migrate_and_seed, migrated, token, users};
use crate::cli::output::Output;
use crate::contract::project::Project;
use crate::db::session::Session;
use crate::model::failure::{Failure, FailureKind};
use crate::server::Regime;
use crate::server::local::Development;

/// How long the tokens that `up` prints are valid.
const TOKEN_HOURS: u32 = 24 * 7;

async fn open(project: &Project) -> Result<Development, Failure> {
    let key = match &project.root {
        Some(root) => std::fs::canonicalize(root).unwrap_or_else(|_| root.clone()).display().to_string(),
        None => "embedded".to_owned(),
    };
    // Waiting for another process blocks its thread.
    tokio::task::spawn_blocking(move || Development::open(&key)).await.map_err(|error| {
        Failure::new(FailureKind::Interrupted, "opening the development database was cut short").note(error.to_string())
    })?
}

pub(super) async fn up(project: &Project, regime: Option<Regime>, anew: bool, output: &Output) -> Result<(), Failure> {
    let mut development = open(project).await?;
    let server = development.start().await?;
    if anew {
        development.drop_database(&server).await?;
    }
    if development.has_database(&server).await? {
        if let Some(regime) = regime {
            return Err(Failure::usage(
                "the development database is there already, with the default privileges that it was made with",
            )
            .help(format!("`chartchek-db dev reset --regime {regime}` makes it anew")));
        }
        let mut session = development.connect().await?;
        migrate_and_seed(&mut session, project)
            .await
            .map_err(|failure| failure.help("`chartchek-db dev reset` makes the development database anew"))?;
        session.close().await;
    } else {
        let fill = async |session: &mut Session| migrate_and_seed(session, project).await;
        development.make_database(&server, regime.unwrap_or_default(), &key(project), fill).await?;
    }
    server.close().await;

    let session = development.connect().await?;
    let mut text = format!(
        "{}\n{}\n{}\n\napplication  {}\nmigrator     {}\njwt secret   {}\n\n",
        development.engine(),
        project.describe(),
        migrated(&session, project).await?,
        development.application().url(),
        development.migrator().url(),
        token::SECRET,
    );
    text.push_str("tokens, valid for a week; `chartchek-db dev token USER` prints another\n");
    for user in users::list(&session).await? {
        text.push_str(&format!(
            "  {:<6} {}  {}\n         {}\n",
            user.name,
            user.id,
            user.kind(),
            token::sign(&user, TOKEN_HOURS)?
        ));
    }
    session.close().await;
    output.print(&text);
    Ok(())
}

pub(super) async fn down(project: &Project, delete: bool, output: &Output) -> Result<(), Failure> {
    let development = open(project).await?;
    let ran = development.is_running();
    if delete {
        let folder = development.folder().display().to_string();
        development.remove()?;
        output.line(&format!("removed {folder}"));
    } else {
        development.stop();
        output.line(match ran {
            true => "stopped; the data stay, and `chartchek-db dev down --delete` removes them",
            false => "it was not running",
        });
    }
    Ok(())
}

pub(super) async fn status(project: &Project, output: &Output) -> Result<(), Failure> {
    let development = open(project).await?;
    output.line(&format!("{}, in {}", development.engine(), development.folder().display()));
    if !development.is_running() {
        output.line(match development.exists() {
            true => "not running; `chartchek-db dev up` starts it",
            false => "not made yet; `chartchek-db dev up` makes it",
        });
        return Ok(());
    }
    let session = development.connect().await?;
    output.line(&format!("running on {}:{}", development.migrator().host(), development.migrator().port()));
    output.line(&migrated(&session, project).await?);
    session.close().await;
    Ok(())
}

/// A session of the migrator.
pub(super) async fn session(project: &Project) -> Result<Session, Failure> {
    open(project).await?.connect().await
}

/// How psql reaches it.
pub(super) async fn psql(project: &Project) -> Result<Psql, Failure> {
    let development = open(project).await?;
    Ok(Psql {
        session: development.connect().await?,
        program: development.psql(),
        migrator: development.migrator(),
        application: development.application(),
    })
}
