//! The contract: which project is meant, what `policies/access.toml` promises, whether that fits the catalogue, and the
//! reference queries that follow from it. The policies are never asked what is right.

pub mod accept;
pub mod draft;
mod locate;
mod owner;
pub mod parse;
pub mod project;
mod reader;
pub mod reference;
mod shape;
mod sql_text;
pub mod validate;

pub(crate) use reader::suggest;
