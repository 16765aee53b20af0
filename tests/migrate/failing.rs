//! Files that fail while they run: where, why, what was done before, and nothing left behind.

use crate::server::{Database, Project};

/// Applies a fine file and then `text`; holds what is said and that nothing of `text` stayed.
#[track_caller]
fn fails(text: &str, parts: &[&str]) -> String {
    let database = Database::plain();
    let project = Project::new(&[
        ("V1__a.sql", "create table a (i int primary key); insert into a values (1)"),
        ("V2__x.sql", text),
        ("V3__c.sql", "create table c (i int)"),
    ]);
    let ran = database.migrate(&project, &[]);
    ran.failed(6, parts);
    ran.failed(
        6,
        &[
            "V2__x.sql failed",
            "left nothing behind",
            "applied by this run before",
            "V1__a.sql",
            "not reached",
            "V3__c.sql",
        ],
    );
    assert_eq!(
        database.contents(),
        "relation a\nrelation chartchek_meta.refinery_schema_history\nschema chartchek_meta"
    );
    assert_eq!(database.text("SELECT string_agg(i::text, ',') FROM a"), "1");
    // The lock is free again, and the mended file goes through.
    project.write("V2__x.sql", "create table b (i int)");
    database.migrate(&project, &["--lock-wait", "0"]).succeeded(&["2 applied"]);
    ran.err
}

#[test]
fn a_syntax_error_has_line_column_and_caret() {
    let said =
        fails("create table b (i int);\n  creat table d (i int);", &["V2__x.sql:2:3", "statement 2, SQLSTATE 42601"]);
    assert!(said.contains("2 |   creat table d (i int);\n  |   ^^^^^"), "{said}");
}

#[test]
fn an_error_of_meaning_is_placed_behind_characters_of_several_bytes() {
    fails(
        "create table b (i int); -- größer, 日本\n/* é */ insert into b values ('ü'); select '日本', nothing from b",
        &["V2__x.sql:2:", "22P02"],
    );
    let said = fails(
        "create table b (i int); -- größer, 日本\nselect '日本語', nothing from b",
        &["V2__x.sql:2:15", "42703", "statement 2 of 2"],
    );
    assert!(said.contains("^^^^^^^"), "{said}");
    fails("\u{feff}create table b (i int);\r\nselect nothing from b", &["V2__x.sql:2:8", "42703"]);
}

#[test]
fn an_error_without_position_is_placed_by_counting() {
    let said = fails(
        "create table b (i int);\n;;\n-- again\ninsert into b values (2);\ninsert into a\nvalues (1);\nselect 3",
        &["V2__x.sql:5:1", "23505", "statement 3 of 4", "DETAIL withheld"],
    );
    assert!(!said.contains("Key (i)=(1)"), "{said}");
    fails("create table b (i int);\nselect 1 / 0", &["V2__x.sql:2:1", "22012", "statement 2 of 2"]);
}

#[test]
fn an_error_inside_a_block_is_placed_inside() {
    fails(
        "create table b (i int);\ndo $$\nbegin\n  perform 1;\n  raise exception 'no more' using hint = 'try this';\nend $$;",
        &["V2__x.sql:5:3", "no more", "P0001", "statement 2 of 2", "help: try this"],
    );
    fails(
        "create table b (i int);\ndo $$\nbegin\n  perform 1;\n  insert into a values (1), (nothing);\nend $$;",
        &["V2__x.sql:5:30", "42703", "statement 2 of 2"],
    );
    fails(
        "create function f() returns int language plpgsql as $$\nbegin\n  return 1 / 0;\nend $$;\nselect 1;\nselect f();",
        &["V2__x.sql:6:1", "22012", "statement 3 of 3", "function f() line 3"],
    );
    fails(
        "create function f() returns int language plpgsql as $$\nbegin\n  retur 1;\nend $$;",
        &["V2__x.sql:3:3", "42601"],
    );
}

#[test]
fn what_is_missing_at_the_end_is_placed_at_the_end() {
    fails("create table b (i int);\ncreate table d (i int", &["V2__x.sql:2:"]);
}

#[test]
fn a_constraint_that_fails_at_commit_is_told() {
    fails(
        "create table b (i int references a deferrable initially deferred);\ninsert into b values (77)",
        &["V2__x.sql", "23503", "at the end of the file"],
    );
}

#[test]
fn values_of_rows_are_withheld_until_asked_for() {
    let database = Database::plain();
    database.run("CREATE TABLE people (name text); INSERT INTO people VALUES ('Jane Roe')");
    let project = Project::new(&[("V1__x.sql", "alter table people alter name type int using name::int")]);
    let ran = database.migrate(&project, &[]);
    ran.failed(6, &["22P02", "--show-detail"]);
    assert!(!ran.err.contains("Jane"), "{}", ran.err);
    database.migrate(&project, &["--show-detail"]).failed(6, &["Jane Roe"]);
    project.write("V1__x.sql", "alter table people add constraint short check (length(name) < 3)");
    let ran = database.migrate(&project, &[]);
    ran.failed(6, &["23514", "short"]);
    assert!(!ran.err.contains("Jane"), "{}", ran.err);
    project.write(
        "V1__x.sql",
        "create unique index i on people (name); insert into people values (lower('JANE ROE')), ('Jane Roe')",
    );
    let ran = database.migrate(&project, &[]);
    ran.failed(6, &["23505", "DETAIL withheld"]);
    database.migrate(&project, &["--show-detail"]).failed(6, &["DETAIL: Key (name)=(Jane Roe)"]);
}

#[test]
fn a_plain_postgresql_is_told_what_to_do() {
    let database = Database::plain();
    database.migrate(&Project::own(), &[]).failed(
        6,
        &[
            "V001__schemas.sql:9:9",
            "schema auth with its table users is missing",
            "3F000",
            "dev up --stand-in-only",
            "not reached: 6 files",
        ],
    );
    assert_eq!(database.contents(), "");
}

#[test]
fn a_file_without_transaction_says_what_it_left() {
    let database = Database::plain();
    database.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)");
    let project = Project::new(&[("V1__i.sql", "create unique index concurrently i on t (a)")]);
    database
        .migrate(&project, &[])
        .failed(6, &["V1__i.sql:1:1", "23505", "public.i is INVALID", "drop index concurrently public.i"]);
    assert_eq!(database.text("SELECT count(*) FROM chartchek_meta.refinery_schema_history"), "0");
    database.run("DROP INDEX i; DELETE FROM t");
    database.migrate(&project, &[]).succeeded(&["1 applied"]);
}
