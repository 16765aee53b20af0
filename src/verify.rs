//! The verification: worlds of rows, attempts on them as every actor, and what came of each against the contract.

mod coverage;
mod explain;
mod findings;
mod fitness;
mod form;
mod judge;
mod mutate;
pub mod persona;
mod probe;
mod program;
mod repro;
mod suite;
mod trial;
mod world;

pub use probe::{About, probes};
pub use suite::{Ground, Options, Verified, verify};
