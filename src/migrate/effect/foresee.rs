//! What a whole set of files does, told without a database: what an earlier file made is in use by then, and so is
//! whatever no file makes.

use super::catalogue::{Catalogue, Type};
use super::statement::{REFERENCES, effect};
use super::{Builder, tree, types};
use crate::migrate::file::MigrationFile;
use crate::migrate::sql;
use crate::model::access::TableName;
use crate::model::failure::Failure;
use crate::model::plan::Effect;
use crate::model::source::SourceFile;
use squawk_syntax::{SyntaxKind, SyntaxNode};
use std::collections::BTreeMap;
use std::ops::Range;

/// A file, and what it would do where all that it does not make itself is in use.
pub(crate) struct ForeseenFile<'a> {
    /// The file.
    pub(crate) source: &'a SourceFile,
    /// Its statements, in order.
    pub(crate) statements: Vec<Foreseen>,
    /// Tables that the file puts another in the place of, without all that stood on the old one.
    pub(crate) rebuilt: Vec<Rebuilt>,
}

/// A statement.
pub(crate) struct Foreseen {
    /// Its parse tree.
    pub(crate) node: SyntaxNode,
    /// The bytes of the file that it takes.
    pub(crate) span: Range<usize>,
    /// Whether all of it was understood.
    pub(crate) understood: bool,
    /// What it would do.
    pub(crate) effect: Effect,
    /// The table that it makes.
    pub(crate) made: Option<TableName>,
    /// The CHECKs on the table that it alters which say only that a column holds no null: name and column.
    pub(crate) not_null_checks: Vec<(String, String)>,
    /// The relations that it names, as they are before it runs, in the order of the text.
    pub(crate) named: Vec<Named>,
}

/// A relation where a statement names it.
pub(crate) struct Named {
    /// The part of the tree.
    pub(crate) node: SyntaxNode,
    /// The relation.
    pub(crate) name: TableName,
    /// Whether the file made it before: nobody else uses it yet.
    pub(crate) new: bool,
}

/// A table whose name another table takes within one file.
pub(crate) struct Rebuilt {
    /// The name.
    pub(crate) table: TableName,
    /// What stood on the old one and not on the new one.
    pub(crate) lost: Vec<String>,
    /// The statement that gave the new one its name.
    pub(crate) at: Range<usize>,
}

/// Follows all files, in order.
///
/// # Errors
/// A file that `migrate` would refuse to run, as it says so.
pub(crate) fn foresee(files: &[MigrationFile]) -> Result<Vec<ForeseenFile<'_>>, Failure> {
    let mut catalogue = Catalogue { path: vec!["public".to_owned()], ..Catalogue::default() };
    catalogue.functions.extend(STEADY.iter().map(|name| ((*name).to_owned(), false)));
    let pairs = COERCIBLE.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]);
    catalogue.coercible.extend(pairs.map(|(from, to)| (from.to_owned(), to.to_owned())));
    let mut foreseen = Vec::with_capacity(files.len());
    for file in files {
        let (script, nodes) = sql::read(file.source());
        sql::check(file.source(), &script)?;
        let path = catalogue.path.clone();
        let rebuilds = nodes.iter().any(|(node, _)| takes_a_name_away(node));
        let before = if rebuilds { standing(&catalogue, false) } else { BTreeMap::new() };
        let mut named_at: BTreeMap<TableName, Range<usize>> = BTreeMap::new();
        let mut statements = Vec::with_capacity(nodes.len());
        for (statement, (node, understood)) in script.statements.iter().zip(nodes) {
            learn(&mut catalogue, &node);
            let named = named(&catalogue, &node);
            let table = named.first().map(|table: &Named| &table.name);
            let checks = catalogue.not_null_checks.iter().filter(|(of, ..)| Some(of) == table);
            let not_null_checks = checks.map(|(_, check, column, _)| (check.clone(), column.clone())).collect();
            let mut build = Builder::new(&mut catalogue, file.file_name());
            effect(&mut build, &node);
            let (effect, first) = (build.effect, build.names.first().cloned());
            let makes =
                [SyntaxKind::CREATE_TABLE, SyntaxKind::CREATE_TABLE_AS, SyntaxKind::SELECT_INTO].contains(&node.kind());
            let made =
                first.filter(|name| makes && catalogue.relations.get(name).is_some_and(|one| one.made_by.is_some()));
            for table in before.keys() {
                let new = catalogue.relations.get(table).is_some_and(|relation| relation.made_by.is_some());
                if new && !named_at.contains_key(table) {
                    named_at.insert(table.clone(), statement.span.clone());
                }
            }
            statements.push(Foreseen {
                node,
                span: statement.span.clone(),
                understood,
                effect,
                made,
                not_null_checks,
                named,
            });
        }
        let after = if rebuilds { standing(&catalogue, true) } else { BTreeMap::new() };
        let rebuilt = named_at.into_iter().filter_map(|(table, at)| {
            let now = after.get(&table)?;
            let lost: Vec<String> = before.get(&table)?.iter().filter(|one| !now.contains(one)).cloned().collect();
            (!lost.is_empty()).then_some(Rebuilt { table, lost, at })
        });
        let rebuilt = rebuilt.collect();
        catalogue.path = path;
        catalogue.relations.values_mut().for_each(|relation| relation.made_by = None);
        foreseen.push(ForeseenFile { source: file.source(), statements, rebuilt });
    }
    Ok(foreseen)
}

fn takes_a_name_away(node: &SyntaxNode) -> bool {
    let away = [SyntaxKind::TABLE_RENAME_TO, SyntaxKind::SET_SCHEMA];
    node.kind() == SyntaxKind::DROP_TABLE || node.children().any(|action| away.contains(&action.kind()))
}

/// The tables that this file made, or those that were there before, and what stands on each, in words.
fn standing(catalogue: &Catalogue, new: bool) -> BTreeMap<TableName, Vec<String>> {
    let tables = catalogue
        .relations
        .iter()
        .filter(|(_, relation)| ['r', 'p'].contains(&relation.kind) && relation.made_by.is_some() == new);
    let mut found: BTreeMap<TableName, Vec<String>> = tables.map(|(name, _)| (name.clone(), Vec::new())).collect();
    for (table, what) in &catalogue.attached {
        if let Some(standing) = found.get_mut(table) {
            standing.push(what.clone());
        }
    }
    for key in &catalogue.foreign_keys {
        let columns = key.columns.join(", ");
        if let Some(standing) = found.get_mut(&key.table) {
            standing.push(format!("the foreign key on {columns} to {}", key.referenced));
        }
        if key.table != key.referenced
            && let Some(standing) = found.get_mut(&key.referenced)
        {
            standing.push(format!("the foreign key from {} ({columns})", key.table));
        }
    }
    found
}

fn named(catalogue: &Catalogue, node: &SyntaxNode) -> Vec<Named> {
    let found = node.descendants().filter(|one| REFERENCES.contains(&one.kind()));
    found
        .map(|node| {
            let name = catalogue.resolve(&tree::parts(&node));
            let new = catalogue.relations.get(&name).is_some_and(|relation| relation.made_by.is_some());
            Named { node, name, new }
        })
        .collect()
}

/// What a database would say of the functions and types that a statement makes or names.
fn learn(catalogue: &mut Catalogue, node: &SyntaxNode) {
    use SyntaxKind as Kind;
    match node.kind() {
        Kind::CREATE_FUNCTION => {
            let name = tree::name(tree::find(node, Kind::FUNCTION_NAME));
            let options = tree::child(node, Kind::FUNC_OPTION_LIST);
            let steady = options.is_some_and(|all| tree::has(&all, Kind::STABLE) || tree::has(&all, Kind::IMMUTABLE));
            catalogue.functions.insert(name, !steady);
        }
        Kind::CREATE_DOMAIN => {
            let Some(domain) = tree::find(node, Kind::DOMAIN) else { return };
            let constrained = tree::has(node, Kind::CHECK_CONSTRAINT) || tree::has(node, Kind::NOT_NULL_CONSTRAINT);
            let base = base_type(&types::type_of(node));
            let name = tree::text(&domain).to_lowercase();
            let found = Type { name: name.clone(), constrained, base: Some(base) };
            let bare = tree::name(Some(domain));
            catalogue.types.extend([(name, found.clone()), (bare, found)]);
        }
        _ => {}
    }
    for one in node.descendants().filter(|one| [Kind::ADD_COLUMN, Kind::COLUMN, Kind::SET_TYPE].contains(&one.kind())) {
        let written = types::type_of(&one);
        if !written.is_empty() && !catalogue.types.contains_key(&written) {
            let name = types::split(&base_type(&written)).0;
            catalogue.types.insert(written, Type { name, constrained: false, base: None });
        }
    }
}

/// A type as format_type prints it.
fn base_type(written: &str) -> String {
    let lower = written.to_lowercase();
    let lower = lower.strip_prefix("pg_catalog.").unwrap_or(&lower);
    let (name, dimensions) = lower.find('[').map_or((lower, ""), |at| lower.split_at(at));
    let (bare, modifiers) = name.find('(').map_or((name, ""), |at| name.split_at(at));
    let bare = bare.trim_end();
    let canonical = ALIASES.iter().find(|(alias, _)| *alias == bare).map_or(bare, |(_, canonical)| canonical);
    format!("{canonical}{modifiers}{dimensions}")
}

/// Other names of types (PostgreSQL manual, table 8.1).
const ALIASES: &[(&str, &str)] = &[
    ("int", "integer"),
    ("int4", "integer"),
    ("int8", "bigint"),
    ("int2", "smallint"),
    ("bool", "boolean"),
    ("varchar", "character varying"),
    ("char varying", "character varying"),
    ("char", "character"),
    ("varbit", "bit varying"),
    ("float4", "real"),
    ("float8", "double precision"),
    ("float", "double precision"),
    ("decimal", "numeric"),
    ("time", "time without time zone"),
    ("timetz", "time with time zone"),
    ("timestamp", "timestamp without time zone"),
    ("timestamptz", "timestamp with time zone"),
];

/// Types whose values are the same bytes (pg_cast, castmethod b), both ways.
const COERCIBLE: &[(&str, &str)] = &[("text", "character varying"), ("bit", "bit varying")];

/// Functions of PostgreSQL and Supabase that stand in defaults and give every row of a statement the same value.
const STEADY: &[&str] = &[
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "current_setting",
    "current_schema",
    "date_trunc",
    "timezone",
    "to_timestamp",
    "make_interval",
    "make_date",
    "age",
    "lower",
    "upper",
    "concat",
    "format",
    "md5",
    "length",
    "abs",
    "round",
    "replace",
    "substring",
    "trim",
    "btrim",
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "to_json",
    "to_jsonb",
    "json_build_object",
    "jsonb_build_object",
    "json_build_array",
    "jsonb_build_array",
    "array_fill",
    "uid",
    "jwt",
    "role",
    "email",
    "to_tsvector",
    "int4range",
    "daterange",
    "tstzrange",
];
