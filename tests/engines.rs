//! Scratch databases of both engines: made like Supabase, filled, disposable.

use chartchek_db::db::session::Session;
use chartchek_db::model::failure::Failure;
use chartchek_db::server::{EngineChoice, Regime, Scratch, scratch};
use std::time::Instant;

const ENGINES: &[EngineChoice] = &[EngineChoice::Local, EngineChoice::Embedded];

async fn fill(session: &mut Session) -> Result<(), Failure> {
    session
        .batch("CREATE TABLE public.filled (id int PRIMARY KEY); INSERT INTO public.filled VALUES (1), (2)")
        .await
        .map_err(|error| error.into_failure("fill"))
}

async fn one(session: &Session, sql: &str) -> String {
    let rows = session.text_rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows[0][0].clone().unwrap_or_else(|| "NULL".to_owned())
}

async fn make(choice: EngineChoice, key: &str) -> Scratch {
    let start = Instant::now();
    let made = scratch(choice, Regime::Explicit, key, fill).await.unwrap_or_else(|failure| panic!("{failure:?}"));
    eprintln!("{choice} {key}: {:?}", start.elapsed());
    made
}

#[tokio::test]
async fn a_scratch_database_is_filled_and_disposable() {
    for &engine in ENGINES {
        let first = make(engine, "disposable").await;
        let session = first.connect().await.unwrap();
        assert_eq!(one(&session, "SELECT count(*) FROM filled").await, "2", "{engine}");
        session.batch("DELETE FROM filled").await.unwrap();
        session.close().await;
        let second = make(engine, "disposable").await;
        let session = second.connect().await.unwrap();
        assert_eq!(
            one(&session, "SELECT count(*) FROM filled").await,
            "2",
            "{engine}: one database leaks into another"
        );
        drop(session);
        let start = Instant::now();
        drop(second);
        drop(first);
        eprintln!("{engine} dropped in {:?}", start.elapsed());
    }
}
