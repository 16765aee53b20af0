//! The stand-in: what a plain PostgreSQL must have to pass for Supabase, and where it refuses to be installed.

mod support;

use chartchek_db::db::session::Session;
use chartchek_db::model::failure::FailureKind;
use chartchek_db::server::stand_in::{self, MARK};
use chartchek_db::server::{EngineChoice, Regime, scratch};
use support::{Server, one, sqlstate};

async fn install(session: &Session, regime: Regime) {
    stand_in::install(session, regime, None).await.unwrap_or_else(|failure| panic!("{failure:?}"));
}

/// What is set before, and what the function then gives, or the SQLSTATE that it raises. Supabase's own behaviour.
const CLAIMS: &[(&str, &str, &str)] = &[
    ("", "auth.uid()", "NULL"),
    ("", "auth.role()", "NULL"),
    ("", "auth.email()", "NULL"),
    ("", "auth.jwt()", "NULL"),
    ("SET request.jwt.claims = ''", "auth.uid()", "NULL"),
    ("SET request.jwt.claims = ''", "auth.jwt()", "NULL"),
    ("SET request.jwt.claims = '{}'", "auth.uid()", "NULL"),
    ("SET request.jwt.claims = '{}'", "auth.jwt()", "{}"),
    ("SET request.jwt.claims = 'not json'", "auth.uid()", "22P02"),
    ("SET request.jwt.claims = 'not json'", "auth.role()", "22P02"),
    ("SET request.jwt.claims = 'not json'", "auth.jwt()", "22P02"),
    (r#"SET request.jwt.claims = '{"sub": ""}'"#, "auth.uid()", "22P02"),
    (r#"SET request.jwt.claims = '{"sub": "alice"}'"#, "auth.uid()", "22P02"),
    (r#"SET request.jwt.claims = '{"sub": null}'"#, "auth.uid()", "NULL"),
    (
        r#"SET request.jwt.claims = '{"sub": "a11ce000-0000-4000-8000-000000000001"}'"#,
        "auth.uid()",
        "a11ce000-0000-4000-8000-000000000001",
    ),
    (r#"SET request.jwt.claims = '{"role": "authenticated"}'"#, "auth.role()", "authenticated"),
    (r#"SET request.jwt.claims = '{"email": "a@example.test"}'"#, "auth.email()", "a@example.test"),
    // The legacy parameters go before the claims, and empty ones do not.
    (
        r#"SET request.jwt.claims = '{"sub": "a11ce000-0000-4000-8000-000000000001"}';
           SET request.jwt.claim.sub = 'b0b00000-0000-4000-8000-000000000002'"#,
        "auth.uid()",
        "b0b00000-0000-4000-8000-000000000002",
    ),
    (
        r#"SET request.jwt.claims = '{"sub": "a11ce000-0000-4000-8000-000000000001"}'; SET request.jwt.claim.sub = ''"#,
        "auth.uid()",
        "a11ce000-0000-4000-8000-000000000001",
    ),
    ("SET request.jwt.claim.sub = 'nobody'", "auth.uid()", "22P02"),
    (r#"SET request.jwt.claims = '{"role": "anon"}'; SET request.jwt.claim.role = 'x'"#, "auth.role()", "x"),
    (r#"SET request.jwt.claims = '{"email": "a"}'; SET request.jwt.claim.email = 'b'"#, "auth.email()", "b"),
    (r#"SET request.jwt.claims = '{"a": 1}'; SET request.jwt.claim = '{"b": 2}'"#, "auth.jwt()", r#"{"b": 2}"#),
    (r#"SET request.jwt.claims = 'not json'; SET request.jwt.claim = '{"b": 2}'"#, "auth.jwt()", r#"{"b": 2}"#),
];

#[tokio::test]
async fn the_functions_of_auth_read_claims_as_supabases_do() {
    for engine in [EngineChoice::Local, EngineChoice::Embedded] {
        let scratch = scratch(engine, Regime::Explicit, "claims", async |_: &mut Session| Ok(())).await.unwrap();
        let session = scratch.connect().await.unwrap();
        for &(before, function, expected) in CLAIMS {
            session.batch("BEGIN; SAVEPOINT clean").await.unwrap();
            session.batch(before).await.unwrap();
            let got = match session.text_rows(&format!("SELECT {function}")).await {
                Ok(rows) => rows[0][0].clone().unwrap_or_else(|| "NULL".to_owned()),
                Err(error) => error.code,
            };
            assert_eq!(got, expected, "{engine}: {before}; {function}");
            session.batch("ROLLBACK").await.unwrap();
        }
        // What a transaction-local setting leaves behind is '', not unset: still nobody.
        session.batch("BEGIN; SET LOCAL request.jwt.claims = '{}'; COMMIT").await.unwrap();
        assert_eq!(one(&session, "SELECT current_setting('request.jwt.claims', true)").await, "", "{engine}");
        assert_eq!(one(&session, "SELECT auth.uid()").await, "NULL", "{engine}");
        session.close().await;
    }
}

#[tokio::test]
async fn the_regimes_differ_in_what_new_objects_give_the_apis_roles() {
    let server = Server::start().await;
    let superuser = server.connect("postgres", "postgres").await;
    // Either regime may come after the other: nothing of the first must stay.
    for (round, regime) in [Regime::Legacy, Regime::Explicit, Regime::Legacy].into_iter().enumerate() {
        install(&superuser, regime).await;
        let migrator = server.connect("migrator", "postgres").await;
        for (maker, session) in [("migrator", &migrator), ("superuser", &superuser)] {
            let name = format!("{maker}_{round}");
            session
                .batch(&format!(
                    "CREATE TABLE public.{name} (id int); CREATE SEQUENCE public.{name}_seq;
                     CREATE FUNCTION public.{name}() RETURNS int LANGUAGE sql AS 'SELECT 1'"
                ))
                .await
                .unwrap();
            for role in ["anon", "authenticated", "service_role"] {
                let may = async |what: &str| one(session, &format!("SELECT has_{what}")).await == "t";
                let context = format!("{regime}, made by the {maker}, {role}");
                let open = regime == Regime::Legacy;
                for privilege in ["SELECT", "INSERT", "UPDATE", "DELETE"] {
                    let can = may(&format!("table_privilege('{role}', 'public.{name}', '{privilege}')")).await;
                    assert_eq!(can, open, "{context}: {privilege}");
                }
                // What the change of 2026 left: not filtered by row security.
                for privilege in ["TRUNCATE", "REFERENCES", "TRIGGER"] {
                    assert!(
                        may(&format!("table_privilege('{role}', 'public.{name}', '{privilege}')")).await,
                        "{context}: {privilege}"
                    );
                }
                for (privilege, expected) in [("USAGE", open), ("SELECT", open), ("UPDATE", true)] {
                    let can = may(&format!("sequence_privilege('{role}', 'public.{name}_seq', '{privilege}')")).await;
                    assert_eq!(can, expected, "{context}: sequence {privilege}");
                }
                assert!(may(&format!("function_privilege('{role}', 'public.{name}()', 'EXECUTE')")).await, "{context}");
            }
        }
    }
}

#[tokio::test]
async fn the_migrator_may_what_supabases_may() {
    let server = Server::start().await;
    let superuser = server.connect("postgres", "postgres").await;
    install(&superuser, Regime::Explicit).await;
    let migrator = server.connect("migrator", "postgres").await;
    for sql in [
        "CREATE TABLE public.mine (id uuid REFERENCES auth.users (id))",
        "CREATE SCHEMA mine",
        "INSERT INTO auth.users (id, aud, role, email) VALUES (gen_random_uuid(), 'authenticated', 'authenticated', 'x')",
        "UPDATE auth.users SET phone = NULL",
        "CREATE FUNCTION mine.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER mine AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION mine.f()",
        "DELETE FROM auth.users",
        "SET ROLE anon; RESET ROLE; SET ROLE authenticated; RESET ROLE; SET ROLE service_role; RESET ROLE",
        "CREATE ROLE reporting; GRANT authenticated TO reporting; DROP ROLE reporting",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM anon",
        "SELECT extensions.digest('x', 'sha256'), extensions.uuid_generate_v4(), uuid_generate_v4()",
    ] {
        assert_eq!(sqlstate(&migrator, sql).await, "00000", "{sql}");
    }
    for sql in [
        "CREATE TABLE auth.mine (id int)",
        "ALTER TABLE auth.users ADD COLUMN mine int",
        "ALTER TABLE auth.users DISABLE ROW LEVEL SECURITY",
        "COMMENT ON TABLE auth.users IS 'mine'",
        "COMMENT ON SCHEMA auth IS 'mine'",
        "CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'",
        "SET ROLE authenticator",
        "SET ROLE supabase_auth_admin",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER DATABASE postgres SET app.mine = 'x'",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ] {
        assert_eq!(sqlstate(&migrator, sql).await, "42501", "{sql}");
    }
    for (sql, expected) in [
        (
            "SELECT rolsuper::text || rolbypassrls || rolcreaterole || rolcreatedb || rolreplication FROM pg_roles WHERE rolname = 'migrator'",
            "falsetruetruetruetrue",
        ),
        ("SELECT rolinherit::text || rolcanlogin FROM pg_roles WHERE rolname = 'authenticator'", "falsetrue"),
        (
            "SELECT string_agg(rolname || rolbypassrls, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')",
            "anonfalse authenticatedfalse service_roletrue",
        ),
        ("SELECT rolconfig::text FROM pg_roles WHERE rolname = 'anon'", "{statement_timeout=3s}"),
        ("SELECT rolconfig::text FROM pg_roles WHERE rolname = 'authenticated'", "{statement_timeout=8s}"),
        (
            "SELECT rolconfig::text FROM pg_roles WHERE rolname = 'authenticator'",
            "{statement_timeout=8s,lock_timeout=8s}",
        ),
        (
            "SELECT relrowsecurity::text || pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'auth.users'::regclass",
            "truesupabase_auth_admin",
        ),
        (
            "SELECT attgenerated FROM pg_attribute WHERE attrelid = 'auth.users'::regclass AND attname = 'confirmed_at'",
            "s",
        ),
        ("SELECT has_table_privilege('anon', 'auth.users', 'SELECT')", "f"),
        ("SELECT has_table_privilege('service_role', 'auth.users', 'SELECT')", "f"),
    ] {
        assert_eq!(one(&migrator, sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn eight_at_once_on_one_cluster_and_once_more() {
    let server = Server::start().await;
    let superuser = server.connect("postgres", "postgres").await;
    // Four databases, two connections each: roles are the cluster's, all else is a database's.
    for number in 0..4 {
        superuser.batch(&format!("CREATE DATABASE d{number}")).await.unwrap();
    }
    for round in 0..2 {
        let mut sessions = Vec::new();
        for number in 0..8 {
            sessions.push(server.connect("postgres", &format!("d{}", number % 4)).await);
        }
        let installed = sessions.iter().map(|session| stand_in::install(session, Regime::Explicit, Some("secret")));
        for result in futures::future::join_all(installed).await {
            assert!(result.is_ok(), "round {round}: {:?}", result.unwrap_err());
        }
    }
}

#[tokio::test]
async fn it_refuses_a_supabase_and_what_it_did_not_make() {
    let server = Server::start().await;
    let superuser = server.connect("postgres", "postgres").await;
    let refused = async |database: &str, planted: &str, needle: &str| {
        superuser.batch(&format!("CREATE DATABASE {database}")).await.unwrap();
        let session = server.connect("postgres", database).await;
        session.batch(planted).await.unwrap();
        // The planted fault is what it refuses: roles there are none of yet, so nothing was begun either.
        let failure = stand_in::install(&session, Regime::Explicit, None).await.unwrap_err();
        assert!(failure.what().contains(needle), "{planted}: {failure}");
        assert_eq!(
            one(&session, "SELECT count(*) FROM pg_roles WHERE rolname = 'authenticator'").await,
            "0",
            "{planted}"
        );
    };
    for (number, table) in ["schema_migrations", "identities", "refresh_tokens"].iter().enumerate() {
        let sql = format!("CREATE SCHEMA auth; CREATE TABLE auth.{table} (id int)");
        refused(&format!("gotrue{number}"), &sql, "is a Supabase").await;
    }
    refused("own_auth", "CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY)", "did not make").await;

    superuser.batch("CREATE ROLE plain LOGIN CREATEDB CREATEROLE").await.unwrap();
    superuser.batch("CREATE DATABASE plain OWNER plain").await.unwrap();
    let plain = server.connect("plain", "plain").await;
    let failure = stand_in::install(&plain, Regime::Explicit, None).await.unwrap_err();
    assert!(failure.what().contains("no superuser") && failure.kind() == FailureKind::Connection, "{failure:?}");

    // Without any of these it installs.
    install(&superuser, Regime::Explicit).await;
}

#[tokio::test]
async fn roles_that_are_not_like_supabases_are_named() {
    let server = Server::start().await;
    let superuser = server.connect("postgres", "postgres").await;
    for (plant, mend, needle) in [
        ("CREATE ROLE anon BYPASSRLS", "ALTER ROLE anon NOBYPASSRLS", "anon is not held by row security"),
        ("ALTER ROLE authenticated SUPERUSER", "ALTER ROLE authenticated NOSUPERUSER", "authenticated is a superuser"),
        (
            "ALTER ROLE service_role NOBYPASSRLS",
            "ALTER ROLE service_role BYPASSRLS",
            "service_role is held by row security",
        ),
        ("GRANT pg_read_all_data TO anon", "REVOKE pg_read_all_data FROM anon", "anon is a member of pg_read_all_data"),
    ] {
        superuser.batch(plant).await.unwrap();
        let failure = stand_in::install(&superuser, Regime::Explicit, None).await.unwrap_err();
        assert!(failure.notes().len() == 1 && failure.notes()[0].starts_with(needle), "{plant}: {failure:?}");
        superuser.batch(mend).await.unwrap();
        install(&superuser, Regime::Explicit).await;
    }
    // A login that somebody else made keeps its password.
    superuser.batch("COMMENT ON ROLE migrator IS 'somebody else''s'").await.unwrap();
    let failure = stand_in::install(&superuser, Regime::Explicit, Some("secret")).await.unwrap_err();
    assert!(failure.what().contains("did not make"), "{failure}");
}

#[tokio::test]
async fn uninstalling_takes_what_it_made_here_and_nothing_else() {
    let server = Server::start().await;
    let maintenance = server.connect("postgres", "postgres").await;
    maintenance.batch("CREATE DATABASE one").await.unwrap();
    maintenance.batch("CREATE DATABASE two").await.unwrap();
    let first = server.connect("postgres", "one").await;
    let second = server.connect("postgres", "two").await;
    first.batch("CREATE TABLE public.before (id int); INSERT INTO public.before VALUES (1)").await.unwrap();
    let catalogue = "SELECT coalesce(string_agg(nspname, ','), '') || (SELECT count(*) FROM pg_default_acl) \
                     FROM (SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1) s";
    let before = one(&first, catalogue).await;

    let failure = stand_in::uninstall(&first).await.unwrap_err();
    assert!(failure.what().contains("nothing in the database"), "unmarked: {failure}");

    for session in [&first, &second] {
        install(session, Regime::Legacy).await;
    }
    for database in ["one", "two"] {
        let migrator = server.connect("migrator", database).await;
        migrator.batch("CREATE TABLE public.made (id uuid REFERENCES auth.users (id))").await.unwrap();
        migrator.close().await;
    }
    stand_in::uninstall(&first).await.unwrap_or_else(|failure| panic!("{failure:?}"));
    assert_eq!(one(&first, catalogue).await, before);
    assert_eq!(one(&first, "SELECT to_regclass('public.made')").await, "NULL");
    assert_eq!(one(&first, "SELECT count(*) FROM public.before").await, "1", "a table from before is gone");
    assert_eq!(one(&second, "SELECT to_regclass('public.made')").await, "made", "another database was touched");
    assert_eq!(one(&second, "SELECT obj_description('auth'::regnamespace)").await, MARK);
    // And it can be installed again.
    install(&first, Regime::Explicit).await;
}
