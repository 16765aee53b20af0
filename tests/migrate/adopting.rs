//! `migrate --adopt`: the schema document's own statements, with rows in them, become what the migrations make.

use crate::server::{Database, Project, Ran, rows, run};
use chartchek_db::server::Regime;
use std::path::PathBuf;

const SEED: &str = include_str!("../../fixtures/adopt/seed.sql");

/// The tables of the document, and those of their columns that it names.
const DATA: &str = "
    SELECT string_agg(sums, ' ') FROM (
        SELECT 'threads ' || md5(string_agg((id, user_id, thread_id, assistant_id, status::text, metadata, created_at, updated_at)::text, ';' ORDER BY id)) AS sums FROM public.chat_threads
        UNION ALL SELECT 'messages ' || md5(string_agg((id, thread_id, message_id, user_id, role::text, content, created_at, updated_at)::text, ';' ORDER BY id)) FROM public.chat_messages
        UNION ALL SELECT 'annotations ' || md5(string_agg(t::text, ';' ORDER BY id)) FROM public.chat_message_annotations t
        UNION ALL SELECT 'files ' || md5(string_agg(t::text, ';' ORDER BY id)) FROM public.chat_files t
        UNION ALL SELECT 'documents ' || md5(string_agg((id, user_id, file_id, filename, processing_status::text, created_at, updated_at)::text, ';' ORDER BY id)) FROM public.documents
        UNION ALL SELECT 'stores ' || md5(string_agg((id, user_id, openai_vector_store_id, name, status::text, created_at, updated_at)::text, ';' ORDER BY id)) FROM public.vector_stores
        UNION ALL SELECT 'links ' || md5(string_agg(t::text, ';' ORDER BY id)) FROM public.document_vector_stores t
        UNION ALL SELECT 'assistants ' || md5(string_agg(t::text, ';' ORDER BY id)) FROM public.user_assistants t
        UNION ALL SELECT 'resources ' || md5(string_agg(t::text, ';' ORDER BY id)) FROM public.resources t
        UNION ALL SELECT 'users ' || md5(string_agg(id::text, ';' ORDER BY id)) FROM auth.users
    ) all_of_them";

/// A database that grew by hand, the project, and a folder for the catch-up file.
pub(crate) struct Grown {
    pub(crate) database: Database,
    pub(crate) project: Project,
    role: &'static str,
    folder: tempfile::TempDir,
}

impl Grown {
    /// The document's statements, run as the migrator, and what else somebody did by hand.
    pub(crate) fn new(by_hand: &str) -> Self {
        Self::of(Database::stand_in(Regime::Explicit), "migrator", by_hand)
    }

    /// The same as another role.
    pub(crate) fn of(database: Database, role: &'static str, by_hand: &str) -> Self {
        let grown = Self { database, project: Project::own(), role, folder: tempfile::tempdir().unwrap() };
        grown.by_hand(SEED);
        grown.by_hand(by_hand);
        grown
    }

    /// As the role that migrations run as, which is no superuser.
    pub(crate) fn by_hand(&self, sql: &str) {
        rows(&self.database.url(self.role), sql).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("catch-up.sql")
    }

    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Ran {
        run(command, &self.database.url(self.role), &self.project, arguments)
    }

    /// Looks, and writes the file.
    pub(crate) fn look(&self) -> Ran {
        self.run("migrate", &["--adopt", "--write", self.file().to_str().unwrap()])
    }

    pub(crate) fn apply(&self) -> Ran {
        self.run("migrate", &["--adopt", "--apply", self.file().to_str().unwrap(), "--lock-wait", "20"])
    }

    /// Looks and applies, and holds that all went well and no row is another.
    pub(crate) fn adopted(&self) -> (Ran, Ran) {
        let before = self.data();
        let looked = self.look();
        assert_eq!(looked.code, 1, "{}{}", looked.out, looked.err);
        assert!(!looked.out.contains("in the way of"), "{}", looked.out);
        let applied = self.apply();
        applied.succeeded(&["7 migrations recorded", "next: chartchek-db verify-rls"]);
        assert_eq!(self.data(), before);
        (looked, applied)
    }

    /// Sums over all rows.
    pub(crate) fn data(&self) -> String {
        self.database.text(DATA)
    }

    /// Everything that could have changed, rows and catalogue.
    pub(crate) fn all(&self) -> String {
        let catalogue = self.database.text(
            "SELECT 'column ' || attrelid::regclass || ' ' || attname || ' ' || atttypid::regtype || ' ' || attnotnull FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0 AND NOT attisdropped
             UNION ALL SELECT 'constraint ' || conname || pg_get_constraintdef(oid) FROM pg_constraint
             UNION ALL SELECT 'policy ' || polname || polrelid::regclass FROM pg_policy
             UNION ALL SELECT 'grants ' || relname || relacl::text || relrowsecurity FROM pg_class WHERE oid >= 16384 AND relacl IS NOT NULL
             UNION ALL SELECT 'trigger ' || tgname || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
        );
        format!("{}\n{}\n{catalogue}", self.data(), self.database.contents())
    }
}

#[test]
fn the_documents_own_statements_are_adopted_with_every_row() {
    for regime in Regime::ALL {
        the_documents_own_statements(*regime);
    }
}

/// With new objects open to the API's roles by default, and without.
fn the_documents_own_statements(regime: Regime) {
    let grown = Grown::of(Database::stand_in(regime), "migrator", "");
    let unchanged = grown.all();
    let looked = grown.look();
    assert_eq!(looked.code, 1, "{}{}", looked.out, looked.err);
    for part in [
        "schema chartchek_private is missing",
        "policy \"Own documents\" on public.documents is not from the migrations",
        "grant on table public.chat_threads to anon is not from the migrations",
        "definition of index public.idx_chat_threads_thread differs",
        "row security of table public.resources differs",
        "catch-up.sql; the database was only read",
        "next: read the file, then",
    ] {
        assert!(looked.out.contains(part), "{part}\n{}", looked.out);
    }
    assert_eq!(grown.all(), unchanged, "looking changed something");
    // As the reviewer knows it, not as PostgreSQL prints it.
    let known = "CREATE POLICY documents_select ON public.documents FOR SELECT TO authenticated\n";
    assert!(grown.text().contains(known), "{}", grown.text());

    let (_, applied) = grown.adopted();
    assert!(applied.out.contains("V007__policies.sql"), "{}", applied.out);
    grown.run("status", &[]).succeeded(&["7 applied, 0 pending"]);
    grown.run("migrate", &[]).succeeded(&["nothing to do"]);
    grown.run("drift", &["--target"]).succeeded(&["no drift"]);
    grown.run("verify-rls", &["--target"]).succeeded(&["every attempt held"]);
    // Once is enough.
    grown.look().failed(2, &["--adopt is for a database without history", "drift --target"]);
    grown.apply().failed(2, &["--adopt is for a database without history"]);
}
