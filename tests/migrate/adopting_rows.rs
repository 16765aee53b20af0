//! `migrate --adopt` and the rows: those in the way are counted and listed, and none is ever lost.

use crate::adopting::Grown;
use crate::server::{Database, Ran};
use chartchek_db::server::Regime;

/// Looks, and gives the query that lists the rows in the way of `what`.
#[track_caller]
fn in_the_way(grown: &Grown, what: &str) -> String {
    let looked = grown.look();
    assert_eq!(looked.code, 1, "{}{}", looked.out, looked.err);
    let (_, after) = looked.out.split_once(what).unwrap_or_else(|| panic!("{what} is not said in:\n{}", looked.out));
    let query = after.lines().map(str::trim).find(|line| line.starts_with("SELECT")).unwrap();
    assert!(looked.out.contains("next: mend the rows in the way"), "{}", looked.out);
    query.to_owned()
}

#[track_caller]
fn refused(grown: &Grown, said: &[&str]) -> Ran {
    let before = grown.all();
    let ran = grown.apply();
    ran.failed(6, said);
    assert_eq!(grown.all(), before, "something changed");
    ran
}

#[test]
fn duplicates_in_the_way_of_a_unique_key_are_listed_and_change_nothing() {
    let grown = Grown::new(
        "UPDATE chat_threads SET thread_id = 'the-same' WHERE thread_id IN ('thread_1', 'thread_2', 'thread_3');
         INSERT INTO document_vector_stores (id, document_id, vector_store_id)
         SELECT '90000000-0000-4000-8000-000000000001', document_id, vector_store_id FROM document_vector_stores LIMIT 1",
    );
    let query = in_the_way(&grown, "3 rows are in the way of UNIQUE (thread_id) on public.chat_threads");
    assert_eq!(grown.database.text(&query).lines().count(), 3, "{query}");
    let pair = "2 rows are in the way of UNIQUE (document_id, vector_store_id) on public.document_vector_stores";
    assert_eq!(grown.database.text(&in_the_way(&grown, pair)).lines().count(), 2);
    assert!(!grown.look().out.contains("the-same"), "a value is shown");
    let ran =
        refused(&grown, &["catch-up.sql:", "SQLSTATE 23505", "it left nothing behind", "counts the rows in the way"]);
    assert!(!ran.err.contains("the-same") && !ran.out.contains("adopted"), "{}{}", ran.out, ran.err);

    // Once they are mended the same file does.
    grown.by_hand(
        "UPDATE chat_threads SET thread_id = 'mended ' || id WHERE thread_id = 'the-same';
         UPDATE chat_messages SET thread_id = NULL WHERE thread_id IN ('thread_1', 'thread_2', 'thread_3');
         DELETE FROM document_vector_stores WHERE id::text LIKE '9%'",
    );
    grown.adopted();
}

#[test]
fn orphans_in_the_way_of_a_foreign_key_are_listed_and_change_nothing() {
    let grown = Grown::new(
        "UPDATE chat_messages SET thread_id = 'nowhere' WHERE content IN ('message 1', 'message 2');
         UPDATE chat_files SET thread_id = gen_random_uuid() WHERE filename = 'file 1'",
    );
    let query = in_the_way(
        &grown,
        "2 rows are in the way of FOREIGN KEY (thread_id) REFERENCES public.chat_threads(thread_id)",
    );
    assert_eq!(
        grown.database.text(&query),
        "20000000-0000-4000-8000-000000000001\n20000000-0000-4000-8000-000000000002"
    );
    let query = in_the_way(&grown, "1 row is in the way of FOREIGN KEY (thread_id) REFERENCES public.chat_threads(id)");
    assert_eq!(grown.database.text(&query), "40000000-0000-4000-8000-000000000001");
    let ran = refused(&grown, &["catch-up.sql:", "SQLSTATE 23503"]);
    assert!(!ran.err.contains("nowhere") && !ran.out.contains("nowhere"), "{}{}", ran.out, ran.err);
    grown.by_hand(
        "UPDATE chat_messages SET thread_id = NULL WHERE thread_id = 'nowhere';
         UPDATE chat_files SET thread_id = '10000000-0000-4000-8000-000000000001' WHERE filename = 'file 1'",
    );
    grown.adopted();
}

#[test]
fn an_unknown_label_and_a_missing_value_are_listed_and_change_nothing() {
    let grown = Grown::new(
        "ALTER TABLE documents ALTER COLUMN processing_status TYPE text, ALTER COLUMN processing_status SET DEFAULT 'pending';
         UPDATE documents SET processing_status = 'secret-label' WHERE filename = 'document 1';
         ALTER TABLE user_assistants ALTER COLUMN assistant_id DROP NOT NULL;
         UPDATE user_assistants SET assistant_id = NULL;
         ALTER TABLE documents ALTER COLUMN size_bytes TYPE numeric",
    );
    let query =
        in_the_way(&grown, "1 row is in the way of type public.document_status of public.documents.processing_status");
    assert_eq!(grown.database.text(&query), "50000000-0000-4000-8000-000000000001");
    let query = in_the_way(&grown, "1 row is in the way of NOT NULL of public.user_assistants.assistant_id");
    assert_eq!(grown.database.text(&query), "80000000-0000-4000-8000-000000000001");
    let looked = grown.look();
    assert!(
        looked.out.contains("rows in the way of type bigint of public.documents.size_bytes: which values"),
        "{}",
        looked.out
    );
    assert!(
        looked.out.contains("1 thing in it is to decide") && !looked.out.contains("secret-label"),
        "{}",
        looked.out
    );
    let text = grown.text();
    assert!(text.contains("-- To decide: type of column public.documents.size_bytes.\n"), "{text}");
    let ran = refused(&grown, &["catch-up.sql:", "SQLSTATE 22P02", "value withheld"]);
    assert!(!ran.err.contains("secret-label"), "{}", ran.err);

    grown.by_hand(
        "UPDATE documents SET processing_status = 'failed' WHERE processing_status = 'secret-label';
         UPDATE user_assistants SET assistant_id = 'asst_1'",
    );
    // What is to decide is still open.
    let before = grown.all();
    let ran = grown.apply();
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("type of column public.documents.size_bytes differs"), "{}", ran.out);
    assert!(ran.out.contains("all of it was rolled back"), "{}", ran.out);
    assert_eq!(grown.all(), before);
    std::fs::write(grown.file(), text.replace("--   ALTER TABLE public.documents", "ALTER TABLE public.documents"))
        .unwrap();
    let data = grown.data();
    grown.apply().succeeded(&["7 migrations recorded"]);
    assert_eq!(grown.data(), data);
    grown.run("drift", &["--target"]).succeeded(&["no drift"]);
}

/// Each of these, put at the end of a file that would do, is found, and all is rolled back.
#[test]
fn a_file_that_loses_data_or_opens_a_hole_is_rolled_back() {
    let grown = Grown::new(
        "ALTER TABLE documents ADD COLUMN note text DEFAULT 'kept';
         CREATE TABLE public.extra (id int PRIMARY KEY, thread uuid REFERENCES chat_threads(id)); INSERT INTO extra VALUES (1)",
    );
    grown.look();
    let text = grown.text();
    let before = grown.all();
    for (edit, code, said) in [
        (
            "DELETE FROM public.chat_messages WHERE content = 'message 1';",
            1,
            "1 of 60 rows of public.chat_messages are gone",
        ),
        (
            "DELETE FROM public.chat_threads WHERE thread_id = 'thread_1';",
            1,
            "1 of 20 rows of public.chat_threads are gone",
        ),
        (
            "INSERT INTO auth.users (id) VALUES (gen_random_uuid()); DELETE FROM auth.users WHERE id::text NOT LIKE '00000000-0000-4000-8000-%';",
            1,
            "1 row of auth.users are gone",
        ),
        ("TRUNCATE public.extra;", 1, "1 of 1 rows of public.extra are gone"),
        ("DROP TABLE public.extra;", 1, "table public.extra is gone"),
        (
            "DROP TABLE public.extra; CREATE TABLE public.extra (id int); INSERT INTO public.extra VALUES (1);",
            1,
            "table public.extra is gone",
        ),
        ("ALTER TABLE public.documents DROP COLUMN note;", 1, "column public.documents.note is gone"),
        (
            "ALTER TABLE public.documents DROP COLUMN note, ADD COLUMN note text DEFAULT 'kept';",
            1,
            "column public.documents.note is gone",
        ),
        (
            "DELETE FROM public.resources; INSERT INTO public.resources (id, content) VALUES ('a', 'b'), ('c', 'd');",
            1,
            "2 of 2 rows of public.resources are gone",
        ),
        (
            "UPDATE public.documents SET note = NULL WHERE filename = 'document 1';",
            1,
            "1 of 8 values of public.documents.note are gone",
        ),
        (
            "ALTER TABLE public.documents ALTER COLUMN note DROP DEFAULT, ALTER COLUMN note TYPE int USING NULL;",
            1,
            "8 of 8 values of public.documents.note are gone",
        ),
        ("DO $$ BEGIN DELETE FROM public.resources; END $$;", 1, "2 of 2 rows of public.resources are gone"),
        (
            "CREATE POLICY hole ON public.documents FOR SELECT USING (true);",
            1,
            "policy hole on public.documents is not from",
        ),
        ("GRANT SELECT ON public.documents TO anon;", 1, "grant on table public.documents to anon"),
        ("GRANT SELECT (note) ON public.documents TO anon;", 1, "column public.documents.note to anon"),
        (
            "ALTER TABLE public.documents DISABLE ROW LEVEL SECURITY;",
            1,
            "row security of table public.documents differs",
        ),
        (
            "CREATE VIEW public.all_documents AS SELECT * FROM public.documents;",
            1,
            "view public.all_documents is not from",
        ),
        (
            "CREATE FUNCTION public.f() RETURNS SETOF public.documents LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM public.documents';",
            1,
            "function public.f() is not from",
        ),
        (
            "DROP TRIGGER chat_messages_author ON public.chat_messages;",
            1,
            "trigger chat_messages_author on public.chat_messages is missing",
        ),
        ("COMMIT;", 2, "a statement stands in a migration that must not"),
        ("DO $$ BEGIN COMMIT; END $$;", 6, "invalid transaction termination"),
        ("SELECT 1/0;", 6, "division by zero"),
    ] {
        std::fs::write(grown.file(), format!("{text}\n{edit}\n")).unwrap();
        let ran = grown.apply();
        assert_eq!(ran.code, code, "{edit}\n{}{}", ran.out, ran.err);
        assert!(format!("{}{}", ran.out, ran.err).contains(said), "{edit}: {said}\n{}{}", ran.out, ran.err);
        assert!(!ran.out.contains("adopted:"), "{edit}");
        assert_eq!(grown.all(), before, "{edit} changed something");
    }
    let file = "CREATE INDEX CONCURRENTLY i ON public.documents (note);";
    std::fs::write(grown.file(), file).unwrap();
    grown.apply().failed(2, &["catch-up.sql:1:1", "an adoption is one"]);
    assert_eq!(grown.all(), before);

    // What a reviewer mends in the file is told, and a column may get its other name.
    let mend = "UPDATE public.resources SET content = 'Everything about it' WHERE id = 'about';
        ALTER TABLE public.documents RENAME COLUMN note TO remark;";
    std::fs::write(grown.file(), format!("{text}\n{mend}\n")).unwrap();
    grown.apply().succeeded(&[
        "updated by the file: 1 row of public.resources",
        "kept     column public.documents.remark",
        "kept     table public.extra",
    ]);
}

#[test]
fn a_table_that_is_in_use_is_waited_for_and_nothing_changes() {
    let grown = Grown::new("");
    grown.look();
    let before = grown.all();
    let holder = grown.database.session();
    holder.run("BEGIN; SELECT * FROM public.chat_threads LIMIT 1");
    let file = grown.file();
    let arguments = ["--adopt", "--apply", file.to_str().unwrap(), "--lock-wait", "0"];
    grown.run("migrate", &arguments).failed(5, &["the tables were not locked", "pg_terminate_backend"]);
    drop(holder);
    assert_eq!(grown.all(), before);
    // Without the server's own counts a row that is deleted and written anew would not be seen.
    let off = |value: &str| format!("ALTER ROLE migrator IN DATABASE {} {value}", grown.database.name);
    grown.database.run(&off("SET track_counts = off"));
    grown.run("migrate", &arguments).failed(3, &["does not count", "track_counts"]);
    grown.database.run(&off("RESET track_counts"));
    // A migration lock that another run holds is as good.
    let holder = grown.database.session();
    holder.run(&format!("SELECT pg_advisory_lock({})", crate::server::KEY));
    grown.run("migrate", &arguments).failed(5, &["migration lock"]);
    drop(holder);
    assert_eq!(grown.all(), before);
    grown.adopted();
}

/// A role that row security holds would count some of the rows only.
#[test]
fn rows_that_cannot_all_be_seen_are_not_counted_short() {
    let database = Database::stand_in(Regime::Explicit);
    database.run(
        "GRANT USAGE ON SCHEMA auth TO owner; GRANT SELECT, INSERT, REFERENCES ON auth.users TO owner; \
        ALTER TABLE auth.users DISABLE ROW LEVEL SECURITY",
    );
    let grown = Grown::of(database, "owner", "CREATE POLICY none_at_all ON resources USING (false)");
    grown.look();
    let before = grown.all();
    let forced = "ALTER TABLE public.resources ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;\n";
    std::fs::write(grown.file(), forced).unwrap();
    grown.apply().failed(4, &["the rows were not counted", "BYPASSRLS"]);
    assert_eq!(grown.all(), before);
}
