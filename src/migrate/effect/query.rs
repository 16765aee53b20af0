//! Statements that read and write rows, and views, which keep a query: what they read and what they write.

use super::Builder;
use super::statement::on;
use super::tree::{all, child, find, has, has_word, parts};
use crate::model::lock::LockMode::{AccessExclusive, AccessShare, Exclusive, RowExclusive, RowShare};
use squawk_syntax::{SyntaxKind as Kind, SyntaxNode};

/// ACCESS SHARE on what queries in it read.
pub(super) fn reads(build: &mut Builder<'_>, node: &SyntaxNode) {
    let own: Vec<String> = all(node, Kind::WITH_TABLE).filter_map(|one| parts(&one).into_iter().next()).collect();
    for item in all(node, Kind::RELATION_FROM_ITEM).chain(all(node, Kind::TABLE)) {
        let Some(name) = child(&item, Kind::RELATION_NAME_REF) else { continue };
        let written = parts(&name);
        if matches!(written.as_slice(), [name] if own.contains(name)) {
            continue;
        }
        let name = build.named(&name);
        // Unknown ones are the system's.
        if build.catalogue.relations.contains_key(&name) {
            build.lock(&name, AccessShare);
        }
    }
}

/// A query at the top: what it reads, and which rows it locks.
pub(super) fn queries(build: &mut Builder<'_>, node: &SyntaxNode) {
    reads(build, node);
    if has(node, Kind::LOCKING_CLAUSE) {
        for at in 0..build.names.len() {
            let name = build.names[at].clone();
            build.lock(&name, RowShare);
        }
    }
}

/// INSERT, UPDATE, DELETE, MERGE and COPY, also inside WITH.
pub(super) fn write(build: &mut Builder<'_>, node: &SyntaxNode) {
    if node.kind() == Kind::COPY {
        let mode = if has(node, Kind::COPY_FROM) { RowExclusive } else { AccessShare };
        let _table = on(build, find(node, Kind::COPY_TABLE), mode);
    }
    let kinds = [Kind::INSERT, Kind::UPDATE, Kind::DELETE, Kind::MERGE];
    for one in node.descendants().filter(|one| kinds.contains(&one.kind())) {
        let target = [Kind::RELATION_NAME_REF, Kind::RELATION_NAME, Kind::TABLE_RELATION_NAME];
        let target = one.children().find(|child| target.contains(&child.kind()));
        if let Some(table) = on(build, target, RowExclusive)
            && build.in_use(&table)
        {
            build.note("its triggers and foreign keys may lock more");
        }
    }
    reads(build, node);
}

pub(super) fn create_view(build: &mut Builder<'_>, node: &SyntaxNode) {
    let name = find(node, Kind::VIEW).map(|name| build.named(&name));
    match name {
        Some(name) if build.catalogue.relations.contains_key(&name) => build.lock(&name, AccessExclusive),
        _ => {
            let _made = build.made(node, &[Kind::VIEW], 'v');
        }
    }
    reads(build, node);
}

pub(super) fn refresh(build: &mut Builder<'_>, node: &SyntaxNode) {
    let concurrent = has_word(node, Kind::CONCURRENTLY_KW);
    let Some(view) = on(build, child(node, Kind::VIEW_REF), if concurrent { Exclusive } else { AccessExclusive })
    else {
        return;
    };
    if !concurrent {
        build.rewrite(&view, "computed anew");
    }
    build.note("what its query reads is locked in ACCESS SHARE");
}
