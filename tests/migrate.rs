//! `migrate` and `status` against a real PostgreSQL: what is applied once and whole, what is refused and changes
//! nothing, and what the errors say.

#[path = "migrate/applying.rs"]
mod applying;
#[path = "migrate/baseline.rs"]
mod baseline;
#[path = "migrate/effects.rs"]
mod effects;
#[path = "migrate/engines.rs"]
mod engines;
#[path = "migrate/failing.rs"]
mod failing;
#[path = "migrate/locking.rs"]
mod locking;
#[path = "migrate/looks.rs"]
mod looks;
#[path = "migrate/mending.rs"]
mod mending;
#[path = "migrate/naming.rs"]
mod naming;
#[path = "migrate/planning.rs"]
mod planning;
#[path = "migrate/pooler.rs"]
mod pooler;
#[path = "migrate/refusing.rs"]
mod refusing;
#[path = "migrate/repairing.rs"]
mod repairing;
#[path = "migrate/server.rs"]
mod server;
#[path = "migrate/tracing.rs"]
mod tracing;
#[path = "migrate/trips.rs"]
mod trips;
