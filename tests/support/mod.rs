//! What the tests of real servers share: the project's migrations, its development data, one value of a query.
#![expect(dead_code, reason = "each test file takes what it needs")]

use chartchek_db::db::session::Session;
use chartchek_db::model::failure::Failure;
use std::fs;
use std::path::Path;

/// The project's own folder.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The development data.
pub fn development() -> String {
    fs::read_to_string(project().join("fixtures/development.sql")).unwrap()
}

/// The migrations, in their order.
pub fn migrations() -> Vec<String> {
    let mut paths: Vec<_> =
        fs::read_dir(project().join("migrations")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Runs the migrations as they stand, without a history.
///
/// # Errors
/// The first statement's.
pub async fn migrate(session: &mut Session) -> Result<(), Failure> {
    for text in migrations() {
        session.batch(&text).await.map_err(|error| error.into_failure("a migration failed"))?;
    }
    Ok(())
}

/// The first column of the first row, as text; `NULL` for a null, `(no row)` for none.
pub async fn one(session: &Session, sql: &str) -> String {
    let rows = session.text_rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.first().map_or("(no row)".to_owned(), |row| row[0].clone().unwrap_or_else(|| "NULL".to_owned()))
}

/// The SQLSTATE that a statement fails with; `00000` where it doesn't.
pub async fn sqlstate(session: &Session, sql: &str) -> String {
    session.batch(sql).await.map_or_else(|error| error.code, |()| "00000".to_owned())
}
