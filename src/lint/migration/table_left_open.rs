//! A table that the file which makes it leaves open.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::{all, child, find, parts};
use crate::model::access::TableName;
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "table-left-open",
    aliases: &[],
    severity: Severity::Error,
    condition: "A table of an exposed schema is made, and the file does not also enable row security on it and revoke all rights of the API's roles.",
    effect: "Between this file and the one that closes the table, or for good where that is forgotten, the API serves its rows to whoever the default privileges name",
    remedy: "In the same file: ALTER TABLE … ENABLE ROW LEVEL SECURITY; REVOKE ALL ON TABLE … FROM PUBLIC, anon, authenticated",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let statements = file.foreseen.statements.iter();
    let made = statements.filter_map(|statement| Some((statement, statement.made.as_ref()?)));
    made.filter(|(_, table)| file.exposed.contains(&table.schema))
        .filter_map(|(statement, table)| {
            let open: Vec<&String> = file.clients.iter().filter(|role| !revoked(file, table, role)).collect();
            let what = match (secured(file, table), open.as_slice()) {
                (true, []) => return None,
                (false, []) => format!("{table} is made without row security"),
                (true, [role, ..]) => format!("{table} is made without revoking the rights of {role}"),
                (false, [role, ..]) => {
                    format!("{table} is made without row security, and without revoking the rights of {role}")
                }
            };
            Some(file.hit(&statement.node, table, what))
        })
        .collect()
}

fn secured(file: &File<'_>, table: &TableName) -> bool {
    file.foreseen.statements.iter().any(|one| {
        one.node.kind() == Is::ALTER_TABLE
            && child(&one.node, Is::ENABLE_RLS).is_some()
            && one.named.first().is_some_and(|named| named.name == *table)
    })
}

fn revoked(file: &File<'_>, table: &TableName, role: &String) -> bool {
    file.foreseen.statements.iter().filter(|one| one.node.kind() == Is::REVOKE).any(|one| {
        let named = one.named.iter().any(|named| named.name == *table)
            || find(&one.node, Is::PRIVILEGE_ALL_TABLES_IN_SCHEMA).is_some_and(|all_in| {
                all(&all_in, Is::SCHEMA_REF).any(|schema| parts(&schema) == [table.schema.as_str()])
            });
        named && find(&one.node, Is::ALL_PRIVILEGES).is_some() && see::roles(&one.node).contains(role)
    })
}
