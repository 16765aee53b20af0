//! The migrations never leave a table open. That policies/*.sql and the migrations agree, tests/policies_command.rs holds.

use std::fs;
use std::path::Path;

/// The files of a folder, name and text, sorted.
fn files(folder: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The statements of a file: comment lines of the top level left out, split where a line ends in a semicolon outside
/// a dollar-quoted body.
fn statements(text: &str) -> Vec<String> {
    let (mut statements, mut current, mut in_body) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        if current.is_empty() && (line.trim().is_empty() || line.starts_with("--")) {
            continue;
        }
        if line.matches("$$").count() % 2 == 1 {
            in_body = !in_body;
        }
        current.push_str(line);
        current.push('\n');
        if line.ends_with(';') && !in_body {
            statements.push(std::mem::take(&mut current));
        }
    }
    assert!(current.is_empty(), "a statement without its end: {current}");
    statements
}

/// A table is never open: RLS on, forced, and every grant revoked in the file that creates it.
#[test]
fn a_table_is_closed_where_it_is_made() {
    let mut seen = 0;
    for (name, text) in files("migrations") {
        let all = statements(&text);
        for statement in &all {
            let Some(table) = statement.strip_prefix("CREATE TABLE ").and_then(|rest| rest.split_whitespace().next())
            else {
                continue;
            };
            seen += 1;
            for needed in [
                format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\n"),
                format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY;\n"),
                format!("REVOKE ALL ON TABLE {table} FROM PUBLIC, anon, authenticated, service_role;\n"),
            ] {
                assert!(all.contains(&needed), "{name}: {needed}");
            }
        }
    }
    assert_eq!(seen, 9);
}
