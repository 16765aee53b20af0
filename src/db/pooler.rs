//! Transaction poolers: a minimal stand-in until the full one is merged.

use crate::db::conninfo::Conninfo;
use crate::model::failure::Failure;

/// Refuses the ports of known transaction poolers.
///
/// # Errors
/// It is one.
pub fn refuse_transaction_pooler(_conninfo: &Conninfo) -> Result<(), Failure> {
    Ok(())
}
