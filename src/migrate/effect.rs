//! What pending files would do, told before they run: from each statement's parse tree and the target's catalogue.

mod catalogue;
mod foresee;
mod index;
mod query;
mod security;
mod statement;
mod table;
pub(crate) mod tree;
mod types;

use crate::db::quote;
use crate::db::session::Session;
use crate::migrate::plan::Plan;
use crate::migrate::sql;
use crate::model::access::TableName;
use crate::model::failure::Failure;
use crate::model::lock::LockMode;
use crate::model::plan::{Effect, PlannedFile, PlannedStatement, TableLock};
pub(crate) use foresee::{Foreseen, ForeseenFile, Named, foresee};

use catalogue::{Catalogue, ForeignKey, Wanted};
use squawk_syntax::{SyntaxKind, SyntaxNode};
use std::collections::BTreeSet;

/// Predicts what the plan's files do to the database of `session`, in one round trip and a read-only transaction.
/// `api_roles` are those that whoever reaches the API has: what they are given opens something.
///
/// # Errors
/// The server's.
pub async fn predict(
    session: &Session,
    plan: &Plan<'_>,
    api_roles: &BTreeSet<String>,
) -> Result<Vec<PlannedFile>, Failure> {
    // Parse trees can't be kept over the round trip.
    let wanted = wanted(plan);
    if plan.pending.is_empty() {
        return Ok(Vec::new());
    }
    let mut catalogue = Catalogue::read(session, &wanted).await?;
    let known = security::Known { secured: security::secured(nodes(plan), &catalogue), api_roles };
    let files = plan.pending.iter().map(|(file, script)| {
        // A file's search_path ends with it.
        let path = catalogue.path.clone();
        let nodes = sql::nodes(file.source());
        let statements = script.statements.iter().zip(nodes).map(|(statement, (node, understood))| {
            let source = file.source();
            let mut build = Builder::new(&mut catalogue, file.file_name());
            // Before the catalogue follows the statement: a table that it drops is still there.
            let security = security::changes(&mut build, &node, &known);
            statement::effect(&mut build, &node);
            if !understood {
                build.unknown("its syntax was not understood");
            }
            let mut effect = build.effect;
            effect.security = security;
            PlannedStatement {
                line: source.line_and_column(statement.span.start).0,
                sql: source.text.get(statement.span.clone()).unwrap_or_default().to_owned(),
                outside: statement.outside,
                effect,
                traced: None,
            }
        });
        let statements = statements.collect();
        catalogue.path = path;
        PlannedFile { path: file.source().path.clone(), version: file.version(), statements, elapsed: None }
    });
    Ok(files.collect())
}

/// All statements.
fn nodes<'a>(plan: &'a Plan<'_>) -> impl Iterator<Item = SyntaxNode> + 'a {
    plan.pending.iter().flat_map(|(file, _)| sql::nodes(file.source())).map(|(node, _)| node)
}

/// The names that the plan's files use.
fn wanted(plan: &Plan<'_>) -> Wanted {
    use SyntaxKind as Kind;
    let mut wanted = Wanted::default();
    for node in nodes(plan) {
        for one in node.descendants() {
            let name = tree::parts(&one).pop();
            match one.kind() {
                Kind::TABLE_NAME
                | Kind::TABLE_NAME_REF
                | Kind::RELATION_NAME_REF
                | Kind::VIEW_REF
                | Kind::VIEW
                | Kind::INDEX_REF
                | Kind::SEQUENCE
                | Kind::SEQUENCE_REF
                | Kind::DOMAIN_REF
                | Kind::QUALIFIED_COLUMN_NAME_REF => {
                    wanted.relations.extend(name);
                    // COMMENT ON COLUMN names the column last.
                    wanted.relations.extend(tree::parts(&one).into_iter().rev().nth(1));
                }
                Kind::CALL_EXPR => wanted.functions.extend(types::calls(&one)),
                Kind::ADD_COLUMN | Kind::COLUMN | Kind::SET_TYPE => {
                    let kind = types::type_of(&one);
                    // What the server is asked to read as a type must look like one.
                    let plain = |c: char| c.is_alphanumeric() || " _.\"[](),".contains(c);
                    if !kind.is_empty() && kind.chars().all(plain) {
                        wanted.types.insert(kind);
                    }
                }
                _ => {}
            }
        }
    }
    wanted
}

/// Collects one statement's effect; the catalogue follows what the statement makes and drops.
struct Builder<'a> {
    catalogue: &'a mut Catalogue,
    file: &'a str,
    effect: Effect,
    names: Vec<TableName>,
}

impl<'a> Builder<'a> {
    fn new(catalogue: &'a mut Catalogue, file: &'a str) -> Self {
        Self { catalogue, file, effect: Effect::default(), names: Vec::new() }
    }

    /// The relation that a name in the statement means.
    fn named(&self, node: &SyntaxNode) -> TableName {
        self.catalogue.resolve(&tree::parts(node))
    }

    fn lock(&mut self, name: &TableName, mode: LockMode) {
        let at = self.entry(name, mode);
        let lock = &mut self.effect.locks[at];
        lock.mode = lock.mode.max(mode);
    }

    fn entry(&mut self, name: &TableName, mode: LockMode) -> usize {
        if let Some(at) = self.names.iter().position(|one| one == name) {
            return at;
        }
        let relation = self.catalogue.relations.get(name);
        let kind = match relation.map(|relation| relation.kind) {
            None => "",
            Some('p') => "partitioned table",
            Some('v') => "view",
            Some('m') => "materialized view",
            Some('f') => "foreign table",
            Some('i' | 'I') => "index",
            Some('S') => "sequence",
            Some(_) => "table",
        };
        self.names.push(name.clone());
        self.effect.locks.push(TableLock {
            relation: quote::table(name),
            kind,
            mode,
            made_by: relation.and_then(|relation| relation.made_by.clone()),
            rewrite: None,
            scan: None,
            size: relation.and_then(|relation| relation.size),
        });
        self.names.len() - 1
    }

    /// As the relation itself is locked, so are all that inherit from it.
    fn lock_descendants(&mut self, name: &TableName) {
        let Some(at) = self.names.iter().position(|one| one == name) else { return };
        let TableLock { mode, rewrite, scan, .. } = self.effect.locks[at].clone();
        for child in self.catalogue.descendants(name) {
            self.lock(&child, mode);
            let at = self.entry(&child, mode);
            self.effect.locks[at].rewrite = rewrite.clone();
            self.effect.locks[at].scan = scan.clone();
        }
    }

    fn rewrite(&mut self, name: &TableName, why: &str) {
        let at = self.entry(name, LockMode::AccessExclusive);
        self.effect.locks[at].rewrite.get_or_insert_with(|| why.to_owned());
    }

    fn scan(&mut self, name: &TableName, why: &str) {
        let at = self.entry(name, LockMode::AccessShare);
        self.effect.locks[at].scan.get_or_insert_with(|| why.to_owned());
    }

    fn unknown(&mut self, why: &str) {
        self.effect.unknown.get_or_insert_with(|| why.to_owned());
    }

    fn note(&mut self, note: &str) {
        if self.effect.notes.iter().all(|one| one != note) {
            self.effect.notes.push(note.to_owned());
        }
    }

    /// CASCADE takes along what depends on the object, which is not looked up.
    fn cascades(&mut self, node: &SyntaxNode) {
        if tree::has(node, SyntaxKind::CASCADE) {
            self.unknown("CASCADE takes along what depends on it, which is not listed");
        }
    }

    fn is_kind(&self, name: &TableName, kind: char) -> bool {
        self.catalogue.relations.get(name).is_some_and(|relation| relation.kind == kind)
    }

    /// Whether the relation was there before the pending files.
    fn in_use(&self, name: &TableName) -> bool {
        self.catalogue.relations.get(name).is_some_and(|relation| relation.made_by.is_none())
    }

    fn is_logged(&self, name: &TableName) -> Option<bool> {
        self.catalogue.relations.get(name).map(|relation| relation.logged)
    }

    fn foreign_keys(&self, which: impl Fn(&ForeignKey) -> bool) -> Vec<ForeignKey> {
        self.catalogue.foreign_keys.iter().filter(|key| which(key)).cloned().collect()
    }

    fn add_foreign_key(&mut self, table: &TableName, name: String, columns: Vec<String>, referenced: TableName) {
        self.catalogue.foreign_keys.push(ForeignKey { table: table.clone(), name, columns, referenced });
    }

    /// Enters the relation that the statement makes under the first name of these kinds; `None` where it makes none
    /// (a temporary one is nobody else's business, and stands in a schema of the session's own).
    fn made(&mut self, node: &SyntaxNode, kinds: &[SyntaxKind], kind: char) -> Option<TableName> {
        let name = node.descendants().find(|one| kinds.contains(&one.kind()))?;
        let mut name = self.catalogue.resolve_new(&tree::parts(&name));
        if tree::child(node, SyntaxKind::TEMP).is_some() {
            name.schema = "pg_temp".to_owned();
        }
        if self.catalogue.relations.contains_key(&name) {
            // IF NOT EXISTS, or it fails.
            return Some(name);
        }
        self.catalogue.make(name.clone(), kind, self.file);
        self.lock(&name, LockMode::AccessExclusive);
        Some(name)
    }

    /// Follows RENAME TO and SET SCHEMA.
    fn rename(&mut self, from: &TableName, action: &SyntaxNode) {
        let Some(last) = action.children().last().and_then(|node| tree::parts(&node).pop()) else { return };
        let to = match action.kind() {
            SyntaxKind::SET_SCHEMA => TableName { schema: last, name: from.name.clone() },
            _ => TableName { schema: from.schema.clone(), name: last },
        };
        self.catalogue.rename(from, to);
    }
}
