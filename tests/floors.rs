//! Holds the floors of the design: who may call whom, and how files look. The table is the documentation.

use std::fs;
use std::path::{Path, PathBuf};

/// Each floor, and the floors that its files may name. Nothing calls upward; siblings do not call each other.
const FLOORS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("lib", &[]),
    ("cli", &["report", "verify", "lint", "schema", "migrate", "contract", "server", "db", "model"]),
    ("report", &["model"]),
    ("verify", &["migrate", "contract", "server", "db", "model"]),
    ("lint", &["migrate", "contract", "server", "db", "model"]),
    ("schema", &["migrate", "contract", "server", "db", "model"]),
    ("migrate", &["contract", "server", "db", "model"]),
    ("contract", &["db", "model"]),
    ("server", &["db", "model"]),
    ("db", &["model"]),
    ("model", &[]),
];

/// The floors that may name the client library's types.
const CLIENT_LIBRARY: (&str, &[&str]) = ("tokio_postgres", &["db", "server"]);

/// The floors that must not do I/O or know the command line.
const NOT_IN_MODEL: &[&str] = &["clap", "tokio", "std::fs", "std::net", "std::env", "anstream", "annotate_snippets"];

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
                found.push((path.strip_prefix(src).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

fn floor(path: &Path) -> String {
    path.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// What the code of a file names after `prefix`, comments left out.
fn named<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(move |line| {
        line.match_indices(prefix).map(move |(at, _)| {
            let rest = &line[at + prefix.len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            &rest[..end]
        })
    })
}

fn violations(path: &Path, text: &str) -> Vec<String> {
    let own = floor(path);
    let shown = path.display();
    let Some((_, allowed)) = FLOORS.iter().find(|(floor, _)| *floor == own) else {
        return vec![format!("{shown}: {own} is no floor of the design")];
    };
    let mut found: Vec<String> = named(text, "crate::")
        .chain(named(text, "chartchek_db::"))
        .filter(|name| FLOORS.iter().any(|(floor, _)| floor == name))
        .filter(|name| *name != own && !allowed.contains(name))
        .map(|name| format!("{shown}: {own} must not name {name}"))
        .collect();
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let names_client = code.iter().any(|line| line.contains(&format!("{}::", CLIENT_LIBRARY.0)));
    if names_client && !CLIENT_LIBRARY.1.contains(&own.as_str()) {
        found.push(format!("{shown}: only {:?} may name {}", CLIENT_LIBRARY.1, CLIENT_LIBRARY.0));
    }
    if own == "model" {
        for name in NOT_IN_MODEL {
            if code.iter().any(|line| line.contains(&format!("{name}::"))) {
                found.push(format!("{shown}: model must not use {name}"));
            }
        }
    }
    if !text.starts_with("//! ") {
        found.push(format!("{shown}: does not open with a //! sentence"));
    }
    if text.lines().count() > 500 {
        found.push(format!("{shown}: {} lines; what is the second thing that it owns?", text.lines().count()));
    }
    found
}

#[test]
fn nothing_calls_upward() {
    let sources = sources();
    assert!(sources.len() > 30, "only {} files were looked at", sources.len());
    let found: Vec<String> = sources.iter().flat_map(|(path, text)| violations(path, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn files_are_short() {
    let mut lengths: Vec<usize> = sources().iter().map(|(_, text)| text.lines().count()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= 180, "the median file has {median} lines");
}

#[test]
fn a_planted_fault_is_seen() {
    let clean = "//! A file.\nuse crate::model::access::Contract;\n";
    assert_eq!(violations(Path::new("db/x.rs"), clean), Vec::<String>::new());
    let upward = "//! A file.\nuse crate::verify::Options;\n";
    assert_eq!(violations(Path::new("db/x.rs"), upward), ["db/x.rs: db must not name verify"]);
    let sibling = "//! A file.\nfn f() { crate::contract::find(); }\n";
    assert_eq!(violations(Path::new("server/x.rs"), sibling), ["server/x.rs: server must not name contract"]);
    let client = "//! A file.\nuse tokio_postgres::Client;\n";
    assert_eq!(violations(Path::new("migrate/x.rs"), client).len(), 1);
    let io = "//! A file.\nuse std::fs::File;\nfn f() { std::fs::read(\"x\"); }\n";
    assert_eq!(violations(Path::new("model/x.rs"), io), ["model/x.rs: model must not use std::fs"]);
    assert_eq!(violations(Path::new("attic/x.rs"), clean), ["attic/x.rs: attic is no floor of the design"]);
    assert_eq!(violations(Path::new("db/x.rs"), "use std::fmt;\n"), ["db/x.rs: does not open with a //! sentence"]);
}
