//! Questions that several lints put to a file's statements.

use super::File;
use crate::migrate::tree::{all, child, find, has, name, parts};
use crate::migrate::{Foreseen, Named};
use crate::model::lock::Blocks;
use crate::model::plan::TableLock;
use squawk_syntax::{SyntaxKind as Kind, SyntaxNode};

/// The subcommands of every ALTER TABLE on a table in use.
pub(super) fn altered<'a>(file: &'a File<'_>) -> impl Iterator<Item = (&'a Foreseen, &'a Named, SyntaxNode)> {
    let statements = file.foreseen.statements.iter().filter(|statement| statement.node.kind() == Kind::ALTER_TABLE);
    statements
        .filter_map(|statement| Some((statement, statement.named.first().filter(|table| !table.new)?)))
        .flat_map(|(statement, table)| statement.node.children().map(move |action| (statement, table, action)))
}

/// The constraints that ALTER TABLE adds to tables in use, with a column or by themselves.
pub(super) fn added_constraints<'a>(file: &'a File<'_>) -> impl Iterator<Item = (&'a Foreseen, &'a Named, SyntaxNode)> {
    let adds = |action: &SyntaxNode| [Kind::ADD_CONSTRAINT, Kind::ADD_COLUMN].contains(&action.kind());
    altered(file).filter(move |(_, _, action)| adds(action)).flat_map(|(statement, table, action)| {
        action.children().map(move |constraint| (statement, table, constraint)).collect::<Vec<_>>()
    })
}

/// Why a statement takes as long as a table is large; `None` where it does not.
pub(super) fn slow(statement: &Foreseen) -> Option<String> {
    let reads = [Kind::CREATE_TABLE_AS, Kind::SELECT_INTO, Kind::CREATE_MATERIALIZED_VIEW, Kind::INSERT];
    let writes = [Kind::UPDATE, Kind::DELETE, Kind::MERGE, Kind::COPY];
    let (kind, named) = (statement.node.kind(), || statement.named.iter().find(|named| !named.new));
    if let Some(whole) = whole_table(statement) {
        return Some(whole);
    }
    if reads.contains(&kind) && has(&statement.node, Kind::FROM_CLAUSE) {
        return named().map(|table| format!("reads {}", table.name));
    }
    if writes.contains(&kind) {
        return named().map(|table| format!("works through {}", table.name));
    }
    None
}

/// Whether the statement reads or writes anew all of a table in use, and in words what it does.
fn whole_table(statement: &Foreseen) -> Option<String> {
    let lock = in_use(statement).find(|lock| lock.scan.is_some() || lock.rewrite.is_some())?;
    let verb = if lock.rewrite.is_some() { "writes" } else { "reads" };
    Some(format!("{verb} all of {}", shown(&lock.relation)))
}

/// The locks on what is in use.
pub(super) fn in_use(statement: &Foreseen) -> impl Iterator<Item = &TableLock> {
    statement.effect.locks.iter().filter(|lock| lock.made_by.is_none())
}

/// Whether somebody waits for the lock who reads or writes.
pub(super) fn holds_up(lock: &TableLock) -> bool {
    lock.mode.blocks() > Blocks::SchemaChanges
}

/// What people have to wait with.
pub(super) fn waits(lock: &TableLock) -> &'static str {
    match lock.mode.blocks() {
        Blocks::ReadsAndWrites => "reads and writes",
        Blocks::Writes => "writes",
        Blocks::SchemaChanges => "changes of the schema",
    }
}

/// A relation as findings name it: without `public` and without quotes.
pub(super) fn shown(relation: &str) -> String {
    let bare = relation.replace('"', "");
    bare.strip_prefix("public.").unwrap_or(&bare).to_owned()
}

/// Whether the table is read or written as a whole by the statement.
pub(super) fn touches_all(statement: &Foreseen, table: &Named) -> bool {
    let relation = crate::db::quote::table(&table.name);
    in_use(statement).any(|lock| lock.relation == relation && (lock.scan.is_some() || lock.rewrite.is_some()))
}

/// The table in use that a statement writes rows to, with the part that names it.
pub(super) fn written(statement: &Foreseen) -> Option<&Named> {
    let top = [
        Kind::INSERT,
        Kind::UPDATE,
        Kind::DELETE,
        Kind::MERGE,
        Kind::COPY,
        Kind::TRUNCATE,
        Kind::SELECT,
        Kind::COMPOUND_SELECT,
    ];
    if !top.contains(&statement.node.kind()) {
        return None;
    }
    let writers = [Kind::INSERT, Kind::UPDATE, Kind::DELETE, Kind::MERGE, Kind::COPY, Kind::TRUNCATE];
    statement.node.descendants().filter(|one| writers.contains(&one.kind())).find_map(|writer| {
        if writer.kind() == Kind::COPY && !has(&writer, Kind::COPY_FROM) {
            return None;
        }
        let targets = [
            Kind::RELATION_NAME_REF,
            Kind::RELATION_NAME,
            Kind::TABLE_RELATION_NAME,
            Kind::COPY_TABLE,
            Kind::TABLE_LIST,
        ];
        let target = writer.children().find(|child| targets.contains(&child.kind()))?;
        let range = target.text_range();
        statement.named.iter().find(|named| range.contains_range(named.node.text_range()) && !named.new)
    })
}

/// The table that CREATE, ALTER or DROP POLICY, TRIGGER or RULE is about.
pub(super) fn subject(statement: &Foreseen) -> Option<&Named> {
    let on = [Kind::ON_TABLE, Kind::ON_RELATION, Kind::RULE_ON];
    let on = statement.node.children().find(|child| on.contains(&child.kind()))?;
    statement.named.iter().find(|named| on.text_range().contains_range(named.node.text_range()))
}

/// The bare name of the function that a statement makes.
pub(super) fn made_function(statement: &Foreseen) -> Option<String> {
    let made = [Kind::CREATE_FUNCTION, Kind::CREATE_PROCEDURE].contains(&statement.node.kind());
    made.then(|| function(&statement.node))
}

/// The bare name of the function that a statement is about.
pub(super) fn function(node: &SyntaxNode) -> String {
    let kinds = [Kind::FUNCTION_NAME, Kind::PROCEDURE_NAME, Kind::FUNCTION_NAME_REF, Kind::PROCEDURE_NAME_REF];
    name(node.descendants().find(|one| kinds.contains(&one.kind())))
}

/// Whether another statement of the file makes something of that bare name, or gives it the name.
pub(super) fn makes(file: &File<'_>, own: &str, but: &SyntaxNode) -> bool {
    let kinds = [
        Kind::TABLE_NAME,
        Kind::VIEW,
        Kind::SEQUENCE,
        Kind::FUNCTION_NAME,
        Kind::PROCEDURE_NAME,
        Kind::TYPE_NAME,
        Kind::DOMAIN,
        Kind::NAMED_SCHEMA,
    ];
    file.foreseen.statements.iter().map(|statement| &statement.node).filter(|node| *node != but).any(|node| {
        node.descendants()
            .filter(|one| kinds.contains(&one.kind()))
            .any(|one| parts(&one).last().is_some_and(|last| last == own))
    })
}

/// Whether the statement or subcommand ends in CASCADE.
pub(super) fn cascades(node: &SyntaxNode) -> bool {
    child(node, Kind::CASCADE).is_some()
}

/// The column that a subcommand is about.
pub(super) fn column_of(action: &SyntaxNode) -> String {
    name(find(action, Kind::COLUMN_NAME).or_else(|| find(action, Kind::COLUMN_NAME_REF)))
}

/// Whether a dropped constraint says only what a column's NOT NULL says, which is set in the same file.
pub(super) fn is_repeated(file: &File<'_>, statement: &Foreseen, constraint: &str) -> bool {
    let column = statement.not_null_checks.iter().find(|(own, _)| own == constraint).map(|(_, column)| column);
    column.is_some_and(|checked| {
        altered(file)
            .any(|(_, _, action)| child(&action, Kind::SET_NOT_NULL).is_some() && column_of(&action) == *checked)
    })
}

/// The roles that a statement names.
pub(super) fn roles(node: &SyntaxNode) -> Vec<String> {
    all(node, Kind::ROLE_REF).filter_map(|role| parts(&role).pop()).collect()
}
