//! What is refused before anything runs: each its own message and exit code, and nothing changed.

use crate::server::{Database, Project, program, ran, run};

#[track_caller]
fn refused(files: &[(&str, &str)], code: i32, parts: &[&str]) {
    let database = Database::plain();
    database.migrate(&Project::new(files), &[]).failed(code, parts);
    assert_eq!(database.contents(), "");
}

const FINE: (&str, &str) = ("V1__a.sql", "create table a (i int)");

#[test]
fn files_that_are_no_migrations() {
    for (name, why) in [
        ("V2__add-table.sql", "the name holds '-'"),
        ("V2__x.SQL", ".sql (in lower case)"),
        ("3__x.sql", "begin with V"),
        ("v2__x.sql", "lower case"),
        ("U2__x.sql", "undo files"),
        ("V2_x.sql", "no __"),
        ("V1.5__x.sql", "no whole number"),
        ("V20241122103000__x.sql", "larger than 2147483647"),
        ("V2__x.sql.bak", "does not end in .sql"),
    ] {
        refused(&[FINE, (name, "create table x (i int)")], 2, &[name, why, "V008__add_titles.sql"]);
    }
}

#[test]
fn two_files_of_one_version() {
    refused(
        &[("V1__a.sql", "select 1"), ("V001__b.sql", "select 1")],
        2,
        &["two migrations have version 1", "never be applied"],
    );
}

#[test]
fn what_lies_beside_them_is_left_alone() {
    let database = Database::plain();
    let project = Project::new(&[FINE, ("README.md", "about"), (".gitkeep", "")]);
    database.migrate(&project, &[]).succeeded(&["1 applied"]);
}

#[test]
fn statements_that_would_break_the_transaction() {
    for (text, line, why) in [
        ("create table b (i int);\ncommit;\ncreate table c (i int)", "V2__x.sql:2:1", "one transaction"),
        ("begin; create table b (i int)", "V2__x.sql:1:1", "one transaction"),
        ("select 1;\n  rollback;", "V2__x.sql:2:3", "one transaction"),
        ("set session search_path = x", "V2__x.sql:1:1", "outlast"),
        ("select 1;\n\\i other.sql\n", "V2__x.sql:2:1", "psql meta-command"),
        ("select 1;\ncreate index concurrently i on a (i)", "V2__x.sql:2:1", "alone in its file"),
        ("copy a from stdin;\n1\n\\.\n", "V2__x.sql:", "psql"),
        ("select 1;\nselect 'open", "V2__x.sql:2:8", "never closed"),
        ("select 1;\n/* open", "V2__x.sql:2:1", "never closed"),
        ("select 1;\ndo $$ begin", "V2__x.sql:2:4", "never closed"),
        ("-- later", "V2__x.sql", "holds no statement"),
    ] {
        // The first file is fine, and not applied either: everything is looked at first.
        refused(&[FINE, ("V2__x.sql", text)], 2, &[line, why]);
    }
}

#[test]
fn a_new_value_of_an_enum_is_not_used_in_its_own_file() {
    let database = Database::plain();
    let project = Project::new(&[("V1__a.sql", "create type s as enum ('a'); create table t (s s)")]);
    database.migrate(&project, &[]).succeeded(&[]);
    let text = "alter type s add value 'new';\n-- 'new' is fine here\nupdate t\nset s = 'new';\n";
    // PostgreSQL itself, with an error that names no place in the file.
    assert!(crate::server::rows(&database.url("postgres"), &format!("BEGIN; {text} COMMIT")).is_err());
    project.write("V2__b.sql", "create table b (i int)");
    project.write("V3__new.sql", text);
    let ran = database.migrate(&project, &[]);
    ran.failed(2, &["V3__new.sql:4:9", "'new' cannot be used in the file that adds it", "55P04", "into the next file"]);
    assert!(ran.err.contains("4 | set s = 'new';\n  |         ^^^^^"), "{}", ran.err);
    assert_eq!(database.text("SELECT to_regclass('b') IS NULL"), "t");
    project.write("V3__new.sql", "alter type s add value 'new'");
    project.write("V4__use.sql", "update t set s = 'new'");
    database.migrate(&project, &[]).succeeded(&["3 applied"]);
}

#[test]
fn a_history_that_the_files_do_not_fit() {
    let database = Database::plain();
    let project = Project::new(&[FINE, ("V3__c.sql", "create table c (i int)")]);
    database.migrate(&project, &[]).succeeded(&[]);
    let rows = "SELECT string_agg(h::text, ';' ORDER BY version) FROM chartchek_meta.refinery_schema_history h";
    let before = database.text(rows) + &database.contents();

    project.write("V1__a.sql", "create table a (i bigint)");
    database.migrate(&project, &[]).failed(2, &["V1__a.sql", "edited after it was applied", "new migration"]);
    project.write(FINE.0, FINE.1);
    project.write("V2__b.sql", "create table b (i int)");
    database.migrate(&project, &[]).failed(2, &["V2__b.sql comes late", "version 3 is applied"]);
    let status = run("status", &database.url("postgres"), &project, &[]);
    status.succeeded(&["late     V2__b.sql", "1 late", "will refuse", "next: chartchek-db repair"]);
    project.remove("V2__b.sql");
    project.remove("V3__c.sql");
    database.migrate(&project, &[]).failed(2, &["V3__c is applied, but its file is missing"]);
    project.write("V3__d.sql", "create table c (i int)");
    database.migrate(&project, &[]).failed(2, &["V3__d.sql is applied under another name: V3__c"]);
    let status = run("status", &database.url("postgres"), &project, &["--exit-code"]);
    assert_eq!(status.code, 1);
    assert!(status.out.contains("changed  V3__d.sql"), "{}", status.out);

    assert_eq!(before, database.text(rows) + &database.contents());
}

#[test]
fn a_history_row_that_does_not_parse() {
    for (column, value) in [("applied_on", "'yesterday'"), ("checksum", "'x1'"), ("name", "NULL"), ("checksum", "NULL")]
    {
        let database = Database::plain();
        let project = Project::new(&[FINE]);
        database.migrate(&project, &[]).succeeded(&[]);
        database.run(&format!("UPDATE chartchek_meta.refinery_schema_history SET {column} = {value}"));
        project.write("V2__b.sql", "create table b (i int)");
        let said = format!("does not parse: version 1, column {column}");
        database.migrate(&project, &[]).failed(3, &[&said, "nothing was applied", "select * from"]);
        assert_eq!(database.text("SELECT to_regclass('b') IS NULL"), "t");
    }
}

#[test]
fn no_database_no_password_no_rights() {
    let database = Database::plain();
    let project = Project::new(&[FINE]);
    let nowhere = database.url("postgres").replace(&format!("dbname={}", database.name), "dbname=nowhere");
    run("migrate", &nowhere, &project, &[]).failed(4, &["nowhere"]);
    let wrong = run("migrate", &format!("{} password=the-wrong-one", database.url("locked")), &project, &[]);
    wrong.failed(4, &["locked"]);
    assert!(!wrong.err.contains("the-wrong-one"), "{}", wrong.err);
    run("migrate", "host=/nonexistent dbname=x user=y", &project, &[]).failed(4, &["/nonexistent"]);
    run("migrate", &database.url("powerless"), &project, &[]).failed(4, &["not enough rights", "grant create"]);
    run("migrate", "", &project, &[]).failed(2, &["empty"]);
    let mut unset = program("migrate", "", &project, &[]);
    unset.env("DATABASE_URL", "");
    let mut without = std::process::Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    without.arg("migrate").arg("--embedded").env_clear().env("DATABASE_URL", "");
    ran(without.output().unwrap()).failed(2, &["DATABASE_URL", "empty"]);
    assert_eq!(database.contents(), "");
}

#[test]
fn a_read_only_target() {
    let database = Database::plain();
    database.run(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name));
    let project = Project::new(&[FINE]);
    database.migrate(&project, &[]).failed(4, &["read-only", "default_transaction_read_only", "V1__a.sql"]);
    assert_eq!(database.contents(), "");
}
