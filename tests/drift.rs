//! Drift: of every kind of object one difference is planted, and exactly that one is found.

#[path = "connect/certificate.rs"]
#[expect(dead_code, reason = "these tests need no TLS")]
mod certificate;
#[path = "drift/command.rs"]
mod command;
#[path = "drift/kinds.rs"]
mod kinds;
#[path = "drift/pairs.rs"]
mod pairs;
#[path = "connect/server.rs"]
#[expect(dead_code, reason = "these tests need no more than a port")]
mod server;
#[path = "drift/support.rs"]
mod support;
