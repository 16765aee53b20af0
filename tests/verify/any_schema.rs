//! verify-rls on schemas of every shape: `fixtures/schemas/<name>/`. `schema.sql` is sound and holds, every probe of it
//! silent; with `fault.sql` what its first lines say (`-- found: ID`) is found.

use crate::project::Project;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/schemas")
}

/// The schemas' names.
pub(crate) fn names() -> Vec<String> {
    let folders = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = folders.collect();
    names.sort();
    assert!(names.len() >= 12, "{names:?}");
    names
}

/// A file of a schema.
pub(crate) fn file(name: &str, file: &str) -> String {
    let path = folder().join(name).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The schema as a project, with more SQL behind it.
pub(crate) fn project(name: &str, more: &str) -> Project {
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

fn examine_all(engine: &str) {
    let wanted = std::env::var("CHARTCHEK_DB_TEST_SCHEMA").ok();
    let names = names().into_iter().filter(|name| wanted.as_ref().is_none_or(|wanted| name == wanted));
    let wrong: Vec<String> = names.flat_map(|name| examine(&name, engine)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sound_schemas_hold_and_their_faults_are_found_local() {
    examine_all("local");
}

#[test]
fn sound_schemas_hold_and_their_faults_are_found_embedded() {
    examine_all("embedded");
}
