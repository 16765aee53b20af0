//! Where a database comes from: a target that the user names, or a scratch database from an engine; and the stand-in
//! that makes a plain PostgreSQL look like Supabase. `server` knows no migrations: it is handed what fills a database.

#[cfg(feature = "embedded")]
mod embedded;
mod engine;
pub mod local;
pub mod stand_in;
pub mod target;

pub use engine::{EngineChoice, Scratch, scratch};
pub use stand_in::Regime;
