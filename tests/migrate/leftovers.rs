//! What DROP INDEX and REINDEX CONCURRENTLY, and indexes without a name, leave when their client is killed: each left for
//! real, told by the next `migrate`, and mended.

use crate::mending::until;
use crate::server::{Database, Held, Project, program};

/// Name and validity of every index of t, and of those of its long values, whose names hold a number.
const INDEXES: &str =
    "SELECT coalesce(string_agg(regexp_replace(c.relname, '\\d{4,}', 'N') || ' ' || i.indisvalid, ', ' ORDER BY c.relname), '')
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.relname = 't' AND t.relkind = 'r'
     WHERE i.indrelid IN (t.oid, t.reltoastrelid)";
const RECORDED: &str =
    "SELECT string_agg(version::text, ',' ORDER BY version) FROM chartchek_meta.refinery_schema_history";
const LONG: &str = "pg_toast_N_index true";

/// A table, then `first` where it says something, then the statement in question, then a last file.
fn project(first: &str, statement: &str) -> Project {
    Project::new(&[
        ("V1__t.sql", &format!("create table t (a text, b int); insert into t values ('x', 1); {first}")),
        ("V2__it.sql", statement),
        ("V3__last.sql", "create table last (i int)"),
    ])
}

/// Someone in an open transaction, who has changed the table, or has but read it.
fn holder(database: &Database, sql: &str) -> Held {
    let session = database.session();
    session.run(&format!("BEGIN; {sql}"));
    session
}

const WRITER: &str = "INSERT INTO t VALUES ('y', 2)";
const READER: &str = "SELECT * FROM t";

/// Kills the program once the indexes are as `during` says, while `holder` keeps the statement waiting. Its backend is
/// ended too, but where `finished`: then the server does the rest for nobody.
#[track_caller]
fn killed(database: &Database, project: &Project, holds: &str, during: &str, finished: bool) {
    database.migrate(project, &["--to", "1"]).succeeded(&["1 applied"]);
    let holder = holder(database, holds);
    let mut child = program("migrate", &database.url("postgres"), project, &[]).spawn().unwrap();
    until(database, INDEXES, during);
    child.kill().unwrap();
    child.wait().unwrap();
    let work = "FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE '%concurrently%' AND pid <> pg_backend_pid()";
    if !finished {
        database.text(&format!("SELECT pg_terminate_backend(pid) {work}"));
    }
    drop(holder);
    until(database, &format!("SELECT count(*) {work}"), "0");
    assert_eq!(database.text(RECORDED), "1");
}

#[test]
fn an_index_without_a_name_that_is_invalid_is_built_anew() {
    let database = Database::plain();
    let project = project(
        "create index t_a_idx9 on t (b); create index own on t (a)",
        "create index concurrently on public.t (a)",
    );
    let before = format!("own true, {LONG}, t_a_idx false, t_a_idx9 true");
    killed(&database, &project, WRITER, &before, false);
    let ran = database.migrate(&project, &[]);
    ran.failed(
        6,
        &["index public.t_a_idx of ", "V2__it.sql", "INVALID", "drop index concurrently public.t_a_idx;", "--mend"],
    );
    assert_eq!(database.text(INDEXES), before);
    let said = "mended   V2__it.sql: index public.t_a_idx was INVALID and is dropped";
    database.migrate(&project, &["--mend"]).succeeded(&[said, "2 applied"]);
    assert_eq!(database.text(INDEXES), before.replace("false", "true"));
}

#[test]
fn an_index_without_a_name_that_is_whole_is_recorded() {
    let database = Database::plain();
    let project = project("", "create unique index concurrently on t (a) where b > 0");
    killed(&database, &project, WRITER, &format!("{LONG}, t_a_idx false"), true);
    let before = database.text("SELECT 't_a_idx'::regclass::oid");
    database.migrate(&project, &[]).failed(6, &["index public.t_a_idx", "is not recorded", "--mend"]);
    database.migrate(&project, &["--mend"]).succeeded(&["is there already: not run, only recorded", "2 applied"]);
    assert_eq!(database.text(INDEXES), format!("{LONG}, t_a_idx true"));
    assert_eq!(database.text("SELECT 't_a_idx'::regclass::oid"), before);
}

#[test]
fn other_indexes_are_no_leftovers_of_one_without_a_name() {
    for there in [
        // Another name, another definition, and INVALID but of another definition.
        "create index own on t (a)",
        "create unique index t_a_idx on t (a)",
        "create index t_a_idx on t (a, b)",
        "create index t_a_idx on t (a desc); update pg_index set indisvalid = false where indexrelid = 't_a_idx'::regclass",
    ] {
        let database = Database::plain();
        let project = project(there, "create index concurrently on t (a)");
        database.migrate(&project, &[]).succeeded(&["3 applied"]);
        assert_eq!(database.text("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass"), "2", "{there}");
    }
    // What is wrong with the statement is said as ever.
    let database = Database::plain();
    let project = project("create index t_a_idx on t (a)", "create index concurrently on t (nothing)");
    database.migrate(&project, &[]).failed(6, &["V2__it.sql:1:", "42703"]);
}

#[test]
fn an_index_that_was_being_dropped_is_dropped() {
    for statement in ["drop index concurrently i", "drop index concurrently if exists public.i restrict;"] {
        let database = Database::plain();
        let project = project("create index i on t (a)", statement);
        killed(&database, &project, WRITER, &format!("i false, {LONG}"), false);
        assert_eq!(database.text(INDEXES), format!("i false, {LONG}"));
        let said = "mended   V2__it.sql: index public.i was left INVALID by a run that was cut off; it is dropped now";
        database.migrate(&project, &[]).succeeded(&[said, "2 applied"]);
        assert_eq!(database.text(INDEXES), LONG);
    }
}

#[test]
fn an_index_that_is_gone_is_recorded_as_dropped() {
    let database = Database::plain();
    let project = project("create index i on t (a)", "drop index concurrently i");
    killed(&database, &project, WRITER, &format!("i false, {LONG}"), true);
    assert_eq!(database.text(INDEXES), LONG);
    database.migrate(&project, &[]).failed(6, &["index i of ", "is not there", "is not recorded", "--mend"]);
    assert_eq!(database.text(RECORDED), "1");
    let said = "mended   V2__it.sql: index i is gone already: not run, only recorded";
    database.migrate(&project, &["--mend"]).succeeded(&[said, "2 applied"]);

    // IF EXISTS says that it may be gone, and a valid index is none of this.
    let database = Database::plain();
    let project = self::project("create index i on t (a)", "drop index concurrently if exists j");
    database.migrate(&project, &[]).succeeded(&["3 applied"]);
    project.write("V4__i.sql", "drop index concurrently i");
    let ran = database.migrate(&project, &[]);
    ran.succeeded(&["1 applied"]);
    assert!(!ran.out.contains("mended"), "{}", ran.out);
}

#[test]
fn copies_that_a_reindex_left_are_dropped() {
    let copied = format!("i true, i_ccnew false, {LONG}, pg_toast_N_index_ccnew false");
    let replaced = format!("i true, i_ccold false, {LONG}, pg_toast_N_index_ccold false");
    let (copy, old) = (format!("i true, i_ccnew false, {LONG}"), format!("i true, i_ccold false, {LONG}"));
    for (statement, holds, left) in [
        ("reindex index concurrently i", WRITER, &copy),
        ("reindex index concurrently public.i;", READER, &old),
        ("reindex (concurrently) table t", WRITER, &copied),
        ("reindex table concurrently \"public\".t", READER, &replaced),
        ("reindex schema concurrently public", WRITER, &copied),
    ] {
        let database = Database::plain();
        let project = project("create index i on t (a)", statement);
        killed(&database, &project, holds, left, false);
        let ran = database.migrate(&project, &[]);
        ran.failed(
            6,
            &["index p", "_cc", "INVALID", "REINDEX CONCURRENTLY was cut off", "drop index concurrently", "--mend"],
        );
        assert_eq!(database.text(INDEXES), *left, "{statement}");
        database.migrate(&project, &["--mend"]).succeeded(&["was INVALID and is dropped", "2 applied"]);
        assert_eq!(database.text(INDEXES), format!("i true, {LONG}"), "{statement}");
        assert_eq!(database.text(RECORDED), "1,2,3");
    }
}

#[test]
fn a_reindex_passes_over_what_is_not_its_own() {
    let database = Database::plain();
    // INVALID but of another table, or of that name and valid.
    let others = "create index i on t (a); create index t_ccnew on t (b); create table u (a int); \
                  create index u_ccnew on u (a); update pg_index set indisvalid = false where indexrelid = 'u_ccnew'::regclass";
    let project = project(others, "reindex table concurrently t");
    let ran = database.migrate(&project, &["--mend"]);
    ran.succeeded(&["3 applied"]);
    assert!(!ran.out.contains("mended"), "{}", ran.out);
    assert_eq!(database.text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'u_ccnew'::regclass"), "f");

    // An owner who is no superuser may not drop what is left of the long values' index: it is not in his way.
    let database = Database::plain();
    let project = self::project("create index i on t (a)", "reindex table concurrently t");
    killed(&database, &project, WRITER, &format!("i true, i_ccnew false, {LONG}, pg_toast_N_index_ccnew false"), false);
    database.run(
        "ALTER TABLE t OWNER TO owner; ALTER SCHEMA chartchek_meta OWNER TO owner; \
                  ALTER TABLE chartchek_meta.refinery_schema_history OWNER TO owner",
    );
    crate::server::run("migrate", &database.url("owner"), &project, &["--mend"])
        .succeeded(&["i_ccnew was INVALID", "2 applied"]);
    assert_eq!(database.text(INDEXES), format!("i true, {LONG}, pg_toast_N_index_ccnew false"));
}
