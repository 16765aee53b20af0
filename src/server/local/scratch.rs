//! Scratch databases of the local engine: clones of templates in one cluster that all processes of this tool share.
//! The first process to come starts its server, the last to leave stops it; locks on two files tell them apart.

use crate::db::connect::connect;
use crate::db::conninfo::Conninfo;
use crate::db::quote::identifier;
use crate::db::session::Session;
use crate::model::failure::{Failure, FailureKind};
use crate::server::local::account::Account;
use crate::server::local::cache::{FileLock, cache_folder};
use crate::server::local::cluster::{Access, Cluster};
use crate::server::local::installation::{Installation, find_or_fail};
use crate::server::local::template;
use crate::server::stand_in::{MIGRATOR, Regime};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// More than the verification opens; the cluster takes 100 over all processes.
const MAX_SESSIONS: usize = 32;

/// The catalogues of the whole cluster that every new database writes to.
const SHARED_CATALOGUES: &str = "pg_catalog.pg_shdepend, pg_catalog.pg_database, pg_catalog.pg_db_role_setting";

/// A clone in the shared cluster.
#[derive(Debug)]
pub(crate) struct LocalScratch {
    name: String,
    database: String,
    cluster: Cluster,
    /// Held, shared, by everyone who uses the server.
    using: Option<FileLock>,
}

/// Makes a scratch database; see [`crate::server::scratch`].
///
/// # Errors
/// What `fill` fails with. Connection: no PostgreSQL here, or it does not start. Lock: the cache's locks were not had.
pub(crate) async fn scratch(
    regime: Regime,
    template_key: &str,
    fill: impl AsyncFnOnce(&mut Session) -> Result<(), Failure>,
) -> Result<LocalScratch, Failure> {
    let (cluster, changing, using, alone) = blocking(enter).await?;
    let server = cluster.ready().await?;
    if alone {
        // Nobody uses the server: what is left is of processes that were killed.
        template::drop_databases(&server, "datname LIKE 'scratch\\_%'", 0).await?;
        // What databases that came and went leave in the catalogues that all share; nothing else clears it away.
        let cleared = server.batch(&format!("VACUUM {SHARED_CATALOGUES}")).await;
        cleared.map_err(|error| error.into_failure("the scratch cluster could not be cleared"))?;
    }
    let template = template::ensure(&cluster, &server, regime, template_key, fill).await?;
    let Installation { bin, version, .. } = cluster.installation();
    let scratch = LocalScratch {
        name: format!("local PostgreSQL {version} ({})", bin.display()),
        database: template::unique("scratch"),
        using: Some(using),
        cluster,
    };
    template::clone(&server, &template, &scratch.database).await?;
    server.close().await;
    drop(changing);
    Ok(scratch)
}

/// Blocking: finds the cluster and takes the locks: the one to change it, the one to use it, and whether no other
/// process uses it.
fn enter() -> Result<(Cluster, FileLock, FileLock, bool), Failure> {
    let installation = find_or_fail()?;
    let account = Account::current()?;
    let folder = cache_folder(&account)?.join(cluster_name(&installation));
    account.private_folder(&folder).map_err(|error| {
        Failure::usage(format!("the folder {} can't be made", folder.display())).note(error.to_string())
    })?;
    let changing = FileLock::exclusive(&folder.join("changing.lock"))?;
    let alone = FileLock::try_exclusive(&using_lock(&folder))?.is_some();
    // Waits for a process that is just stopping the server.
    let using = FileLock::shared(&using_lock(&folder))?;
    Ok((Cluster::new(installation, account, folder, Access::Private), changing, using, alone))
}

fn using_lock(folder: &std::path::Path) -> PathBuf {
    folder.join("using.lock")
}

/// One cluster for each installation: its files fit no other major, and a minor may bring another behaviour.
fn cluster_name(installation: &Installation) -> String {
    let place = Sha256::digest(installation.bin.as_os_str().as_encoded_bytes());
    let place: String = place.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("scratch-{}-{place}", installation.version)
}

/// Waiting for locks, and PostgreSQL's programs, block their thread.
async fn blocking<T: Send + 'static>(work: fn() -> Result<T, Failure>) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Failure::new(FailureKind::Interrupted, "preparing the cluster was cut short").note(error.to_string())
    })?
}

impl LocalScratch {
    /// Engine and version.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the verification may open.
    pub(crate) fn max_sessions(&self) -> usize {
        MAX_SESSIONS
    }

    /// Never.
    pub(crate) fn errors_per_session(&self) -> Option<usize> {
        None
    }

    /// Nothing is left out.
    pub(crate) fn not_tried(&self) -> Vec<String> {
        Vec::new()
    }

    fn conninfo(&self, user: &str) -> Conninfo {
        self.cluster.conninfo(user, &self.database)
    }

    /// As the migrator.
    pub(crate) async fn connect(&self) -> Result<Session, Failure> {
        connect(&self.conninfo(MIGRATOR)).await
    }

    /// As the superuser.
    pub(crate) async fn connect_superuser(&self) -> Result<Session, Failure> {
        connect(&self.conninfo("postgres")).await
    }
}

impl Drop for LocalScratch {
    /// Drops the database, and stops the server if no one else uses it. On a thread of its own: a drop can't wait for a
    /// runtime that may be the one it is called from.
    fn drop(&mut self) {
        let maintenance = self.cluster.conninfo("postgres", "postgres");
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(&self.database));
        let dropper = std::thread::Builder::new().name("scratch-drop".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                match connect(&maintenance).await {
                    Ok(session) => {
                        if let Err(error) = session.batch(&sql).await {
                            tracing::info!("a scratch database stays until the next run: {error}");
                        }
                        session.close().await;
                    }
                    Err(failure) => tracing::info!("a scratch database stays until the next run: {failure}"),
                }
            });
        });
        if let Ok(dropper) = dropper {
            let _panicked = dropper.join();
        }
        drop(self.using.take());
        // Whoever comes now waits for this lock, and starts the server again.
        if let Ok(Some(_alone)) = FileLock::try_exclusive(&using_lock(self.cluster.folder())) {
            self.cluster.stop();
        }
    }
}
