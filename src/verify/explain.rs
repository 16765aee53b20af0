//! Explains an attempt: the rights that were missing, the policies that PostgreSQL consulted, and what each part of
//! their conditions is for the row: evaluated as the actor, so that what they read is what the actor may read.

mod policies;
mod predicate;
mod rows;

use crate::db::error::DbError;
use crate::db::impersonate;
use crate::db::quote::{identifier, literal, readable_identifier, table as quote_table};
use crate::db::session::{Session, StatementResult};
use crate::db::sqlstate;
use crate::model::access::Command;
use crate::model::attempt::{Attempt, Outcome, Verdict};
use crate::model::catalog::Table;
use crate::model::explanation::{Atom, Consulted, Explanation, Truth};
use crate::verify::form::{Aim, Tells};
use crate::verify::judge::Case;
use crate::verify::world::World;
use crate::verify::world::insert::key_expression;
use policies::{Asked, Question, Stands, combine, questions};
use std::collections::BTreeSet;

/// Where attempts are explained: behind the world's savepoint.
#[derive(Debug)]
pub(crate) struct Explainer<'a> {
    pub(crate) session: &'a Session,
    pub(crate) world: &'a World,
    /// The world's rows' keys.
    pub(crate) keys: &'a [String],
    /// The user's own database: nothing is granted there for a moment's sake.
    pub(crate) target: bool,
    /// One message at a time.
    pub(crate) stepwise: bool,
}

/// What a part of a condition came to, and why, where that can be told.
#[derive(Debug, Clone)]
struct Answer {
    value: Truth,
    note: String,
}

impl Explainer<'_> {
    /// Explains what an attempt came to.
    pub(crate) async fn explain(&self, case: &Case<'_>, attempt: &Attempt) -> Explanation {
        let role = &case.persona.actor.role;
        let mut explanation = Explanation {
            attempt: attempt.id.clone(),
            role: role.clone(),
            table: attempt.table.clone(),
            because: String::new(),
            missing: missing(case),
            consulted: Vec::new(),
            doubt: String::new(),
        };
        if !explanation.missing.is_empty() {
            explanation.because = format!("{role} lacks a right that the statement needs");
            return explanation;
        }
        if attempt.command == Command::Truncate {
            explanation.because = format!("{role} has TRUNCATE on {}, which asks no policy", attempt.table);
            return explanation;
        }
        let stands = match self.stands(case).await {
            Ok(Some(stands)) => stands,
            Ok(None) => return unknown(explanation, "the table's policies were not found"),
            Err(error) => return unknown(explanation, &told(&error)),
        };
        if let Some(because) = unguarded(&stands, role, &attempt.table) {
            explanation.because = because;
            return explanation;
        }
        let key = self.key(case, attempt).await;
        for question in questions(case.planned) {
            // A row that is not seen is not written, and one that is refused ends the statement.
            let passed = |one: &Consulted| one.row == question.row || one.value == Some(Truth::True);
            if !explanation.consulted.iter().all(passed) {
                break;
            }
            let consulted = self.consult(case, &stands, question, key.as_deref(), &mut explanation.doubt).await;
            explanation.consulted.push(consulted);
        }
        explanation.because = because(&explanation, &stands);
        if attempt.expected == Outcome::RefusedGrant {
            let (command, to) = (attempt.command.word().to_uppercase(), stands.granted_to(attempt.command));
            explanation.because = format!("{command} is granted to {to}; {}", explanation.because);
        }
        if explanation.doubt.is_empty() {
            explanation.doubt = contradiction(&explanation, attempt, case);
        }
        explanation
    }

    async fn stands(&self, case: &Case<'_>) -> Result<Option<Stands>, DbError> {
        let answer = self.asked(&case.persona.become_sql, &Stands::sql(&case.subject.table)).await?;
        Ok(Stands::parse(answer.keys))
    }

    /// One statement, behind the world's savepoint, by whoever `become_sql` makes of the session. Both are sent at the
    /// first poll where the engine allows it, so that explanations polled together do not come between.
    async fn asked(&self, become_sql: &str, sql: &str) -> Result<StatementResult, DbError> {
        let become_sql = format!("ROLLBACK TO SAVEPOINT attempt; {become_sql}");
        if self.stepwise {
            self.session.batch(&become_sql).await?;
            return self.session.statement(sql).await;
        }
        let (became, answer) = futures::join!(self.session.batch(&become_sql), self.session.statement(sql));
        became.and(answer)
    }

    /// The row that the verdict is about. A count names none: then one that was counted too much, or one that was not.
    async fn key(&self, case: &Case<'_>, attempt: &Attempt) -> Option<String> {
        let told = case.row();
        let Aim::Count(_) = case.planned.aim else { return told };
        let table = &case.subject.table;
        let sql = format!("SELECT {} FROM {}", key_expression(table, ""), quote_table(&table.name()));
        let Ok(seen) = self.asked(&case.persona.become_sql, &sql).await else { return told };
        let seen: BTreeSet<String> = seen.keys.into_iter().flatten().collect();
        let wanted = match attempt.verdict {
            Verdict::OverDenial => case.before.keys().find(|key| !case.is_beyond(key) && !seen.contains(*key)).cloned(),
            Verdict::Leak => seen.into_iter().find(|key| case.is_beyond(key)),
            _ => seen.into_iter().next(),
        };
        wanted.or(told)
    }

    /// Puts one question to the policies.
    async fn consult(
        &self,
        case: &Case<'_>,
        stands: &Stands,
        question: Question,
        key: Option<&str>,
        doubt: &mut String,
    ) -> Consulted {
        let mut consulted = Consulted {
            command: question.command,
            row: question.row,
            value: None,
            unknown: String::new(),
            policies: Vec::new(),
        };
        let asked = stands.asked(question);
        if !asked.iter().any(|asked| asked.seen.permissive) {
            consulted.value = Some(Truth::False);
            return consulted;
        }
        let row = match self.row(case, key, question.row).await {
            Ok(row) => row,
            Err(why) => {
                consulted.unknown = why;
                return consulted;
            }
        };
        for Asked { predicate, mut seen } in asked {
            let answers = self.answers(case, stands, &row, &predicate.atoms, doubt).await;
            let values: Vec<Truth> = answers.iter().map(|answer| answer.value).collect();
            seen.value = predicate.value(&values);
            let deciding = predicate.deciding(&values);
            for (place, (text, answer)) in predicate.atoms.into_iter().zip(answers).enumerate() {
                let decides = deciding.contains(&place);
                let note = if decides && answer.note.is_empty() {
                    self.deeper(case, stands, &row, &text, answer.value).await
                } else {
                    answer.note
                };
                seen.atoms.push(Atom { text, value: answer.value, decides, note });
            }
            consulted.policies.push(seen);
        }
        consulted.value = Some(combine(&mut consulted.policies));
        consulted
    }

    /// What the parts of a condition are for the row.
    async fn answers(
        &self,
        case: &Case<'_>,
        stands: &Stands,
        row: &str,
        atoms: &[String],
        doubt: &mut String,
    ) -> Vec<Answer> {
        let named: Vec<&String> = stands.closed.iter().filter(|schema| names(atoms, schema)).collect();
        let role = &case.persona.actor.role;
        let actor = if self.target && !named.is_empty() {
            let schemas: Vec<&str> = named.iter().map(|schema| schema.as_str()).collect();
            *doubt = format!(
                "evaluated by a role that bypasses RLS, since {role} may not use names of the schema {}",
                schemas.join(", ")
            );
            self.privileged(case)
        } else {
            self.actor(case, &named)
        };
        if let Ok(values) = self.ask(case, &actor, row, atoms).await {
            return values.into_iter().map(|value| Answer { value, note: String::new() }).collect();
        }
        // One of them raises an error: one by one, to tell which.
        let mut answers = Vec::with_capacity(atoms.len());
        for atom in atoms {
            let answer = self.ask(case, &actor, row, std::slice::from_ref(atom)).await;
            answers.push(match answer {
                Ok(values) => Answer { value: values.first().copied().unwrap_or(Truth::Null), note: String::new() },
                Err(error) => Answer { value: Truth::Error, note: told(&error) },
            });
        }
        answers
    }

    /// Why a sub-select does not let the row through, one level down.
    async fn deeper(&self, case: &Case<'_>, stands: &Stands, row: &str, atom: &str, value: Truth) -> String {
        let parts = predicate::without_each(atom);
        if parts.is_empty() || !matches!(value, Truth::False | Truth::Null) {
            return String::new();
        }
        let whole = [atom.to_owned()];
        let unhidden = self.ask(case, &self.privileged(case), row, &whole).await;
        if unhidden.is_ok_and(|values| values == [Truth::True]) {
            let role = &case.persona.actor.role;
            return format!("true for a role that bypasses RLS: {role} does not see the rows that it reads");
        }
        let named: Vec<&String> = stands.closed.iter().filter(|schema| names(&whole, schema)).collect();
        let eyes = if self.target && !named.is_empty() { self.privileged(case) } else { self.actor(case, &named) };
        let (conditions, rests): (Vec<String>, Vec<String>) = parts.into_iter().unzip();
        let Ok(values) = self.ask(case, &eyes, row, &rests).await else { return String::new() };
        let blamed: Vec<String> = conditions
            .into_iter()
            .zip(values)
            .filter(|(_, without)| *without == Truth::True)
            .map(|(condition, _)| condition)
            .collect();
        if blamed.is_empty() { String::new() } else { format!("true but for {}", blamed.join(", or but for ")) }
    }

    /// What makes the session the actor. Where the actor may not use a schema's names, which a policy need not use,
    /// that is allowed for the moment: it is rolled back.
    fn actor(&self, case: &Case<'_>, closed: &[&String]) -> String {
        let role = identifier(&case.persona.actor.role);
        let grants = closed.iter().map(|schema| format!("GRANT USAGE ON SCHEMA {} TO {role}; ", identifier(schema)));
        format!("{}{}", grants.collect::<String>(), case.persona.become_sql)
    }

    fn privileged(&self, case: &Case<'_>) -> String {
        format!("SET LOCAL row_security = off; {}", impersonate::claims_only(&case.persona.claims))
    }

    /// What expressions over the row are to whoever `become_sql` makes of the session. The row comes as text, so that it
    /// need not be seen to be asked about, and stands under the table's own name.
    async fn ask(
        &self,
        case: &Case<'_>,
        become_sql: &str,
        row: &str,
        expressions: &[String],
    ) -> Result<Vec<Truth>, DbError> {
        let table = &case.subject.table;
        let texts: Vec<String> = expressions.iter().map(|text| format!("({text})::text")).collect();
        let sql = format!(
            "SELECT unnest(ARRAY[{}]) FROM unnest(ARRAY[{}::{}]) AS {}",
            texts.join(", "),
            literal(row),
            quote_table(&table.name()),
            readable_identifier(&table.table),
        );
        let answer = self.asked(become_sql, &sql).await?;
        let truth = |text: Option<String>| match text.as_deref() {
            Some("true") => Truth::True,
            Some(_) => Truth::False,
            None => Truth::Null,
        };
        Ok(answer.keys.into_iter().map(truth).collect())
    }
}

fn unknown(mut explanation: Explanation, why: &str) -> Explanation {
    "the policies could not be read".clone_into(&mut explanation.because);
    why.clone_into(&mut explanation.doubt);
    explanation
}

/// Whether a name of the schema stands in one of the texts.
fn names(texts: &[String], schema: &str) -> bool {
    let prefix = format!("{}.", readable_identifier(schema));
    texts.iter().any(|text| text.contains(&prefix))
}

/// An error, without what could be a row's value: only messages about rights name nothing else.
fn told(error: &DbError) -> String {
    if error.code == sqlstate::INSUFFICIENT_PRIVILEGE {
        format!("{} (SQLSTATE {})", error.message, error.code)
    } else {
        format!("SQLSTATE {}", error.code)
    }
}

/// Why no policy is asked, where none is.
fn unguarded(stands: &Stands, role: &str, table: &str) -> Option<String> {
    if !stands.enabled {
        return Some(format!("row-level security is off on {table}, so no policy is asked"));
    }
    let why = match stands {
        Stands { active: true, .. } => return None,
        Stands { superuser: true, .. } => "is a superuser".to_owned(),
        Stands { bypasses: true, .. } => "has BYPASSRLS".to_owned(),
        Stands { owns: true, .. } => format!("owns {table}, which is without FORCE ROW LEVEL SECURITY"),
        Stands { .. } => "is past it".to_owned(),
    };
    Some(format!("row-level security does not apply to {role}, which {why}"))
}

/// The reason in one sentence.
fn because(explanation: &Explanation, stands: &Stands) -> String {
    let (role, table) = (&explanation.role, &explanation.table);
    if stands.policies.is_empty() {
        return format!("row-level security is on, and {table} has no policy, so nothing passes");
    }
    let Some(against) = explanation.consulted.iter().find(|one| one.value != Some(Truth::True)) else {
        let mut through: Vec<&str> = Vec::new();
        for policy in explanation.consulted.iter().flat_map(|one| &one.policies).filter(|policy| policy.decides) {
            if !through.contains(&policy.name.as_str()) {
                through.push(&policy.name);
            }
        }
        return format!("let through by {}", through.join(", "));
    };
    let command = against.command.word().to_uppercase();
    match against.value {
        None => format!("what {command} policies say of {} is not known", against.row.word()),
        Some(_) if !against.policies.iter().any(|policy| policy.permissive) => {
            format!("no permissive policy of {table} is for {command} by {role}, so nothing passes")
        }
        Some(value) => {
            let names = against.policies.iter().filter(|policy| policy.decides).map(|policy| policy.name.as_str());
            let names: Vec<&str> = names.collect();
            format!("{} is {value} for {}", names.join(", "), against.row.word())
        }
    }
}

/// Where policies and outcome don't agree, something else decides.
fn contradiction(explanation: &Explanation, attempt: &Attempt, case: &Case<'_>) -> String {
    let known = explanation.consulted.iter().all(|one| one.value.is_some());
    let passes = explanation.consulted.iter().all(|one| one.value == Some(Truth::True));
    let passed = attempt.outcome == Outcome::Done && attempt.verdict != Verdict::OverDenial;
    match (passes, passed) {
        // DO NOTHING leaves the row that is there, whatever the policies say.
        _ if matches!(case.planned.aim, Aim::Untouched(_)) => "",
        // Nothing is read, so nothing is written.
        (true, false) if case.planned.command == Command::Select && case.planned.tells == Tells::Changes => "",
        // The row passes, and a trigger keeps the value out of it.
        (true, false) if case.planned.given.is_some() => "",
        (true, false) if attempt.outcome != Outcome::Error => {
            "by its policies the row would pass: a trigger, a rule or a condition that is not always the same decides"
        }
        (false, true) if known => {
            "by its policies the row would not pass: a trigger, a rule or another way to the row decides"
        }
        _ => "",
    }
    .to_owned()
}

/// The rights that the statement needs and the role lacks.
fn missing(case: &Case<'_>) -> Vec<String> {
    let (table, role) = (&case.subject.table, &case.persona.actor.role);
    if !table.schema_usage.contains(role) {
        return vec![format!("USAGE on schema {}", table.schema)];
    }
    let mut missing: Vec<String> = Vec::new();
    for need in &case.planned.needs {
        for right in lacking(table, role, need.command, &need.columns, &case.subject.access.table.to_string()) {
            if !missing.contains(&right) {
                missing.push(right);
            }
        }
    }
    missing
}

fn lacking(table: &Table, role: &str, command: Command, columns: &[String], name: &str) -> Vec<String> {
    if table.grants(role, command, columns) {
        return Vec::new();
    }
    let word = command.word().to_uppercase();
    let all: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let columns = if columns.is_empty() { all } else { columns.to_vec() };
    let lacks: Vec<&String> =
        columns.iter().filter(|column| !table.grants(role, command, std::slice::from_ref(*column))).collect();
    if matches!(command, Command::Delete | Command::Truncate) || lacks.len() == columns.len() {
        return vec![format!("{word} on {name}")];
    }
    lacks.into_iter().map(|column| format!("{word} on column {column} of {name}")).collect()
}
