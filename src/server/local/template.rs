//! Templates: whole databases, made once for a key and cloned from then on. Callers hold the cluster's lock.

use crate::db::connect::connect;
use crate::db::quote::{identifier, literal};
use crate::db::session::Session;
use crate::model::failure::Failure;
use crate::server::local::cluster::Cluster;
use crate::server::stand_in::{self, MIGRATOR, Regime};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

/// Templates that are kept; the oldest goes when one more is made.
const MAX_TEMPLATES: usize = 12;
/// object_in_use: a session that was closed has not left the database yet.
const IN_USE: &str = "55006";

/// The name of the template for this key; made where it is missing, with the stand-in, filled by `fill`.
///
/// # Errors
/// What `fill` fails with, as it is; the server's, as [`patiently`].
pub(super) async fn ensure(
    cluster: &Cluster,
    server: &Session,
    regime: Regime,
    key: &str,
    fill: impl AsyncFnOnce(&mut Session) -> Result<(), Failure>,
) -> Result<String, Failure> {
    let template = template_name(regime, key);
    if !exists(server, &template).await? {
        // Nobody else is making one: these are of processes that were killed.
        drop_databases(server, "datname LIKE 'building\\_%'", 0).await?;
        drop_databases(server, "datname LIKE 'template\\_%'", MAX_TEMPLATES - 1).await?;
        make_template(cluster, server, &template, regime, fill).await?;
    }
    Ok(template)
}

/// Makes `database` from the template, with the rights on the database itself, which a template does not carry.
///
/// # Errors
/// The server's, as [`patiently`].
pub(super) async fn clone(server: &Session, template: &str, database: &str) -> Result<(), Failure> {
    let database = identifier(database);
    patiently(server, &format!("CREATE DATABASE {database} TEMPLATE {}", identifier(template))).await?;
    patiently(server, &format!("GRANT CREATE, CONNECT, TEMPORARY ON DATABASE {database} TO {MIGRATOR}")).await
}

/// A name that no other database has.
pub(super) fn unique(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::new_v4().simple())
}

fn template_name(regime: Regime, key: &str) -> String {
    let mut hash = Sha256::new();
    for part in [regime.word(), &stand_in::fingerprint(regime), key] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash: String = hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("template_{hash}")
}

/// How long a drop may take, of what the next process would drop, too.
const LONGEST_DROP: Duration = Duration::from_secs(5);

/// Under another name until it is whole, so that nobody clones half a template.
async fn make_template(
    cluster: &Cluster,
    server: &Session,
    template: &str,
    regime: Regime,
    fill: impl AsyncFnOnce(&mut Session) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let building = unique("building");
    patiently(server, &format!("CREATE DATABASE {} TEMPLATE template0", identifier(&building))).await?;
    let filled = async {
        let superuser = connect(&cluster.conninfo("postgres", &building)).await?;
        stand_in::install(&superuser, regime, None).await?;
        superuser.close().await;
        let mut session = connect(&cluster.conninfo(MIGRATOR, &building)).await?;
        fill(&mut session).await?;
        session.close().await;
        Ok(())
    }
    .await;
    if let Err(failure) = filled {
        // The cause is what matters.
        drop_database(server, &building).await;
        return Err(failure);
    }
    patiently(server, &format!("ALTER DATABASE {} RENAME TO {}", identifier(&building), identifier(template))).await?;
    patiently(server, &format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", identifier(template))).await
}

/// Whether the server has a database of that name.
pub(super) async fn exists(server: &Session, database: &str) -> Result<bool, Failure> {
    let sql = format!("SELECT datname FROM pg_catalog.pg_database WHERE datname = {}", literal(database));
    let rows = server.text_rows(&sql).await.map_err(|error| error.into_failure("the templates could not be listed"))?;
    Ok(!rows.is_empty())
}

/// Drops the databases that fit `condition`, but for the newest `keep`.
pub(super) async fn drop_databases(server: &Session, condition: &str, keep: usize) -> Result<(), Failure> {
    let sql = format!("SELECT datname FROM pg_catalog.pg_database WHERE {condition} ORDER BY oid DESC OFFSET {keep}");
    let rows = server.text_rows(&sql).await.map_err(|error| error.into_failure("the databases could not be listed"))?;
    for database in rows.into_iter().flatten().flatten() {
        drop_database(server, &database).await;
    }
    Ok(())
}

/// Drops a database that nobody needs any more. One that can't be dropped soon stays, and the next process drops it:
/// the server waits until each of its backends has heard of the drop, and a backend that writes to a stopped client
/// doesn't.
pub(super) async fn drop_database(server: &Session, database: &str) {
    let dropped = async {
        server.batch(&format!("SET statement_timeout = {}", LONGEST_DROP.as_millis())).await?;
        let dropped = server.batch(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(database))).await;
        server.batch("RESET statement_timeout").await?;
        dropped
    };
    if let Err(error) = dropped.await {
        tracing::info!("the database {database} stays until the next run: {error}");
    }
}

/// Runs one statement, again and again while a session that was closed is still leaving the database.
pub(super) async fn patiently(server: &Session, sql: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = server.batch(sql).await {
        if error.code != IN_USE || Instant::now() > deadline {
            return Err(error.into_failure("a scratch database could not be made"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
