//! Connections, sessions, the catalogue: what every other floor uses to speak to PostgreSQL.

pub mod catalog;
pub mod connect;
pub mod conninfo;
pub mod error;
pub mod impersonate;
pub mod pooler;
pub mod quote;
pub mod session;
pub mod sqlstate;
pub mod tls;
