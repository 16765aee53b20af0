//! Report -> bytes: one file a format. Reads model/ and nothing else.

pub mod against;
pub mod comparison;
pub mod failure;
pub mod header;
pub mod human;
pub mod json;
pub mod matrix;
mod mutation;
pub mod plan;

/// Text without the escape sequences of colours: for files.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
