//! The contract and the project folder it stands in.

pub mod project;
