//! Report -> bytes: one file a format. Reads model/ and nothing else.

pub mod failure;
pub mod human;
pub mod json;
pub mod matrix;
