//! `migrate` and `status` against a real PostgreSQL: what is applied once and whole, what is refused and changes
//! nothing, and what the errors say.

#[path = "migrate/adopting.rs"]
mod adopting;
#[path = "migrate/adopting_foreign.rs"]
mod adopting_foreign;
#[path = "migrate/adopting_rows.rs"]
mod adopting_rows;
#[path = "migrate/adopting_shapes.rs"]
mod adopting_shapes;
#[path = "migrate/applying.rs"]
mod applying;
#[path = "migrate/baseline.rs"]
mod baseline;
#[path = "migrate/engines.rs"]
mod engines;
#[path = "migrate/failing.rs"]
mod failing;
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
