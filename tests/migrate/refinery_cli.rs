//! The real refinery_cli on the same database, before this program and after it.

use crate::cluster::Cluster;
use crate::proxy::Proxy;
use crate::server::{Database, Project, Ran, not_run, ran, rows, run, without_database};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const OWN: &str = "chartchek_meta.refinery_schema_history";
const TABLES: &str =
    "SELECT string_agg(oid::regclass::text, ',') FROM pg_class WHERE relname = 'refinery_schema_history'";

/// The program `refinery`, from `cargo install refinery_cli`; where it is not on PATH, `test` counts as not run.
fn installed(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("refinery")).find(|program| program.is_file());
    if found.is_none() {
        not_run(test, "refinery_cli is not installed");
    }
    found
}

/// `refinery migrate`, which reaches its server by TCP alone. With `-d` and `-m` it refuses what is divergent or missing.
fn refinery(program: &Path, url: &str, project: &Project, arguments: &[&str]) -> Ran {
    let mut command = Command::new(program);
    command.args(["migrate", "-d", "-m", "-e", "DATABASE_URL", "-p"]).arg(project.migrations()).args(arguments);
    ran(command.env("DATABASE_URL", url).current_dir("/").output().unwrap())
}

/// A database that `refinery` reaches.
struct Reached {
    database: Database,
    program: PathBuf,
    _proxy: Proxy,
    url: String,
}

impl Reached {
    fn new(program: &Path) -> Self {
        let database = Database::plain();
        let proxy = Proxy::start(database.folder().join(".s.PGSQL.5432"), Duration::ZERO);
        let url = format!("postgres://owner@127.0.0.1:{}/{}?sslmode=disable", proxy.port, database.name);
        Self { database, program: program.to_owned(), _proxy: proxy, url }
    }

    fn refinery(&self, project: &Project, arguments: &[&str]) -> Ran {
        refinery(&self.program, &self.url, project, arguments)
    }

    /// This program, as the same role, and with nothing to complain of.
    #[track_caller]
    fn ours(&self, command: &str, project: &Project, arguments: &[&str], parts: &[&str]) {
        let ran = run(command, &self.database.url("owner"), project, arguments);
        ran.succeeded(parts);
        assert_eq!(ran.err, "", "not a word");
    }
}

/// Two files, with that line end.
fn project(end: &str) -> Project {
    let project = Project::new(&[]);
    for (name, table) in [("V1__a.sql", "a"), ("V2__b.sql", "b")] {
        file(&project, name, table, end);
    }
    project
}

fn file(project: &Project, name: &str, table: &str, end: &str) {
    project.write(name, &format!("-- {table}{end}create table {table} (i int);{end}"));
}

#[test]
fn what_it_began_is_taken_over_and_it_goes_on() {
    let Some(program) = installed("refinery_cli::what_it_began_is_taken_over_and_it_goes_on") else { return };
    let named: &[&str] = &["--table-name", OWN];
    for (name, table, end) in [
        (&[][..], "refinery_schema_history", "\n"),
        (&[][..], "refinery_schema_history", "\r\n"),
        (named, OWN, "\n"),
        (named, OWN, "\r\n"),
    ] {
        let reached = Reached::new(&program);
        let database = &reached.database;
        let (project, other) = (project(end), if end == "\n" { "\r\n" } else { "\n" });
        if table == OWN {
            database.run("CREATE SCHEMA chartchek_meta AUTHORIZATION owner");
        }
        reached.refinery(&project, name).succeeded(&[]);
        let all = format!("SELECT string_agg(t::text, ';' ORDER BY version) FROM {table} t");
        let before = (database.text(&all), database.contents());
        for ends in [other, end] {
            // A checkout with other line ends is the same project.
            file(&project, "V1__a.sql", "a", ends);
            file(&project, "V2__b.sql", "b", ends);
            reached.ours("status", &project, &["--exit-code"], &["2 applied, 0 pending", "up to date"]);
            reached.ours("migrate", &project, &["--plan"], &["0 pending, 2 applied"]);
            reached.ours("migrate", &project, &[], &["nothing to do: 2 applied before"]);
            reached.ours("repair", &project, &[], &["2 recorded; files and history agree"]);
        }
        assert_eq!((database.text(&all), database.contents()), before, "nothing is written");

        file(&project, "V3__c.sql", "c", end);
        reached.ours("migrate", &project, &[], &["applied  V3__c.sql", "1 applied", "2 before"]);
        file(&project, "V4__d.sql", "d", end);
        reached.refinery(&project, name).succeeded(&[]);
        reached.ours("status", &project, &["--exit-code"], &["4 applied, 0 pending"]);
        assert_eq!(
            database.text(&format!("SELECT string_agg(version::text, ',' ORDER BY version) FROM {table}")),
            "1,2,3,4"
        );
        assert_eq!(database.text("SELECT count(*) FROM pg_tables WHERE tablename IN ('a', 'b', 'c', 'd')"), "4");
        assert_eq!(database.text(TABLES), table, "one history");
    }
}

#[test]
fn it_goes_on_after_us() {
    let Some(program) = installed("refinery_cli::it_goes_on_after_us") else { return };
    for end in ["\n", "\r\n"] {
        let reached = Reached::new(&program);
        let project = project(end);
        reached.ours("migrate", &project, &[], &["2 applied"]);
        file(&project, "V3__c.sql", "c", end);
        reached.refinery(&project, &["--table-name", OWN]).succeeded(&[]);
        reached.ours("status", &project, &["--exit-code"], &["3 applied, 0 pending", "up to date"]);
        file(&project, "V4__d.sql", "d", end);
        reached.ours("migrate", &project, &[], &["1 applied", "3 before"]);
        reached.refinery(&project, &["--table-name", OWN]).succeeded(&[]);
        assert_eq!(reached.database.text(TABLES), OWN);
    }
}

#[test]
fn a_history_that_the_api_could_write_is_closed_with_the_next_file() {
    let Some(program) = installed("refinery_cli::a_history_that_the_api_could_write_is_closed_with_the_next_file")
    else {
        return;
    };
    let reached = Reached::new(&program);
    let database = &reached.database;
    // As Supabase was set up until 2026.
    database.run("ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role");
    let project = project("\n");
    reached.refinery(&project, &[]).succeeded(&[]);
    let open = "SELECT bool_or(has_table_privilege(r, 'refinery_schema_history', 'SELECT, INSERT, DELETE, TRUNCATE'))
                FROM unnest(ARRAY['anon', 'authenticated', 'service_role', 'powerless']) r";
    assert_eq!(database.text(open), "t");
    file(&project, "V3__c.sql", "c", "\n");
    reached.ours("migrate", &project, &[], &["1 applied"]);
    assert_eq!(database.text(open), "f");
    assert_eq!(database.text("SELECT relrowsecurity FROM pg_class WHERE relname = 'refinery_schema_history'"), "t");
    file(&project, "V4__d.sql", "d", "\n");
    reached.refinery(&project, &[]).succeeded(&[]);
    // What differs is accepted where the history is.
    file(&project, "V2__b.sql", "b", "\n\n");
    run("repair", &database.url("owner"), &project, &["--accept", "2"]).succeeded(&["accepted V2__b.sql"]);
    reached.refinery(&project, &[]).succeeded(&[]);
    // Once closed it stays as it is.
    let acl = "SELECT relacl::text FROM pg_class WHERE relname = 'refinery_schema_history'";
    database.run("GRANT SELECT ON refinery_schema_history TO reader");
    let before = database.text(acl);
    file(&project, "V5__e.sql", "e", "\n");
    reached.ours("migrate", &project, &[], &["1 applied", "4 before"]);
    assert_eq!(database.text(acl), before);
}

#[test]
fn another_programs_history_is_told_and_left_alone() {
    let Some(program) = installed("refinery_cli::another_programs_history_is_told_and_left_alone") else { return };
    let reached = Reached::new(&program);
    let database = &reached.database;
    let theirs = Project::new(&[("V1__theirs.sql", "create table theirs (i int)")]);
    reached.refinery(&theirs, &[]).succeeded(&[]);
    let project = project("\n");
    let ran = run("migrate", &database.url("owner"), &project, &[]);
    ran.failed(2, &["applied under another name: V1__theirs", "public.refinery_schema_history", "another program's"]);
    // What the message says to do.
    let (_, rest) = ran.err.split_once("another program's: ").unwrap();
    let (statements, _) = rest.split_once(" begins one").unwrap();
    rows(&database.url("owner"), statements).unwrap();
    let before = database.text("SELECT string_agg(t::text, ';') FROM public.refinery_schema_history t");
    reached.ours("migrate", &project, &[], &["2 applied"]);
    assert_eq!(database.text("SELECT string_agg(t::text, ';') FROM public.refinery_schema_history t"), before);
    reached.refinery(&theirs, &[]).succeeded(&[]);

    // One that never came to anything is nobody's.
    let reached = Reached::new(&program);
    let failing = Project::new(&[("V1__a.sql", "create tab")]);
    assert_ne!(reached.refinery(&failing, &[]).code, 0);
    assert_eq!(reached.database.text(TABLES), "refinery_schema_history");
    reached.ours("migrate", &project, &[], &["2 applied"]);
    assert_eq!(reached.database.text(&format!("SELECT count(*) FROM {OWN}")), "2");
}

/// The project's own files, and what the other commands say of the database that refinery_cli made of them.
#[test]
fn the_own_migrations_by_refinery_cli_are_no_drift() {
    let Some(program) = installed("refinery_cli::the_own_migrations_by_refinery_cli_are_no_drift") else { return };
    let (server, project) = (Cluster::start(), Project::own());
    let ours = |command: &[&str], url: &str| {
        ran(without_database(command[0], &project, &command[1..]).args(["--database-url", url]).output().unwrap())
    };
    let up = Command::new(env!("CARGO_BIN_EXE_chartchek-db"))
        .args(["dev", "up", "--stand-in-only", "--database-url", &server.url()])
        .output()
        .unwrap();
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let migrator = String::from_utf8(up.stdout).unwrap().trim().to_owned();
    refinery(&program, &migrator, &project, &[]).succeeded(&[]);
    ours(&["status", "--exit-code"], &migrator).succeeded(&["7 applied, 0 pending"]);
    ours(&["migrate"], &migrator).succeeded(&["nothing to do: 7 applied before"]);
    ours(&["drift"], &migrator).succeeded(&["no drift"]);
    // A table of an exposed schema is told of, whatever it is for.
    let verified = ours(&["verify-rls"], &migrator);
    assert_eq!(verified.code, 1, "{}", verified.err);
    assert!(verified.out.contains("refinery_schema_history is in an exposed schema"), "{}", verified.out);
    server.sql(
        "CREATE SCHEMA IF NOT EXISTS chartchek_meta AUTHORIZATION migrator; \
                ALTER TABLE public.refinery_schema_history SET SCHEMA chartchek_meta",
    );
    ours(&["status", "--exit-code"], &migrator).succeeded(&["7 applied, 0 pending"]);
    ours(&["verify-rls"], &migrator).succeeded(&["7"]);
}
