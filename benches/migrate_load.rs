//! How long clients of the application wait while a change of each kind is applied: `cargo bench --bench migrate_load`.
//!
//! Eight clients at work on 200,000 messages; each change alone, and once without any, for comparison.

#[path = "../tests/support/cluster.rs"]
#[expect(dead_code, reason = "a benchmark needs no more than a server")]
mod cluster;
#[path = "../tests/support/load.rs"]
mod load;
#[path = "../tests/migrate/server.rs"]
#[expect(dead_code, reason = "a benchmark needs no more than a database and a project")]
mod server;

use load::Load;
use server::{Database, Project};
use std::time::Duration;

const CLIENTS: usize = 8;
const MESSAGES: usize = 200_000;
/// How many answers the clients get before a change, and after it.
const AROUND: u64 = 500;

/// Name and text of each change; the form that locks for long stands beside the one to use instead.
const CHANGES: &[(&str, &str)] = &[
    ("none", "SELECT 1"),
    ("column", "ALTER TABLE public.chat_messages ADD COLUMN tokens integer NOT NULL DEFAULT 0"),
    ("index_plain", "CREATE INDEX i ON public.chat_messages (tokens, created_at)"),
    ("index_concurrently", "CREATE INDEX CONCURRENTLY j ON public.chat_messages (tokens, created_at)"),
    ("check_at_once", "ALTER TABLE public.chat_messages ADD CONSTRAINT once CHECK (length(content) > 0)"),
    ("check_not_valid", "ALTER TABLE public.chat_messages ADD CONSTRAINT later CHECK (length(content) > 0) NOT VALID"),
    ("check_validate", "ALTER TABLE public.chat_messages VALIDATE CONSTRAINT later"),
    (
        "policy",
        "ALTER POLICY chat_messages_delete ON public.chat_messages USING (EXISTS (SELECT 1 FROM public.chat_threads t
           WHERE t.thread_id = chat_messages.thread_id AND t.user_id = (SELECT chartchek_private.uid())))",
    ),
];

fn main() {
    // `cargo test --all-targets` runs this file too, without the flag.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (database, project) = (Database::supabase(), Project::new(&[]));
    // As Supabase has it.
    database.run("GRANT USAGE ON SCHEMA auth TO authenticated");
    let own = Project::own();
    for name in own.files() {
        project.write(&name, &own.read(&name));
    }
    database.migrate(&project, &[]).succeeded(&[]);
    load::fill(&database.url("postgres"), CLIENTS, MESSAGES);
    println!("{:<20} {:>12} {:>10} {:>8}  longest pause of a client", "change", "applied in", "requests", "errors");
    for (index, (name, text)) in CHANGES.iter().enumerate() {
        project.write(&format!("V{:03}__{name}.sql", index + 8), text);
        let load = Load::start(&database.url("postgres"), CLIENTS, Duration::ZERO);
        load.more(AROUND);
        let started = std::time::Instant::now();
        let ran = database.migrate(&project, &[]);
        let elapsed = started.elapsed();
        load.more(AROUND);
        let met = load.end();
        ran.succeeded(&[]);
        println!(
            "{name:<20} {:>9.0} ms {:>10} {:>8}  {:.0} ms ({})",
            elapsed.as_secs_f64() * 1000.0,
            met.requests,
            met.errors.len(),
            met.longest.as_secs_f64() * 1000.0,
            met.slowest
        );
    }
}
