//! Drift: of every kind of object one difference is planted, and exactly that one is found.

#[path = "support/cluster.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod cluster;
#[path = "drift/command.rs"]
mod command;
#[path = "drift/kinds.rs"]
mod kinds;
#[path = "drift/pairs.rs"]
mod pairs;
#[path = "drift/support.rs"]
mod support;
