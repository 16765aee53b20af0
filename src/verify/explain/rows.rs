//! The rows that policies are asked about, as text that the server reads back as a row of the table: the row as it
//! stands, and as the statement would leave it.

use super::Explainer;
use crate::db::error::DbError;
use crate::db::impersonate;
use crate::db::quote::{literal, readable_identifier, table as quote_table};
use crate::model::access::Command;
use crate::model::explanation::RowVersion;
use crate::verify::form::{Aim, Planned};
use crate::verify::judge::Case;
use crate::verify::world::insert::{key_columns, key_condition, key_expression};
use squawk_syntax::SyntaxKind;

impl Explainer<'_> {
    /// The row in that version. Read, and where need be made, by the session's own role with the actor's claims.
    ///
    /// # Errors
    /// Why it can't be had.
    pub(super) async fn row(&self, case: &Case<'_>, key: Option<&str>, version: RowVersion) -> Result<String, String> {
        let mut own = format!("SET LOCAL row_security = off; {}", impersonate::claims_only(&case.persona.claims));
        let name = quote_table(&case.subject.table.name());
        let condition = key.map(|key| self.condition(case, key));
        let known = || condition.as_deref().ok_or("the statement names none");
        let sql = match version {
            RowVersion::Existing => format!("SELECT (r.*)::text FROM {name} r WHERE {}", known()?),
            RowVersion::New => new_row(case, condition.as_deref())?,
            RowVersion::Proposed => {
                // Out of its way: else it is the row that is there that is changed.
                own = format!("{own}; DELETE FROM {name} WHERE {}", known()?);
                new_row(case, None)?
            }
        };
        let refused = |error: DbError| format!("it is refused to everyone, with SQLSTATE {}", error.code);
        // Of several new rows the last: the others are put before it as ones that may be there.
        let row = self.asked(&own, &sql).await.map_err(refused)?.keys.into_iter().next_back().flatten();
        row.ok_or_else(|| "a trigger or rule drops it".to_owned())
    }

    /// What is true for the row of that key alone.
    fn condition(&self, case: &Case<'_>, key: &str) -> String {
        let table = &case.subject.table;
        let row = self.world.row_of(self.keys, case.planned.subject, key);
        row.and_then(|row| key_condition(table, &row.values)).unwrap_or_else(|| {
            let bare = readable_identifier(&table.table);
            let qualifier = if key_columns(table).is_empty() { format!("{bare}.") } else { String::new() };
            format!("{} = {}", key_expression(table, &qualifier), literal(key))
        })
    }
}

/// The statement, giving the row that it leaves; without WHERE it is held to the one row.
///
/// # Errors
/// Why it can't be made to give it.
fn new_row(case: &Case<'_>, condition: Option<&str>) -> Result<String, String> {
    let Planned { sql, command, aim, .. } = case.planned;
    let table = &case.subject.table;
    let returning = format!(" RETURNING {}", key_expression(table, ""));
    let mut sql = sql.strip_suffix(&returning).unwrap_or(sql).to_owned();
    let parsed = squawk_syntax::SourceFile::parse(&sql).syntax_node();
    let has = |kind: SyntaxKind| parsed.descendants().any(|node| node.kind() == kind);
    if has(SyntaxKind::RETURNING_CLAUSE) || has(SyntaxKind::MERGE) {
        return Err("the statement does not give it".to_owned());
    }
    if *command == Command::Update && matches!(aim, Aim::All(_)) && !has(SyntaxKind::WHERE_CLAUSE) {
        sql = format!("{sql} WHERE {}", condition.ok_or("the statement names none")?);
    }
    Ok(format!("{sql} RETURNING ({}.*)::text", readable_identifier(&table.table)))
}
