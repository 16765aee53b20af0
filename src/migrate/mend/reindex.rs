//! What a REINDEX … CONCURRENTLY left: the half-built copy (`_ccnew`) or the index that it replaced (`_ccold`). PostgreSQL
//! passes over both when it runs again, so they would stay.

use crate::db::quote;
use crate::db::session::Session;
use crate::migrate::file::MigrationFile;
use crate::migrate::mend::{Mending, being_built, drop_invalid, text};
use crate::model::failure::Failure;
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{AstNode, Reindex, ReindexTarget};

/// A query for the tables whose indexes a REINDEX … CONCURRENTLY builds anew, partitions included.
pub(super) fn tables(node: SyntaxNode) -> Option<String> {
    let tree = |table: String| {
        format!("SELECT {table} UNION SELECT relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree({table})")
    };
    let regclass = |name: &SyntaxNode| format!("pg_catalog.to_regclass({})", quote::literal(&text(name)));
    Some(match Reindex::cast(node)?.reindex_target()? {
        ReindexTarget::ReindexTargetIndex(target) => tree(format!(
            "(SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = {})",
            regclass(target.index_ref()?.syntax())
        )),
        ReindexTarget::ReindexTargetTable(target) => {
            tree(format!("{}::pg_catalog.oid", regclass(target.table_name_ref()?.syntax())))
        }
        ReindexTarget::ReindexTargetSchema(target) => format!(
            "SELECT oid FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.to_regnamespace({})",
            quote::literal(&text(target.schema_ref()?.syntax()))
        ),
        ReindexTarget::ReindexTargetDatabase(_) | ReindexTarget::ReindexTargetSystem(_) => {
            "SELECT oid FROM pg_catalog.pg_class".to_owned()
        }
    })
}

/// Drops what was left on those tables, where `mend` allows it; the file runs again in any case, and does no harm.
///
/// # Errors
/// Migration: something was left, and `mend` is not given. Lock: another session builds one of these indexes. The server's.
pub(super) async fn mend(
    session: &Session,
    file: &MigrationFile,
    tables: &str,
    mend: bool,
) -> Result<Vec<(String, Mending)>, Failure> {
    // Other roles' builds show no table: any may be this one. A table's long values have an index too, built with its;
    // where this role may not drop that one, it must not stand in the way.
    let rows = session
        .text_rows(&format!(
            "WITH tables (oid) AS ({tables}), \
               whole (oid) AS (SELECT oid FROM tables UNION SELECT c.reltoastrelid FROM pg_catalog.pg_class c JOIN tables USING (oid)) \
             SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), EXISTS ( \
               SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.datname = pg_catalog.current_database() \
                 AND (p.relid IN (SELECT oid FROM whole) OR p.relid IS NULL))::text \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE NOT i.indisvalid AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND c.relname ~ '_cc(new|old)[0-9]*$' AND i.indrelid IN (SELECT oid FROM whole) \
             ORDER BY 1"
        ))
        .await
        .map_err(|error| error.into_failure("cannot see what an earlier REINDEX left"))?;
    let mut indexes = Vec::with_capacity(rows.len());
    for row in rows {
        let mut columns = row.into_iter().flatten();
        let index = columns.next().unwrap_or_default();
        if columns.next().as_deref() == Some("true") {
            return Err(being_built(file, &index));
        }
        indexes.push(index);
    }
    let why = "an earlier REINDEX CONCURRENTLY was cut off, and the next one passes over what it left: it costs writes \
               and serves no query";
    drop_invalid(session, file, indexes, mend, why).await
}
