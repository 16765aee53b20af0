//! Drift: of every kind of object one difference is planted, and exactly that one is found.

#[path = "drift/kinds.rs"]
mod kinds;
#[path = "drift/support.rs"]
mod support;
