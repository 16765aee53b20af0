//! Which parts of each policy's conditions were seen true, false and null, and by whom: over all rows of the worlds, as
//! the actors to whom the policy applies. A part that was never false kept nothing out: nothing is known of it.

use crate::db::error::DbError;
use crate::db::quote::{identifier, literal, readable_identifier, table as quote_table};
use crate::db::session::Session;
use crate::db::{catalog, impersonate};
use crate::model::access::TableName;
use crate::model::catalog::Table;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::AtomSeen;
use crate::verify::explain::predicate;
use crate::verify::persona::Persona;
use crate::verify::world::Setting;
use futures::StreamExt;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Instant;

/// How many rows of a table are looked at: more than the worlds make of one.
const ROWS: usize = 2_000;

/// How many questions are under way at once.
const AT_ONCE: usize = 20;

/// What `atoms.sql` tells.
#[derive(Debug, Deserialize)]
struct Read {
    conditions: Vec<Condition>,
    closed: Vec<(String, String)>,
}

/// USING or WITH CHECK of a policy.
#[derive(Debug, Deserialize)]
struct Condition {
    schema: String,
    table: String,
    policy: String,
    clause: String,
    text: String,
    roles: Vec<String>,
}

/// A part of a condition.
#[derive(Debug)]
struct Part {
    subject: usize,
    roles: Vec<String>,
    /// Its place among the condition's parts, from 1.
    number: usize,
    seen: AtomSeen,
}

/// The parts of all policies, and what they were seen as so far.
#[derive(Debug, Default)]
pub(crate) struct Atoms {
    parts: Vec<Part>,
    closed: Vec<(String, String)>,
}

/// Some parts of a table's policies, asked by somebody.
struct Question<'a> {
    parts: Vec<usize>,
    persona: &'a Persona,
    become_sql: String,
}

impl Atoms {
    /// Looks at the rows of the world that stands.
    ///
    /// # Errors
    /// The server's, where policies or rows could not be read.
    pub(crate) async fn look(
        &mut self,
        session: &Session,
        setting: &Setting<'_>,
        stepwise: bool,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        if self.parts.is_empty() {
            self.read(session, setting).await?;
        }
        for subject in 0..setting.subjects.len() {
            if self.parts.iter().all(|part| part.subject != subject) {
                continue;
            }
            let table = &setting.subjects[subject].table;
            let name = quote_table(&table.name());
            let own = "ROLLBACK TO SAVEPOINT attempt; SET LOCAL row_security = off";
            let begun = session.batch(own).await;
            begun.map_err(|error| error.into_failure("the attempts' savepoint is gone"))?;
            let rows = session.statement(&format!("SELECT (r.*)::text FROM {name} r LIMIT {ROWS}")).await;
            let rows = rows.map_err(|error| error.into_failure("the world's rows could not be read"))?.keys;
            let rows: Vec<String> = rows.into_iter().flatten().map(|row| literal(&row)).collect();
            let from = format!("unnest(ARRAY[{}]::{name}[]) AS {}", rows.join(", "), readable_identifier(&table.table));
            let questions = self.as_actors(setting, subject);
            self.ask(session, &from, questions, stepwise).await;
            let questions = self.with_others_claims(setting, subject);
            self.ask(session, &from, questions, stepwise).await;
        }
        tracing::debug!(milliseconds = started.elapsed().as_millis(), parts = self.parts.len(), "parts of policies");
        Ok(())
    }

    /// Reads the conditions with all names qualified, as whoever evaluates them understands them.
    async fn read(&mut self, session: &Session, setting: &Setting<'_>) -> Result<(), Failure> {
        let begun = session.batch("ROLLBACK TO SAVEPOINT attempt; SET LOCAL search_path = ''").await;
        begun.map_err(|error| error.into_failure("the attempts' savepoint is gone"))?;
        let knocking = setting.contract.actors.iter().filter(|actor| !actor.bypasses_rls);
        let roles: Vec<String> = knocking.map(|actor| actor.role.clone()).collect();
        let sql = include_str!("atoms.sql");
        let read: Read = catalog::document(session, sql, &setting.contract.schemas, &roles).await?;
        self.closed = read.closed;
        for condition in read.conditions.into_iter().filter(|condition| !condition.roles.is_empty()) {
            let name = TableName { schema: condition.schema.clone(), name: condition.table.clone() };
            let subject = setting.subjects.iter().position(|subject| subject.access.table == name);
            let Some(subject) = subject else { continue };
            for (place, text) in predicate::parse(&condition.text).atoms.into_iter().enumerate() {
                let seen = AtomSeen {
                    policy: format!("{name}.{}", condition.policy),
                    clause: condition.clause.clone(),
                    text,
                    ..AtomSeen::default()
                };
                self.parts.push(Part { subject, roles: condition.roles.clone(), number: place + 1, seen });
            }
        }
        Ok(())
    }

    /// Each actor asks the parts of the policies that apply to it, with its own eyes on what they read.
    fn as_actors<'a>(&self, setting: &Setting<'a>, subject: usize) -> Vec<Question<'a>> {
        let knocking = setting.personas.iter().filter(|persona| persona.knocks());
        let question = |persona: &'a Persona| {
            let role = &persona.actor.role;
            let parts = self.places(|part| part.subject == subject && part.roles.contains(role));
            // A policy needs no right to the names in it; who writes them out again does, for the moment.
            let named = |schema: &String| {
                let prefix = format!("{}.", readable_identifier(schema));
                parts.iter().any(|place| self.parts[*place].seen.text.contains(&prefix))
            };
            let closed = self.closed.iter().filter(|(of, schema)| of == role && named(schema));
            let grants: String = closed
                .map(|(_, schema)| format!("GRANT USAGE ON SCHEMA {} TO {}; ", identifier(schema), identifier(role)))
                .collect();
            Question { become_sql: format!("{grants}{}", persona.become_sql), parts, persona }
        };
        knocking.map(question).filter(|question| !question.parts.is_empty()).collect()
    }

    /// What no actor saw false is asked with everybody's claims, by a role that may read all: a part that asks for the
    /// policy's own role, or for an account, is false for somebody else.
    fn with_others_claims<'a>(&self, setting: &Setting<'a>, subject: usize) -> Vec<Question<'a>> {
        let parts = self.places(|part| part.subject == subject && part.seen.false_for.is_empty());
        if parts.is_empty() {
            return Vec::new();
        }
        let question = |persona: &'a Persona| {
            let become_sql = format!("SET LOCAL row_security = off; {}", impersonate::claims_only(&persona.claims));
            Question { parts: parts.clone(), persona, become_sql }
        };
        setting.personas.iter().map(question).collect()
    }

    fn places(&self, wanted: impl Fn(&Part) -> bool) -> Vec<usize> {
        self.parts.iter().enumerate().filter(|(_, part)| wanted(part)).map(|(place, _)| place).collect()
    }

    async fn ask(&mut self, session: &Session, from: &str, questions: Vec<Question<'_>>, stepwise: bool) {
        let asked = questions.iter().map(|question| self.answer(session, from, question, stepwise));
        let at_once = if stepwise { 1 } else { AT_ONCE };
        let answers: Vec<Vec<(usize, String)>> = futures::stream::iter(asked).buffered(at_once).collect().await;
        for (question, answers) in questions.iter().zip(answers) {
            for (place, answer) in answers {
                let seen = &mut self.parts[place].seen;
                let lists = [&mut seen.true_for, &mut seen.false_for, &mut seen.null_for];
                for (list, _) in lists.into_iter().zip(answer.chars()).filter(|(_, told)| *told == 't') {
                    list.insert(question.persona.name.clone());
                }
            }
        }
    }

    /// For each part whether it is true, false, null for any of the rows: `tft`. All at once; where one of them raises
    /// an error, one by one.
    async fn answer(
        &self,
        session: &Session,
        from: &str,
        question: &Question<'_>,
        stepwise: bool,
    ) -> Vec<(usize, String)> {
        if let Ok(answers) = self.values(session, from, question, &question.parts, stepwise).await {
            return answers;
        }
        let mut all = Vec::new();
        for place in &question.parts {
            all.extend(self.values(session, from, question, &[*place], stepwise).await.unwrap_or_default());
        }
        all
    }

    async fn values(
        &self,
        session: &Session,
        from: &str,
        question: &Question<'_>,
        parts: &[usize],
        stepwise: bool,
    ) -> Result<Vec<(usize, String)>, DbError> {
        let told = |place: &usize| {
            let text = &self.parts[*place].seen.text;
            format!("concat(bool_or(({text}) IS TRUE), bool_or(({text}) IS FALSE), bool_or(({text}) IS NULL))")
        };
        let told: Vec<String> = parts.iter().map(told).collect();
        let sql = format!("SELECT unnest(ARRAY[{}]) FROM {from}", told.join(", "));
        let become_sql = format!("ROLLBACK TO SAVEPOINT attempt; {}", question.become_sql);
        let answer = if stepwise {
            session.batch(&become_sql).await?;
            session.statement(&sql).await?
        } else {
            let (became, answer) = futures::join!(session.batch(&become_sql), session.statement(&sql));
            became.and(answer)?
        };
        Ok(parts.iter().copied().zip(answer.keys.into_iter().map(Option::unwrap_or_default)).collect())
    }

    /// What each part was seen as, and the parts that let everything through that was asked.
    pub(crate) fn told(self, setting: &Setting<'_>) -> (Vec<AtomSeen>, Vec<Finding>) {
        let never_false = |part: &&Part| !part.seen.true_for.is_empty() && part.seen.false_for.is_empty();
        let findings = self.parts.iter().filter(never_false).filter_map(|part| {
            let subject = &setting.subjects[part.subject];
            let AtomSeen { policy, clause, text, .. } = &part.seen;
            let told = names_column(text, &subject.table) && !cannot_be_false(text, &subject.table);
            told.then(|| Finding {
                check: "predicate-coverage".to_owned(),
                what: format!("a part of policy {policy} was never false: {text}"),
                object: format!("policy {policy} {clause} {}", part.number),
                place: Some(subject.access.place.clone()),
                why: "no row of the worlds and no actor's token made it false, so that nothing shows that it keeps \
                      anything out"
                    .to_owned(),
                remedy:
                    "where it can't be false, take it out of the policy; where it can, make a row or an actor with \
                         which it is: a row in a migration, an actor in policies/access.toml"
                        .to_owned(),
                reach: Reach::Sql,
                statement: String::new(),
                attempts: Vec::new(),
            })
        });
        let findings = findings.collect();
        (self.parts.into_iter().map(|part| part.seen).collect(), findings)
    }
}

/// Whether a column of the table stands in it. What asks for the request alone, for a claim or a header, is for probes
/// to vary, and not for rows.
fn names_column(text: &str, table: &Table) -> bool {
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.any(|word| table.columns.iter().any(|column| column.name == word))
}

/// Whether it can't be false by construction: a test of a column that is never NULL.
fn cannot_be_false(text: &str, table: &Table) -> bool {
    let tested = text.strip_suffix(" IS NOT NULL").map(str::trim);
    let of_rows: BTreeSet<String> = table
        .columns
        .iter()
        .filter(|column| column.not_null)
        .flat_map(|column| {
            let name = readable_identifier(&column.name);
            [format!("{}.{name}", readable_identifier(&table.table)), name]
        })
        .collect();
    tested.is_some_and(|tested| of_rows.contains(tested))
}
