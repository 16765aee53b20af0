//! The next migration, from the difference between what the migrations produce and what the files say.

use crate::schema::difference::{Case, Difference};
use crate::schema::drift::executable;
use crate::schema::facts::{Facts, Key};
use crate::schema::policies::files::{self, PolicyFile};
use crate::schema::policies::replay::{RELATIONS, home, or_replace};
use std::collections::{BTreeMap, BTreeSet};

/// The first line of a file that this made; no other may be made anew.
pub(crate) const MARK: &str = "-- Written by `chartchek-db policies write` from policies/.";
const WHY: &str = "\
-- One transaction: nobody sees the tables between DROP and CREATE. On Supabase a policy statement can lock the tables
-- of auth, storage and realtime until it commits, so nothing else stands here.
";

/// The text of a migration that makes of `made` (the migrations' facts) `wanted` (the files'), statements taken from the
/// files as they stand there where they create the object. `differences` are those between both, parts too.
pub(crate) fn text(differences: &[Difference], made: &Facts, wanted: &Facts, files: &[PolicyFile]) -> String {
    let mut parts = Parts::default();
    let new: BTreeSet<String> = differences
        .iter()
        .filter(|one| is_function(&one.key) && one.property.is_empty() && one.case == Case::Missing)
        .map(|one| format!("{} {}", one.key.0, one.key.1))
        .collect();
    let mut functions = BTreeSet::new();
    for one in differences {
        if is_function(&one.key) {
            if one.property == "comment" {
                parts.functions_after.extend(mend(one, made));
            } else if functions.insert(&one.key) {
                function(one, made, wanted, files, &mut parts);
            }
        } else if one.key.0 == "grant" && is_of_function(one) {
            // A new function's rights are what its file says of it, and a dropped one's go with it.
            let goes = differences.iter().any(|other| is_gone(other, &one.parent));
            if !new.contains(&one.parent) && !goes {
                parts.functions_after.extend(mend(one, made));
            }
        } else {
            let relation = home(&one.key, wanted).or_else(|| home(&one.key, made)).unwrap_or_default();
            let table = parts.tables.entry(relation).or_default();
            of_table(one, made, wanted, files, table);
        }
    }
    parts.write()
}

/// The statements, in the order in which they can run.
#[derive(Default)]
struct Parts {
    /// Functions first: policies and triggers call them.
    functions: Vec<String>,
    functions_after: Vec<String>,
    tables: BTreeMap<String, Table>,
    /// Last: until here something may call them.
    dropped: Vec<String>,
}

#[derive(Default)]
struct Table {
    drop: Vec<String>,
    create: Vec<String>,
    grants: Vec<String>,
    /// After the table's: what is revoked from a table is revoked from its columns.
    column_grants: Vec<String>,
    rest: Vec<String>,
}

impl Parts {
    fn write(self) -> String {
        let mut text = format!("{MARK}\n{WHY}");
        let mut section = |statements: Vec<String>| {
            if !statements.is_empty() {
                text.push('\n');
            }
            for statement in statements {
                text.push_str(statement.trim_end_matches(';'));
                text.push_str(";\n");
            }
        };
        section(self.functions);
        section(self.functions_after);
        for (_, table) in self.tables {
            section([table.drop, table.create, table.grants, table.column_grants, table.rest].concat());
        }
        section(self.dropped);
        text
    }
}

fn function(one: &Difference, made: &Facts, wanted: &Facts, files: &[PolicyFile], parts: &mut Parts) {
    let whole = one.property.is_empty();
    match one.case {
        Case::Extra if whole => parts.dropped.extend(mend(one, made)),
        Case::Missing if whole => {
            parts.functions.extend(match files::find(files, &one.key) {
                Some(_) => {
                    files::mentions(files, &one.key).map(|(file, statement)| file.text(statement).to_owned()).collect()
                }
                None => anew(&one.key, made, wanted),
            });
        }
        _ => match files::find(files, &one.key) {
            Some((file, statement)) => parts.functions.push(or_replace(file.text(statement))),
            None => parts.functions.extend(mend(one, made)),
        },
    }
}

/// An overloaded function, whose statements the words of the file do not tell apart: as the catalogue has it.
fn anew(key: &Key, made: &Facts, wanted: &Facts) -> Vec<String> {
    let own = format!("{} {}", key.0, key.1);
    let object = wanted.objects.get(key);
    let properties = ["", "comment"].iter().filter_map(|name| object?.properties.get(*name));
    let mut statements: Vec<String> = properties.map(|property| property.mend.clone()).collect();
    statements.insert(1.min(statements.len()), format!("REVOKE ALL ON {} {} FROM PUBLIC", key.0.to_uppercase(), key.1));
    let grants = wanted
        .objects
        .iter()
        .filter(|((kind, shown), object)| kind == "grant" && object.parent == own && !shown.ends_with(" to @owner@"));
    statements.extend(grants.filter_map(|(_, grant)| grant.properties.get("")).map(|grant| grant.mend.clone()));
    statements.iter().map(|sql| executable(sql, made)).collect()
}

fn of_table(one: &Difference, made: &Facts, wanted: &Facts, files: &[PolicyFile], table: &mut Table) {
    let whole = one.property.is_empty();
    match one.key.0.as_str() {
        "policy" | "trigger" if whole => {
            if one.case != Case::Missing {
                let there = made.objects.get(&one.key).and_then(|object| object.properties.get(""));
                table.drop.extend(there.map(|definition| executable(&definition.undo, made)));
            }
            if one.case != Case::Extra {
                match files::find(files, &one.key) {
                    Some((file, statement)) => table.create.push(file.text(statement).to_owned()),
                    None => {
                        let there = wanted.objects.get(&one.key).and_then(|object| object.properties.get(""));
                        table.create.extend(there.map(|definition| executable(&definition.mend, made)));
                    }
                }
                table.rest.extend(details(&one.key, made, wanted));
            }
        }
        // With the object itself they are made anew above.
        "policy" | "trigger" => table.rest.extend(mend(one, made)),
        "grant" if one.parent.starts_with("column ") => table.column_grants.extend(mend(one, made)),
        "grant" => {
            table.grants.extend(mend(one, made));
            if let Some((_, grantee)) = one.key.1.rsplit_once(" to ") {
                let relation = one.key.1.trim_start_matches("on ").split(" to ").next().unwrap_or_default();
                table.column_grants.extend(column_grants(relation, grantee, made, wanted));
            }
        }
        _ => table.rest.extend(mend(one, made)),
    }
}

/// State and comment of a policy or trigger that is made anew.
fn details(key: &Key, made: &Facts, wanted: &Facts) -> Vec<String> {
    let Some(object) = wanted.objects.get(key) else { return Vec::new() };
    let set = object
        .properties
        .iter()
        .filter(|(name, property)| *name == "comment" || (*name == "state" && property.value != "enabled"));
    set.map(|(_, property)| executable(&property.mend, made)).collect()
}

/// What `grantee` is granted on the columns of a relation.
fn column_grants(relation: &str, grantee: &str, made: &Facts, wanted: &Facts) -> Vec<String> {
    let name = relation.split_once(' ').map_or(relation, |(_, name)| name);
    let ours = wanted.objects.iter().filter(|((kind, shown), object)| {
        kind == "grant"
            && object.parent.starts_with("column ")
            && shown.ends_with(&format!(" to {grantee}"))
            && home(&(kind.clone(), shown.clone()), wanted).is_some_and(|home| home == name)
    });
    ours.filter_map(|(_, object)| object.properties.get("")).map(|grant| executable(&grant.mend, made)).collect()
}

fn mend(one: &Difference, made: &Facts) -> Vec<String> {
    one.mend.iter().map(|sql| executable(sql, made)).collect()
}

fn is_function(key: &Key) -> bool {
    matches!(key.0.as_str(), "function" | "procedure")
}

fn is_of_function(one: &Difference) -> bool {
    one.parent.starts_with("function ") || one.parent.starts_with("procedure ")
}

fn is_gone(one: &Difference, parent: &str) -> bool {
    one.case == Case::Extra && one.property.is_empty() && format!("{} {}", one.key.0, one.key.1) == parent
}

/// Whether `policies/` is about such a thing at all: of tables themselves it says nothing.
pub(crate) fn is_about(one: &Difference) -> bool {
    let kind = one.key.0.as_str();
    match kind {
        "policy" | "trigger" | "function" | "procedure" => true,
        "grant" => {
            is_of_function(one)
                || one.parent.starts_with("column ")
                || RELATIONS.iter().any(|kind| one.parent.starts_with(&format!("{kind} ")))
        }
        _ => RELATIONS.contains(&kind) && !one.property.is_empty(),
    }
}
