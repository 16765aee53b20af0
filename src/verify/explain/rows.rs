//! The rows that policies are asked about, as text that the server reads back as a row of the table: the row as it
//! stands, and as the statement would leave it.

use super::Explainer;
use crate::db::impersonate;
use crate::db::quote::{literal, table as quote_table};
use crate::model::access::Command;
use crate::model::explanation::RowVersion;
use crate::verify::form::{Aim, Planned};
use crate::verify::judge::Case;
use crate::verify::world::insert::{key_columns, key_condition, key_expression};
use squawk_syntax::SyntaxKind;

impl Explainer<'_> {
    /// The row in that version; `None` where it can't be had. Read, and where need be made, by the session's own role
    /// with the actor's claims.
    pub(super) async fn row(&self, case: &Case<'_>, key: Option<&str>, version: RowVersion) -> Option<String> {
        let own = format!(
            "ROLLBACK TO SAVEPOINT attempt; SET LOCAL row_security = off; {}",
            impersonate::claims_only(&case.persona.claims)
        );
        self.session.batch(&own).await.ok()?;
        let name = quote_table(&case.subject.table.name());
        let condition = key.map(|key| self.condition(case, key));
        let sql = match version {
            RowVersion::Existing => format!("SELECT (r.*)::text FROM {name} r WHERE {}", condition?),
            RowVersion::New => new_row(case, condition.as_deref())?,
            RowVersion::Proposed => {
                // Out of its way: else it is the row that is there that is changed.
                self.session.batch(&format!("DELETE FROM {name} WHERE {}", condition?)).await.ok()?;
                new_row(case, None)?
            }
        };
        self.session.statement(&sql).await.ok()?.keys.into_iter().next().flatten()
    }

    /// What is true for the row of that key alone.
    fn condition(&self, case: &Case<'_>, key: &str) -> String {
        let table = &case.subject.table;
        let own = |subject: usize| self.setting.subjects[subject].access.table == case.subject.access.table;
        let row = self.world.rows.iter().zip(self.keys).find(|(row, known)| own(row.subject) && *known == key);
        row.and_then(|(row, _)| key_condition(table, &row.values)).unwrap_or_else(|| {
            let bare = crate::db::quote::readable_identifier(&table.table);
            let qualifier = if key_columns(table).is_empty() { format!("{bare}.") } else { String::new() };
            format!("{} = {}", key_expression(table, &qualifier), literal(key))
        })
    }
}

/// The statement, giving the row that it leaves; without WHERE it is held to the one row.
fn new_row(case: &Case<'_>, condition: Option<&str>) -> Option<String> {
    let Planned { sql, command, aim, .. } = case.planned;
    let table = &case.subject.table;
    let returning = format!(" RETURNING {}", key_expression(table, ""));
    let mut sql = sql.strip_suffix(&returning).unwrap_or(sql).to_owned();
    if sql.contains(" RETURNING ") || sql.starts_with("MERGE") {
        return None;
    }
    if *command == Command::Update && matches!(aim, Aim::All(_)) {
        let parsed = squawk_syntax::SourceFile::parse(&sql).syntax_node();
        if parsed.descendants().any(|node| node.kind() == SyntaxKind::WHERE_CLAUSE) {
            return None;
        }
        sql = format!("{sql} WHERE {}", condition?);
    }
    Some(format!("{sql} RETURNING ({}.*)::text", crate::db::quote::readable_identifier(&table.table)))
}
