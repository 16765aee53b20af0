//! ALTER TABLE: the lock and the work of each subcommand (PostgreSQL: AlterTableGetLockLevel, and the manual's page).

use super::Builder;
use super::tree::{all, child, find, has, has_word, name, parts, text};
use super::types;
use crate::model::access::TableName;
use crate::model::lock::LockMode;
use squawk_syntax::{SyntaxKind, SyntaxKind as Kind, SyntaxNode};

/// ALTER TABLE, ALTER FOREIGN TABLE and ALTER MATERIALIZED VIEW.
pub(super) fn alter(build: &mut Builder<'_>, node: &SyntaxNode) {
    let target = node.children().find(|child| [Kind::TABLE_RELATION_NAME, Kind::VIEW_REF].contains(&child.kind()));
    let Some(target) = target else { return build.unknown("it is about everything in a tablespace") };
    let only = has_word(&target, Kind::ONLY_KW);
    let table = build.named(&find(&target, Kind::TABLE_NAME_REF).unwrap_or(target));
    let mut deep = false;
    for action in node
        .children()
        .filter(|child| ![Kind::TABLE_RELATION_NAME, Kind::VIEW_REF, Kind::IF_EXISTS].contains(&child.kind()))
    {
        deep |= act(build, &table, &action);
    }
    if build.names.is_empty() {
        build.lock(&table, LockMode::AccessExclusive);
        build.unknown("what it does was not understood");
    }
    // One lock for all subcommands, the strongest, and those that inherit are locked alike.
    if deep && !only {
        build.lock_descendants(&table);
    }
}

/// One subcommand. Whether it goes on to partitions and children.
fn act(build: &mut Builder<'_>, table: &TableName, action: &SyntaxNode) -> bool {
    use LockMode::{AccessExclusive, AccessShare, RowShare, ShareRowExclusive, ShareUpdateExclusive};
    let strict = |build: &mut Builder<'_>| build.lock(table, AccessExclusive);
    match action.kind() {
        Kind::ADD_COLUMN => {
            strict(build);
            let added = name(child(action, Kind::COLUMN_NAME));
            let there = build.catalogue.relations.get(table).is_some_and(|table| table.columns.contains_key(&added));
            // IF NOT EXISTS leaves a column as it is.
            if !there {
                add_column(build, table, action);
                enter_column(build, table, action);
            }
            return true;
        }
        Kind::ALTER_COLUMN => return alter_column(build, table, action),
        Kind::DROP_COLUMN => {
            strict(build);
            let column = name(child(action, Kind::COLUMN_NAME_REF));
            build.catalogue.not_null_checks.retain(|(of, _, checked, _)| of != table || *checked != column);
            let keys = build.foreign_keys(|key| key.table == *table && key.columns.contains(&column));
            for key in keys {
                build.lock(&key.referenced, AccessExclusive);
            }
            build.cascades(action);
            return true;
        }
        Kind::ADD_CONSTRAINT => {
            match action.children().next() {
                Some(constraint) => add_constraint(build, table, &constraint),
                None => build.unknown("the constraint was not understood"),
            }
            return true;
        }
        Kind::DROP_CONSTRAINT => {
            strict(build);
            let dropped = name(child(action, Kind::CONSTRAINT_NAME_REF));
            build.catalogue.not_null_checks.retain(|(of, check, ..)| of != table || *check != dropped);
            for key in build.foreign_keys(|key| key.table == *table && key.name == dropped) {
                build.lock(&key.referenced, AccessExclusive);
            }
            build.cascades(action);
            return true;
        }
        Kind::VALIDATE_CONSTRAINT => {
            build.lock(table, ShareUpdateExclusive);
            build.scan(table, "checks every row");
            let checked = name(child(action, Kind::CONSTRAINT_NAME_REF));
            for (of, check, _, valid) in &mut build.catalogue.not_null_checks {
                *valid |= of == table && *check == checked;
            }
            for key in build.foreign_keys(|key| key.table == *table && key.name == checked) {
                build.lock(&key.referenced, RowShare);
                build.scan(
                    &key.referenced,
                    "the other table's rows are looked up in it: all of it is read unless its index serves",
                );
            }
            return true;
        }
        Kind::SET_OPTIONS | Kind::RESET_OPTIONS => {
            let view = build.is_kind(table, 'v');
            let mode = if view || text(action).contains("user_catalog_table") {
                AccessExclusive
            } else {
                ShareUpdateExclusive
            };
            build.lock(table, mode);
        }
        Kind::CLUSTER_ON | Kind::SET_WITHOUT_CLUSTER => build.lock(table, ShareUpdateExclusive),
        Kind::ENABLE_TRIGGER | Kind::ENABLE_REPLICA_TRIGGER | Kind::ENABLE_ALWAYS_TRIGGER | Kind::DISABLE_TRIGGER => {
            build.lock(table, ShareRowExclusive);
            return build.is_kind(table, 'p');
        }
        Kind::SET_LOGGED | Kind::SET_UNLOGGED => {
            strict(build);
            if build.is_logged(table) != Some(action.kind() == Kind::SET_LOGGED) {
                build.rewrite(table, "it changes how the rows are kept");
            }
        }
        Kind::SET_ACCESS_METHOD => {
            strict(build);
            build.rewrite(table, "another access method");
        }
        Kind::SET_TABLESPACE => {
            strict(build);
            build.rewrite(table, "copied to the other tablespace, unless it is there already");
        }
        Kind::ATTACH_PARTITION => {
            build.lock(table, ShareUpdateExclusive);
            if let Some(partition) = child(action, Kind::TABLE_NAME_REF) {
                let partition = build.named(&partition);
                build.lock(&partition, AccessExclusive);
                build.scan(&partition, "looks whether each row belongs there, unless a valid CHECK says so");
                build.catalogue.children.push((table.clone(), partition));
            }
            build.note("a default partition is locked and scanned too");
        }
        Kind::DETACH_PARTITION => {
            let concurrent = has(action, Kind::DETACH_CONCURRENTLY);
            let mode = if concurrent { ShareUpdateExclusive } else { AccessExclusive };
            build.lock(table, mode);
            if let Some(partition) = child(action, Kind::TABLE_NAME_REF) {
                let partition = build.named(&partition);
                build.lock(&partition, if concurrent { AccessExclusive } else { mode });
                build.catalogue.children.retain(|(parent, child)| parent != table || *child != partition);
            }
        }
        Kind::INHERIT_TABLE | Kind::NO_INHERIT_TABLE => {
            strict(build);
            if let Some(parent) = child(action, Kind::TABLE_NAME_REF) {
                let parent = build.named(&parent);
                let makes = action.kind() == Kind::INHERIT_TABLE;
                build.lock(&parent, if makes { ShareUpdateExclusive } else { AccessShare });
            }
        }
        Kind::TABLE_RENAME_TO | Kind::VIEW_RENAME_TO | Kind::SET_SCHEMA => {
            strict(build);
            build.rename(table, action);
        }
        Kind::RENAME_COLUMN | Kind::RENAME_CONSTRAINT => {
            strict(build);
            let renamed = name(child(action, Kind::COLUMN_NAME_REF));
            build.catalogue.not_null_checks.retain(|(of, _, checked, _)| of != table || *checked != renamed);
            return true;
        }
        Kind::REPLICA_IDENTITY
        | Kind::OF_TYPE
        | Kind::NOT_OF
        | Kind::FORCE_RLS
        | Kind::NO_FORCE_RLS
        | Kind::ENABLE_RLS
        | Kind::DISABLE_RLS
        | Kind::ENABLE_REPLICA_RULE
        | Kind::ENABLE_ALWAYS_RULE
        | Kind::ENABLE_RULE
        | Kind::DISABLE_RULE
        | Kind::OWNER_TO
        | Kind::SET_WITHOUT_OIDS
        | Kind::ALTER_CONSTRAINT
        | Kind::ALTER_OPTION_LIST => strict(build),
        _ => {
            strict(build);
            build.unknown(&format!("{} is not known here", text(action)));
        }
    }
    false
}

fn add_column(build: &mut Builder<'_>, table: &TableName, action: &SyntaxNode) {
    let kind = types::type_of(action);
    let default = child(action, Kind::DEFAULT_CONSTRAINT);
    let generated = child(action, Kind::GENERATED_CONSTRAINT);
    // Without STORED it is virtual, from PostgreSQL 18 on; those before ask for the word.
    let stored = generated.as_ref().is_some_and(|one| has(one, Kind::STORED_KW));
    let identity = generated.as_ref().is_some_and(|one| has(one, Kind::GENERATED_IDENTITY));
    let filled = default.is_some() || generated.is_some() || types::is_serial(&kind);
    if let Some(function) = default.as_ref().and_then(|default| types::volatile(build.catalogue, default)) {
        build.rewrite(table, &format!("{function}() gives each row a value of its own"));
    } else if types::is_serial(&kind) || identity {
        build.rewrite(table, "each row gets a number of its own");
    } else if stored {
        build.rewrite(table, "each row's value is computed");
    } else if build.catalogue.types.get(&kind).is_some_and(|found| found.constrained) {
        build.rewrite(table, &format!("{kind} is a domain that checks each value"));
    }
    for constraint in action.children() {
        match constraint.kind() {
            Kind::NOT_NULL_CONSTRAINT if !filled => {
                build.scan(table, "looks for nulls");
                if build.in_use(table) {
                    build.note("NOT NULL without a DEFAULT fails where the table holds a row");
                }
            }
            Kind::NOT_NULL_CONSTRAINT => {}
            Kind::CHECK_CONSTRAINT => build.scan(table, "checks every row"),
            Kind::UNIQUE_CONSTRAINT | Kind::PRIMARY_KEY_CONSTRAINT | Kind::EXCLUDE_CONSTRAINT => {
                build.scan(table, "builds an index");
            }
            Kind::REFERENCES_CONSTRAINT => references(build, table, &constraint, default.is_some()),
            _ => {}
        }
    }
}

/// Later statements look at the column as this one makes it.
fn enter_column(build: &mut Builder<'_>, table: &TableName, node: &SyntaxNode) {
    let column = types::column(build.catalogue, node);
    if let Some(table) = build.catalogue.relations.get_mut(table) {
        table.columns.insert(name(child(node, Kind::COLUMN_NAME)), column);
    }
}

/// A foreign key: a lock on both tables, and a look at all rows unless there is nothing to look at or NOT VALID.
fn references(build: &mut Builder<'_>, table: &TableName, constraint: &SyntaxNode, checked: bool) {
    build.lock(table, LockMode::ShareRowExclusive);
    let Some(referenced) = child(constraint, Kind::TABLE_NAME_REF) else { return };
    let referenced = build.named(&referenced);
    build.lock(&referenced, LockMode::ShareRowExclusive);
    if checked && !has(constraint, Kind::NOT_VALID) {
        build.scan(table, "each row is looked up in the other table");
        build
            .scan(&referenced, "the other table's rows are looked up in it: all of it is read unless its index serves");
    }
    build.lock_descendants(&referenced);
    let key = name(find(constraint, Kind::CONSTRAINT_NAME));
    build.add_foreign_key(table, key, key_columns(constraint), referenced);
}

/// The columns that refer: those in the list, or the one that the constraint stands with.
fn key_columns(constraint: &SyntaxNode) -> Vec<String> {
    match child(constraint, Kind::FOREIGN_KEY_COLUMN_LIST) {
        Some(list) => all(&list, Kind::COLUMN_NAME_REF).filter_map(|column| parts(&column).pop()).collect(),
        None => constraint
            .parent()
            .and_then(|column| child(&column, Kind::COLUMN_NAME))
            .iter()
            .filter_map(|name| parts(name).pop())
            .collect(),
    }
}

/// A constraint of ALTER TABLE … ADD.
fn add_constraint(build: &mut Builder<'_>, table: &TableName, constraint: &SyntaxNode) {
    let kind = constraint.kind();
    if kind == Kind::FOREIGN_KEY_CONSTRAINT {
        return references(build, table, constraint, true);
    }
    build.lock(table, LockMode::AccessExclusive);
    if kind == Kind::CHECK_CONSTRAINT
        && !has(constraint, Kind::NOT_ENFORCED)
        && let Some(column) = types::not_null_column(constraint)
    {
        let valid = !has(constraint, Kind::NOT_VALID);
        let check = name(find(constraint, Kind::CONSTRAINT_NAME));
        build.catalogue.not_null_checks.push((table.clone(), check, column, valid));
    }
    match kind {
        Kind::CHECK_CONSTRAINT | Kind::NOT_NULL_CONSTRAINT if has(constraint, Kind::NOT_VALID) || has(constraint, Kind::NOT_ENFORCED) => {}
        Kind::CHECK_CONSTRAINT => build.scan(table, "checks every row; NOT VALID, and VALIDATE CONSTRAINT in a later file, would not hold up anybody"),
        Kind::NOT_NULL_CONSTRAINT => build.scan(table, "looks for nulls"),
        Kind::UNIQUE_CONSTRAINT | Kind::PRIMARY_KEY_CONSTRAINT if has(constraint, Kind::USING_INDEX_NAME) => {
            if kind == Kind::PRIMARY_KEY_CONSTRAINT {
                build.scan(table, "looks for nulls, unless its columns are NOT NULL");
            }
        }
        Kind::UNIQUE_CONSTRAINT | Kind::PRIMARY_KEY_CONSTRAINT => build.scan(
            table,
            "builds an index; CREATE UNIQUE INDEX CONCURRENTLY, and ADD … USING INDEX in a later file, would not hold up anybody",
        ),
        Kind::EXCLUDE_CONSTRAINT => build.scan(table, "builds an index"),
        _ => build.unknown(&format!("{} is not known here", text(constraint))),
    }
}

fn alter_column(build: &mut Builder<'_>, table: &TableName, action: &SyntaxNode) -> bool {
    let column = name(child(action, Kind::COLUMN_NAME_REF));
    let option = action.children().find(|child| child.kind() != Kind::COLUMN_NAME_REF);
    let Some(option) = option else {
        build.unknown("the column's change was not understood");
        return false;
    };
    let mode = match option.kind() {
        Kind::SET_STATISTICS | Kind::SET_OPTIONS | Kind::RESET_OPTIONS | Kind::SET_OPTIONS_LIST => {
            LockMode::ShareUpdateExclusive
        }
        _ => LockMode::AccessExclusive,
    };
    build.lock(table, mode);
    let known = build.catalogue.relations.get(table).and_then(|table| table.columns.get(&column)).cloned();
    match option.kind() {
        Kind::SET_TYPE => {
            let plain = types::is_plain(&option, &column);
            let why = types::rewrite(build.catalogue, known.as_ref(), &types::type_of(&option), plain);
            let kind = types::column(build.catalogue, &option).kind;
            let changed = build.catalogue.relations.get_mut(table).and_then(|table| table.columns.get_mut(&column));
            if let Some(changed) = changed {
                changed.kind = kind;
            }
            match why {
                Some(why) => build.rewrite(table, &why),
                None if known.is_some_and(|column| column.checked) => build.scan(table, "its CHECK is tried again"),
                None => {}
            }
        }
        Kind::SET_EXPRESSION => build.rewrite(table, "each row's value is computed"),
        Kind::SET_NOT_NULL => match known {
            Some(column) if column.not_null || column.shown_not_null => {}
            _ if build
                .catalogue
                .not_null_checks
                .iter()
                .any(|(of, _, checked, valid)| *valid && of == table && *checked == column) => {}
            _ => build.scan(table, "looks for nulls, unless a valid CHECK (… IS NOT NULL) shows that there are none"),
        },
        Kind::SET_STATISTICS
        | Kind::SET_OPTIONS
        | Kind::RESET_OPTIONS
        | Kind::SET_OPTIONS_LIST
        | Kind::DROP_DEFAULT
        | Kind::DROP_EXPRESSION
        | Kind::DROP_IDENTITY
        | Kind::DROP_NOT_NULL
        | Kind::RESTART
        | Kind::ADD_GENERATED
        | Kind::SET_GENERATED_OPTIONS
        | Kind::SET_GENERATED
        | Kind::SET_SEQUENCE_OPTION
        | Kind::SET_DEFAULT
        | Kind::SET_STORAGE
        | Kind::SET_COMPRESSION => {}
        _ => build.unknown(&format!("{} is not known here", text(&option))),
    }
    true
}

/// What a table that is made needs of others: what it references, inherits from, is a partition of.
pub(super) fn create(build: &mut Builder<'_>, node: &SyntaxNode) {
    use LockMode::{AccessExclusive, AccessShare, ShareRowExclusive, ShareUpdateExclusive};
    let Some(table) = build.made(node, &[Kind::TABLE_NAME], 'r') else { return };
    if build.in_use(&table) {
        return build.note("the table is there already: with IF NOT EXISTS nothing happens, else it fails");
    }
    all(node, Kind::COLUMN).for_each(|column| enter_column(build, &table, &column));
    for reference in node
        .descendants()
        .filter(|one| [Kind::REFERENCES_CONSTRAINT, Kind::FOREIGN_KEY_CONSTRAINT].contains(&one.kind()))
    {
        if let Some(referenced) = child(&reference, Kind::TABLE_NAME_REF) {
            let referenced = build.named(&referenced);
            build.lock(&referenced, ShareRowExclusive);
            build.lock_descendants(&referenced);
            let key = name(find(&reference, Kind::CONSTRAINT_NAME));
            build.add_foreign_key(&table, key, key_columns(&reference), referenced);
        }
    }
    let others: [(SyntaxKind, LockMode); 3] = [
        (Kind::PARTITION_OF, AccessExclusive),
        (Kind::INHERITS, ShareUpdateExclusive),
        (Kind::LIKE_CLAUSE, AccessShare),
    ];
    for (kind, mode) in others {
        for other in all(node, kind).collect::<Vec<_>>() {
            for parent in
                other.descendants().filter(|one| [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF].contains(&one.kind()))
            {
                let parent = build.named(&parent);
                build.lock(&parent, mode);
                if kind == Kind::PARTITION_OF {
                    build.note("a default partition is locked and scanned too");
                }
                if kind != Kind::LIKE_CLAUSE {
                    build.catalogue.children.push((parent, table.clone()));
                }
            }
        }
    }
}
