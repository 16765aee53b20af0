//! The examples of catalogue lints, each tried in a savepoint of one database.

use crate::support::{self, Server};
use chartchek_db::db::session::Session;
use chartchek_db::lint::catalogue::{self, Scope};
use chartchek_db::lint::{CATALOGUE, all};
use chartchek_db::server::{self, EngineChoice, Regime, stand_in};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    support::project().join("fixtures/lint")
}

fn scope() -> Scope {
    Scope { schemas: vec!["public".to_owned()], clients: vec!["anon".to_owned(), "authenticated".to_owned()] }
}

/// `-- word: rest` of an example's comments.
fn said<'a>(sql: &'a str, word: &str) -> Vec<&'a str> {
    let prefix = format!("-- {word}: ");
    sql.lines().filter_map(|line| line.strip_prefix(prefix.as_str())).map(str::trim).collect()
}

/// What each lint finds after `sql`, which is rolled back: lint -> what it says.
async fn found(session: &Session, sql: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
    let superuser = said(sql, "as").contains(&"superuser");
    session.batch("SAVEPOINT example").await.unwrap();
    let role = if superuser { "" } else { "SET LOCAL ROLE migrator;" };
    let made = session.batch(&format!("{role} {sql}")).await;
    let found = match made {
        Err(error) => Err(format!("does not run: {error}")),
        // As who runs the command: no superuser is needed to see it all.
        Ok(()) => {
            session.batch("SET LOCAL ROLE migrator").await.unwrap();
            catalogue::run(session, &scope()).await.map_err(|failure| format!("{failure}: {:?}", failure.notes()))
        }
    };
    session.batch("ROLLBACK TO example").await.unwrap();
    let mut each: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (lint, finding) in found? {
        assert_eq!(finding.check, lint.name);
        each.entry(finding.check.clone()).or_default().push(format!("{finding:?}"));
    }
    Ok(each)
}

/// A lint's examples: the two that all have, there or not, and more of either, such as `bad-partition`.
fn files(lint: &str) -> BTreeSet<String> {
    let found = fs::read_dir(fixtures().join(lint)).into_iter().flatten();
    let found = found.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    let files: BTreeSet<String> = ["bad", "good"].map(str::to_owned).into_iter().chain(found).collect();
    let kinds = ["bad", "good"];
    for file in &files {
        assert!(kinds.contains(&file.split('-').next().unwrap()), "{lint}/{file}.sql is neither bad nor good");
    }
    files
}

/// What is wrong with a lint's example. `-- also: NAME` in it says that another lint rightly finds it too, and
/// `-- since: MAJOR`, that older servers have no such thing.
async fn examine(session: &Session, lint: &str, file: &str) -> Vec<String> {
    let shown = format!("{lint}/{file}.sql");
    let Ok(sql) = fs::read_to_string(fixtures().join(lint).join(format!("{file}.sql"))) else {
        return vec![format!("{shown} is missing")];
    };
    let mut each = match found(session, &sql).await {
        Ok(each) => each,
        Err(why) => return vec![format!("{shown}: {why}")],
    };
    let mut wrong = Vec::new();
    if file.starts_with("bad") {
        let times = each.remove(lint).unwrap_or_default();
        if times.len() != 1 {
            wrong.push(format!("{shown} was found {} times: {times:#?}", times.len()));
        }
        for also in said(&sql, "also") {
            if each.remove(also).is_none() {
                wrong.push(format!("{shown}: {also} does not find it"));
            }
        }
    }
    if !each.is_empty() {
        wrong.push(format!("{shown}: found beside: {each:#?}"));
    }
    wrong
}

/// All examples, in a session of the superuser.
async fn examine_all(session: &Session) {
    let base = fs::read_to_string(fixtures().join("base.sql")).unwrap();
    session.batch("BEGIN").await.unwrap();
    session.batch(&format!("SET LOCAL ROLE migrator; {base}; RESET ROLE")).await.unwrap();
    let mut wrong = Vec::new();
    if let Ok(each) = found(session, "").await.inspect_err(|why| wrong.push(why.clone()))
        && !each.is_empty()
    {
        wrong.push(format!("the base is not clean: {each:#?}"));
    }
    for lint in CATALOGUE {
        for file in files(lint.name) {
            wrong.extend(examine(session, lint.name, &file).await);
        }
    }
    session.batch("ROLLBACK").await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn examine_in(bin: Option<&Path>) {
    let server = Server::start_in(bin).await;
    let session = server.connect("postgres", "postgres").await;
    stand_in::install(&session, Regime::Explicit, None).await.unwrap();
    examine_all(&session).await;
    session.close().await;
}

async fn examine_on(major: u32) {
    let test = format!("each_bad_example_is_found_once_and_each_good_one_is_clean_local_{major}");
    if let Some(bin) = support::further(major, &test) {
        examine_in(Some(&bin)).await;
    }
}

#[tokio::test]
async fn each_bad_example_is_found_once_and_each_good_one_is_clean_local() {
    examine_in(None).await;
}

#[tokio::test]
async fn each_bad_example_is_found_once_and_each_good_one_is_clean_local_16() {
    examine_on(16).await;
}

#[tokio::test]
async fn each_bad_example_is_found_once_and_each_good_one_is_clean_local_17() {
    examine_on(17).await;
}

#[tokio::test]
async fn each_bad_example_is_found_once_and_each_good_one_is_clean_local_18() {
    examine_on(18).await;
}

/// A Supabase project without a table of its own has nothing to be told, under the old default privileges either.
#[tokio::test]
async fn a_clean_supabase_is_quiet_embedded() {
    for regime in [Regime::Explicit, Regime::Legacy] {
        let scratch = server::scratch(EngineChoice::Embedded, regime, "nothing", async |_| Ok(())).await.unwrap();
        let session = scratch.connect().await.unwrap();
        session.batch("BEGIN").await.unwrap();
        let found = catalogue::run(&session, &scope()).await.unwrap();
        assert!(found.is_empty(), "{regime:?}: {found:#?}");
        session.batch("ROLLBACK").await.unwrap();
        session.close().await;
    }
}

#[test]
fn every_lint_has_its_examples_and_every_example_a_lint() {
    let folders = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    let mut folders: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    folders.sort();
    let mut names: Vec<&str> = all().map(|lint| lint.name).collect();
    names.sort_unstable();
    assert_eq!(names, folders);
    let files = fs::read_dir(support::project().join("src/lint/catalogue")).unwrap();
    let mut files: Vec<String> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.retain(|file| !["common.sql", "trees.sql"].contains(&file.as_str()));
    files.sort();
    let mut names: Vec<String> = CATALOGUE.iter().map(|lint| format!("{}.sql", lint.name)).collect();
    names.sort_unstable();
    assert_eq!(names, files);
}

#[test]
fn every_lint_says_what_it_is() {
    for lint in all() {
        assert!(lint.condition.ends_with('.') && lint.condition.len() > 30, "{}: {}", lint.name, lint.condition);
        for text in [lint.effect, lint.remedy] {
            assert!(!text.ends_with('.') && text.len() > 20, "{}: {text}", lint.name);
        }
    }
}
