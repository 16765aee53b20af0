//! The verification: worlds of rows, attempts on them as every actor, and what came of each against the contract.

mod coverage;
mod effect;
mod explain;
mod findings;
mod fitness;
mod form;
mod judge;
mod minimal;
mod mutate;
mod options;
pub mod persona;
mod probe;
mod program;
mod repro;
mod stray;
mod suite;
mod trial;
mod world;

pub use form::UNBOUNDED;
pub use options::{Ground, Options};
pub use probe::{About, probes};
pub use suite::{Connect, Mutating, Verified, verify, verify_and_mutate};
