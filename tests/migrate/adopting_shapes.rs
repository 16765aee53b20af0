//! `migrate --adopt` on databases that went further ways of their own: more columns, other types, other names, holes.

use crate::adopting::Grown;
use crate::server::{Database, Project, run};
use chartchek_db::server::Regime;

#[test]
fn more_columns_and_tables_stay_with_what_belongs_to_them() {
    let grown = Grown::new(
        "ALTER TABLE documents ADD COLUMN note text, ADD COLUMN rank int CHECK (rank > 0);
         CREATE UNIQUE INDEX documents_note ON documents (note);
         CREATE INDEX documents_by_name ON documents (filename);
         CREATE TABLE profiles (id uuid PRIMARY KEY REFERENCES auth.users(id), thread uuid REFERENCES chat_threads(id) ON DELETE SET NULL, nick text);
         ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own_profile ON profiles USING (id = auth.uid());
         CREATE INDEX profiles_nick ON profiles (nick);
         INSERT INTO profiles VALUES ('00000000-0000-4000-8000-00000000000a', '10000000-0000-4000-8000-000000000001', 'a');
         UPDATE documents SET note = 'note ' || filename, rank = 1;
         CREATE TYPE mood AS ENUM ('good', 'bad');
         CREATE SEQUENCE counter",
    );
    let more =
        "SELECT md5(string_agg(d::text, ';' ORDER BY id)) || (SELECT string_agg(p::text, ';') FROM public.profiles p)
        FROM (SELECT id, note, rank FROM public.documents) d";
    let before = grown.database.text(more);
    let (_, applied) = grown.adopted();
    assert_eq!(grown.database.text(more), before);
    for kept in [
        "column public.documents.note",
        "column public.documents.rank",
        "constraint documents_rank_check on public.documents",
        "index public.documents_note",
        "index public.documents_by_name",
        "table public.profiles",
        "enum public.mood",
        "sequence public.counter",
    ] {
        assert!(applied.out.contains(&format!("  kept     {kept}\n")), "{kept}\n{}", applied.out);
        assert!(grown.text().contains(&format!("\n--   {kept}\n")), "{kept}\n{}", grown.text());
    }
    assert_eq!(grown.database.text("SELECT count(*) FROM pg_policy WHERE polname = 'own_profile'"), "1");
    // Nothing else differs, and the contract holds but for the table that it does not know, and the note that is unique
    // among everybody's.
    let drift = grown.run("drift", &["--target"]);
    assert_eq!(drift.code, 1, "{}", drift.out);
    let found: Vec<&str> = drift.out.lines().filter(|line| line.starts_with("drift: ")).skip(1).collect();
    assert_eq!(found.len(), 8, "{found:#?}");
    assert!(found.iter().all(|line| line.ends_with("is not from the migrations")), "{found:#?}");
    let verified = grown.run("verify-rls", &["--target"]);
    assert!(
        verified.out.contains("uncovered-table: profiles")
            && verified.out.contains("unique-oracle: user learns whether a hidden row of documents has a given note")
            && verified.out.contains("sequence: sequence counter is open to those who need nothing of it")
            && verified.out.contains("3 findings"),
        "{}",
        verified.out
    );
    assert!(verified.out.contains("0 leaks, 0 over-denials, 0 inconclusive"), "{}", verified.out);
}

#[test]
fn holes_are_closed() {
    let grown = Grown::new(
        "CREATE POLICY everyone ON documents FOR SELECT USING (true);
         GRANT SELECT ON document_vector_stores TO PUBLIC;
         ALTER TABLE chat_messages ADD COLUMN draft text;
         GRANT SELECT (draft) ON chat_messages TO anon;
         CREATE RULE no_delete AS ON DELETE TO resources DO INSTEAD NOTHING;
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon",
    );
    let (looked, _) = grown.adopted();
    assert!(looked.out.contains("grant on column public.chat_messages.draft to anon"), "{}", looked.out);
    assert_eq!(grown.database.text("SELECT count(*) FROM pg_policy WHERE polname = 'everyone'"), "0");
    for right in [
        "has_table_privilege('anon', 'public.documents', 'SELECT')",
        "has_table_privilege('anon', 'public.document_vector_stores', 'SELECT')",
        "has_column_privilege('anon', 'public.chat_messages', 'draft', 'SELECT')",
        "EXISTS (SELECT FROM pg_rewrite WHERE rulename = 'no_delete')",
    ] {
        assert_eq!(grown.database.text(&format!("SELECT {right}")), "f", "{right}");
    }
    grown.run("verify-rls", &["--target"]).succeeded(&["every attempt held"]);
}

/// What something may call is not dropped unasked; and not adopted either.
#[test]
fn a_function_or_view_of_their_own_is_for_a_person_to_decide() {
    let grown = Grown::new(
        "CREATE FUNCTION search(q text) RETURNS SETOF documents LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM public.documents';
         CREATE VIEW all_messages AS SELECT * FROM chat_messages;
         CREATE FUNCTION new_account() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
         CREATE TRIGGER on_account AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION new_account()",
    );
    let looked = grown.look();
    assert!(looked.out.contains("4 things in it are to decide"), "{}", looked.out);
    let text = grown.text();
    for part in [
        "-- To decide: function public.search(text) is not from the migrations.\n",
        "--   DROP FUNCTION public.search(text);\n",
        "--   DROP VIEW public.all_messages;\n",
        "--   DROP TRIGGER on_account ON auth.users;\n",
        "--   DROP FUNCTION public.new_account();\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let before = grown.all();
    let ran = grown.apply();
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("4 findings"), "{}", ran.out);
    assert_eq!(grown.all(), before);
    // The platform's table is not the migrator's; once the trigger is gone nobody can call its function.
    grown.database.run("DROP TRIGGER on_account ON auth.users");
    let looked = grown.look();
    assert!(looked.out.contains("2 things in it are to decide"), "{}", looked.out);
    let text = grown.text();
    assert!(text.contains("\nDROP FUNCTION public.new_account();\n"), "{text}");
    std::fs::write(grown.file(), text.replace("--   DROP ", "DROP ")).unwrap();
    grown.apply().succeeded(&["7 migrations recorded"]);
    grown.run("verify-rls", &["--target"]).succeeded(&["every attempt held"]);
}

/// Text where the migrations have uuid and enums, labels of their own, and policies and keys on such columns.
#[test]
fn other_types_become_the_migrations_without_losing_a_value() {
    let grown = Grown::new(
        "ALTER TABLE document_vector_stores DROP CONSTRAINT document_vector_stores_document_id_fkey;
         ALTER TABLE document_vector_stores ALTER COLUMN document_id TYPE text;
         ALTER TABLE documents ALTER COLUMN id TYPE text;
         ALTER TABLE document_vector_stores ADD CONSTRAINT document_vector_stores_document_id_fkey
             FOREIGN KEY (document_id) REFERENCES documents(id) ON DELETE CASCADE;
         DROP POLICY \"Own documents\" ON documents;
         ALTER TABLE documents DROP CONSTRAINT documents_user_id_fkey, ALTER COLUMN user_id TYPE text;
         CREATE POLICY \"Own documents\" ON documents USING (user_id = auth.uid()::text AND processing_status <> 'failed');
         DROP POLICY \"Own documents\" ON documents;
         ALTER TABLE documents ALTER COLUMN processing_status TYPE varchar(20), ALTER COLUMN processing_status SET DEFAULT 'pending';
         CREATE POLICY \"Own documents\" ON documents USING (user_id = auth.uid()::text AND processing_status <> 'failed');
         ALTER TYPE chat_thread_status RENAME TO old_status;
         CREATE TYPE chat_thread_status AS ENUM ('paused', 'deleted', 'archived', 'active');
         ALTER TABLE chat_threads ALTER COLUMN status TYPE chat_thread_status USING status::text::chat_thread_status,
             ALTER COLUMN status SET DEFAULT 'active';
         DROP TYPE old_status;
         ALTER TYPE vector_store_status RENAME TO old_status;
         CREATE TYPE vector_store_status AS ENUM ('active', 'expired');
         ALTER TABLE vector_stores ALTER COLUMN status TYPE vector_store_status USING status::text::vector_store_status;
         DROP TYPE old_status;
         ALTER TABLE document_vector_stores RENAME CONSTRAINT document_vector_stores_document_id_fkey TO of_document;
         ALTER TABLE documents ALTER COLUMN metadata TYPE json, ALTER COLUMN size_bytes TYPE integer",
    );
    let (_, applied) = grown.adopted();
    let text = grown.text();
    for part in [
        "ALTER TYPE public.vector_store_status ADD VALUE 'deleted' AFTER 'expired';",
        "ALTER TYPE public.chat_thread_status RENAME TO chat_thread_status_before_adoption;",
        "USING processing_status::text::public.document_status;",
        "ALTER TABLE public.documents ALTER COLUMN user_id TYPE uuid USING user_id::uuid;",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(applied.out.contains("kept     enum public.chat_thread_status_before_adoption"), "{}", applied.out);
    grown.run("verify-rls", &["--target"]).succeeded(&["every attempt held"]);
    let drift = grown.run("drift", &["--target"]);
    assert!(drift.out.contains("1 finding") && drift.out.contains("before_adoption"), "{}", drift.out);
}

/// The same keys under other names are renamed, not built again; a key that others lean on is replaced with them.
#[test]
fn other_names_and_other_keys() {
    let grown = Grown::new(
        "ALTER TABLE documents RENAME CONSTRAINT documents_pkey TO pk_documents;
         ALTER TABLE documents RENAME CONSTRAINT documents_user_id_fkey TO fk_owner;
         ALTER INDEX idx_documents_user RENAME TO documents_by_user;
         ALTER TABLE chat_threads ADD CONSTRAINT one_thread UNIQUE (thread_id);
         ALTER TABLE chat_messages ADD CONSTRAINT chat_messages_thread_id_fkey
             FOREIGN KEY (thread_id) REFERENCES chat_threads(thread_id) ON DELETE CASCADE;
         ALTER TABLE vector_stores ADD CONSTRAINT short_names CHECK (length(name) < 100)",
    );
    grown.adopted();
    let text = grown.text();
    for part in [
        "ALTER TABLE public.documents RENAME CONSTRAINT pk_documents TO documents_pkey;",
        "ALTER TABLE public.documents RENAME CONSTRAINT fk_owner TO documents_user_id_fkey;",
        "ALTER INDEX public.documents_by_user RENAME TO idx_documents_user;",
        "ALTER TABLE public.chat_threads DROP CONSTRAINT one_thread;",
        "ALTER TABLE public.vector_stores DROP CONSTRAINT short_names;",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    grown.run("drift", &["--target"]).succeeded(&["no drift"]);
}

#[test]
fn what_is_missing_altogether_is_made() {
    for regime in Regime::ALL {
        what_is_missing(*regime);
    }
}

fn what_is_missing(regime: Regime) {
    let grown = Grown::of(
        Database::stand_in(regime),
        "migrator",
        "DROP TABLE document_vector_stores; DROP TABLE resources; ALTER TABLE documents DROP COLUMN mime_type;
         ALTER TABLE chat_threads DROP COLUMN created_at; DROP TABLE vector_stores; DROP TYPE vector_store_status;
         ALTER TABLE user_assistants DROP COLUMN assistant_id;
         GRANT ALL ON SCHEMA public TO anon",
    );
    let looked = grown.look();
    let said = "1 row is in the way of NOT NULL of public.user_assistants.assistant_id";
    assert!(looked.out.contains(said), "{}", looked.out);
    grown.apply().failed(6, &["catch-up.sql:", "SQLSTATE 23502"]);
    grown.by_hand(
        "ALTER TABLE user_assistants ADD COLUMN assistant_id text; UPDATE user_assistants SET assistant_id = 'a'",
    );
    // The catalogue is another now.
    grown.apply().failed(2, &["written for another catalogue", "write the file anew"]);
    grown.look();
    grown.apply().succeeded(&["7 migrations recorded"]);
    grown.run("drift", &["--target"]).succeeded(&["no drift"]);
    grown.run("verify-rls", &["--target"]).succeeded(&["every attempt held"]);
}

/// Whoever runs `migrate` first is told, and loses nothing by it.
#[test]
fn a_database_on_which_migrate_was_tried_first_is_adopted() {
    let grown = Grown::new("");
    grown.run("migrate", &[]).failed(6, &["V002__enums.sql", "42710", "chartchek-db migrate --adopt"]);
    grown.look().failed(2, &["reaches version 1", "drop table chartchek_meta.refinery_schema_history;"]);
    grown.by_hand("DROP TABLE chartchek_meta.refinery_schema_history");
    grown.adopted();
    grown.run("drift", &["--target"]).succeeded(&["no drift"]);
}

#[test]
fn somebodys_work_in_the_file_is_not_overwritten() {
    let grown = Grown::new("");
    assert_eq!(grown.look().code, 1);
    let text = grown.text();
    assert_eq!(grown.look().code, 1);
    assert_eq!(grown.text(), text, "an unedited file is written anew");
    std::fs::write(grown.file(), format!("{text}-- reviewed\n")).unwrap();
    grown.look().failed(2, &["somebody has edited it", "--write FILE"]);
    assert!(grown.text().ends_with("-- reviewed\n"));

    // Without the line that names the catalogue the file is taken as it is, and looked at afterwards all the same.
    grown.by_hand("CREATE POLICY hole ON resources USING (true)");
    grown.apply().failed(2, &["written for another catalogue"]);
    let unnamed: String =
        text.lines().filter(|line| !line.starts_with("-- catalogue: ")).map(|line| format!("{line}\n")).collect();
    std::fs::write(grown.file(), unnamed).unwrap();
    let ran = grown.apply();
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("policy hole on public.resources is not from the migrations"), "{}", ran.out);
}

#[test]
fn flags_databases_and_roles_that_do_not_fit_are_refused() {
    let grown = Grown::new("");
    let file = grown.file();
    let path = file.to_str().unwrap();
    let before = grown.all();
    for (arguments, said) in [
        (vec!["--apply", path], "--adopt"),
        (vec!["--write", path], "--adopt"),
        (vec!["--adopt", "--plan"], "cannot be used with"),
        (vec!["--adopt", "--baseline", "7"], "cannot be used with"),
        (vec!["--adopt", "--to", "7"], "cannot be used with"),
        (vec!["--adopt", "--mend"], "cannot be used with"),
        (vec!["--adopt", "--write", path, "--apply", path], "cannot be used with"),
        (vec!["--adopt", "--apply", path], "can't be read"),
        (vec!["--adopt", "--write", "/nowhere/at/all.sql"], "was not written"),
    ] {
        grown.run("migrate", &arguments).failed(2, &[said]);
    }
    let other = run("migrate", &grown.database.url("postgres"), &grown.project, &["--adopt", "--write", path]);
    other.failed(4, &["the tables belong to migrator", "acts as postgres", "connect as migrator"]);
    assert!(!file.exists());

    // Looking writes nothing, even where nothing may be written; applying says why it can't.
    grown.database.run(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", grown.database.name));
    assert_eq!(grown.look().code, 1);
    grown.apply().failed(4, &["read-only", "nothing was changed"]);
    let other = Database::plain();
    other.run(&format!("ALTER DATABASE {} RESET default_transaction_read_only", grown.database.name));
    assert_eq!(grown.all(), before);

    let empty = Database::stand_in(Regime::Explicit);
    let nothing = run("migrate", &empty.url("migrator"), &Project::own(), &["--adopt", "--write", path]);
    nothing.failed(2, &["nothing to adopt", "chartchek-db migrate"]);
    run("migrate", &empty.url("migrator"), &Project::own(), &[]).succeeded(&["7 applied"]);
    empty.run("DROP SCHEMA chartchek_meta CASCADE");
    run("migrate", &empty.url("migrator"), &Project::own(), &["--adopt", "--write", path])
        .succeeded(&["nothing differs", "next: chartchek-db migrate --baseline 7"]);
}

/// The engine that made the scratch database changes nothing of what is found and done.
#[test]
fn embedded_and_local_scratch_databases_say_the_same() {
    let grown = Grown::new("");
    let file = grown.file();
    let path = file.to_str().unwrap();
    let look = |engine: &str| {
        let looked = grown.run("migrate", &["--adopt", "--write", path, "--engine", engine]);
        assert_eq!(looked.code, 1, "{}{}", looked.out, looked.err);
        looked.out.lines().filter(|line| line.starts_with("drift: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(look("local"), look("embedded"));
    grown.run("migrate", &["--adopt", "--apply", path, "--engine", "embedded"]).succeeded(&["7 migrations recorded"]);
    grown.run("drift", &["--target", "--engine", "local"]).succeeded(&["no drift"]);
}
