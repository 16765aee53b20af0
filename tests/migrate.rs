//! `migrate` and `status` against a real PostgreSQL: what is applied once and whole, what is refused and changes
//! nothing, and what the errors say.

#[path = "migrate/applying.rs"]
mod applying;
#[path = "migrate/baseline.rs"]
mod baseline;
#[path = "migrate/cut.rs"]
mod cut;
#[path = "migrate/engines.rs"]
mod engines;
#[path = "migrate/failing.rs"]
mod failing;
#[path = "migrate/interrupted.rs"]
mod interrupted;
#[path = "migrate/killed.rs"]
mod killed;
#[path = "support/load.rs"]
mod load;
#[path = "migrate/loaded.rs"]
mod loaded;
#[path = "migrate/locking.rs"]
mod locking;
#[path = "migrate/mending.rs"]
mod mending;
#[path = "migrate/naming.rs"]
mod naming;
#[path = "migrate/pooler.rs"]
mod pooler;
#[path = "migrate/refusing.rs"]
mod refusing;
#[path = "migrate/repairing.rs"]
mod repairing;
#[path = "migrate/server.rs"]
mod server;
#[path = "migrate/trips.rs"]
mod trips;
