//! The map of the floors: what lives where, and who may call whom. No logic.
//!
//! `cli -> report | verify | lint | schema -> migrate -> contract | server -> db -> model`
//!
//! Nothing imports upward, and siblings on a floor do not import each other; `tests/floors.rs` holds this.

/// One file a command: parse the flags, call the floors below, choose the exit code.
pub mod cli;
/// The contract and the project folder it stands in; contract -> reference query.
pub mod contract;
/// Connections, sessions, the catalogue: the only floor besides `server` that speaks to PostgreSQL's client library.
pub mod db;
/// Lints: what can be seen of the catalogue and of migration files without trying.
pub mod lint;
/// Migration files: plan, apply, history, lock, and PostgreSQL's errors as file:line:col.
pub mod migrate;
/// Plain data that all floors share. No I/O.
pub mod model;
/// Report -> bytes: one file a format.
pub mod report;
/// The catalogue as facts: a database, and the files of `policies/`, against what the migrations produce.
pub mod schema;
/// Where a database comes from: target, embedded, local; the stand-in.
pub mod server;
/// The verification: worlds, attempts, verdicts, the access matrix.
pub mod verify;
