//! verify-rls on schemas of every shape: `fixtures/schemas/<name>/`. `schema.sql` is sound and holds, every probe of it
//! silent; with `fault.sql` what its first lines say (`-- found: ID`) is found.

use crate::cluster::Cluster;
use crate::project::{Project, binary};
use chartchek_db::db::quote;
use proptest::prelude::{Strategy, prop};
use proptest::prop_oneof;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/schemas")
}

/// The schemas' names.
fn names() -> Vec<String> {
    let folders = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = folders.collect();
    names.sort();
    assert!(names.len() >= 12, "{names:?}");
    names
}

/// A file of a schema.
fn file(name: &str, file: &str) -> String {
    let path = folder().join(name).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The schema as a project, with more SQL behind it.
fn project(name: &str, more: &str) -> Project {
    let contract =
        file(name, "access.toml").replace("ALL\n", "{ own = [\"select\", \"insert\", \"update\", \"delete\"] }\n");
    let project = Project::foreign(&format!("{}\n{more}", file(name, "schema.sql")), "");
    let written = project.path("policies/access.toml");
    let contract = if contract.starts_with("version") {
        contract
    } else {
        let head = fs::read_to_string(&written).unwrap();
        match contract.split_once('\n') {
            Some((schemas, rest)) if schemas.starts_with("schemas = ") => {
                format!("{}{rest}", head.replace("schemas = [\"public\"]", schemas))
            }
            _ => format!("{head}{contract}"),
        }
    };
    fs::write(written, contract).unwrap();
    let rows = folder().join(name).join("rows");
    if rows.is_dir() {
        fs::create_dir_all(project.path("fixtures/rows")).unwrap();
        for entry in fs::read_dir(rows).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), project.path("fixtures/rows").join(entry.file_name())).unwrap();
        }
    }
    project
}

fn ids(report: &Value, verdict: &str) -> Vec<String> {
    let attempts = report["attempts"].as_array().unwrap().iter().filter(|attempt| attempt["verdict"] == verdict);
    attempts.map(|attempt| attempt["id"].as_str().unwrap().to_owned()).collect()
}

/// What is wrong with the verification of one schema, if anything.
fn examine(name: &str, engine: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let (code, report) = project(name, "").verify(&["--engine", engine]);
    if code != 0 {
        wrong.push(format!(
            "{name} does not hold on {engine}: exit {code}, {}\n{:#}\n{:#}\n{:#}\n{:?}",
            report["summary"],
            report["findings"],
            report["not_run"],
            report["inconclusive_probes"],
            ids(&report, "inconclusive")
        ));
    }
    let fault = file(name, "fault.sql");
    let (code, report) = project(name, &fault).verify(&["--engine", engine]);
    if code != 1 {
        wrong.push(format!("{name}'s fault is not found on {engine}: exit {code}, {}", report["summary"]));
    }
    let leaks = ids(&report, "leak");
    let found: Vec<&str> = fault.lines().filter_map(|line| line.strip_prefix("-- found: ")).collect();
    assert!(!found.is_empty(), "{name}'s fault says nothing of what is found");
    for id in found {
        if !leaks.iter().any(|leak| leak == id) {
            wrong.push(format!("{name}: {id} is no leak on {engine}; those are {leaks:?}"));
        }
    }
    wrong
}

fn held(name: &str, engine: &str) {
    let wrong = examine(name, engine);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A test for each schema and engine, so that each says for itself whether it passed.
macro_rules! schemas {
    ($($local:ident, $($embedded:ident)?: $name:literal;)*) => {
        $(#[test]
        fn $local() {
            held($name, "local");
        }

        $(#[test]
        fn $embedded() {
            held($name, "embedded");
        })?)*

        #[test]
        fn every_schema_has_its_tests() {
            assert_eq!(names(), [$($name),*]);
        }
    };
}

schemas! {
    actors_local, actors_embedded: "actors";
    checks_local, checks_embedded: "checks";
    exclusion_local, exclusion_embedded: "exclusion";
    inheritance_local, : "inheritance";
    keys_local, keys_embedded: "keys";
    memberships_local, memberships_embedded: "memberships";
    names_local, names_embedded: "names";
    partitions_local, partitions_embedded: "partitions";
    rows_local, rows_embedded: "rows";
    schemas_local, schemas_embedded: "schemas";
    two_owners_local, two_owners_embedded: "two-owners";
    types_local, types_embedded: "types";
}

/// The embedded server is older than the mending of its MERGE: the leak is there, and is told to be the server's.
#[test]
fn inheritance_embedded() {
    let (code, report) = project("inheritance", "").verify(&["--engine", "embedded"]);
    let leaks = ids(&report, "leak");
    assert_eq!(code, 1, "{}", report["summary"]);
    assert!(leaks.iter().all(|id| id.contains("/insert/merge")), "{leaks:?}");
    assert!(ids(&report, "over_denial").is_empty() && ids(&report, "inconclusive").is_empty(), "{}", report["summary"]);
    let faults = report["beyond"].as_array().unwrap().iter();
    let fault = faults.clone().find(|fault| fault["object"] == "merge-into-parent").expect("the fault is not told");
    let why = fault["why"].as_str().unwrap();
    assert!(why.contains("seen on tables made for it") && why.contains("table public."), "{why}");
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Where no value can be made, the message names the constraint, the file to write, and an example of what it holds.
#[test]
fn what_no_rule_makes_is_asked_for_local() {
    let project = project("rows", "");
    let file = project.path("fixtures/rows/public.patients.sql");
    let right = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let output = project.run(&["verify-rls", "--engine", "local"]);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    for part in [
        "(constraint check digit)",
        "the condition check digit is: sound(number)",
        "write fixtures/rows/public.patients.sql",
        "SELECT 'made up ' || :n AS number",
    ] {
        assert!(told(&output).contains(part), "{part}: {}", told(&output));
    }
    for (text, part) in [
        ("SELECT :n AS nummer", "nummer is no column"),
        ("SELECT :uid::uuid AS user_id", "user_id says whose the row is"),
        ("SELECT 'x' || :n AS number", "gives no values that meet the conditions"),
        ("SELECT 1 AS number; DROP TABLE patients", "is not one query"),
        ("SELEC 1 AS number", "could not be run"),
        ("SELECT 'x' AS number WHERE false", "gives no row"),
    ] {
        fs::write(&file, text).unwrap();
        let output = project.run(&["verify-rls", "--engine", "local"]);
        assert_eq!(output.status.code(), Some(2), "{text}: {}", told(&output));
        assert!(told(&output).contains(part), "{part}: {}", told(&output));
    }
    fs::write(&file, right).unwrap();
    fs::write(project.path("fixtures/rows/public.patient.sql"), "SELECT 1 AS a").unwrap();
    let output = project.run(&["verify-rls", "--engine", "local"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("public.patient.sql is for no table"), "{}", told(&output));
}

/// What `contract draft` writes for each schema is read, and fits the database.
#[test]
fn a_draft_of_every_schema_is_a_contract_that_fits_local() {
    let server = Cluster::start();
    for name in names() {
        let database = name.replace('-', "_");
        server.sql(&format!("CREATE DATABASE {database}"));
        let url = server.url();
        let at = url.rfind("/postgres").unwrap();
        let url = format!("{}/{database}{}", &url[..at], &url[at + "/postgres".len()..]);
        let up = binary().args(["dev", "up", "--database-url", &url, "--stand-in-only"]).output().unwrap();
        assert!(up.status.success(), "{name}: {}", told(&up));
        let project = project(&name, "");
        let contract = project.path("policies/access.toml");
        let exposed = fs::read_to_string(&contract).unwrap();
        let exposed: toml::Table = toml::from_str(&exposed).unwrap();
        let exposed: Vec<&str> =
            exposed["api"]["schemas"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
        server.sql_in(&database, &fs::read_to_string(project.path("migrations/V001__schema.sql")).unwrap());
        fs::remove_file(&contract).unwrap();
        let mut draft = binary();
        draft.args(["contract", "draft", "--database-url", &url, "--write"]).arg(&contract);
        draft.args(exposed.iter().flat_map(|schema| ["--schema", schema]));
        let output = draft.output().unwrap();
        assert!(output.status.success(), "{name}: {}", told(&output));
        let output = project.run(&["contract", "check", "--database-url", &url]);
        let text = fs::read_to_string(&contract).unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {}\n{text}", told(&output));
        if name == "names" {
            let text: toml::Table = toml::from_str(&text).unwrap();
            assert_eq!(text["tables"]["a\"b; drop table c"]["owner"].as_str(), Some("\"Us'er\""));
        }
    }
}

/// Names that want to be more than names.
const HOSTILE: [&str; 16] = [
    "a\"b; drop table c",
    "\"",
    "\"\"",
    "';--",
    "\\",
    "\\\"",
    "/*",
    "$$",
    "$1",
    "%s",
    "\n",
    "user",
    "SELECT",
    "größe",
    "\u{feff}x",
    "U&\"\\0061\"",
];

/// Every identifier and every text reaches the server as what it is: held against the server's own `quote_ident`.
#[test]
fn no_name_says_more_than_a_name_local() {
    let mut runner = TestRunner::deterministic();
    let pieces = prop_oneof![
        "[a-zA-Z_0-9$]{1,6}",
        "\\PC{1,4}",
        "[\"'\\\\;\\-/*:%$ \t\n.]{1,6}",
        prop::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned)
    ];
    let strategy = prop::collection::vec(pieces, 1..5).prop_map(|pieces| pieces.concat());
    let mut all: BTreeSet<String> = HOSTILE.iter().map(|name| (*name).to_owned()).collect();
    // Every key word of the server's, too.
    let server = Cluster::start();
    all.extend(server.sql("SELECT word FROM pg_get_keywords()").lines().map(str::to_owned));
    for _ in 0..2_000 {
        let mut name = strategy.new_tree(&mut runner).unwrap().current();
        while name.len() > 63 {
            name.pop();
        }
        all.insert(name);
    }
    let all: Vec<String> = all.into_iter().filter(|name| !name.is_empty()).collect();
    assert!(all.len() > 1_500);
    for names in all.chunks(200) {
        let list = |each: &dyn Fn(&String) -> String| names.iter().map(each).collect::<Vec<_>>().join(", ");
        let literals = list(&|name| quote::literal(name));
        let always = list(&|name| quote::literal(&quote::identifier(name)));
        let seldom = list(&|name| quote::literal(&quote::readable_identifier(name)));
        // The server quotes where it must: where it does, as we do; and what we leave bare it leaves bare or need not.
        let same = format!(
            "SELECT count(*) FROM unnest(ARRAY[{literals}], ARRAY[{always}], ARRAY[{seldom}]) AS u(name, always, seldom)
             WHERE quote_ident(name) NOT IN (name, always) OR seldom NOT IN (name, always)
                OR (quote_ident(name) = always AND seldom = name AND name NOT IN (SELECT word FROM pg_get_keywords() WHERE catcode <> 'R'))"
        );
        assert_eq!(server.sql(&same).trim(), "0", "{names:?}");
        for quoted in [
            list(&|name| format!("1 AS {}", quote::identifier(name))),
            list(&|name| format!("1 AS {}", quote::readable_identifier(name))),
        ] {
            let read = format!(
                "SELECT count(*) FROM (SELECT json_object_keys(row_to_json(q)) FROM (SELECT {quoted}) q) AS k(name)
                 FULL JOIN unnest(ARRAY[{literals}]) AS l(name) USING (name) WHERE k.name IS NULL OR l.name IS NULL"
            );
            assert_eq!(server.sql(&read).trim(), "0", "{names:?}");
        }
    }
}
