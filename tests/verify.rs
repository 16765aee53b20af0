//! verify-rls on the project's own schema: it holds, every planted fault is noticed, and a target is left as it was.

#[path = "verify/actors.rs"]
mod actors;
#[path = "verify/against.rs"]
mod against;
#[path = "verify/any_schema.rs"]
mod any_schema;
#[path = "verify/atoms.rs"]
mod atoms;
#[path = "support/cluster.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod cluster;
#[path = "verify/columns.rs"]
mod columns;
#[path = "verify/controls.rs"]
mod controls;
#[path = "verify/coverage.rs"]
mod coverage;
#[path = "verify/faults.rs"]
mod faults;
#[path = "verify/foreign.rs"]
mod foreign;
#[path = "verify/forms.rs"]
mod forms;
#[path = "support/generated.rs"]
mod generated;
#[path = "verify/growth.rs"]
mod growth;
#[path = "verify/mistakes.rs"]
mod mistakes;
#[path = "verify/mutate.rs"]
mod mutate;
#[path = "verify/predicates.rs"]
mod predicates;
#[path = "verify/project.rs"]
mod project;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "verify/repro.rs"]
mod repro;
#[path = "verify/side_effects.rs"]
mod side_effects;
#[path = "verify/supabase.rs"]
mod supabase;
#[path = "verify/target.rs"]
mod target;
#[path = "verify/verdicts.rs"]
mod verdicts;
#[path = "verify/why.rs"]
mod why;
#[path = "verify/worlds.rs"]
mod worlds;
