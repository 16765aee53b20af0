//! The small world: for every table each combination of owner and parents' owners, and each NULL, for two users. What
//! every actor sees and reaches in it is compared with and without a mutant: where nothing differs, it is equivalent.

use super::lane::{Bench, Lane, no_world};
use crate::db::error::DbError;
use crate::db::quote::{readable_identifier, table as quote_table};
use crate::db::session::Session;
use crate::model::access::OwnerPath;
use crate::model::catalog::Table;
use crate::model::failure::Failure;
use crate::verify::mutate::Mutant;
use crate::verify::persona::Persona;
use crate::verify::world::insert::{insert, key_expression, keys_condition, sql_value};
use crate::verify::world::order::in_order;
use crate::verify::world::rows::{Maker, Values};
use futures::StreamExt;
use std::collections::BTreeSet;

/// How many deeds are under way at once.
const IN_FLIGHT: usize = 200;

/// How many rows a table may have for every NULL to be crossed with every combination of owners.
const CROSSED: usize = 400;

/// How many differences are told of one mutant.
const TOLD: usize = 5;

/// How often a comparison is begun again after a lost connection.
const LIVES: usize = 3;

/// What a row may hang on by its owner paths.
#[derive(Debug, Clone)]
struct Choice {
    /// For each path whose it is: `own`, `other`, `nobody` or `NULL`.
    words: Vec<&'static str>,
    hold: Values,
}

/// A row of the small world.
#[derive(Debug)]
struct SmallRow {
    subject: usize,
    choice: Choice,
    /// The column that is NULL for its own sake.
    null: Option<String>,
    sql: String,
    values: Values,
    key: String,
}

/// A statement as one persona, on the small world.
#[derive(Debug)]
struct Deed {
    subject: usize,
    persona: usize,
    what: String,
    sql: String,
}

/// How many rows, which, or the error's code.
type Outcome = Result<(u64, BTreeSet<String>), String>;

/// The world, what is done in it, and what that came to without any mutant.
pub(super) struct Small {
    rows: Vec<SmallRow>,
    deeds: Vec<Deed>,
    before: Vec<Outcome>,
    told: String,
}

impl Small {
    /// Plans it, puts it up in the lane's database and does everything once.
    ///
    /// # Errors
    /// Where a row cannot be made from the catalogue, or the connection is lost.
    pub(super) async fn plan(lane: &mut Lane<'_, '_>) -> Result<Self, Failure> {
        lane.bench().await?;
        let setting = lane.run.setting;
        let Some(bench) = &mut lane.bench else { return Err(no_world()) };
        let mut small = Self { rows: Vec::new(), deeds: Vec::new(), before: Vec::new(), told: String::new() };
        let holders: Vec<usize> =
            (0..setting.personas.len()).filter(|&index| setting.personas[index].has_rows).collect();
        let pair = lane.maker.main_pair(&holders);
        let mut refused = 0;
        back(&bench.session, "mutant").await?;
        for subject in in_order(setting.subjects) {
            let table = &setting.subjects[subject].table;
            let choices = choices(lane.maker, subject, &pair, &small.rows);
            for (choice, null) in shapes(table, &choices) {
                let ordinal = 2_000_000 + small.rows.len() + refused;
                let name = format!("small {ordinal}");
                let mut values = lane.maker.fresh_at(subject, choice.hold.clone(), &name, ordinal, lane.world)?;
                if let Some(column) = &null {
                    values.insert(column.clone(), None);
                }
                let sql = format!("{} RETURNING {}", insert(table, &values), key_expression(table, ""));
                match put(&bench.session, &sql).await? {
                    Some(key) => {
                        small.rows.push(SmallRow { subject, choice: choice.clone(), null, sql, values, key });
                    }
                    None => {
                        refused += 1;
                        bench.errors += 1;
                    }
                }
            }
        }
        bench.small = true;
        let fixed = bench.session.batch("SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT small").await;
        fixed.map_err(|error| error.into_failure("the small world's savepoint was not made"))?;
        small.deeds = deeds(lane, &small.rows)?;
        let all: Vec<&Deed> = small.deeds.iter().collect();
        small.before = small.run(lane, None, &all).await?;
        small.told = format!(
            "the small world holds {} rows beside the others: for each table every combination of whose its owner \
             column's account and its parents are (one user's, another's, nobody's, NULL), and each column that may be \
             NULL once NULL; where that is more than {CROSSED} rows of a table, NULLs only where all owners are the \
             same; {refused} more the schema's constraints refuse. In it every actor's reads, updates, moves to every \
             other combination, deletes and inserts are compared ({} statements). It tells nothing of what a trigger \
             stores, nor of rows that differ in other columns' values",
            small.rows.len(),
            small.deeds.len()
        );
        Ok(small)
    }

    /// What it covers, in plain words.
    pub(super) fn told(&self) -> &str {
        &self.told
    }

    /// What is different with a mutant: at most [`TOLD`] lines; none where nothing is.
    ///
    /// # Errors
    /// Where the connection is lost again and again, or the server refuses the mutant.
    pub(super) async fn differences(
        &self,
        lane: &mut Lane<'_, '_>,
        mutant: &Mutant,
        affected: &BTreeSet<usize>,
    ) -> Result<Vec<String>, Failure> {
        let affected = |deed: &Deed| affected.contains(&deed.subject);
        let deeds: Vec<&Deed> = self.deeds.iter().filter(|deed| affected(deed)).collect();
        let now = self.run(lane, Some(mutant), &deeds).await?;
        let before = self.deeds.iter().zip(&self.before).filter(|(deed, _)| affected(deed));
        let personas = lane.run.setting.personas;
        let told = before.zip(&now).filter(|((_, before), now)| before != now);
        Ok(told.take(TOLD).map(|((deed, before), now)| self.tell(deed, personas, before, now)).collect())
    }

    fn tell(&self, deed: &Deed, personas: &[Persona], before: &Outcome, now: &Outcome) -> String {
        let name = &personas[deed.persona].name;
        if let (Ok((_, before)), Ok((_, now))) = (before, now)
            && let Some(key) = before.symmetric_difference(now).next()
        {
            let row = self.rows.iter().find(|row| row.subject == deed.subject && row.key == *key);
            let row = row.map_or_else(|| format!("the row {key}"), SmallRow::label);
            let verb = if now.contains(key) { "also reaches" } else { "does not reach" };
            return format!("{name}, {}: {verb} {row} ({})", deed.what, deed.sql);
        }
        let word = |outcome: &Outcome| match outcome {
            Ok((1, _)) => "1 row".to_owned(),
            Ok((count, _)) => format!("{count} rows"),
            Err(code) => format!("refused with {code}"),
        };
        format!("{name}, {}: {} instead of {} ({})", deed.what, word(now), word(before), deed.sql)
    }

    /// Does all that, on the world with the mutant or without.
    async fn run(
        &self,
        lane: &mut Lane<'_, '_>,
        mutant: Option<&Mutant>,
        deeds: &[&Deed],
    ) -> Result<Vec<Outcome>, Failure> {
        for _ in 0..LIVES {
            lane.bench().await?;
            let Some(bench) = &mut lane.bench else { return Err(no_world()) };
            if !bench.small {
                self.put_up(bench).await?;
            }
            let change = mutant.map_or_else(String::new, |mutant| format!("{}; ", mutant.sql));
            let begun = bench.session.batch(&format!("ROLLBACK TO SAVEPOINT small; {change}SAVEPOINT attempt")).await;
            match begun {
                Err(error) if error.is_connection() => continue,
                begun => begun.map_err(|error| error.into_failure("a mutant was not made"))?,
            }
            let stepwise = lane.run.ground.stepwise;
            let personas = lane.run.setting.personas;
            let session = &bench.session;
            let steps = deeds.iter().enumerate().map(|(index, deed)| {
                let goes_on = index > 0 && deeds[index - 1].persona == deed.persona;
                one(session, deed, &personas[deed.persona], goes_on, stepwise)
            });
            let stream = futures::stream::iter(steps).buffered(if stepwise { 1 } else { IN_FLIGHT });
            let results: Vec<Result<(u64, BTreeSet<String>), DbError>> = stream.collect().await;
            bench.errors += results.iter().filter(|result| result.is_err()).count();
            if !results.iter().any(|result| result.as_ref().is_err_and(DbError::is_connection)) {
                return Ok(results.into_iter().map(|result| result.map_err(|error| error.code)).collect());
            }
        }
        Err(no_world().note("the connection was lost"))
    }

    /// Puts the rows into a world that was made anew.
    async fn put_up(&self, bench: &mut Bench) -> Result<(), Failure> {
        back(&bench.session, "mutant").await?;
        for row in &self.rows {
            put(&bench.session, &row.sql).await?;
        }
        let fixed = bench.session.batch("SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT small").await;
        fixed.map_err(|error| error.into_failure("the small world's savepoint was not made"))?;
        bench.small = true;
        Ok(())
    }
}

impl SmallRow {
    fn label(&self) -> String {
        let null = self.null.as_ref().map_or_else(String::new, |column| format!(", {column} NULL"));
        if self.choice.words.is_empty() {
            return format!("a row{null}");
        }
        format!("a row of {}{null}", self.choice.words.join(" and "))
    }
}

/// Every combination of what a row can hang on.
fn choices(maker: &Maker<'_>, subject: usize, pair: &[usize], rows: &[SmallRow]) -> Vec<Choice> {
    let mut combined = vec![Choice { words: Vec::new(), hold: Values::new() }];
    for path in maker.paths(subject) {
        let mut each: Vec<(&'static str, Values)> = Vec::new();
        match path {
            OwnerPath::Column(column) => {
                let uids = pair.iter().zip(["own", "other"]);
                each.extend(
                    uids.map(|(&who, word)| (word, Values::from([(column.clone(), maker.personas[who].uid.clone())]))),
                );
            }
            OwnerPath::Parent { parent, .. } => {
                let parents = rows.iter().filter(|row| Some(row.subject) == maker.subject_of(parent));
                let mut known = BTreeSet::new();
                for row in parents.filter(|row| row.null.is_none()) {
                    let word = whose(&row.choice);
                    // A parent of mixed owners is another thing than one of nobody's.
                    if known.insert(row.choice.words.clone()) {
                        let hung = crate::verify::world::Row {
                            subject: row.subject,
                            holder: None,
                            number: 0,
                            values: row.values.clone(),
                        };
                        each.push((word, maker.hang_on(path, subject, &hung)));
                    }
                }
            }
        }
        let nullable = maker.subjects[subject].table.column(path.column()).is_some_and(|column| !column.not_null);
        if nullable {
            each.push(("NULL", Values::from([(path.column().to_owned(), None)])));
        }
        combined = combined
            .iter()
            .flat_map(|before| {
                each.iter().map(|(word, hold)| {
                    let words = before.words.iter().copied().chain([*word]).collect();
                    let hold = before.hold.iter().chain(hold).map(|(name, value)| (name.clone(), value.clone()));
                    Choice { words, hold: hold.collect() }
                })
            })
            .collect();
    }
    combined
}

/// Whose a row is that hangs on that.
fn whose(choice: &Choice) -> &'static str {
    match choice.words.as_slice() {
        [] => "nobody",
        [first, rest @ ..] if rest.iter().all(|word| word == first) => {
            if *first == "NULL" {
                "nobody"
            } else {
                first
            }
        }
        _ => "mixed",
    }
}

/// The rows of a table: what each hangs on, and which of its columns is NULL.
fn shapes(table: &Table, choices: &[Choice]) -> Vec<(Choice, Option<String>)> {
    let nullable: Vec<&String> = table
        .columns
        .iter()
        .filter(|column| !column.not_null && !column.generated)
        .map(|column| &column.name)
        .filter(|name| choices.iter().all(|choice| !choice.hold.contains_key(*name)))
        .collect();
    let crossed = choices.len() * (1 + nullable.len()) <= CROSSED;
    let mut shapes = Vec::new();
    for choice in choices {
        shapes.push((choice.clone(), None));
        if crossed || whose(choice) != "mixed" {
            shapes.extend(nullable.iter().map(|column| (choice.clone(), Some((*column).clone()))));
        }
    }
    shapes
}

/// Everything that is compared, persona by persona.
fn deeds(lane: &Lane<'_, '_>, rows: &[SmallRow]) -> Result<Vec<Deed>, Failure> {
    let setting = lane.run.setting;
    let mut deeds = Vec::new();
    for (persona, _) in setting.personas.iter().enumerate().filter(|(_, persona)| persona.knocks()) {
        for (subject, of) in setting.subjects.iter().enumerate() {
            let table = &of.table;
            let name = quote_table(&table.name());
            let mut add = |what: String, sql: String| deeds.push(Deed { subject, persona, what, sql });
            add("select".to_owned(), format!("SELECT {} FROM {name}", key_expression(table, "")));
            add("count".to_owned(), format!("SELECT 1::text FROM {name}"));
            add("delete without WHERE".to_owned(), format!("DELETE FROM {name}"));
            let own: Vec<&SmallRow> = rows.iter().filter(|row| row.subject == subject).collect();
            let free = |column: &&crate::model::catalog::Column| !column.generated && !column.identity_always;
            if let Some(column) = table.columns.iter().find(free).map(|column| readable_identifier(&column.name)) {
                add("update without WHERE".to_owned(), format!("UPDATE {name} SET {column} = {column}"));
                for row in &own {
                    let key = keys_condition(table, "", &[row.key.as_str()]);
                    let label = row.label();
                    add(format!("update of {label}"), format!("UPDATE {name} SET {column} = {column} WHERE {key}"));
                }
            }
            let plain: Vec<&&SmallRow> = own.iter().filter(|row| row.null.is_none()).collect();
            for row in &own {
                let key = keys_condition(table, "", &[row.key.as_str()]);
                add(format!("delete of {}", row.label()), format!("DELETE FROM {name} WHERE {key}"));
            }
            let moves = plain.iter().flat_map(|row| plain.iter().map(move |to| (row, to)));
            for (row, to) in moves.filter(|(row, to)| row.key != to.key && !to.choice.hold.is_empty()) {
                let key = keys_condition(table, "", &[row.key.as_str()]);
                let set: Vec<String> = to
                    .choice
                    .hold
                    .iter()
                    .map(|(column, value)| format!("{} = {}", readable_identifier(column), sql_value(value.as_deref())))
                    .collect();
                let what = format!("update of {} to one of {}", row.label(), to.choice.words.join(" and "));
                add(what, format!("UPDATE {name} SET {} WHERE {key}", set.join(", ")));
            }
            for (number, row) in own.iter().enumerate() {
                let ordinal = 3_000_000 + number;
                let named = format!("small new {ordinal}");
                let mut values = lane.maker.fresh_at(subject, row.choice.hold.clone(), &named, ordinal, lane.world)?;
                if let Some(column) = &row.null {
                    values.insert(column.clone(), None);
                }
                let sql = insert(table, &values);
                add(
                    format!("insert of {} RETURNING", row.label()),
                    format!("{sql} RETURNING {}", key_expression(table, "")),
                );
                add(format!("insert of {}", row.label()), sql);
            }
        }
    }
    Ok(deeds)
}

/// One deed; unless `stepwise`, all its messages are sent at the first poll.
async fn one(
    session: &Session,
    deed: &Deed,
    persona: &Persona,
    goes_on: bool,
    stepwise: bool,
) -> Result<(u64, BTreeSet<String>), DbError> {
    let begin = if goes_on {
        "ROLLBACK TO SAVEPOINT actor".to_owned()
    } else {
        format!("ROLLBACK TO SAVEPOINT attempt; {}; SAVEPOINT actor", persona.become_sql)
    };
    let result = if stepwise {
        session.batch(&begin).await?;
        session.statement(&deed.sql).await?
    } else {
        let (begun, result) = futures::join!(session.batch(&begin), session.statement(&deed.sql));
        begun?;
        result?
    };
    Ok((result.count, result.keys.into_iter().flatten().collect()))
}

async fn back(session: &Session, savepoint: &str) -> Result<(), Failure> {
    let back = session.batch(&format!("ROLLBACK TO SAVEPOINT {savepoint}")).await;
    back.map_err(|error| error.into_failure("the mutants' savepoint is gone"))
}

/// Inserts a row and gives its key; `None` where a constraint refuses it.
async fn put(session: &Session, sql: &str) -> Result<Option<String>, Failure> {
    let failed = |error: DbError| error.into_failure("a row of the small world was not made");
    session.batch("SAVEPOINT row").await.map_err(failed)?;
    match session.statement(sql).await {
        Ok(result) => {
            session.batch("RELEASE SAVEPOINT row").await.map_err(failed)?;
            Ok(result.keys.into_iter().next().flatten())
        }
        Err(error) if error.is_connection() => Err(failed(error)),
        Err(_) => {
            session.batch("ROLLBACK TO SAVEPOINT row; RELEASE SAVEPOINT row").await.map_err(failed)?;
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(words: &[&'static str]) -> Choice {
        Choice { words: words.to_vec(), hold: Values::new() }
    }

    #[test]
    fn whose_a_row_is_follows_from_all_that_it_hangs_on() {
        assert_eq!(whose(&choice(&["own", "own"])), "own");
        assert_eq!(whose(&choice(&["own", "other"])), "mixed");
        assert_eq!(whose(&choice(&["NULL"])), "nobody");
        assert_eq!(whose(&choice(&[])), "nobody");
    }
}
