//! Every probe finds its hole, under its own name, and is silent where the hole is closed: `fixtures/probe/<name>/`.

mod support;

use chartchek_db::model::server_fault::{SERVER_FAULTS, ServerFault};
use chartchek_db::server::{Regime, stand_in};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// The folder of the examples.
fn fixtures() -> PathBuf {
    support::project().join("fixtures/probe")
}

/// The probes that have examples.
fn names() -> Vec<String> {
    let folders = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `-- word: rest` of an example's comments.
fn said(sql: &str, word: &str) -> Vec<String> {
    let prefix = format!("-- {word}: ");
    sql.lines().filter_map(|line| line.strip_prefix(&prefix)).map(|rest| rest.trim().to_owned()).collect()
}

/// Where examples are tried.
#[derive(Clone, Copy)]
struct Place<'a> {
    engine: &'a str,
    /// The folder of PostgreSQL's programs, where it is not the ordinary one.
    bin: Option<&'a Path>,
}

/// Verifies one example; the exit code and the report.
fn verify(name: &str, example: &Path, place: Place<'_>) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    for part in ["migrations", "policies"] {
        fs::create_dir(folder.path().join(part)).unwrap();
    }
    let mut base = fs::read_to_string(fixtures().join("base.sql")).unwrap();
    if let Ok(more) = fs::read_to_string(fixtures().join(name).join("base.sql")) {
        base.push_str(&more);
    }
    let sql = fs::read_to_string(example).unwrap();
    fs::write(folder.path().join("migrations/V001__example.sql"), format!("{base}\n{sql}")).unwrap();
    let mut contract = fs::read_to_string(fixtures().join("access.toml")).unwrap();
    if let Ok(more) = fs::read_to_string(fixtures().join(name).join("access.toml")) {
        contract.push_str(&more);
    }
    contract.extend(said(&sql, "contract").iter().map(|line| format!("\n{line}")));
    fs::write(folder.path().join("policies/access.toml"), contract).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG") && name != "PGBIN") {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env_remove("RUST_LOG");
    if let Some(bin) = place.bin {
        command.env("PGBIN", bin);
    }
    // Roles belong to the whole cluster: what an example does to them must not be found by the next one.
    let own = (!said(&sql, "cluster").is_empty()).then(|| tempfile::tempdir().unwrap());
    if let Some(own) = &own {
        fs::set_permissions(own.path(), fs::Permissions::from_mode(0o755)).unwrap();
        command.env("CHARTCHEK_DB_CACHE", own.path());
    }
    command.args(["verify-rls", "--format", "json", "--project"]).arg(folder.path());
    let server = said(&sql, "as").iter().any(|who| who == "superuser").then(|| server(place.bin, &base, &sql));
    match &server {
        Some(server) => command.args(["--database-url", &server.url_as("migrator")]),
        None => command.args(["--engine", place.engine]),
    };
    for more in said(&sql, "run") {
        command.args(more.split(' '));
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{}: no report ({error}): {text}\n{}", example.display(), String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code().unwrap(), report)
}

/// A server of its own, with the stand-in, on which the migrator ran `base` and then the superuser `sql`: a target.
fn server(bin: Option<&Path>, base: &str, sql: &str) -> support::Server {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = support::Server::start_in(bin).await;
        let session = server.connect("postgres", "postgres").await;
        stand_in::install(&session, Regime::Explicit, None).await.unwrap();
        let migrator = server.connect("migrator", "postgres").await;
        migrator.batch(base).await.unwrap_or_else(|error| panic!("{error}"));
        migrator.close().await;
        session.batch(sql).await.unwrap_or_else(|error| panic!("{error}"));
        session.close().await;
        server
    })
}

/// The names of a list's findings.
fn checks(report: &Value, list: &str) -> BTreeSet<String> {
    report[list].as_array().unwrap().iter().map(|finding| finding["check"].as_str().unwrap().to_owned()).collect()
}

/// A probe's examples, and whether each holds a hole: the two that all have, there or not, and what there is beside.
fn examples(name: &str) -> Vec<(String, bool)> {
    let mut examples = vec![("hole.sql".to_owned(), true), ("closed.sql".to_owned(), false)];
    let mut more: Vec<String> = fs::read_dir(fixtures().join(name))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file.ends_with(".sql") && file.contains('-'))
        .collect();
    more.sort();
    examples.extend(more.into_iter().map(|file| {
        assert!(file.starts_with("hole-") || file.starts_with("closed-"), "{name}/{file} is neither");
        let hole = file.starts_with("hole-");
        (file, hole)
    }));
    examples
}

/// What is wrong with one of a probe's examples, if anything.
///
/// Beside `hole.sql` and `closed.sql` there may be more of each, for channels of several shapes: `hole-writes.sql`; and
/// `base.sql` and `access.toml`, which all of them share.
/// An example says in its first lines what else is true of it: `-- also: NAME` (another check rightly finds it too),
/// `-- only: local` (the channel needs what the embedded engine lacks), `-- cluster: own` (it changes roles),
/// `-- as: superuser` (no migrator may do it: it is verified as a target), `-- contract: LINE` (added to the contract),
/// `-- run: FLAGS` (added to the command).
fn examine(name: &str, (file, expected): &(String, bool), place: Place<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let (expected, engine) = (*expected, place.engine);
    let example = fixtures().join(name).join(file);
    let Ok(sql) = fs::read_to_string(&example) else {
        // What no schema can close has no closed example, and says so in its hole.
        let hole = fs::read_to_string(fixtures().join(name).join("hole.sql")).unwrap_or_default();
        if expected || said(&hole, "never closed").is_empty() {
            wrong.push(format!("{name}/{file} is missing"));
        }
        return wrong;
    };
    if said(&sql, "only").iter().any(|only| only != engine) {
        return wrong;
    }
    let (code, report) = verify(name, &example, place);
    // What is the server's own, or nobody's to close, is there whatever the example holds.
    let beyond = checks(&report, "beyond").into_iter().filter(|check| check == name).collect();
    let seen: BTreeSet<String> = &checks(&report, "findings") | &beyond;
    let mut allowed: BTreeSet<String> = said(&sql, "also").into_iter().collect();
    if expected {
        if !seen.contains(name) {
            wrong.push(format!(
                "{name}/{file} was not found on {engine}: {seen:?}, exit {code}, {}",
                report["inconclusive_probes"]
            ));
        }
        allowed.insert(name.to_owned());
    } else if code != 0 {
        wrong.push(format!(
            "{name}/{file} ends with {code} on {engine}: {} {}",
            report["inconclusive_probes"], report["not_run"]
        ));
    }
    let more: Vec<&String> = seen.difference(&allowed).collect();
    if !more.is_empty() {
        let findings: Vec<&Value> = report["findings"].as_array().unwrap().iter().collect();
        wrong.push(format!("{name}/{file} on {engine}: also found {more:?}: {findings:#?}"));
    }
    wrong
}

/// Probes of which every hole is seen by another check as well, and why. The list may only shrink.
const NOT_ALONE: [(&str, &str); 5] = [
    ("null-value", "a row that a NULL lets through is another's, which an attempt sees"),
    ("public-grant", "what PUBLIC is granted, actors have without a promise"),
    ("row-security-off", "where no policy is asked, all attempts leak"),
    ("rule", "what a rule writes holds values that are looked for after every attempt"),
    ("statistics-view", "PostgreSQL shows statistics where RLS is off, and then all attempts leak"),
];

/// Without the probe its hole would stay unfound: nothing else may be found in it but what `-- also:` allows, and one
/// example allows nothing.
#[test]
fn each_probe_has_a_hole_that_no_other_check_finds() {
    let alone = |name: &str| {
        examples(name).iter().filter(|(_, hole)| *hole).any(|(file, _)| {
            let sql = fs::read_to_string(fixtures().join(name).join(file)).unwrap_or_default();
            !sql.is_empty() && said(&sql, "also").is_empty()
        })
    };
    let others: Vec<String> = names().into_iter().filter(|name| !alone(name)).collect();
    assert_eq!(others, NOT_ALONE.map(|(name, _why)| name));
}

/// How many examples are tried at once: each is mostly a process that waits for its server.
const AT_ONCE: usize = 3;

fn examine_all(place: Place<'_>) {
    let names = names();
    assert!(names.len() >= 2, "there are no examples");
    let part = std::env::var("CHARTCHEK_DB_TEST_PROBE").ok();
    let wanted = |name: &str| part.as_ref().is_none_or(|parts| parts.split(',').any(|part| name.contains(part)));
    let all = names
        .iter()
        .filter(|name| wanted(name))
        .flat_map(|name| examples(name).into_iter().map(move |example| (name, example)));
    let (left, wrong) = (Mutex::new(all), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((name, example)) = left.lock().unwrap().next() else { break };
                    let found = examine(name, &example, place);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    if wanted("server-fault") {
        faults_are_those_of_the_release(place);
    }
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// As [`examine_all`], on a further PostgreSQL of that major.
fn examine_all_on(major: u32) {
    let test = format!("every_hole_is_found_and_every_closed_one_silent_local_{major}");
    if let Some(bin) = support::further(major, &test) {
        examine_all(Place { engine: "local", bin: Some(&bin) });
    }
}

#[test]
fn every_hole_is_found_and_every_closed_one_silent_local() {
    examine_all(Place { engine: "local", bin: None });
}

#[test]
fn every_hole_is_found_and_every_closed_one_silent_local_16() {
    examine_all_on(16);
}

#[test]
fn every_hole_is_found_and_every_closed_one_silent_local_17() {
    examine_all_on(17);
}

#[test]
fn every_hole_is_found_and_every_closed_one_silent_local_18() {
    examine_all_on(18);
}

#[test]
fn every_hole_is_found_and_every_closed_one_silent_embedded() {
    examine_all(Place { engine: "embedded", bin: None });
}

/// What the probe `server-fault` sees, most of it by trying, is what the server's release is known for; and a view that
/// leads requests to a fault is named.
fn faults_are_those_of_the_release(place: Place<'_>) {
    let (_, report) = verify("server-fault", &fixtures().join("server-fault/hole.sql"), place);
    assert_eq!(report["inconclusive_probes"], serde_json::json!([]));
    let version = report["environment"]["server"].as_str().unwrap().split_whitespace().nth(1).unwrap();
    let (major, minor) = version.split_once('.').unwrap();
    let (major, minor): (u32, u32) = (major.parse().unwrap(), minor.parse().unwrap());
    let has = |fault: &&ServerFault| fault.fixed.iter().any(|(fixed, first)| *fixed == major && minor < *first);
    let known: Vec<&str> = SERVER_FAULTS.iter().filter(has).map(|fault| fault.name).collect();
    let beyond = report["beyond"].as_array().unwrap();
    let found: Vec<&Value> = beyond.iter().filter(|finding| finding["check"] == "server-fault").collect();
    let names: Vec<&str> = found.iter().map(|finding| finding["object"].as_str().unwrap()).collect();
    assert_eq!(names, known, "PostgreSQL {version}");
    if let Some(through_views) = found.iter().find(|finding| finding["object"] == "CVE-2026-16237") {
        assert_eq!(through_views["reach"], "api");
        let why = through_views["why"].as_str().unwrap();
        assert!(why.contains("seen on tables made for it") && why.contains("view public.my_charts"), "{why}");
    }
}

#[test]
fn every_probe_has_its_examples_and_every_example_a_probe() {
    let probes: Vec<String> = chartchek_db::verify::probes().iter().map(|probe| probe.name.to_owned()).collect();
    let mut sorted = probes.clone();
    sorted.sort();
    assert_eq!(sorted, names());
    for about in chartchek_db::verify::probes() {
        assert!(about.about.len() > 20, "{} says nothing of itself", about.name);
    }
}
