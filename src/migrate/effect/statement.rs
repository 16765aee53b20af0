//! The locks and the work of every statement but ALTER TABLE (PostgreSQL manual: 13.3, and each command's page).

use super::tree::{all, child, find, has, has_word, name, parts, text};
use super::{Builder, index, query, table, types};
use crate::model::access::TableName;
use crate::model::lock::LockMode::{self, *};
use squawk_syntax::{SyntaxKind as Kind, SyntaxNode};

/// Names of relations, as statements refer to them.
pub(super) const REFERENCES: &[Kind] =
    &[Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF, Kind::VIEW_REF, Kind::INDEX_REF, Kind::SEQUENCE_REF];

/// Enters what a statement does.
pub(super) fn effect(build: &mut Builder<'_>, node: &SyntaxNode) {
    match node.kind() {
        Kind::ALTER_TABLE | Kind::ALTER_FOREIGN_TABLE | Kind::ALTER_MATERIALIZED_VIEW => table::alter(build, node),
        Kind::CREATE_TABLE | Kind::CREATE_FOREIGN_TABLE => {
            table::create(build, node);
            let partitioned = child(node, Kind::PARTITION_BY).is_some();
            if let Some(relation) = build.names.first().and_then(|name| build.catalogue.relations.get_mut(name))
                && relation.made_by.is_some()
                && partitioned
            {
                relation.kind = 'p';
            }
        }
        Kind::CREATE_TABLE_AS | Kind::SELECT_INTO => {
            let _made = build.made(node, &[Kind::TABLE_NAME], 'r');
            query::queries(build, node);
        }
        Kind::CREATE_MATERIALIZED_VIEW => {
            let _made = build.made(node, &[Kind::VIEW], 'm');
            query::queries(build, node);
        }
        Kind::CREATE_VIEW => query::create_view(build, node),
        Kind::CREATE_SEQUENCE => {
            let _made = build.made(node, &[Kind::SEQUENCE], 'S');
            owned_by(build, node);
        }
        Kind::CREATE_INDEX => index::create(build, node),
        Kind::CREATE_TRIGGER => {
            let relation = child(node, Kind::ON_RELATION).and_then(|on| find(&on, Kind::RELATION_NAME_REF));
            if let Some(name) = on(build, relation, ShareRowExclusive) {
                attach(build, &name, child(node, Kind::TRIGGER), "trigger");
                let each_row = has(node, Kind::FOR_EACH_ROW) && build.is_kind(&name, 'p');
                if each_row {
                    build.lock_descendants(&name);
                }
            }
            let _from = on(build, child(node, Kind::FROM_TABLE), AccessShare);
        }
        Kind::CREATE_POLICY | Kind::ALTER_POLICY => {
            if let Some(name) = on(build, child(node, Kind::ON_TABLE), AccessExclusive) {
                attach(build, &name, child(node, Kind::POLICY), "policy");
            }
            query::reads(build, node);
        }
        Kind::DROP_POLICY | Kind::DROP_TRIGGER | Kind::DROP_RULE | Kind::ALTER_TRIGGER | Kind::ALTER_RULE => {
            let relation = child(node, Kind::ON_TABLE).or_else(|| child(node, Kind::ON_RELATION));
            let name = on(build, relation, AccessExclusive);
            detach(build, name.as_ref(), child(node, Kind::TRIGGER_REF), "trigger");
            detach(build, name.as_ref(), child(node, Kind::POLICY_REF), "policy");
            // A row trigger of a partitioned table is on its partitions too.
            if let Some(name) = name.filter(|_| [Kind::DROP_TRIGGER, Kind::ALTER_TRIGGER].contains(&node.kind())) {
                build.lock_descendants(&name);
            }
            build.cascades(node);
        }
        Kind::CREATE_RULE => {
            let _relation = on(build, child(node, Kind::RULE_ON), AccessExclusive);
            query::write(build, node);
        }
        // A body of SQL is read when the function is made.
        Kind::CREATE_FUNCTION | Kind::CREATE_PROCEDURE => query::write(build, node),
        Kind::CREATE_SCHEMA => in_schema(build, node, effect),
        Kind::CREATE_STATISTICS => {
            let _relation = on(build, child(node, Kind::FROM_TABLE), ShareUpdateExclusive);
        }
        Kind::CREATE_PUBLICATION | Kind::ALTER_PUBLICATION => every(build, node, ShareUpdateExclusive, false),
        Kind::DROP_TABLE | Kind::DROP_FOREIGN_TABLE => drop_tables(build, node),
        Kind::DROP_VIEW | Kind::DROP_MATERIALIZED_VIEW | Kind::DROP_SEQUENCE => {
            every(build, node, AccessExclusive, true);
            build.cascades(node);
        }
        Kind::DROP_INDEX => index::drop(build, node),
        Kind::ALTER_INDEX => index::alter(build, node),
        Kind::ALTER_VIEW => {
            let view = on(build, child(node, Kind::VIEW_REF), AccessExclusive);
            follow(build, node, view);
        }
        Kind::ALTER_SEQUENCE => {
            let kinds =
                [Kind::OWNER_TO, Kind::SEQUENCE_RENAME_TO, Kind::SET_SCHEMA, Kind::SET_LOGGED, Kind::SET_UNLOGGED];
            let strict = node.children().any(|child| kinds.contains(&child.kind()));
            let mode = if strict { AccessExclusive } else { ShareRowExclusive };
            let sequence = on(build, child(node, Kind::SEQUENCE_REF), mode);
            owned_by(build, node);
            follow(build, node, sequence);
        }
        Kind::ALTER_DOMAIN => alter_domain(build, node),
        Kind::TRUNCATE => truncate(build, node),
        Kind::CLUSTER | Kind::REPACK => rewriting(build, node, "written anew in the index's order"),
        Kind::VACUUM => {
            let full = all(node, Kind::VACUUM_OPTION_NAME).any(|option| text(&option).eq_ignore_ascii_case("full"));
            if has_word(node, Kind::FULL_KW) || full {
                rewriting(build, node, "written anew without its dead rows");
            } else {
                every(build, node, ShareUpdateExclusive, false);
                whole(build, node);
            }
        }
        Kind::ANALYZE => {
            every(build, node, ShareUpdateExclusive, false);
            whole(build, node);
        }
        Kind::REFRESH => query::refresh(build, node),
        Kind::REINDEX => index::reindex(build, node),
        Kind::LOCK => {
            let mode = find(node, Kind::LOCK_MODE_CLAUSE).map(|clause| text(&clause).to_ascii_uppercase());
            let mode = mode.and_then(|words| {
                LockMode::ALL.iter().copied().find(|mode| words == format!("IN {} MODE", mode.word()))
            });
            every(build, node, mode.unwrap_or(AccessExclusive), false);
        }
        Kind::COMMENT_ON | Kind::SECURITY_LABEL => comment(build, node),
        Kind::INSERT | Kind::UPDATE | Kind::DELETE | Kind::MERGE | Kind::COPY => query::write(build, node),
        Kind::SELECT | Kind::COMPOUND_SELECT | Kind::PAREN_SELECT | Kind::TABLE | Kind::VALUES => {
            query::queries(build, node);
            query::write(build, node);
            if !types::calls(node).iter().all(|name| HARMLESS.contains(&name.as_str())) {
                build.unknown("it calls functions, and what they do is not looked at");
            }
        }
        Kind::SET => search_path(build, node),
        Kind::DO | Kind::CALL | Kind::EXECUTE => build.unknown("it runs code, and what that does is not looked at"),
        Kind::CREATE_EXTENSION | Kind::ALTER_EXTENSION | Kind::DROP_EXTENSION => {
            build.unknown("it runs the extension's own script");
        }
        Kind::DROP_SCHEMA if has(node, Kind::CASCADE) => build.unknown("it drops everything in the schema"),
        Kind::ALTER_TYPE if has(node, Kind::CASCADE) => build.unknown("tables of this type change with it"),
        kind if NO_TABLE.contains(&kind) => build.cascades(node),
        _ => build.unknown("this kind of statement is not known here"),
    }
}

/// Functions that touch no table.
const HARMLESS: &[&str] = &["set_config", "current_setting", "now", "version", "current_schema", "coalesce", "nullif"];

/// Statements that lock no table: objects of other kinds, rights, and the session's own affairs.
const NO_TABLE: &[Kind] = &[
    Kind::GRANT,
    Kind::REVOKE,
    Kind::ALTER_DEFAULT_PRIVILEGES,
    Kind::CREATE_AGGREGATE,
    Kind::CREATE_TYPE,
    Kind::CREATE_DOMAIN,
    Kind::CREATE_ROLE,
    Kind::CREATE_USER,
    Kind::CREATE_GROUP,
    Kind::CREATE_CAST,
    Kind::CREATE_COLLATION,
    Kind::CREATE_OPERATOR,
    Kind::CREATE_EVENT_TRIGGER,
    Kind::CREATE_LANGUAGE,
    Kind::ALTER_FUNCTION,
    Kind::ALTER_PROCEDURE,
    Kind::ALTER_ROUTINE,
    Kind::ALTER_AGGREGATE,
    Kind::ALTER_TYPE,
    Kind::ALTER_SCHEMA,
    Kind::ALTER_ROLE,
    Kind::ALTER_USER,
    Kind::ALTER_GROUP,
    Kind::ALTER_DATABASE,
    Kind::ALTER_COLLATION,
    Kind::ALTER_EVENT_TRIGGER,
    Kind::ALTER_STATISTICS,
    Kind::DROP_FUNCTION,
    Kind::DROP_PROCEDURE,
    Kind::DROP_ROUTINE,
    Kind::DROP_AGGREGATE,
    Kind::DROP_TYPE,
    Kind::DROP_DOMAIN,
    Kind::DROP_SCHEMA,
    Kind::DROP_ROLE,
    Kind::DROP_USER,
    Kind::DROP_GROUP,
    Kind::DROP_CAST,
    Kind::DROP_COLLATION,
    Kind::DROP_OPERATOR,
    Kind::DROP_EVENT_TRIGGER,
    Kind::DROP_PUBLICATION,
    Kind::RESET,
    Kind::SET_ROLE,
    Kind::RESET_ROLE,
    Kind::SET_CONSTRAINTS,
    Kind::SHOW,
    Kind::NOTIFY,
    Kind::LISTEN,
    Kind::UNLISTEN,
    Kind::SAVEPOINT_CREATE,
    Kind::RELEASE_SAVEPOINT,
    Kind::ROLLBACK_TRANSACTION,
    Kind::CHECKPOINT,
    Kind::LOAD,
    Kind::ALTER_SYSTEM,
    Kind::PREPARE,
    Kind::DEALLOCATE,
];

/// Locks the first relation that `node` names, or is the name of.
pub(super) fn on(build: &mut Builder<'_>, node: Option<SyntaxNode>, mode: LockMode) -> Option<TableName> {
    let name = node?.descendants().find(|one| REFERENCES.contains(&one.kind()))?;
    let name = build.named(&name);
    build.lock(&name, mode);
    Some(name)
}

/// Notes what stands on a table from now on.
fn attach(build: &mut Builder<'_>, table: &TableName, own: Option<SyntaxNode>, what: &str) {
    if let Some(own) = own {
        build.catalogue.attached.push((table.clone(), format!("{what} {}", name(Some(own)))));
    }
}

/// Notes what a statement takes from a table.
fn detach(build: &mut Builder<'_>, table: Option<&TableName>, own: Option<SyntaxNode>, what: &str) {
    if let Some(own) = own {
        let gone = format!("{what} {}", name(Some(own)));
        build.catalogue.attached.retain(|(on, standing)| Some(on) != table || *standing != gone);
    }
}

/// Locks every relation that the statement names; `gone` where it drops them.
fn every(build: &mut Builder<'_>, node: &SyntaxNode, mode: LockMode, gone: bool) {
    let names: Vec<TableName> =
        node.descendants().filter(|one| REFERENCES.contains(&one.kind())).map(|one| build.named(&one)).collect();
    for name in names {
        build.lock(&name, mode);
        if gone {
            build.catalogue.remove(&name);
        } else {
            build.lock_descendants(&name);
        }
    }
}

/// The table whose column a sequence belongs to is looked at.
fn owned_by(build: &mut Builder<'_>, node: &SyntaxNode) {
    let column = find(node, Kind::OPTION_OWNED_BY).and_then(|option| find(&option, Kind::PATH_REF));
    let mut name = column.map(|column| parts(&column)).unwrap_or_default();
    name.pop();
    if !name.is_empty() {
        let table = build.catalogue.resolve(&name);
        build.lock(&table, AccessShare);
    }
}

/// Does `work` for each thing that CREATE SCHEMA makes with the schema, where bare names are the schema's.
pub(super) fn in_schema(
    build: &mut Builder<'_>,
    node: &SyntaxNode,
    mut work: impl FnMut(&mut Builder<'_>, &SyntaxNode),
) {
    let elements = node.children().filter(|one| ![Kind::IF_NOT_EXISTS, Kind::NAMED_SCHEMA].contains(&one.kind()));
    let elements: Vec<SyntaxNode> = elements.filter(|one| one.kind() != Kind::AUTHORIZATION_SCHEMA).collect();
    let named = find(node, Kind::NAMED_SCHEMA).and_then(|name| parts(&name).into_iter().next());
    let path = build.catalogue.path.clone();
    build.catalogue.path.splice(0..0, named);
    elements.iter().for_each(|element| work(build, element));
    build.catalogue.path = path;
}

/// A statement that names no table is about all.
fn whole(build: &mut Builder<'_>, node: &SyntaxNode) {
    if node.descendants().all(|one| !REFERENCES.contains(&one.kind())) {
        build.unknown("it is about every table");
    }
}

fn drop_tables(build: &mut Builder<'_>, node: &SyntaxNode) {
    let names: Vec<TableName> = all(node, Kind::TABLE_NAME_REF).map(|one| build.named(&one)).collect();
    for name in &names {
        build.lock(name, AccessExclusive);
        for key in build.foreign_keys(|key| key.table == *name || key.referenced == *name) {
            build.lock(&key.table, AccessExclusive);
            build.lock(&key.referenced, AccessExclusive);
        }
        for parent in build.catalogue.parents(name) {
            // A parent by inheritance alone does not notice.
            if !build.is_kind(&parent, 'p') {
                continue;
            }
            build.lock(&parent, AccessExclusive);
        }
        build.lock_descendants(name);
    }
    build.cascades(node);
    for name in &names {
        for child in build.catalogue.descendants(name) {
            build.catalogue.remove(&child);
        }
        build.catalogue.remove(name);
    }
}

/// Renames in the catalogue what the statement renames.
pub(super) fn follow(build: &mut Builder<'_>, node: &SyntaxNode, name: Option<TableName>) {
    let kinds = [Kind::VIEW_RENAME_TO, Kind::INDEX_RENAME_TO, Kind::SEQUENCE_RENAME_TO, Kind::SET_SCHEMA];
    let action = node.children().find(|child| kinds.contains(&child.kind()));
    if let (Some(name), Some(action)) = (name, action) {
        build.rename(&name, &action);
    }
}

/// A domain's new rule is held against every column that has the domain.
fn alter_domain(build: &mut Builder<'_>, node: &SyntaxNode) {
    let kinds = [Kind::ADD_CONSTRAINT, Kind::SET_NOT_NULL, Kind::VALIDATE_CONSTRAINT];
    let checks = node.children().any(|child| kinds.contains(&child.kind())) && !has(node, Kind::NOT_VALID);
    let Some(domain) = child(node, Kind::DOMAIN_REF).and_then(|name| parts(&name).pop()).filter(|_| checks) else {
        return;
    };
    let has_domain = |kind: &str| kind.rsplit('.').next().is_some_and(|kind| kind.trim_matches('"') == domain);
    let tables: Vec<TableName> = build
        .catalogue
        .relations
        .iter()
        .filter(|(_, table)| table.columns.values().any(|column| has_domain(&column.kind)))
        .map(|(name, _)| name.clone())
        .collect();
    for table in tables {
        build.lock(&table, Share);
        build.scan(&table, "checks every row");
    }
}

fn truncate(build: &mut Builder<'_>, node: &SyntaxNode) {
    let names: Vec<TableName> = all(node, Kind::TABLE_NAME_REF).map(|one| build.named(&one)).collect();
    for name in &names {
        build.lock(name, AccessExclusive);
        build.rewrite(name, "emptied");
        if has(node, Kind::CASCADE) {
            for key in build.foreign_keys(|key| key.referenced == *name) {
                build.lock(&key.table, AccessExclusive);
                build.rewrite(&key.table, "emptied by CASCADE");
            }
            build.cascades(node);
        }
        build.lock_descendants(name);
    }
}

/// CLUSTER, VACUUM FULL.
fn rewriting(build: &mut Builder<'_>, node: &SyntaxNode, why: &str) {
    whole(build, node);
    for name in all(node, Kind::TABLE_NAME_REF).collect::<Vec<_>>() {
        let name = build.named(&name);
        build.lock(&name, AccessExclusive);
        build.rewrite(&name, why);
    }
}

fn comment(build: &mut Builder<'_>, node: &SyntaxNode) {
    let object = node.children().next();
    let Some(object) = object else { return };
    if let Some(column) = find(&object, Kind::QUALIFIED_COLUMN_NAME_REF) {
        let mut name = parts(&column);
        name.pop();
        let table = build.catalogue.resolve(&name);
        build.lock(&table, ShareUpdateExclusive);
        return;
    }
    // A part of a table: the table is only looked at.
    let part = has_word(&object, Kind::ON_KW);
    let _relation = on(build, Some(object), if part { AccessShare } else { ShareUpdateExclusive });
}

/// SET search_path decides what the names after it mean.
fn search_path(build: &mut Builder<'_>, node: &SyntaxNode) {
    let words: Vec<String> = parts(node);
    let Some(at) = words.iter().position(|word| word == "search_path") else { return };
    build.catalogue.path = words
        .iter()
        .skip(at + 2)
        .map(|word| word.trim_matches('\'').to_owned())
        .filter(|word| word != "," && word != ";" && !word.is_empty())
        .collect();
}
