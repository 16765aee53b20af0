//! policies/*.sql say what the migrations do: every statement of theirs stands in a migration, and every statement of
//! the migrations that make functions, triggers, grants and policies stands in one of them.

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

fn missing(from: &[String], among: &[String]) -> Vec<String> {
    from.iter().filter(|statement| !among.contains(statement)).cloned().collect()
}

#[test]
fn policies_and_migrations_agree() {
    let policies: Vec<String> = files("policies").iter().flat_map(|(_, text)| statements(text)).collect();
    let migrations: Vec<String> = files("migrations")
        .iter()
        .filter(|(name, _)| name.starts_with("V006") || name.starts_with("V007"))
        .flat_map(|(_, text)| statements(text))
        .collect();
    assert!(policies.len() > 60, "only {} statements", policies.len());
    assert_eq!(missing(&policies, &migrations), Vec::<String>::new(), "in policies/, not in migrations/");
    assert_eq!(missing(&migrations, &policies), Vec::<String>::new(), "in migrations/, not in policies/");
}

#[test]
fn every_table_has_its_file() {
    let tables: Vec<String> = files("migrations")
        .iter()
        .flat_map(|(_, text)| statements(text))
        .filter_map(|statement| {
            Some(statement.strip_prefix("CREATE TABLE public.")?.split_whitespace().next()?.to_owned())
        })
        .collect();
    assert_eq!(tables.len(), 9);
    let names: Vec<String> = files("policies").into_iter().map(|(name, _)| name).collect();
    for table in &tables {
        assert!(names.contains(&format!("{table}.sql")), "policies/{table}.sql is missing");
    }
    assert_eq!(names.len(), tables.len() + 1, "a file in policies/ without its table");
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

#[test]
fn a_planted_difference_is_seen() {
    let one = statements("-- why\nGRANT SELECT ON a TO b;\n\nCREATE POLICY p ON a\n    USING (true);\n");
    assert_eq!(one.len(), 2);
    let other = statements("GRANT SELECT ON a TO b;\nCREATE POLICY p ON a\n    USING (false);\n");
    assert_eq!(missing(&one, &other), ["CREATE POLICY p ON a\n    USING (true);\n"]);
    assert_eq!(missing(&one, &one), Vec::<String>::new());
}
