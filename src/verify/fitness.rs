//! Whether a session and a table are fit for a verification: a role that sees all and can become everyone, a relation
//! whose rows can be made.

use crate::model::access::{Contract, TableAccess};
use crate::model::catalog::Catalog;
use crate::model::failure::{Failure, FailureKind};
use crate::model::report::NotRun;

/// Tables and partitioned tables: their rows can be made and told apart.
pub(super) fn is_tried(kind: &str) -> bool {
    matches!(kind, "r" | "p")
}

pub(super) fn not_tried(access: &TableAccess) -> NotRun {
    NotRun {
        what: access.table.to_string(),
        why: "it is no table: rows of views and foreign tables are not made".to_owned(),
    }
}

/// Whether this session can tell: it must see every row itself, and be able to become every actor.
pub(super) fn fit_to_judge(catalog: &Catalog, contract: &Contract) -> Result<(), Failure> {
    if !catalog.server.bypass_rls {
        return Err(Failure::new(
            FailureKind::Connection,
            format!("role {} does not bypass RLS, so it cannot see what others must not", catalog.server.user),
        )
        .help("connect as a role with BYPASSRLS that may SET ROLE to the API's roles, such as Supabase's postgres"));
    }
    if catalog.server.read_only {
        return Err(Failure::new(
            FailureKind::Connection,
            "the database takes no writes (a standby, or set to read-only), and attempts must be able to write",
        )
        .help("verify the primary, or a scratch database (without --target)"));
    }
    for actor in &contract.actors {
        if catalog.role(&actor.role).is_some_and(|role| !role.assumable) {
            return Err(Failure::new(
                FailureKind::Connection,
                format!(
                    "role {} may not SET ROLE to {}, so actor {} cannot be tried",
                    catalog.server.user, actor.role, actor.name
                ),
            )
            .help(format!("GRANT {} TO {}", actor.role, catalog.server.user)));
        }
    }
    Ok(())
}
