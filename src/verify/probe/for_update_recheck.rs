//! A statement that waited for a row asks the row's new contents of its policies, and other tables as they were before:
//! what became hidden in between is shown. Two sessions, on tables of the probe's own.

use super::policies::Policy;
use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::connect::connect;
use crate::db::quote::readable_identifier;
use crate::db::session::Session;
use crate::model::access::{Command, Standing};
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use std::time::{Duration, Instant};

pub(super) const PROBE: Probe = Probe {
    name: "for-update-recheck",
    about: "a statement that waited for a row shows nothing of it that was hidden while it waited",
    fault: Fault::Server,
    plants: true,
    run: |site| Box::pin(run(site)),
};

/// How long the writer waits for the reader to wait for it: less than the reader's lock_timeout.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many tables a finding names.
const SHOWN: usize = 5;

/// A paper that its readers' level opens.
const PLANT: &str = "SET lock_timeout = '3s';
    CREATE SCHEMA chartchek_recheck;
    CREATE TABLE chartchek_recheck.readers (level integer NOT NULL);
    CREATE TABLE chartchek_recheck.papers (id integer PRIMARY KEY, level integer NOT NULL, body text NOT NULL);
    ALTER TABLE chartchek_recheck.papers ENABLE ROW LEVEL SECURITY;
    CREATE POLICY level ON chartchek_recheck.papers
        USING (level <= (SELECT r.level FROM chartchek_recheck.readers r));
    INSERT INTO chartchek_recheck.readers VALUES (2);
    INSERT INTO chartchek_recheck.papers VALUES (1, 2, 'before')";

/// Hides the paper from the readers, and then writes it: all in one transaction.
const HIDE: &str = "BEGIN;
    UPDATE chartchek_recheck.readers SET level = 1;
    UPDATE chartchek_recheck.papers SET body = 'hidden'";

/// As it was.
const RESET: &str = "UPDATE chartchek_recheck.readers SET level = 2;
    UPDATE chartchek_recheck.papers SET body = 'before'";

/// What locks what it reads: the same policy, closed.
const CLOSE: &str = "ALTER POLICY level ON chartchek_recheck.papers
    USING (level <= (SELECT r.level FROM chartchek_recheck.readers r FOR SHARE))";

/// What a statement that waits is called, its text, and whether a request of the API runs it.
const FORMS: [(&str, &str, bool); 3] = [
    ("UPDATE … RETURNING", "UPDATE chartchek_recheck.papers SET id = id RETURNING body", true),
    ("DELETE … RETURNING", "DELETE FROM chartchek_recheck.papers RETURNING body", true),
    ("SELECT … FOR UPDATE", "SELECT body FROM chartchek_recheck.papers FOR UPDATE", false),
];

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let mut probed = Probed::default();
    let leads = leads(site, site.policies().await?);
    // Whoever has a token, rather than who has none.
    let reader = site.roles().into_iter().max_by_key(|&persona| site.persona(persona).uid.is_some());
    let (false, Some(reader)) = (leads.is_empty(), reader) else { return Ok(probed) };
    let Some(conninfo) = site.session.beside() else {
        let why = "it takes two sessions, and the engine serves one".to_owned();
        probed.not_tried.push(NotRun { what: "two sessions".to_owned(), why });
        return Ok(probed);
    };
    let writer = connect(conninfo).await?;
    let seen = attempt(site, &writer, reader).await;
    unlock(site).await?;
    if seen.is_err() {
        // Wherever it stopped: perhaps within the writer's transaction.
        batch(&writer, "ROLLBACK").await?;
    }
    let dropped = batch(&writer, "DROP SCHEMA IF EXISTS chartchek_recheck CASCADE").await;
    writer.close().await;
    let seen = seen?;
    dropped?;
    probed.tried = FORMS.len();
    if !seen.is_empty() {
        probed.holes.push(hole(site, reader, &seen, &leads));
    }
    Ok(probed)
}

/// The forms that show the hidden paper to who waited for it, as indices.
async fn attempt(site: &Site<'_>, writer: &Session, reader: usize) -> Result<Vec<usize>, Failure> {
    let role = readable_identifier(&site.persona(reader).actor.role);
    let grants = format!(
        "GRANT USAGE ON SCHEMA chartchek_recheck TO {role};
         GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA chartchek_recheck TO {role}"
    );
    batch(writer, &format!("{PLANT}; {grants}")).await?;
    let pid = match site.session.statement("SELECT pg_backend_pid()::text").await {
        Ok(result) => result.keys.into_iter().next().flatten().unwrap_or_default(),
        Err(error) => return Err(error.into_failure("the session has no number")),
    };
    let mut seen = Vec::new();
    for (index, (name, sql, _)) in FORMS.into_iter().enumerate() {
        match waited(site, writer, reader, sql, &pid).await?.as_slice() {
            [] => {}
            [body] if body == "hidden" => seen.push(index),
            bodies => return Err(unclear(&format!("{name} answered {bodies:?}"))),
        }
    }
    // The other way round: where the policy locks what it reads, nothing is seen.
    batch(writer, CLOSE).await?;
    for (name, sql, _) in FORMS {
        if !waited(site, writer, reader, sql, &pid).await?.is_empty() {
            return Err(unclear(&format!("{name} shows the paper although the policy locks what it reads")));
        }
    }
    Ok(seen)
}

/// What a statement of the reader's gives that began before the paper was hidden and ended after.
async fn waited(
    site: &Site<'_>,
    writer: &Session,
    reader: usize,
    sql: &str,
    pid: &str,
) -> Result<Vec<String>, Failure> {
    if read(site, reader, sql).await? != ["before"] {
        return Err(unclear("the paper can't be read before it is hidden"));
    }
    batch(writer, HIDE).await?;
    let (answer, released) = futures::join!(read(site, reader, sql), release(writer, pid));
    released?;
    let answer = answer?;
    if !read(site, reader, sql).await?.is_empty() {
        return Err(unclear("the paper can be read after it was hidden"));
    }
    batch(writer, RESET).await?;
    Ok(answer)
}

/// Commits once the reader waits for it.
async fn release(writer: &Session, pid: &str) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    let waits = format!("SELECT cardinality(pg_blocking_pids({pid}))::text");
    loop {
        let answer = writer.statement(&waits).await.map_err(|error| error.into_failure("who waits was not told"))?;
        if answer.keys.first().is_some_and(|count| count.as_deref() != Some("0")) {
            return batch(writer, "COMMIT").await;
        }
        if Instant::now() > until {
            batch(writer, "ROLLBACK").await?;
            return Err(unclear("the reader did not wait for the writer"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn read(site: &Site<'_>, reader: usize, sql: &str) -> Result<Vec<String>, Failure> {
    let results = site.run(&[Step::by(reader, sql)]).await;
    let result = results.into_iter().next().ok_or_else(|| unclear("no answer"))?;
    let result = result.map_err(|error| error.into_failure("the reader's statement failed"))?;
    unlock(site).await?;
    Ok(result.keys.into_iter().flatten().collect())
}

/// Gives back the reader's locks, for which the writer would wait.
async fn unlock(site: &Site<'_>) -> Result<(), Failure> {
    let unlocked = site.session.batch("ROLLBACK TO SAVEPOINT attempt").await;
    unlocked.map_err(|error| error.into_failure("the probes' savepoint is gone"))
}

async fn batch(writer: &Session, sql: &str) -> Result<(), Failure> {
    writer.batch(sql).await.map_err(|error| error.into_failure("the second session's statement failed"))
}

fn unclear(why: &str) -> Failure {
    Failure::new(FailureKind::Inconclusive, why)
}

/// Tables on which this can be: an actor may change rows, and a policy that then counts reads another table without a
/// lock on what it reads.
fn leads(site: &Site<'_>, policies: &[Policy]) -> Vec<String> {
    let may = |subject: usize, command: Command| {
        site.knockers().any(|persona| {
            let scene = site.scene(subject, persona);
            Standing::ALL.into_iter().any(|standing| scene.promised(standing, command))
        })
    };
    let is_open = |subject: usize, command: Command, letter: char| {
        let table = site.table(subject).name();
        let groups = ['r', letter].map(|letter| {
            let of_table = policies.iter().filter(|policy| policy.table() == table);
            let counts = of_table.filter(|policy| policy.command == letter || policy.command == '*');
            counts.filter(|policy| policy.reads.iter().any(|read| read.table() != table)).collect::<Vec<_>>()
        });
        // Both groups must be passed: one that can't be passed with an old answer is enough.
        let closed = |group: &Vec<&Policy>| !group.is_empty() && group.iter().all(|policy| policy.locks());
        may(subject, command) && groups.iter().any(|group| !group.is_empty()) && !groups.iter().any(closed)
    };
    (0..site.subjects().len())
        .filter(|&subject| is_open(subject, Command::Update, 'w') || is_open(subject, Command::Delete, 'd'))
        .map(|subject| site.subjects()[subject].access.table.to_string())
        .collect()
}

fn hole(site: &Site<'_>, reader: usize, seen: &[usize], leads: &[String]) -> Hole {
    let forms: Vec<&str> = seen.iter().map(|&index| FORMS[index].0).collect();
    let mut tables = leads.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if leads.len() > SHOWN {
        tables = format!("{tables} and {} more", leads.len() - SHOWN);
    }
    let by_request = seen.iter().any(|&index| FORMS[index].2);
    let statement = seen.first().map(|&index| FORMS[index].1).unwrap_or_default();
    Hole {
        finding: Finding {
            check: String::new(),
            what: "a statement that waits for a row shows what was written in it after it was hidden".to_owned(),
            object: "row locks".to_owned(),
            place: None,
            why: format!(
                "{}: the new row was held against another table as it was before, on tables made for it; here the \
                 policies of {tables} read other tables",
                forms.join(", ")
            ),
            remedy: "take rows from someone in a transaction of its own, and write what they must not see in a later \
                     one; or read with FOR SHARE in the policies for UPDATE and DELETE"
                .to_owned(),
            reach: if by_request { Reach::Api } else { Reach::Function },
            statement: format!("{statement}; -- as {}, while another session hides the row", site.persona(reader).name),
            attempts: Vec::new(),
        },
        steps: Vec::new(),
    }
}
