//! The schema as the catalogue has it: a database against what the migrations produce, and the files of `policies/`
//! against the same. Nothing here writes to a database that stays.

pub mod adopt;
pub mod difference;
pub mod drift;
pub mod facts;
pub mod policies;
