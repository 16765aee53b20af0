//! `migrate --baseline`: rows for a database that has the schema already, and only where it is what the files make.

use crate::server::{Database, KEY, Project, Ran, run};
use chartchek_db::server::Regime;

const HISTORY: &str = "SELECT string_agg(concat_ws(' ', version, name, checksum), ',' ORDER BY version) \
                       FROM chartchek_meta.refinery_schema_history";
const NO_HISTORY: &str = "SELECT to_regclass('chartchek_meta.refinery_schema_history') IS NULL";

/// The project's migrations up to `version`, in a database that looks like Supabase, and no history.
fn without_history(version: &str) -> Database {
    let database = Database::stand_in(Regime::Explicit);
    migrate(&database, &["--to", version]).succeeded(&["applied"]);
    database.run("DROP SCHEMA chartchek_meta CASCADE");
    database
}

fn migrate(database: &Database, arguments: &[&str]) -> Ran {
    run("migrate", &database.url("migrator"), &Project::own(), arguments)
}

#[test]
fn a_database_with_the_schema_gets_its_history_once_nothing_differs() {
    let database = without_history("6");
    let before = database.contents();

    // Further than it is, not as far as it is, and changed by hand: nothing is recorded.
    for (version, said) in [("7", "is missing"), ("4", "is not from the migrations")] {
        let ran = migrate(&database, &["--baseline", version]);
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains(said) && ran.out.contains("nothing was recorded"), "{}", ran.out);
    }
    database.run("ALTER TABLE public.documents ADD COLUMN by_hand int");
    let ran = migrate(&database, &["--baseline", "6"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("by_hand") && ran.out.contains("1 finding"), "{}", ran.out);
    database.run("ALTER TABLE public.documents DROP COLUMN by_hand");
    migrate(&database, &["--baseline", "99"]).failed(2, &["no migration of that version"]);
    migrate(&database, &["--baseline", "6", "--plan"]).failed(2, &["cannot be used with"]);
    migrate(&database, &["--engine", "local"]).failed(2, &["--baseline"]);
    let holder = database.session();
    holder.run(&format!("SELECT pg_advisory_lock({KEY})"));
    migrate(&database, &["--baseline", "6", "--lock-wait", "0"]).failed(5, &["migration lock"]);
    drop(holder);
    assert_eq!(database.text(NO_HISTORY), "t");
    assert_eq!(database.contents(), before);

    let ran = migrate(&database, &["--baseline", "6"]);
    ran.succeeded(&["no drift", "recorded V001__schemas.sql", "recorded V006__", "6 recorded", "1 pending"]);
    // What was recorded is what running the files records, and the table is as closed.
    let status = run("status", &database.url("migrator"), &Project::own(), &[]);
    status.succeeded(&["6 applied, 1 pending"]);
    assert_eq!(database.text("SELECT relrowsecurity FROM pg_class WHERE relname = 'refinery_schema_history'"), "t");
    migrate(&database, &["--baseline", "6"]).failed(2, &["without history", "reaches version 6"]);
    migrate(&database, &[]).succeeded(&["V007__policies.sql", "1 applied"]);
    let recorded = database.text(HISTORY);
    let other = without_history("7");
    migrate(&other, &["--baseline", "7", "--engine", "local"])
        .succeeded(&["7 recorded", "next: chartchek-db verify-rls"]);
    assert_eq!(other.text(HISTORY), recorded);
}

#[test]
fn a_database_that_does_not_let_it_write_is_told_before_the_comparison() {
    let database = Database::plain();
    database.run(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name));
    database.migrate(&Project::own(), &["--baseline", "7"]).failed(4, &["read-only", "nothing was recorded"]);
}
