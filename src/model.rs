//! Plain data that all floors share: no I/O, no clap, no tokio, no output format.

pub mod access;
pub mod attempt;
pub mod catalog;
pub mod enums;
pub mod explanation;
pub mod failure;
pub mod finding;
pub mod lock;
pub mod mutation;
pub mod plan;
pub mod report;
pub mod server_fault;
pub mod source;
