//! Migrations while the application works: every file is applied, and no client meets an error.

use crate::load::{self, Load};
use crate::server::{Database, Project};
use std::time::Duration;

const CLIENTS: usize = 8;

/// A change of each kind on tables that are in use, each in the way that holds clients up least.
const CHANGES: &[(&str, &str)] = &[
    ("V008__column.sql", "ALTER TABLE public.chat_messages ADD COLUMN tokens integer NOT NULL DEFAULT 0;"),
    ("V009__index.sql", "CREATE INDEX CONCURRENTLY idx_chat_messages_tokens ON public.chat_messages (tokens, created_at);"),
    (
        "V010__check.sql",
        "ALTER TABLE public.chat_messages ADD CONSTRAINT tokens_counted CHECK (tokens >= 0) NOT VALID;",
    ),
    ("V011__validate.sql", "ALTER TABLE public.chat_messages VALIDATE CONSTRAINT tokens_counted;"),
    (
        "V012__policy.sql",
        "ALTER POLICY chat_messages_delete ON public.chat_messages USING (thread_id = ANY (ARRAY(
           SELECT t.thread_id FROM public.chat_threads t WHERE t.user_id = (SELECT chartchek_private.uid()) AND t.status IS DISTINCT FROM 'archived')));
         DROP POLICY chat_messages_update ON public.chat_messages;
         CREATE POLICY chat_messages_update ON public.chat_messages FOR UPDATE TO authenticated
           USING (EXISTS (SELECT 1 FROM public.chat_threads t WHERE t.thread_id = chat_messages.thread_id AND t.user_id = (SELECT chartchek_private.uid())));",
    ),
];

/// The own migrations, applied and filled, and a project that has `changes` beside them.
fn filled(messages: usize, changes: &[(&str, &str)]) -> (Database, Project) {
    let (database, own) = (Database::supabase(), Project::own());
    // As Supabase has it.
    database.run("GRANT USAGE ON SCHEMA auth TO authenticated");
    database.migrate(&own, &[]).succeeded(&["7 applied"]);
    load::fill(&database.url("postgres"), CLIENTS, messages);
    let project = Project::new(changes);
    for name in own.files() {
        project.write(&name, &own.read(&name));
    }
    (database, project)
}

#[test]
fn clients_at_work_meet_no_error() {
    let (database, project) = filled(40_000, CHANGES);
    let load = Load::start(&database.url("postgres"), CLIENTS, Duration::ZERO);
    load.more(200);
    let ran = database.migrate(&project, &[]);
    load.more(200);
    let met = load.end();
    ran.succeeded(&["5 applied"]);
    assert_eq!(met.errors, Vec::<String>::new());
    eprintln!(
        "{} requests of {CLIENTS} clients while 5 files were applied; the longest pause was {:?} ({})",
        met.requests, met.longest, met.slowest
    );
    assert_eq!(
        database.text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'idx_chat_messages_tokens'::regclass"),
        "t"
    );
    assert_eq!(database.text("SELECT convalidated FROM pg_constraint WHERE conname = 'tokens_counted'"), "t");
}

/// Negative control: what a client would meet is seen.
#[test]
fn an_error_of_a_client_is_seen() {
    let change = "ALTER TABLE public.documents DROP COLUMN filename;";
    let (database, project) = filled(100, &[("V008__drop.sql", change)]);
    let load = Load::start(&database.url("postgres"), CLIENTS, Duration::ZERO);
    load.more(50);
    database.migrate(&project, &[]).succeeded(&["1 applied"]);
    load.more(50);
    let met = load.end();
    assert!(met.errors.iter().any(|error| error.starts_with("42703")), "{:?}", met.errors.first());
}
