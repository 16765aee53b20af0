//! `[tables.…]`: whose the rows are, who is promised what, and what a client may set.

use super::actors::TABLE_KEYS;
use super::named;
use crate::contract::owner;
use crate::contract::reader::{Entry, Reader, Text, entries, get, suggest};
use crate::model::access::{Actor, ColumnRule, Command, Ownership, Standing, TableAccess};
use std::collections::BTreeMap;
use toml::de::DeTable;

/// The words for standings; `all` stands for every one.
const STANDINGS: [(&str, Standing); 5] = [
    ("own", Standing::Own),
    ("other", Standing::Other),
    ("orphan", Standing::Orphan),
    ("mixed", Standing::Mixed),
    ("all", Standing::Any),
];

/// All tables, in the file's order.
pub(super) fn read(
    reader: &mut Reader<'_>,
    document: &DeTable<'_>,
    schemas: &[String],
    actors: &[Actor],
    names: &[&str],
) -> Vec<TableAccess> {
    let allowed: Vec<&str> = names.iter().copied().chain(TABLE_KEYS).collect();
    let mut tables: Vec<TableAccess> = Vec::new();
    for (key, place, fields) in named(reader, document, "tables") {
        if key.is_empty() || !reader.check_nul(key, place.span.clone(), "a table's name") {
            if key.is_empty() {
                let failure = reader.failure(place.span, "a table's name is empty", "");
                reader.report(failure);
            }
            continue;
        }
        let table = owner::table_name(key, schemas);
        if let Some(earlier) = tables.iter().find(|earlier| earlier.table == table) {
            let failure = reader
                .failure(place.span.clone(), format!("table `{table}` stands twice in the contract"), "the same table")
                .note(format!("the other is at {}", earlier.place.location()));
            reader.report(failure);
            continue;
        }
        let mut promises = BTreeMap::new();
        for entry in entries(fields) {
            if TABLE_KEYS.contains(&entry.key()) {
                continue;
            }
            match actors.iter().find(|actor| actor.name == entry.key()) {
                None => {
                    let what = format!("unknown actor or key `{}` in table `{table}`", entry.key());
                    let failure = reader.failure(entry.key_span(), what, "unknown");
                    reader.report(suggest(failure, entry.key(), allowed.iter().copied()));
                }
                Some(actor) if actor.bypasses_rls => {
                    let failure = reader
                        .failure(
                            entry.key_span(),
                            format!("`{}` can't be promised anything", actor.name),
                            "bypasses row-level security",
                        )
                        .help("leave it out: it is expected to do everything");
                    reader.report(failure);
                }
                Some(actor) => {
                    promises.insert(actor.name.clone(), promise(reader, entry, &actor.name));
                }
            }
        }
        let columns = columns(reader, fields);
        if let Some(ownership) = ownership(reader, fields, &place.span, schemas) {
            tables.push(TableAccess { table, ownership, promises, columns, place });
        }
    }
    tables
}

fn ownership(
    reader: &mut Reader<'_>,
    fields: &DeTable<'_>,
    span: &std::ops::Range<usize>,
    schemas: &[String],
) -> Option<Ownership> {
    match (get(fields, "owner"), get(fields, "owner_sql")) {
        (Some(entry), None) => owner::ownership(reader, entry, schemas),
        (None, Some(entry)) => owner::condition(reader, entry),
        (Some(_), Some(second)) => {
            let failure = reader
                .failure(second.key_span(), "a table has owner and owner_sql", "the second of the two")
                .help("keep one: owner for a column or a path, owner_sql for a condition");
            reader.report(failure);
            None
        }
        (None, None) => {
            let failure = reader
                .failure(span.clone(), "the table has no owner", "whose are its rows?")
                .help("add owner = \"column\", or owner = \"none\" where rows belong to nobody");
            reader.report(failure);
            None
        }
    }
}

/// `actor = { own = ["select", …], … }`.
fn promise(reader: &mut Reader<'_>, entry: Entry<'_, '_>, actor: &str) -> BTreeMap<Standing, Vec<Command>> {
    let mut promise = BTreeMap::new();
    let Some(table) = reader.table(entry, &format!("the promise to `{actor}`")) else { return promise };
    for entry in entries(table) {
        let Some((_, standing)) = STANDINGS.iter().find(|(word, _)| *word == entry.key()) else {
            let failure =
                reader.failure(entry.key_span(), format!("unknown standing `{}`", entry.key()), "unknown standing");
            let failure = match entry.key() {
                "any" => failure.help("write `all` for the rows of every standing"),
                key => suggest(failure, key, STANDINGS.iter().map(|(word, _)| *word)),
            };
            reader.report(failure);
            continue;
        };
        let texts = reader.strings(entry.value, &format!("the commands of `{}`", entry.key())).unwrap_or_default();
        let commands = texts.iter().filter_map(|text| command(reader, text)).collect();
        promise.insert(*standing, commands);
    }
    promise
}

fn command(reader: &mut Reader<'_>, (word, span): &Text) -> Option<Command> {
    let found = Command::PROMISABLE.into_iter().find(|command| command.word() == word);
    if found.is_none() {
        let failure = if word == Command::Truncate.word() {
            reader
                .failure(span.clone(), "truncate can't be promised", "")
                .help("row-level security does not hold for TRUNCATE: it would reach everybody's rows")
        } else {
            let failure = reader.failure(span.clone(), format!("unknown command `{word}`"), "unknown command");
            suggest(failure, word, Command::PROMISABLE.iter().map(|command| command.word()))
        };
        reader.report(failure);
    }
    found
}

/// `columns.… = { client_may_set = […] }`.
fn columns(reader: &mut Reader<'_>, fields: &DeTable<'_>) -> BTreeMap<String, ColumnRule> {
    let mut columns = BTreeMap::new();
    let Some(entry) = get(fields, "columns") else { return columns };
    let Some(table) = reader.table(entry, "columns") else { return columns };
    for entry in entries(table) {
        let place = reader.place(entry.key_span(), "");
        if !reader.check_nul(entry.key(), place.span.clone(), "a column's name") {
            continue;
        }
        let Some(rule) = reader.table(entry, &format!("the rule for column `{}`", entry.key())) else { continue };
        reader.check_keys("a column's rule", rule, &["client_may_set"]);
        let Some(values) = get(rule, "client_may_set") else {
            if rule.is_empty() {
                let failure = reader
                    .failure(place.span, format!("the rule for column `{}` says nothing", entry.key()), "")
                    .help("add client_may_set = […]; empty where a client may set it to nothing");
                reader.report(failure);
            }
            continue;
        };
        let texts = reader.strings(values.value, "client_may_set").unwrap_or_default();
        for (text, span) in &texts {
            if text.starts_with(':') && text != ":uid" {
                let failure =
                    reader.failure(span.clone(), format!("unknown placeholder `{text}`"), "unknown placeholder");
                reader.report(suggest(failure, text, [":uid", "null"].into_iter()));
            }
        }
        let client_may_set = texts.into_iter().map(|(text, _)| text).collect();
        columns.insert(entry.key().to_owned(), ColumnRule { client_may_set, place });
    }
    columns
}
