//! The contract: the project's own is right, every fault that a contract can have is seen, and the reference queries
//! say on a real server what the contract means.

#[path = "support/cluster.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod cluster;
#[path = "contract/faults.rs"]
mod faults;
#[path = "contract/find.rs"]
mod find;
#[path = "contract/reference.rs"]
mod reference;
#[path = "contract/server.rs"]
mod server;
