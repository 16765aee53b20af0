//! The accepted matrix of ChartChek, `tests/matrix/chartchek.snap`, and beside it what newer servers alone can be asked:
//! what came of every family of attempts, as text that is reviewed as a diff.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// The commands, in the order in which they are shown.
const COMMANDS: [&str; 5] = ["select", "insert", "update", "delete", "truncate"];

/// Outcome -> forms.
type Outcomes = BTreeMap<String, Vec<String>>;

/// A form's name without what says that it is the same with RETURNING, or in another world.
fn plain(form: &str) -> &str {
    let form = form.split('@').next().unwrap_or(form);
    form.strip_suffix("-returning").unwrap_or(form)
}

/// The first version that has a form.
fn since(form: &str) -> u64 {
    let merge = form.starts_with("merge");
    match form.split('@').next().unwrap_or(form) {
        form if form.ends_with("old-new") => 18,
        form if merge && (form.contains("-by-source") || form.ends_with("-returning")) => 17,
        _ => 15,
    }
}

/// A line for each table, persona and standing: for each command the outcomes of its attempts, the worst last, and how
/// many there were. Where the outcomes differ, the forms of each follow.
fn matrix(report: &Value, version: u64) -> String {
    let text = |attempt: &Value, key: &str| attempt[key].as_str().unwrap().to_owned();
    let mut cells: BTreeMap<_, BTreeMap<String, Outcomes>> = BTreeMap::new();
    let attempts = report["attempts"].as_array().unwrap().iter();
    for attempt in attempts.filter(|attempt| since(attempt["form"].as_str().unwrap()) == version) {
        let cell = (text(attempt, "table"), text(attempt, "persona"), text(attempt, "standing"));
        let outcomes = cells.entry(cell).or_default().entry(text(attempt, "command")).or_default();
        outcomes.entry(text(attempt, "outcome")).or_default().push(text(attempt, "form"));
    }
    let mut out = String::new();
    let mut last = String::new();
    for ((table, persona, standing), commands) in cells {
        if table != last {
            let _infallible = writeln!(out, "\n{table}");
            last.clone_from(&table);
        }
        let _infallible = write!(out, "  {persona:18} {standing:6}");
        for command in COMMANDS {
            let Some(outcomes) = commands.get(command) else { continue };
            let words: Vec<String> = outcomes.iter().map(|(word, forms)| format!("{word} {}", forms.len())).collect();
            let _infallible = write!(out, "  {command}: {}", words.join(" + "));
        }
        out.push('\n');
        for (command, outcomes) in commands.iter().filter(|(_, outcomes)| outcomes.len() > 1) {
            for (word, forms) in outcomes {
                let forms: BTreeSet<&str> = forms.iter().map(|form| plain(form)).collect();
                let forms: Vec<&str> = forms.into_iter().collect();
                let _infallible = writeln!(out, "      {command} {word}: {}", forms.join(" "));
            }
        }
    }
    out
}

fn check(engine: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG") && name != "PGBIN") {
        command.env_remove(name);
    }
    let output = command
        .env_remove("DATABASE_URL")
        .args(["verify-rls", "--format", "json", "--engine", engine, "--project"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["summary"]["attempts"].as_u64().unwrap() >= 2_000);
    insta::with_settings!({ snapshot_path => "matrix", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("chartchek", matrix(&report, 15));
        // What only newer servers take stands apart, so that one text serves all.
        let server = report["environment"]["server"].as_str().unwrap().trim_start_matches("PostgreSQL ");
        for version in [17, 18].into_iter().filter(|version| *version <= server[..2].parse().unwrap()) {
            insta::assert_snapshot!(format!("chartchek-since-{version}"), matrix(&report, version));
        }
    });
}

#[test]
fn the_accepted_matrix_local() {
    check("local");
}

#[test]
fn the_accepted_matrix_embedded() {
    check("embedded");
}
