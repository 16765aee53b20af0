//! Asks the server which values meet a table's conditions. Nothing is written, and nothing stays.

use super::block::{Block, array};
use super::candidates;
use super::conditions::{Condition, conditions, joined};
use super::files::{self, RowFile};
use super::{Fit, Fits, Part};
use crate::contract::sql_text;
use crate::db::quote::identifier;
use crate::db::session::Session;
use crate::model::access::OwnerPath;
use crate::model::catalog::{Column, Table};
use crate::model::failure::Failure;
use crate::model::source::SourceFile;
use crate::verify::persona::named;
use crate::verify::world::Setting;
use crate::verify::world::values::value;
use std::collections::BTreeSet;

/// How many combinations of values the server is given at most.
const COMBINATIONS: usize = 20_000;

/// How many tuples are kept of one group of columns.
const TUPLES: usize = 4_000;

/// How many rows a file's query is asked for.
const FROM_FILE: usize = 120;

/// With fewer tuples than this there may be more rows than tuples.
const ENOUGH: usize = 24;

/// The fits of all tables that rows are made for.
///
/// # Errors
/// Usage where a file in `fixtures/rows/` is wrong, the server's where the transaction is lost.
pub(crate) async fn fits(session: &Session, setting: &Setting<'_>, files: &[SourceFile]) -> Result<Fits, Failure> {
    files::check(setting.catalog, files)?;
    let lost = "the conditions of the tables were not asked about";
    let begun = session.batch("BEGIN READ ONLY; SET LOCAL statement_timeout = '10s'; SAVEPOINT fit").await;
    begun.map_err(|error| error.into_failure(lost))?;
    let mut fits = Fits::new();
    for table in setting.catalog.tables.iter().filter(|table| matches!(table.kind.as_str(), "r" | "p")) {
        let asker = Asker { session, setting, table, file: files::of(table, files)? };
        let found = asker.table().await?;
        if !found.is_empty() {
            fits.insert(table.name(), found);
        }
    }
    session.batch("ROLLBACK").await.map_err(|error| error.into_failure(lost))?;
    Ok(fits)
}

struct Asker<'a> {
    session: &'a Session,
    setting: &'a Setting<'a>,
    table: &'a Table,
    file: Option<RowFile>,
}

impl Asker<'_> {
    async fn table(&self) -> Result<Vec<Fit>, Failure> {
        let conditions = conditions(self.table);
        let supplied = self.supplied().await?;
        let mut groups: Vec<BTreeSet<String>> = conditions.iter().map(|condition| condition.columns.clone()).collect();
        let own = |column: &&Column| !column.checks.is_empty() || !column.element_checks.is_empty();
        groups.extend(self.table.columns.iter().filter(own).map(|column| BTreeSet::from([column.name.clone()])));
        groups.extend((!supplied.is_empty()).then(|| supplied.iter().cloned().collect()));
        let mut fits = Vec::new();
        for group in joined(groups) {
            let inside: Vec<&Condition> =
                conditions.iter().filter(|condition| condition.columns.is_subset(&group)).collect();
            let given: Vec<&String> = supplied.iter().filter(|name| group.contains(*name)).collect();
            let fit = self.group(&group, &inside, &given).await?;
            if !fit.tuples.is_empty() {
                fits.push(fit);
            } else if let Some(file) = self.file.as_ref().filter(|_| !given.is_empty()) {
                let about: Vec<&str> = inside.iter().map(|condition| condition.text.as_str()).collect();
                return Err(Failure::usage(format!("{} gives no values that meet the conditions", file.file.path))
                    .note(format!("the conditions are: {}", about.join("; ")))
                    .help("try the query in psql, with a number for :n and an id for :uid"));
            }
        }
        Ok(fits)
    }

    fn part(&self, column: &str) -> Part {
        let subject = self.setting.subjects.iter().find(|subject| subject.access.table == self.table.name());
        let paths = subject.map_or(&[][..], |subject| subject.paths());
        let path = paths.iter().find(|path| path.column() == column);
        let refers = self.table.foreign_keys.iter().any(|key| key.columns.iter().any(|name| name == column));
        match path {
            Some(OwnerPath::Column(_)) => Part::Owner,
            Some(OwnerPath::Parent { .. }) => Part::Reference,
            None if refers => Part::Reference,
            None => Part::Free,
        }
    }

    /// The columns that the table's file gives.
    async fn supplied(&self) -> Result<Vec<String>, Failure> {
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        let sql = format!(
            "SELECT DISTINCT key FROM {}, LATERAL json_object_keys(to_json(f)) AS key",
            self.values_of(file, 1)
        );
        let wrong = |what: String| Failure::usage(what).help("it is one SELECT whose columns are named as the table's");
        let answer = self.session.statement(&sql).await;
        let answer =
            answer.map_err(|error| wrong(format!("{} could not be run", file.file.path)).note(error.to_string()))?;
        let names: Vec<String> = answer.keys.into_iter().flatten().collect();
        if names.is_empty() {
            return Err(wrong(format!("{} gives no row", file.file.path)));
        }
        for name in &names {
            let column = self.table.column(name).filter(|column| !column.generated);
            if column.is_none() || self.part(name) == Part::Owner {
                let why = if column.is_none() { "is no column that can be given" } else { "says whose the row is" };
                return Err(wrong(format!("{}: {name} {why}", file.file.path)));
            }
        }
        Ok(names)
    }

    /// The file's query for so many rows, as `f`, with the number `g.n` and the account `u.uid`.
    fn values_of(&self, file: &RowFile, rows: usize) -> String {
        let sql = sql_text::replace(&file.sql, ":n", "g.n");
        let sql = sql_text::replace(&sql, ":uid", "u.uid");
        format!(
            "generate_series(1, {rows}) AS g(n) CROSS JOIN unnest({}::text[]) AS u(uid) CROSS JOIN LATERAL ({sql}\n) AS f",
            array(&self.accounts().into_iter().map(Some).collect::<Vec<_>>())
        )
    }

    fn accounts(&self) -> Vec<String> {
        let uids: BTreeSet<String> = self.setting.personas.iter().filter_map(|persona| persona.uid.clone()).collect();
        uids.into_iter().collect()
    }

    async fn group(
        &self,
        group: &BTreeSet<String>,
        conditions: &[&Condition],
        given: &[&String],
    ) -> Result<Fit, Failure> {
        let columns: Vec<&Column> = self.table.columns.iter().filter(|column| group.contains(&column.name)).collect();
        let mut lists: Vec<(&Column, Part, Vec<Option<String>>)> = Vec::new();
        for column in columns.iter().filter(|column| !given.contains(&&column.name)) {
            let part = self.part(&column.name);
            let list = self.values(column, part, conditions).await?;
            if list.is_empty() {
                return Ok(Fit::default());
            }
            lists.push((column, part, list));
        }
        let given: Vec<&Column> = columns.iter().filter(|column| given.contains(&&column.name)).copied().collect();
        if given.is_empty() && lists.len() > 1 && columns.iter().any(|column| self.table.is_unique(&column.name)) {
            let fit = self.in_step(&lists, conditions).await?;
            if fit.tuples.len() >= ENOUGH {
                return Ok(fit);
            }
        }
        shorten(&mut lists);
        let mut blocks: Vec<Block> =
            lists.iter().map(|(column, part, list)| Block::of_list(column, *part, list)).collect();
        blocks.extend(self.file.as_ref().filter(|_| !given.is_empty()).map(|file| self.of_file(file, &given)));
        let mut fit = self.combined(blocks, conditions).await?;
        self.tell_apart(&mut fit);
        Ok(fit)
    }

    /// The values of one column that meet what is said of it alone.
    async fn values(
        &self,
        column: &Column,
        part: Part,
        conditions: &[&Condition],
    ) -> Result<Vec<Option<String>>, Failure> {
        let alone: Vec<&&Condition> = conditions
            .iter()
            .filter(|condition| condition.columns.len() == 1 && condition.columns.contains(&column.name))
            .collect();
        let mut list: Vec<Option<String>> = match part {
            Part::Owner => self.accounts().into_iter().map(Some).collect(),
            Part::Reference => vec![value(column, 1)],
            Part::Free | Part::Account => {
                let about = conditions.iter().filter(|condition| condition.columns.contains(&column.name));
                let mut texts: Vec<&str> = about.map(|condition| condition.text.as_str()).collect();
                texts.extend(column.checks.iter().chain(&column.element_checks).map(String::as_str));
                candidates::of(self.table, column, &texts, &named(self.setting.personas))
                    .into_iter()
                    .map(Some)
                    .collect()
            }
        };
        list.retain(Option::is_some);
        if !column.not_null {
            list.insert(list.len().min(1), None);
        }
        // What refers is not judged by its value.
        if part == Part::Reference || (alone.is_empty() && column.checks.is_empty() && column.element_checks.is_empty())
        {
            return Ok(list);
        }
        let name = identifier(&column.name);
        let named =
            if column.name == "value" { String::new() } else { format!(", c.t::{} AS {name}", column.cast_type) };
        let mut all: Vec<String> = column
            .checks
            .iter()
            .chain(alone.iter().map(|condition| &condition.text))
            .map(|text| format!("({text}) IS NOT FALSE"))
            .collect();
        // Each element on its own.
        all.extend(
            column
                .element_checks
                .iter()
                .map(|text| format!("NOT EXISTS (SELECT FROM unnest({name}) AS e(\"value\") WHERE NOT ({text}))")),
        );
        let sql = format!(
            "SELECT \"chartchek text\" FROM (SELECT c.n AS \"chartchek n\", c.t AS \"chartchek text\", c.t::{} AS \"value\"{named} \
             FROM unnest({}::text[]) WITH ORDINALITY AS c(t, n)) AS {} WHERE {} ORDER BY \"chartchek n\"",
            column.cast_type,
            array(&list),
            identifier(&self.table.table),
            all.join(" AND "),
        );
        self.answer(&sql).await
    }

    /// Values that follow one another, row by row, so that no two rows meet.
    async fn in_step(
        &self,
        lists: &[(&Column, Part, Vec<Option<String>>)],
        conditions: &[&Condition],
    ) -> Result<Fit, Failure> {
        let free: Vec<&Column> =
            lists.iter().filter(|(_, part, _)| *part == Part::Free).map(|(column, _, _)| *column).collect();
        let mut rows: Vec<Vec<Option<String>>> = Vec::new();
        for n in 0..400 {
            for backwards in [false, true] {
                let places = 0..free.len();
                let row: Option<Vec<Option<String>>> = free
                    .iter()
                    .zip(places)
                    .map(|(column, place)| {
                        let place = if backwards { free.len() - 1 - place } else { place };
                        candidates::in_step(column, n, place).map(Some)
                    })
                    .collect();
                rows.extend(row);
            }
        }
        if rows.is_empty() || free.is_empty() {
            return Ok(Fit::default());
        }
        let mut blocks: Vec<Block> = lists
            .iter()
            .filter(|(_, part, _)| *part != Part::Free)
            .map(|(column, part, list)| Block::of_list(column, *part, list))
            .collect();
        blocks.push(Block::of_rows(&free, &rows));
        let mut fit = self.combined(blocks, conditions).await?;
        self.tell_apart(&mut fit);
        Ok(fit)
    }

    fn of_file(&self, file: &RowFile, given: &[&Column]) -> Block {
        let mut columns: Vec<(String, Part)> = given.iter().map(|column| (column.name.clone(), Part::Free)).collect();
        let mut parts: Vec<String> = Vec::new();
        for (place, column) in given.iter().enumerate() {
            let name = identifier(&column.name);
            parts.push(format!("f.{name}::text AS t{place}, f.{name}::{} AS x{place}", column.cast_type));
        }
        let place = given.len();
        parts.push(format!("u.uid AS t{place}, u.uid AS x{place}, g.n AS n"));
        columns.push((String::new(), Part::Account));
        let mut casts: Vec<String> = given.iter().map(|column| column.name.clone()).collect();
        casts.push("chartchek account".to_owned());
        Block {
            columns,
            sql: format!("SELECT {} FROM {}", parts.join(", "), self.values_of(file, FROM_FILE)),
            numbered: true,
            names: casts,
        }
    }

    /// The combinations of the blocks' values that meet the conditions.
    async fn combined(&self, blocks: Vec<Block>, conditions: &[&Condition]) -> Result<Fit, Failure> {
        let (mut texts, mut values, mut columns, mut from) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut order = "md5(\"chartchek texts\")".to_owned();
        for (index, block) in blocks.into_iter().enumerate() {
            for (place, name) in block.names.iter().enumerate() {
                texts.push(format!("b{index}.t{place}"));
                values.push(format!("b{index}.x{place} AS {}", identifier(name)));
            }
            if block.numbered {
                values.push(format!("b{index}.n AS \"chartchek n\""));
                order = format!("\"chartchek n\", {order}");
            }
            columns.extend(block.columns);
            from.push(format!("({}) AS b{index}", block.sql));
        }
        let mut met: Vec<String> =
            conditions.iter().map(|condition| format!("({}) IS NOT FALSE", condition.text)).collect();
        met.push("true".to_owned());
        let sql = format!(
            "SELECT \"chartchek texts\" FROM (SELECT json_build_array({})::text AS \"chartchek texts\", {} FROM {}) AS {} \
             WHERE {} ORDER BY {order} LIMIT {TUPLES}",
            texts.join(", "),
            values.join(", "),
            from.join(" CROSS JOIN "),
            identifier(&self.table.table),
            met.join(" AND "),
        );
        let found = self.answer(&sql).await?;
        let tuples = found.iter().flatten().filter_map(|text| serde_json::from_str(text).ok()).collect();
        Ok(Fit { columns, tuples })
    }

    /// Of tuples that agree in a column that keeps rows apart, one.
    fn tell_apart(&self, fit: &mut Fit) {
        let telling: Vec<usize> = (0..fit.columns.len())
            .filter(|&at| {
                let (name, part) = &fit.columns[at];
                *part == Part::Free
                    && self.table.is_unique(name)
                    && self
                        .table
                        .column(name)
                        .is_some_and(|column| column.enum_labels.is_empty() && column.base_type != "bool")
            })
            .collect();
        let bound: Vec<usize> = (0..fit.columns.len()).filter(|&at| fit.columns[at].1 != Part::Free).collect();
        let mut known: BTreeSet<(Vec<Option<String>>, usize, String)> = BTreeSet::new();
        fit.tuples.retain(|tuple| {
            let of: Vec<Option<String>> = bound.iter().map(|&at| tuple[at].clone()).collect();
            let own: Vec<_> = telling.iter().filter_map(|&at| Some((of.clone(), at, tuple[at].clone()?))).collect();
            let new = own.iter().all(|one| !known.contains(one));
            if new {
                known.extend(own);
            }
            new
        });
    }

    /// What the server answers; nothing where it can't, as where a function in a condition fails.
    async fn answer(&self, sql: &str) -> Result<Vec<Option<String>>, Failure> {
        match self.session.statement(sql).await {
            Ok(answer) => Ok(answer.keys),
            Err(error) if error.is_connection() => {
                Err(error.into_failure("the conditions of the tables were not asked about"))
            }
            Err(_cannot) => {
                let back = self.session.batch("ROLLBACK TO SAVEPOINT fit").await;
                back.map_err(|error| error.into_failure("the conditions of the tables were not asked about"))?;
                Ok(Vec::new())
            }
        }
    }
}

/// Takes the unlikeliest values of the longest lists until there are not too many combinations.
fn shorten(lists: &mut [(&Column, Part, Vec<Option<String>>)]) {
    loop {
        let combinations = lists.iter().map(|(_, _, list)| list.len()).fold(1_usize, usize::saturating_mul);
        let longest = lists.iter_mut().map(|(_, _, list)| list).max_by_key(|list| list.len());
        match longest {
            Some(list) if combinations > COMBINATIONS && list.len() > 2 => list.truncate(list.len() * 3 / 4),
            _ => return,
        }
    }
}
