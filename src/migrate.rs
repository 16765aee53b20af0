//! Migrations: plan, apply, history, lock, and PostgreSQL's errors as file:line:col. The file format, the checksums and
//! the history table are refinery's, so that a project can leave for it any day.

mod adopt;
mod apply;
mod baseline;
mod blockers;
mod diagnose;
mod effect;
mod file;
mod history;
mod lock;
mod mend;
mod naming;
mod new_values;
mod plan;
mod repair;
mod runner;
mod sql;
mod status;
mod stop;
mod trace;

pub use adopt::{adopt, without_history};
pub use apply::{ApplyOptions, Event, FileTime, Summary, apply, apply_all};
pub use baseline::baseline;
pub use blockers::Blockers;
pub use effect::predict;
pub(crate) use effect::{Foreseen, ForeseenFile, Named, foresee, tree};
pub use file::{MigrationFile, load};
pub use history::{SCHEMA as HISTORY_SCHEMA, Server};
pub use lock::Holder;
pub use mend::Mending;
pub use naming::{NewFile, Renaming, new_file, next_file, renumber};
pub use new_values::EarlyUse;
pub use plan::{Plan, plan};
pub use repair::{Difference, Differences, Identity, accept, differences};
pub use sql::{Script, Statement};
pub(crate) use sql::{bom, check as check_script, comments, first_line, parse as parse_script, span};
pub use status::{Entry, State, Status, status};
pub use stop::Stop;
pub use trace::trace;
