//! The local engine: a PostgreSQL that is installed on this machine, in a cluster of this tool's own in the cache
//! folder. Scratch databases are cloned from templates that are kept there.

mod account;
mod cache;
mod cluster;
mod development;
mod dump;
mod installation;
mod scratch;
mod template;

pub use account::Account;
pub use cache::cache_folder;
pub use cluster::{Access, Cluster};
pub use development::Development;
pub use dump::{make_schema, schema_of};
pub use installation::{Installation, find, find_or_fail};
pub(crate) use scratch::{LocalScratch, scratch};
