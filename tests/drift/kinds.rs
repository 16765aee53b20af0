//! One planted difference of every kind: exactly that one is found, and the statement that it comes with mends it.

use crate::support::{own_project, planted, scratch};
use chartchek_db::schema::{drift, facts};
use chartchek_db::server::{EngineChoice, Regime};

/// The statement to plant, the object of the only finding, what is found in it, and whether its statement mends it.
type Plant = (&'static str, &'static str, &'static str, bool);

const PLANTS: &[Plant] = &[
    // tables
    ("CREATE TABLE public.extra (id int)", "table public.extra", "not from the migrations", false),
    ("DROP TABLE public.user_assistants", "table public.user_assistants", "missing", false),
    ("ALTER TABLE public.documents DISABLE ROW LEVEL SECURITY", "table public.documents", "row security", true),
    ("ALTER TABLE public.documents NO FORCE ROW LEVEL SECURITY", "table public.documents", "row security of the owner", true),
    ("ALTER TABLE public.documents OWNER TO postgres", "table public.documents", "owner", true),
    ("ALTER TABLE public.documents REPLICA IDENTITY FULL", "table public.documents", "replica identity", true),
    ("ALTER TABLE public.documents SET (autovacuum_enabled = off)", "table public.documents", "options", true),
    ("ALTER TABLE public.resources SET UNLOGGED", "table public.resources", "definition", false),
    ("COMMENT ON TABLE public.documents IS 'another'", "table public.documents", "comment", true),
    // columns
    ("ALTER TABLE public.documents ADD COLUMN extra text", "column public.documents.extra", "not from the migrations", false),
    ("ALTER TABLE public.documents DROP COLUMN filename", "column public.documents.filename", "missing", false),
    ("ALTER TABLE public.resources ALTER COLUMN content TYPE varchar(9)", "column public.resources.content", "type", true),
    ("ALTER TABLE public.resources ALTER COLUMN content DROP NOT NULL", "column public.resources.content", "null", true),
    ("ALTER TABLE public.resources ALTER COLUMN content SET DEFAULT 'x'", "column public.resources.content", "default", true),
    ("ALTER TABLE public.documents ALTER COLUMN user_id DROP DEFAULT", "column public.documents.user_id", "default", true),
    ("ALTER TABLE public.documents ALTER COLUMN user_id SET DEFAULT gen_random_uuid()", "column public.documents.user_id", "default", true),
    // constraints, indexes
    ("ALTER TABLE public.resources ADD CONSTRAINT short CHECK (length(content) < 9)", "constraint short on public.resources", "not from", true),
    ("ALTER TABLE public.documents DROP CONSTRAINT documents_user_id_fkey", "constraint documents_user_id_fkey on public.documents", "missing", true),
    (
        "ALTER TABLE public.documents DROP CONSTRAINT documents_user_id_fkey;
         ALTER TABLE public.documents ADD CONSTRAINT documents_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE",
        "constraint documents_user_id_fkey on public.documents",
        "definition",
        true,
    ),
    ("DROP INDEX public.idx_user_assistants_user", "index public.idx_user_assistants_user", "missing", true),
    ("CREATE INDEX extra ON public.documents (filename)", "index public.extra", "not from", true),
    (
        "UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = 'public.idx_user_assistants_user'::regclass",
        "index public.idx_user_assistants_user",
        "valid",
        false,
    ),
    // triggers, rules
    ("DROP TRIGGER documents_stamp ON public.documents", "trigger documents_stamp on public.documents", "missing", true),
    ("ALTER TABLE public.documents DISABLE TRIGGER documents_stamp", "trigger documents_stamp on public.documents", "state", true),
    (
        "CREATE TRIGGER extra BEFORE DELETE ON auth.users FOR EACH ROW EXECUTE FUNCTION chartchek_private.stamp_created_at()",
        "trigger extra on auth.users",
        "not from",
        true,
    ),
    (
        "CREATE OR REPLACE TRIGGER documents_stamp BEFORE UPDATE ON public.documents FOR EACH ROW EXECUTE FUNCTION chartchek_private.stamp_created_and_updated_at()",
        "trigger documents_stamp on public.documents",
        "definition",
        true,
    ),
    ("CREATE RULE extra AS ON DELETE TO public.documents DO ALSO NOTHING", "rule extra on public.documents", "not from", true),
    (
        "CREATE FUNCTION chartchek_private.stop() RETURNS event_trigger LANGUAGE plpgsql AS 'begin end'",
        "function chartchek_private.stop()",
        "not from",
        true,
    ),
    // functions
    ("DROP FUNCTION chartchek_private.check_message_author() CASCADE; CREATE FUNCTION chartchek_private.check_message_author() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS 'begin return new; end'; REVOKE ALL ON FUNCTION chartchek_private.check_message_author() FROM PUBLIC; ALTER FUNCTION chartchek_private.check_message_author() OWNER TO migrator; CREATE TRIGGER chat_messages_author BEFORE INSERT OR UPDATE ON public.chat_messages FOR EACH ROW EXECUTE FUNCTION chartchek_private.check_message_author(); COMMENT ON FUNCTION chartchek_private.check_message_author() IS 'A client names nobody else as a message''s author; a value that an update leaves as it is passes, so that imported messages stay editable. A trigger, since a policy cannot see the old row.'",
        "function chartchek_private.check_message_author()", "body", true),
    ("ALTER FUNCTION chartchek_private.uid() SECURITY DEFINER", "function chartchek_private.uid()", "security", true),
    ("ALTER FUNCTION chartchek_private.uid() RESET search_path", "function chartchek_private.uid()", "settings", true),
    ("ALTER FUNCTION chartchek_private.uid() SET search_path = public", "function chartchek_private.uid()", "settings", true),
    ("ALTER FUNCTION chartchek_private.uid() VOLATILE", "function chartchek_private.uid()", "volatility", true),
    ("ALTER FUNCTION chartchek_private.uid() PARALLEL UNSAFE", "function chartchek_private.uid()", "parallel", true),
    ("ALTER FUNCTION chartchek_private.uid() STRICT", "function chartchek_private.uid()", "null input", true),
    ("ALTER FUNCTION chartchek_private.uid() LEAKPROOF", "function chartchek_private.uid()", "leakproof", true),
    ("ALTER FUNCTION chartchek_private.uid() COST 7", "function chartchek_private.uid()", "cost", true),
    ("ALTER FUNCTION chartchek_private.uid() OWNER TO postgres", "function chartchek_private.uid()", "owner", true),
    ("COMMENT ON FUNCTION chartchek_private.uid() IS NULL", "function chartchek_private.uid()", "comment", true),
    // types
    ("ALTER TYPE public.document_status ADD VALUE 'lost'", "enum public.document_status", "definition", false),
    ("CREATE TYPE public.extra AS ENUM ('a')", "enum public.extra", "not from", false),
    ("CREATE DOMAIN public.extra AS text CHECK (value <> '')", "domain public.extra", "not from", false),
    ("CREATE TYPE public.extra AS (a int)", "composite type public.extra", "not from", false),
    // views, sequences, others
    ("CREATE VIEW public.extra AS SELECT id FROM public.documents", "view public.extra", "not from", true),
    ("CREATE MATERIALIZED VIEW public.extra AS SELECT id FROM public.documents", "materialized view public.extra", "not from", true),
    ("CREATE SEQUENCE public.extra", "sequence public.extra", "not from", false),
    ("CREATE STATISTICS public.extra ON user_id, filename FROM public.documents", "statistics public.extra", "not from", true),
    ("CREATE COLLATION public.extra FROM \"C\"", "collation public.extra", "not from", false),
    ("CREATE PUBLICATION extra FOR TABLE public.documents", "publication extra publishes public.documents", "not from", true),
    // policies
    ("DROP POLICY documents_select ON public.documents", "policy documents_select on public.documents", "missing", true),
    ("CREATE POLICY extra ON public.documents USING (true)", "policy extra on public.documents", "not from", true),
    ("ALTER POLICY documents_select ON public.documents USING (true)", "policy documents_select on public.documents", "definition", true),
    ("ALTER POLICY documents_insert ON public.documents WITH CHECK (true)", "policy documents_insert on public.documents", "definition", true),
    ("ALTER POLICY documents_select ON public.documents TO PUBLIC", "policy documents_select on public.documents", "definition", true),
    // grants
    ("GRANT SELECT ON public.documents TO anon", "grant on table public.documents to anon", "not from", true),
    ("GRANT TRUNCATE ON public.documents TO authenticated", "grant on table public.documents to authenticated", "definition", true),
    ("GRANT SELECT ON public.documents TO authenticated WITH GRANT OPTION", "grant on table public.documents to authenticated", "definition", true),
    ("REVOKE DELETE ON public.documents FROM authenticated", "grant on table public.documents to authenticated", "definition", true),
    ("GRANT SELECT (filename) ON public.documents TO anon", "grant on column public.documents.filename to anon", "not from", true),
    ("GRANT SELECT ON public.documents TO PUBLIC", "grant on table public.documents to PUBLIC", "not from", true),
    ("GRANT EXECUTE ON FUNCTION chartchek_private.uid() TO anon", "grant on function chartchek_private.uid() to anon", "not from", true),
    ("GRANT USAGE ON SCHEMA chartchek_private TO anon", "grant on schema chartchek_private to anon", "not from", true),
    ("GRANT CREATE ON SCHEMA public TO authenticated", "grant on schema public to authenticated", "definition", true),
    ("GRANT CREATE ON SCHEMA public TO PUBLIC", "grant on schema public to PUBLIC", "definition", true),
    ("REVOKE USAGE ON TYPE public.document_status FROM PUBLIC", "grant on enum public.document_status to PUBLIC", "missing", true),
    ("CREATE ROLE stranger; GRANT SELECT ON public.documents TO stranger", "grant on table public.documents to stranger", "not from", true),
    ("GRANT SELECT ON chartchek_meta.refinery_schema_history TO anon", "grant on table chartchek_meta.refinery_schema_history to anon", "not from", true),
    (
        "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO anon', current_database()); END $$",
        "grant on the database to anon",
        "not from",
        true,
    ),
    (
        "DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$",
        "grant on the database to PUBLIC",
        "definition",
        true,
    ),
    // default privileges
    (
        "ALTER DEFAULT PRIVILEGES FOR ROLE migrator IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",
        "default privileges on tables in schema public to PUBLIC",
        "not from",
        true,
    ),
    (
        "ALTER DEFAULT PRIVILEGES FOR ROLE migrator IN SCHEMA chartchek_private GRANT EXECUTE ON FUNCTIONS TO anon",
        "default privileges on functions in schema chartchek_private to anon",
        "not from",
        true,
    ),
    // roles
    ("ALTER ROLE anon BYPASSRLS", "role anon", "row security", false),
    ("ALTER ROLE authenticated LOGIN", "role authenticated", "log in", false),
    ("ALTER ROLE authenticator INHERIT", "role authenticator", "inherit", false),
    ("GRANT service_role TO anon", "membership of anon in service_role", "not from", true),
    ("CREATE ROLE stranger LOGIN; GRANT service_role TO stranger", "membership of stranger in service_role", "not from", true),
    ("REVOKE anon FROM authenticator", "membership of authenticator in anon", "missing", true),
    ("ALTER ROLE authenticated SET search_path = extra", "setting search_path of role authenticated", "not from", false),
    ("ALTER ROLE anon SET statement_timeout = 0", "setting statement_timeout of role anon", "definition", false),
    ("DROP SCHEMA chartchek_meta CASCADE", "schema chartchek_meta", "missing", false),
];

#[tokio::test]
async fn a_planted_difference_of_each_kind_is_the_only_finding() {
    let (_, contract) = own_project();
    for regime in Regime::ALL {
        let expected = scratch(EngineChoice::Local, *regime).await;
        let spoilt = scratch(EngineChoice::Local, *regime).await;
        let made = expected.connect().await.unwrap();
        let target = spoilt.connect_superuser().await.unwrap();
        assert_eq!(drift::regime(&target).await.unwrap(), *regime);
        let scope = facts::scope(&made, &contract, facts::major(&made).await.unwrap()).await.unwrap();
        let wanted = facts::read(&made, &scope).await.unwrap();
        let mut wrong = Vec::new();
        for (sql, object, what, mends) in PLANTS {
            let found = planted(&wanted, &target, &scope, sql).await;
            let shown: Vec<_> = found.iter().map(|finding| format!("{}: {}", finding.what, finding.why)).collect();
            match found.as_slice() {
                [finding] if finding.object == *object && finding.what.contains(what) => {
                    if *mends {
                        let after = planted(&wanted, &target, &scope, &format!("{sql};\n{}", finding.statement)).await;
                        if !after.is_empty() {
                            wrong.push(format!("{sql}: not mended by {}: {}", finding.statement, after[0].what));
                        }
                    }
                }
                _ => wrong.push(format!("{sql}: {shown:#?}")),
            }
        }
        assert!(wrong.is_empty(), "{regime}:\n{}", wrong.join("\n"));
        let clean = drift::drift(&made, &target, &contract).await.unwrap();
        assert!(clean.findings.is_empty(), "{:#?}", clean.findings);
        assert!(clean.objects > 100, "only {} objects were compared", clean.objects);
    }
}

/// The regimes differ in nothing but default privileges.
#[tokio::test]
async fn regimes_differ_in_default_privileges_alone() {
    let (_, contract) = own_project();
    let legacy = scratch(EngineChoice::Local, Regime::Legacy).await;
    let explicit = scratch(EngineChoice::Local, Regime::Explicit).await;
    let (one, other) = (legacy.connect().await.unwrap(), explicit.connect().await.unwrap());
    let found = drift::drift(&one, &other, &contract).await.unwrap().findings;
    assert!(!found.is_empty());
    for finding in &found {
        assert!(finding.object.starts_with("default privileges "), "{finding:?}");
    }
}

/// Two majors print the same schema alike enough.
#[tokio::test]
async fn an_embedded_and_a_local_database_do_not_differ() {
    let (_, contract) = own_project();
    let local = scratch(EngineChoice::Local, Regime::Explicit).await;
    let embedded = scratch(EngineChoice::Embedded, Regime::Explicit).await;
    let (one, other) = (local.connect().await.unwrap(), embedded.connect().await.unwrap());
    for (made, target) in [(&one, &other), (&other, &one)] {
        let found = drift::drift(made, target, &contract).await.unwrap().findings;
        assert!(found.is_empty(), "{found:#?}");
    }
    other.batch("ALTER POLICY documents_select ON public.documents USING (true)").await.unwrap();
    assert_eq!(drift::drift(&one, &other, &contract).await.unwrap().findings.len(), 1);
}

#[tokio::test]
async fn what_a_hosted_supabase_has_besides_is_no_drift() {
    let (_, contract) = own_project();
    let expected = scratch(EngineChoice::Local, Regime::Explicit).await;
    let hosted = scratch(EngineChoice::Local, Regime::Explicit).await;
    let (made, target) = (expected.connect().await.unwrap(), hosted.connect_superuser().await.unwrap());
    let scope = facts::scope(&made, &contract, facts::major(&made).await.unwrap()).await.unwrap();
    let wanted = facts::read(&made, &scope).await.unwrap();
    let sql = include_str!("../../fixtures/drift/supabase.sql");
    let found = planted(&wanted, &target, &scope, sql).await;
    assert!(found.is_empty(), "{found:#?}");
    // The role has another name, and the statement knows it.
    let owner = format!("{sql}; ALTER TABLE public.documents OWNER TO dashboard_user");
    let found = planted(&wanted, &target, &scope, &owner).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].statement, "ALTER TABLE public.documents OWNER TO another_name;");
}

/// What only newer majors know: MAINTAIN, and memberships that inherit.
#[tokio::test]
async fn two_embedded_databases_are_compared_in_what_15_does_not_know() {
    let (_, contract) = own_project();
    let expected = scratch(EngineChoice::Embedded, Regime::Explicit).await;
    let spoilt = scratch(EngineChoice::Embedded, Regime::Explicit).await;
    let (made, target) = (expected.connect().await.unwrap(), spoilt.connect_superuser().await.unwrap());
    let scope = facts::scope(&made, &contract, facts::major(&made).await.unwrap()).await.unwrap();
    assert!(scope.major >= 17, "the embedded engine is {}", scope.major);
    let wanted = facts::read(&made, &scope).await.unwrap();
    for (sql, object) in [
        (
            "GRANT MAINTAIN ON public.documents TO authenticated",
            Some("grant on table public.documents to authenticated"),
        ),
        ("GRANT anon TO authenticator WITH INHERIT TRUE", Some("membership of authenticator in anon")),
        ("SELECT 1", None),
    ] {
        let found = planted(&wanted, &target, &scope, sql).await;
        let objects: Vec<&str> = found.iter().map(|finding| finding.object.as_str()).collect();
        assert_eq!(objects, object.into_iter().collect::<Vec<_>>(), "{sql}");
    }
}
