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
#[path = "support/cluster.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod cluster;
#[path = "migrate/cut.rs"]
mod cut;
#[path = "migrate/effects.rs"]
mod effects;
#[path = "migrate/engines.rs"]
mod engines;
#[path = "migrate/failing.rs"]
mod failing;
#[path = "migrate/interrupted.rs"]
mod interrupted;
#[path = "migrate/killed.rs"]
mod killed;
#[path = "migrate/leftovers.rs"]
mod leftovers;
#[path = "support/load.rs"]
mod load;
#[path = "migrate/loaded.rs"]
mod loaded;
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
#[path = "support/proxy.rs"]
mod proxy;
#[path = "migrate/refinery_cli.rs"]
mod refinery_cli;
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
