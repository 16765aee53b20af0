//! Two scratch databases from the migrations: one to compare with, one to spoil.

use chartchek_db::contract::parse;
use chartchek_db::contract::project::{self, Project};
use chartchek_db::db::session::Session;
use chartchek_db::migrate;
use chartchek_db::model::access::Contract;
use chartchek_db::model::finding::Finding;
use chartchek_db::schema::drift;
use chartchek_db::schema::facts::{self, Facts, Scope};
use chartchek_db::server::{self, EngineChoice, Regime, Scratch};
use std::path::Path;

/// The project's own files.
pub(crate) fn own_project() -> (Project, Contract) {
    let project = project::find(Some(Path::new(env!("CARGO_MANIFEST_DIR"))), false).unwrap();
    let contract = parse::parse(&project.contract).unwrap();
    (project, contract)
}

/// A database of the project's migrations.
pub(crate) async fn scratch(engine: EngineChoice, regime: Regime) -> Scratch {
    let (project, _) = own_project();
    server::scratch(engine, regime, &project.fingerprint(), async |session| migrate::apply_all(session, &project).await)
        .await
        .unwrap()
}

/// What is found in `target` after `sql`, which is rolled back.
pub(crate) async fn planted(expected: &Facts, target: &Session, scope: &Scope, sql: &str) -> Vec<Finding> {
    target.batch("BEGIN").await.unwrap();
    target.batch(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let found = facts::read(target, scope).await.unwrap();
    target.batch("ROLLBACK").await.unwrap();
    drift::findings(expected, &found, false)
}
