//! What --plan says beside locks: sizes, new tables, names, and what changes in row security and grants.

use crate::server::{Database, Project};
use serde_json::Value;

/// The plan of one file, as JSON.
fn plan(database: &Database, project: &Project) -> Value {
    let ran = database.migrate(project, &["--plan", "--format", "json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

fn statements(plan: &Value) -> Vec<&Value> {
    plan["files"].as_array().unwrap().iter().flat_map(|file| file["statements"].as_array().unwrap()).collect()
}

/// Every change of row security and grants, and whether it opens something.
fn security(database: &Database, sql: &str) -> Vec<String> {
    let planned = plan(database, &Project::new(&[("V1__x.sql", sql)]));
    let changes = statements(&planned).into_iter().flat_map(|statement| statement["security"].as_array().unwrap());
    changes
        .map(|change| {
            let text = |key: &str| change[key].as_str().unwrap();
            let sign = if change["opens"].is_null() { "." } else { "!" };
            format!("{sign} {}: {}", text("object"), text("change"))
        })
        .collect()
}

#[test]
fn sizes_are_the_servers() {
    let database = Database::plain();
    database.run(
        "CREATE TABLE big (id int, t text); INSERT INTO big SELECT g, repeat('x', 100) FROM generate_series(1, 10000) g;
         CREATE INDEX ON big (id); CREATE TABLE never (id int); CREATE TABLE whole (id int) PARTITION BY RANGE (id);
         CREATE TABLE part PARTITION OF whole FOR VALUES FROM (1) TO (2000);
         INSERT INTO whole SELECT generate_series(1, 1000); ANALYZE big; ANALYZE part",
    );
    let sql = "alter table big add x int; alter table never add x int; alter table whole add x int;
               alter table gone add x int; create table made (id int); alter table made add x int";
    let planned = plan(&database, &Project::new(&[("V1__x.sql", sql)]));
    let locks: Vec<&Value> = statements(&planned).into_iter().map(|statement| &statement["locks"][0]).collect();
    let bytes = database.text("SELECT pg_total_relation_size('big')").parse::<u64>().unwrap();
    assert_eq!((&locks[0]["bytes"], &locks[0]["rows"]), (&bytes.into(), &10_000.into()));
    assert_eq!((&locks[1]["bytes"], &locks[1]["rows"]), (&0.into(), &Value::Null));
    let bytes = database.text("SELECT pg_total_relation_size('part')").parse::<u64>().unwrap();
    assert_eq!((&locks[2]["bytes"], &locks[2]["rows"]), (&bytes.into(), &1_000.into()));
    assert_eq!((&locks[3]["kind"], &locks[3]["blocks"]), (&Value::Null, &"nobody".into()));
    assert_eq!((&locks[5]["made_by"], &locks[5]["bytes"]), (&"V1__x.sql".into(), &Value::Null));
}

#[test]
fn a_new_table_blocks_nobody_in_later_files_and_under_another_name_too() {
    let database = Database::plain();
    let project = Project::new(&[
        (
            "V1__a.sql",
            "create table \"New One\" (id int primary key, s varchar(10)); alter table \"New One\" rename to second",
        ),
        (
            "V2__b.sql",
            "create schema s; alter table second set schema s; alter table s.second alter s type varchar(20)",
        ),
        ("V3__c.sql", "set search_path = s; create index i on second (id); drop index i; drop table second"),
        ("V4__d.sql", "alter table second add x int"),
    ]);
    let planned = plan(&database, &project);
    let found = statements(&planned);
    let at = |index: usize| {
        let lock = found[index]["locks"].as_array().unwrap().first().unwrap();
        (lock["relation"].as_str().unwrap(), lock["blocks"].as_str().unwrap(), lock["made_by"].as_str())
    };
    assert_eq!(at(0), ("public.\"New One\"", "nobody", Some("V1__a.sql")));
    assert_eq!(at(1), ("public.\"New One\"", "nobody", Some("V1__a.sql")));
    assert_eq!(at(3), ("public.second", "nobody", Some("V1__a.sql")));
    assert_eq!(at(4), ("s.second", "nobody", Some("V1__a.sql")));
    assert_eq!(found[4]["locks"][0]["rewrite"], Value::Null);
    assert_eq!(at(6), ("s.second", "nobody", Some("V1__a.sql")));
    assert_eq!(at(7), ("s.second", "nobody", Some("V1__a.sql")));
    // Dropped, and the search_path ended with its file.
    assert_eq!(at(9), ("public.second", "nobody", None));
    assert_eq!(planned["summary"]["blocks_reads_and_writes"], 0);
}

#[test]
fn locks_are_kept_until_the_file_ends() {
    let database = Database::plain();
    database.run("CREATE TABLE a (id int); CREATE TABLE b (id int)");
    let sql = "create index on a (id);\nalter table a add x int;\nalter table b set (fillfactor = 70);\nselect 1;";
    let project = Project::new(&[("V1__x.sql", sql), ("V2__y.sql", "create index concurrently i on a (id)")]);
    let planned = plan(&database, &project);
    let kept = planned["files"][0]["kept_locks"].as_array().unwrap();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!((&kept[0]["mode"], &kept[0]["from_line"]), (&"ACCESS EXCLUSIVE".into(), &2.into()));
    assert_eq!(planned["files"][1]["kept_locks"].as_array().unwrap().len(), 0);
}

#[test]
fn row_security_grants_and_policies_are_told_by_name() {
    let database = Database::plain();
    database.run("CREATE TABLE t (id int); CREATE TABLE u (id int); CREATE VIEW v AS SELECT 1 AS one");
    for (sql, told) in [
        ("create policy p on t using (true)", "! policy p on public.t: created for all to public, using (true)"),
        (
            "create policy \"P q\" on t for insert to anon with check ( TRUE )",
            "! policy \"P q\" on public.t: created for insert to anon, with check ( TRUE )",
        ),
        (
            "create policy p on t to owner using (id = 1)",
            ". policy p on public.t: created for all to owner, using (id = 1)",
        ),
        ("create policy p on t using (id = 1)", "! policy p on public.t: created for all to public, using (id = 1)"),
        (
            "create policy p on t as restrictive to anon using (true)",
            ". policy p on public.t: created for all to anon, restrictive, using (true)",
        ),
        ("alter policy p on t using (true)", "! policy p on public.t: altered, using (true)"),
        ("alter policy p on t to anon", "! policy p on public.t: altered to anon"),
        ("alter policy p on t rename to q", ". policy p on public.t: renamed to q"),
        ("drop policy if exists p on t", "! policy p on public.t: dropped"),
        ("alter table t enable row level security", ". row security of public.t: enabled"),
        ("alter table t force row level security", ". row security of public.t: forced, on the owner too"),
        ("alter table t disable row level security", "! row security of public.t: disabled"),
        ("alter table t no force row level security", "! row security of public.t: no longer forced on the owner"),
        ("grant select, insert (id) on t to anon", "! grants on public.t: select, insert (id) granted to anon"),
        ("grant all on table t to public", "! grants on public.t: all granted to PUBLIC"),
        ("grant select on t to owner", ". grants on public.t: select granted to owner"),
        ("grant usage on schema public to authenticated", "! grants on schema public: usage granted to authenticated"),
        ("grant execute on function f(int) to public", "! grants on function f(int): execute granted to PUBLIC"),
        (
            "grant select on all tables in schema public to anon",
            "! grants on all tables in schema public: select granted to anon",
        ),
        ("grant owner to reader", ". membership of owner: granted to reader"),
        ("grant service_role to authenticated", "! membership of service_role: granted to authenticated"),
        ("revoke select on t from anon, owner", ". grants on public.t: select revoked from anon, owner"),
        (
            "alter default privileges in schema public grant select on tables to anon",
            "! default privileges in schema public: grant select on tables to anon",
        ),
        (
            "alter default privileges for role owner revoke execute on functions from public",
            ". default privileges for role owner: revoke execute on functions from public",
        ),
        ("alter table t owner to owner", ". owner of public.t: becomes owner"),
        ("alter table t owner to authenticated", "! owner of public.t: becomes authenticated"),
        ("alter view v owner to owner", ". owner of public.v: becomes owner"),
        ("alter function f(int) owner to owner", ". owner of f(int): becomes owner"),
        ("create table x (id int)", "! table public.x: made without row security"),
        ("create table x as select 1 as one", "! table public.x: made without row security"),
        ("create schema x create table y (id int)", "! table x.y: made without row security"),
        ("create view x as select id from t", "! view public.x: reads as its owner"),
        ("create materialized view x as select id from t", "! materialized view public.x: made"),
        (
            "create function f() returns int language sql security definer as 'select 1'",
            "! function f: runs as its owner (SECURITY DEFINER)",
        ),
        ("alter function f(int) security definer", "! function f: runs as its owner (SECURITY DEFINER)"),
        ("create role x bypassrls", "! role x: BYPASSRLS"),
        ("alter role owner superuser", "! role owner: SUPERUSER"),
        ("create role x login", ". role x: created"),
        ("reassign owned by reader to owner", ". reassign owned by reader to owner: owners and rights of many objects"),
    ] {
        assert_eq!(security(&database, sql), [told], "{sql}");
    }
    for sql in [
        "create table x (id int); alter table x enable row level security; alter table x add y int",
        "create view x with (security_invoker = on) as select id from t",
        "create view x with (security_invoker) as select id from t",
        "create temp table x (id int)",
        "create table if not exists t (id int)",
        "create function f() returns int language sql as 'select 1'",
        "alter role owner set search_path = ''",
    ] {
        let found = security(&database, sql);
        assert!(found.iter().all(|one| one.starts_with(". row security")), "{sql}: {found:?}");
    }
    let off = security(&database, "create view x with (security_invoker = off) as select id from t");
    assert_eq!(off, ["! view public.x: reads as its owner"]);
    let two = security(&database, "grant select on t, u to anon, authenticated with grant option");
    assert_eq!(two.len(), 2, "{two:?}");
}

/// Roles that the contract names are the API's too.
#[test]
fn the_contracts_roles_open_something() {
    let database = Database::plain();
    database.run("CREATE TABLE t (id int)");
    let project = Project::new(&[("V1__x.sql", "grant select on t to reader; grant select on t to owner")]);
    let contract =
        "version = 1\n[api]\nschemas = [\"public\"]\npre_request = \"none\"\n[actors.visitor]\nrole = \"reader\"\n";
    std::fs::write(project.folder().join("policies/access.toml"), contract).unwrap();
    let planned = plan(&database, &project);
    let found = statements(&planned);
    assert!(found[0]["security"][0]["opens"].is_string(), "{planned:#}");
    assert!(found[1]["security"][0]["opens"].is_null(), "{planned:#}");
}

#[test]
fn flags_that_say_nothing_are_refused() {
    let database = Database::plain();
    let project = Project::new(&[("V1__x.sql", "select 1")]);
    for flags in [&["--trace"][..], &["--format", "json"], &["--engine", "local"], &["--plan", "--engine", "local"]] {
        assert_eq!(database.migrate(&project, flags).code, 2, "{flags:?}");
    }
}
