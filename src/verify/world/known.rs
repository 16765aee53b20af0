//! Where a condition (`owner_sql`) says whose a row is: the columns by which a row can be made somebody's, as far as
//! the condition's text and the server tell. What is guessed wrong makes no wrong verdict: how a row stands is read.

use crate::contract::sql_text;
use crate::db::quote::{identifier, literal};
use crate::db::session::Session;
use crate::model::access::{Contract, OwnerPath, Ownership, TableAccess};
use crate::model::catalog::Table;
use crate::model::failure::Failure;
use crate::verify::persona::stable_id;
use std::collections::BTreeSet;

/// The types that can hold an account's id.
const ID_TYPES: [&str; 5] = ["uuid", "text", "varchar", "bpchar", "citext"];

/// The columns of `table` that say whose a row is: those that make the condition true by holding the account's id, and
/// those that refer to rows of another table of the contract.
///
/// # Errors
/// The server's, where the connection is lost.
pub(crate) async fn paths(
    session: &Session,
    contract: &Contract,
    access: &TableAccess,
    table: &Table,
) -> Result<Vec<OwnerPath>, Failure> {
    let Ownership::Sql(condition) = &access.ownership else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for name in named_of_row(condition, table) {
        let column = table.column(&name).filter(|column| !column.generated && !column.identity_always);
        let key = table.foreign_keys.iter().find(|key| key.columns.as_slice() == std::slice::from_ref(&name));
        let parent = key.filter(|key| {
            contract.tables.iter().any(|other| other.table == key.target() && other.table != access.table)
        });
        if let (Some(key), Some(to)) = (parent, key.and_then(|key| key.target_columns.first())) {
            found.push(OwnerPath::Parent { column: name, parent: key.target(), parent_column: to.clone() });
        } else if let Some(column) =
            column.filter(|column| !column.is_array && ID_TYPES.contains(&column.base_type.as_str()))
            && holds_account(session, condition, table, &column.name).await?
        {
            found.push(OwnerPath::Column(name));
        }
    }
    Ok(found)
}

/// Whether a row is an account's by holding its id in that column, whatever there is in the others.
async fn holds_account(session: &Session, condition: &str, table: &Table, name: &str) -> Result<bool, Failure> {
    let uid = stable_id("account of nobody");
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let value = if column.name == name { literal(&uid) } else { "NULL".to_owned() };
            format!("{value}::{} AS {}", column.cast_type, identifier(&column.name))
        })
        .collect();
    let condition = sql_text::replace(condition, ":uid", &literal(&uid));
    let sql = format!("SELECT (({condition}\n) IS TRUE)::text FROM (SELECT {}) AS \"row\"", columns.join(", "));
    match session.statement(&sql).await {
        Ok(answer) => Ok(answer.keys.first().cloned().flatten().as_deref() == Some("true")),
        Err(error) if error.is_connection() => Err(error.into_failure("the owners' conditions were not asked about")),
        Err(_cannot) => Ok(false),
    }
}

/// The columns that a condition names as `row.column`.
fn named_of_row(condition: &str, table: &Table) -> BTreeSet<String> {
    let named = |column: &&str| {
        let quoted = identifier(column);
        [format!("row.{column}"), format!("row.{quoted}"), format!("\"row\".{column}"), format!("\"row\".{quoted}")]
            .iter()
            .any(|text| {
                condition.match_indices(text.as_str()).any(|(at, found)| {
                    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
                    let before = condition[..at].chars().next_back().is_some_and(word);
                    let behind = condition[at + found.len()..].chars().next().is_some_and(|c| word(c) && c != '.');
                    !before && (!behind || text.ends_with('"'))
                })
            })
    };
    table.columns.iter().map(|column| column.name.as_str()).filter(named).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::Column;

    #[test]
    fn columns_of_the_row_are_found_and_others_are_not() {
        let column = |name: &str| Column { name: name.to_owned(), ..Column::default() };
        let table = Table { columns: ["a", "ab", "A b", "m"].map(column).to_vec(), ..Table::default() };
        let found = |text: &str| named_of_row(text, &table).into_iter().collect::<Vec<_>>();
        assert_eq!(found("row.a = :uid"), ["a"]);
        assert_eq!(found("(row.ab=:uid) or \"row\".\"A b\" = :uid"), ["A b", "ab"]);
        assert!(found("arrow.a = :uid and x.row.a = m.a").is_empty());
    }
}
