//! The project's migrations on the scratch databases that the tool makes itself, on both engines.

use chartchek_db::contract::project;
use chartchek_db::migrate::{self, State};
use chartchek_db::server::{EngineChoice, Regime, scratch};
use std::path::Path;

async fn filled(engine: EngineChoice) {
    let project = project::find(Some(Path::new(env!("CARGO_MANIFEST_DIR"))), false).unwrap();
    let files = migrate::load(&project).unwrap();
    let made = scratch(engine, Regime::Explicit, &format!("migrate-{}", std::process::id()), async |session| {
        migrate::apply_all(session, &project).await?;
        // A second time there is nothing to do.
        migrate::apply_all(session, &project).await
    })
    .await
    .unwrap_or_else(|failure| panic!("{engine}: {failure:?}"));
    let session = made.connect().await.unwrap();
    let status = migrate::status(&session, &files).await.unwrap();
    assert_eq!(status.count(State::Applied), files.len(), "{engine}: {status:?}");
    assert!(status.is_clean());
    session.close().await;
}

#[tokio::test]
async fn apply_all_fills_a_local_scratch_database() {
    filled(EngineChoice::Local).await;
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn apply_all_fills_an_embedded_scratch_database() {
    filled(EngineChoice::Embedded).await;
}
