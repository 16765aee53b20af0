//! verify-rls on the project's own schema: it holds, every planted fault is noticed, and a target is left as it was.

#[path = "verify/actors.rs"]
mod actors;
#[path = "support/cluster.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod cluster;
#[path = "verify/columns.rs"]
mod columns;
#[path = "verify/faults.rs"]
mod faults;
#[path = "verify/foreign.rs"]
mod foreign;
#[path = "verify/predicates.rs"]
mod predicates;
#[path = "verify/project.rs"]
mod project;
#[path = "verify/side_effects.rs"]
mod side_effects;
#[path = "verify/supabase.rs"]
mod supabase;
#[path = "verify/target.rs"]
mod target;
#[path = "verify/verdicts.rs"]
mod verdicts;
