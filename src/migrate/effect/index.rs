//! Statements about indexes: the lock on the index, and the one on its table, which is what people wait for.

use super::Builder;
use super::statement::{follow, on};
use super::tree::{all, child, find, has, parts};
use crate::model::access::TableName;
use crate::model::lock::LockMode::{AccessExclusive, AccessShare, Share, ShareUpdateExclusive};
use squawk_syntax::{SyntaxKind as Kind, SyntaxNode};

pub(super) fn create(build: &mut Builder<'_>, node: &SyntaxNode) {
    let concurrent = has(node, Kind::CONCURRENTLY_KW);
    let mode = if concurrent { ShareUpdateExclusive } else { Share };
    let Some(table) = on(build, child(node, Kind::TABLE_RELATION_NAME), mode) else { return };
    build.scan(
        &table,
        if concurrent { "reads it twice, and waits for every transaction that is open" } else { "builds an index" },
    );
    if !has(node, Kind::ONLY_KW) {
        build.lock_descendants(&table);
    }
    if !concurrent && build.in_use(&table) {
        build.note("CREATE INDEX CONCURRENTLY, alone in a file of its own, would block no writes");
    }
    if let Some(index) = child(node, Kind::INDEX).and_then(|index| parts(&index).pop()) {
        let index = TableName { schema: table.schema.clone(), name: index };
        build.catalogue.make(index.clone(), 'i', build.file);
        if let Some(made) = build.catalogue.relations.get_mut(&index) {
            made.table = Some(table);
        }
    }
}

pub(super) fn drop(build: &mut Builder<'_>, node: &SyntaxNode) {
    let mode = if has(node, Kind::CONCURRENTLY_KW) { ShareUpdateExclusive } else { AccessExclusive };
    for index in all(node, Kind::INDEX_REF).collect::<Vec<_>>() {
        let index = build.named(&index);
        if let Some(table) = table_of(build, &index) {
            build.lock(&table, mode);
            if mode == AccessExclusive && build.in_use(&table) {
                build.note("DROP INDEX CONCURRENTLY, alone in a file of its own, would block nobody");
            }
        }
        build.lock(&index, mode);
        build.catalogue.remove(&index);
    }
    build.cascades(node);
}

/// The table of an index.
fn table_of(build: &Builder<'_>, index: &TableName) -> Option<TableName> {
    build.catalogue.relations.get(index).and_then(|index| index.table.clone())
}

pub(super) fn alter(build: &mut Builder<'_>, node: &SyntaxNode) {
    let Some(index) = child(node, Kind::INDEX_REF) else {
        return build.unknown("it is about everything in a tablespace");
    };
    let index = build.named(&index);
    if let Some(attached) = child(node, Kind::ATTACH_INDEX_PARTITION) {
        build.lock(&index, ShareUpdateExclusive);
        if let Some(table) = table_of(build, &index) {
            build.lock(&table, AccessShare);
        }
        if let Some(partition) = on(build, Some(attached), AccessExclusive).and_then(|index| table_of(build, &index)) {
            build.lock(&partition, AccessShare);
        }
        return;
    }
    let moved = child(node, Kind::SET_TABLESPACE).is_some();
    build.lock(&index, if moved { AccessExclusive } else { ShareUpdateExclusive });
    if moved {
        build.rewrite(&index, "copied to the other tablespace, unless it is there already");
    }
    follow(build, node, Some(index));
}

pub(super) fn reindex(build: &mut Builder<'_>, node: &SyntaxNode) {
    let concurrent = has(node, Kind::CONCURRENTLY_KW);
    let mode = if concurrent { ShareUpdateExclusive } else { Share };
    if let Some(index) = find(node, Kind::INDEX_REF) {
        let index = build.named(&index);
        if let Some(table) = table_of(build, &index) {
            build.lock(&table, mode);
            build.scan(&table, "builds the index anew");
        }
        build.lock(&index, if concurrent { ShareUpdateExclusive } else { AccessExclusive });
        build.rewrite(&index, "built anew");
    } else if let Some(table) = on(build, find(node, Kind::TABLE_NAME_REF), mode) {
        build.scan(&table, "builds its indexes anew");
        if !concurrent {
            build.note("its indexes are locked in ACCESS EXCLUSIVE, so queries that would use them wait too");
        }
        build.lock_descendants(&table);
    } else {
        build.unknown("it is about every table of the schema or database");
    }
}
