//! The rows in the way of each constraint, NOT NULL and type that the migrations have and the database does not: how many,
//! and the query that lists their keys. No value of a row is read.

use crate::db::session::Session;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::schema::adopt::changes::table_of;
use crate::schema::adopt::columns::{self, labels};
use crate::schema::adopt::sides::{Fate, Rule, Sides};
use crate::schema::difference::{Case, Difference};
use crate::schema::facts::Key;

/// The check of findings about rows.
pub const IN_THE_WAY: &str = "rows-in-the-way";
/// What PostgreSQL takes for a uuid.
const UUID: &str = r"^\{?[0-9a-f]{4}(-?[0-9a-f]{4}){7}\}?$";

/// Something that rows can be in the way of.
struct Obstacle {
    /// `UNIQUE (thread_id) on public.chat_threads`.
    what: String,
    object: String,
    /// Why the rows are.
    why: &'static str,
    /// Lists the rows' keys; or why that can't be asked.
    list: Result<String, String>,
}

/// Counts the rows in the way, inside the session's read-only transaction; gives what they are in the way of, and what
/// could not be counted.
///
/// # Errors
/// The connection broke.
pub(super) async fn find(
    session: &Session,
    sides: &Sides<'_>,
    differences: &[(Difference, Fate)],
) -> Result<(Vec<Finding>, Vec<NotRun>), Failure> {
    let broken = |error: crate::db::error::DbError| error.into_failure("the rows were not counted");
    // A count that row security silently cut short would be worse than none.
    session.batch("SET LOCAL row_security = off").await.map_err(broken)?;
    let (mut findings, mut not_counted) = (Vec::new(), Vec::new());
    for obstacle in obstacles(sides, differences) {
        let list = match obstacle.list {
            Ok(list) => list,
            Err(why) => {
                not_counted.push(NotRun { what: format!("rows in the way of {}", obstacle.what), why });
                continue;
            }
        };
        session.batch("SAVEPOINT counting").await.map_err(broken)?;
        match session.text_rows(&format!("SELECT count(*)::text FROM ({list}) AS in_the_way")).await {
            Ok(rows) => {
                let count = rows.into_iter().flatten().flatten().next().unwrap_or_default();
                if count != "0" {
                    findings.push(finding(&obstacle.what, &obstacle.object, obstacle.why, &count, &list));
                }
                session.batch("RELEASE counting").await.map_err(broken)?;
            }
            Err(error) if error.is_connection() => return Err(broken(error)),
            Err(error) => {
                // The message may quote a value.
                let why = format!("the server refused to count them, SQLSTATE {}", error.code);
                not_counted.push(NotRun { what: format!("rows in the way of {}", obstacle.what), why });
                session.batch("ROLLBACK TO counting").await.map_err(broken)?;
            }
        }
    }
    Ok((findings, not_counted))
}

fn finding(what: &str, object: &str, why: &str, count: &str, list: &str) -> Finding {
    let (rows, are) = if count == "1" { ("row", "is") } else { ("rows", "are") };
    Finding {
        check: IN_THE_WAY.to_owned(),
        what: format!("{count} {rows} {are} in the way of {what}"),
        object: object.to_owned(),
        place: None,
        why: why.to_owned(),
        remedy: "mend the rows by hand: nothing here deletes or overwrites any; this lists their keys".to_owned(),
        reach: Reach::Sql,
        statement: format!("{list};"),
        attempts: Vec::new(),
    }
}

fn obstacles(sides: &Sides<'_>, differences: &[(Difference, Fate)]) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for (one, _) in differences.iter().filter(|(_, fate)| *fate == Fate::Change) {
        let made = one.property.is_empty() && one.case != Case::Extra;
        let relabelled = one.key.0 == "enum" && one.property.is_empty() && one.case == Case::Changed;
        match one.key.0.as_str() {
            "constraint" | "index" if made => found.extend(rule(sides, &one.key)),
            "column" if one.property == "null" && one.expected == "NOT NULL" => {
                found.extend(not_null(sides, &one.key, Some(())));
            }
            "column" if made && is_required(sides, &one.key.1) => found.extend(not_null(sides, &one.key, None)),
            "column" if one.property == "type" => found.extend(of_type(sides, &one.key.1, &one.found, &one.expected)),
            "enum" if relabelled => {
                let columns = sides.wanted.facts.objects.keys().filter(|(kind, column)| {
                    let kinds = [sides.wanted.value(kind, column, "type"), sides.there.value(kind, column, "type")];
                    kind == "column" && kinds == [one.key.1.as_str(); 2]
                });
                found.extend(columns.filter_map(|(_, column)| of_type(sides, column, &one.key.1, &one.key.1)));
            }
            _ => {}
        }
    }
    found
}

/// A new column that must have a value, and has none by itself.
fn is_required(sides: &Sides<'_>, name: &str) -> bool {
    let value = |property: &str| sides.wanted.value("column", name, property);
    value("null") == "NOT NULL"
        && ["default", "generated", "identity"].iter().all(|property| value(property).is_empty())
}

/// A UNIQUE, FOREIGN KEY or CHECK of the migrations; nothing where its table is not there yet.
fn rule(sides: &Sides<'_>, key: &Key) -> Option<Obstacle> {
    let rule = sides.wanted.rules.get(key)?;
    if !sides.there.has_table(&rule.table) || rule.kind == "i" {
        return None;
    }
    let definition = sides.wanted.value(&key.0, &key.1, "");
    let what = match key.0.as_str() {
        "constraint" => format!("{definition} on {}", rule.table),
        _ => format!("UNIQUE ({}) on {}", rule.columns.join(", "), rule.table),
    };
    let there = |table: &str, columns: &[String]| {
        // An index may be on expressions, and a table of the platform's is not in the facts.
        let missing = columns.iter().find(|column| {
            let name = format!("{table}.{column}");
            sides.wanted.object("column", &name).is_some() && sides.there.object("column", &name).is_none()
        });
        missing.map_or(Ok(()), |column| Err(format!("column {table}.{column} is not there yet")))
    };
    let list = there(&rule.table, &rule.columns).and_then(|()| match rule.kind.as_str() {
        "p" | "u" => Ok(duplicates(sides, rule)),
        "f" if sides.wanted.has_table(&rule.referenced) && !sides.there.has_table(&rule.referenced) => {
            Ok(format!("SELECT {} FROM {} AS t WHERE {}", keys(sides, &rule.table), rule.table, all_set(rule)))
        }
        "f" => there(&rule.referenced, &rule.referenced_columns).map(|()| orphans(sides, rule)),
        "c" => Ok(format!("SELECT {} FROM {} WHERE NOT ({})", keys(sides, &rule.table), rule.table, rule.expression)),
        _ => Err("rows that exclude each other are not counted".to_owned()),
    });
    let why = match rule.kind.as_str() {
        "p" | "u" => "they share their key with another row",
        "f" => "what they refer to does not exist",
        _ => "the condition is false for them",
    };
    Some(Obstacle { what, object: format!("{} {}", key.0, key.1), why, list })
}

/// The columns that name a row: those of its primary key, else where it lies.
fn keys(sides: &Sides<'_>, table: &str) -> String {
    let key = sides.there.rules.values().find(|rule| rule.kind == "p" && rule.table == table);
    key.map_or_else(|| "ctid".to_owned(), |rule| rule.columns.join(", "))
}

fn duplicates(sides: &Sides<'_>, rule: &Rule) -> String {
    let mut conditions = Vec::new();
    if !rule.nulls_are_equal {
        conditions.extend(rule.columns.iter().map(|column| format!("{column} IS NOT NULL")));
    }
    if !rule.expression.is_empty() {
        conditions.push(rule.expression.clone());
    }
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let columns = rule.columns.join(", ");
    let shown: Vec<String> =
        rule.columns.iter().enumerate().map(|(place, column)| format!("{column} AS key_{}", place + 1)).collect();
    format!(
        "SELECT * FROM (SELECT {}, {}, count(*) OVER (PARTITION BY {columns}) AS rows_with_key FROM {}{filter}) AS t \
         WHERE rows_with_key > 1 ORDER BY key_1",
        keys(sides, &rule.table),
        shown.join(", "),
        rule.table
    )
}

fn all_set(rule: &Rule) -> String {
    rule.columns.iter().map(|column| format!("t.{column} IS NOT NULL")).collect::<Vec<_>>().join(" AND ")
}

fn orphans(sides: &Sides<'_>, rule: &Rule) -> String {
    let as_it_will_be = |table: &str, column: &str| {
        let name = format!("{table}.{column}");
        sides.wanted.value("column", &name, "type") == sides.there.value("column", &name, "type")
    };
    let pairs = rule.columns.iter().zip(&rule.referenced_columns).map(|(column, other)| {
        let same = as_it_will_be(&rule.table, column) && as_it_will_be(&rule.referenced, other);
        let cast = if same { "" } else { "::text" };
        format!("r.{other}{cast} = t.{column}{cast}")
    });
    format!(
        "SELECT {} FROM {} AS t WHERE {} AND NOT EXISTS (SELECT FROM {} AS r WHERE {})",
        keys(sides, &rule.table),
        rule.table,
        all_set(rule),
        rule.referenced,
        pairs.collect::<Vec<_>>().join(" AND ")
    )
}

/// Without a value: in a column that is there, or in one that will be new and empty.
fn not_null(sides: &Sides<'_>, key: &Key, there: Option<()>) -> Option<Obstacle> {
    let table = table_of(&sides.wanted.facts.objects.get(key)?.parent);
    if !sides.there.has_table(table) {
        return None;
    }
    let column = columns::column_of(table, &key.1);
    let filter = there.map(|()| format!(" WHERE {column} IS NULL")).unwrap_or_default();
    Some(Obstacle {
        what: format!("NOT NULL of {}", key.1),
        object: format!("column {}", key.1),
        why: "they have no value there, and there is no default",
        list: Ok(format!("SELECT {} FROM {table}{filter}", keys(sides, table))),
    })
}

/// Values that the new type does not have.
fn of_type(sides: &Sides<'_>, name: &str, from: &str, to: &str) -> Option<Obstacle> {
    let table = table_of(&sides.wanted.object("column", name)?.parent).to_owned();
    let column = columns::column_of(&table, name);
    let definition = sides.wanted.value("enum", to, "");
    let condition = if !definition.is_empty() {
        format!("{column}::text NOT IN ({})", labels(definition).join(", "))
    } else {
        match (from, to) {
            (_, "uuid") => format!("{column}::text !~* '{UUID}'"),
            ("bigint", "integer") => format!("{column} NOT BETWEEN -2147483648 AND 2147483647"),
            ("bigint" | "integer", "smallint") => format!("{column} NOT BETWEEN -32768 AND 32767"),
            _ if columns::conversion(column, from, to, false).is_some() => return None,
            _ => String::new(),
        }
    };
    let list = if condition.is_empty() {
        Err(format!("which values of type {from} are none of type {to} is for a person to say"))
    } else {
        Ok(format!("SELECT {} FROM {table} WHERE {condition}", keys(sides, &table)))
    };
    let what = format!("type {to} of {name}");
    Some(Obstacle {
        what,
        object: format!("column {name}"),
        why: "they hold a value that the type does not have",
        list,
    })
}
