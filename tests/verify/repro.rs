//! `--repro`: each script shows in psql what the finding says, leaves nothing behind, and holds nothing that it could
//! do without.

use crate::cluster::{Cluster, program};
use crate::project::Project;
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};

/// A planted fault, how to take it back, the finding, and how psql's output shows it.
struct Fault {
    plant: &'static str,
    heal: &'static str,
    finding: &'static str,
    shows: fn(&Shown) -> bool,
    /// Whether every row and claim of the script must be needed: a denial shows without rows, too.
    minimal: bool,
}

/// What psql printed: results and command tags; errors.
struct Shown {
    out: String,
    errors: String,
}

impl Shown {
    /// The tag of the last statement before the rollback.
    fn tag(&self) -> &str {
        let lines: Vec<&str> = self.out.lines().collect();
        lines.iter().rev().copied().find(|line| *line != "ROLLBACK" && *line != "SET CONSTRAINTS").unwrap_or_default()
    }
}

fn psql(server: &Cluster, script: &str) -> Shown {
    let mut psql = Command::new(program("psql"));
    psql.args(["-X", "-A", "-t", "-d", &server.settings("postgres", "migrator"), "-f", "-"]);
    psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = psql.spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Shown { out: text(output.stdout), errors: text(output.stderr) }
}

const FAULTS: &[Fault] = &[
    Fault {
        plant: "CREATE POLICY x ON public.documents FOR SELECT USING (true)",
        heal: "DROP POLICY x ON public.documents",
        finding: "leak/documents/user/other/select",
        shows: |shown| shown.out.contains("made up"),
        minimal: true,
    },
    // Only who has a thread sees the others': a row and a claim that are needed.
    Fault {
        plant: "CREATE POLICY x ON public.chat_messages FOR SELECT USING (EXISTS (
                    SELECT 1 FROM public.chat_threads t WHERE t.user_id = (SELECT auth.uid())))",
        heal: "DROP POLICY x ON public.chat_messages",
        finding: "leak/chat_messages/user/other/select",
        shows: |shown| shown.out.contains("made up"),
        minimal: true,
    },
    Fault {
        plant: "ALTER POLICY documents_update ON public.documents WITH CHECK (true)",
        heal: "ALTER POLICY documents_update ON public.documents WITH CHECK (user_id = (SELECT chartchek_private.uid()))",
        finding: "leak/documents/user/own/update",
        shows: |shown| shown.tag() == "UPDATE 1",
        minimal: true,
    },
    // Of all claims one, and of that one part.
    Fault {
        plant: "CREATE POLICY x ON public.user_assistants FOR ALL USING (auth.jwt() -> 'app_metadata' ->> 'role' = 'admin')",
        heal: "DROP POLICY x ON public.user_assistants",
        finding: "leak/user_assistants/admin/other/delete",
        shows: |shown| shown.tag() == "DELETE 1",
        minimal: true,
    },
    Fault {
        plant: "CREATE POLICY x ON public.chat_threads FOR INSERT WITH CHECK (true)",
        heal: "DROP POLICY x ON public.chat_threads",
        finding: "leak/chat_threads/user/other/insert",
        shows: |shown| shown.tag() == "INSERT 0 1" && shown.errors.is_empty(),
        minimal: true,
    },
    Fault {
        plant: "GRANT SELECT ON public.documents TO anon",
        heal: "REVOKE SELECT ON public.documents FROM anon",
        finding: "grant-without-promise/documents/anon/other/select",
        shows: |shown| shown.tag() == "true" && shown.errors.is_empty(),
        minimal: true,
    },
    Fault {
        plant: "CREATE POLICY x ON public.chat_files AS RESTRICTIVE FOR DELETE USING (false)",
        heal: "DROP POLICY x ON public.chat_files",
        finding: "over-denial/chat_files/user/own/delete",
        shows: |shown| shown.tag() == "DELETE 0" && shown.out.contains("INSERT 0 1"),
        minimal: false,
    },
    Fault {
        plant: "REVOKE UPDATE ON public.chat_threads FROM service_role",
        heal: "GRANT UPDATE ON public.chat_threads TO service_role",
        finding: "over-denial/chat_threads/service/other/update",
        shows: |shown| shown.errors.contains("permission denied for table chat_threads"),
        minimal: true,
    },
    // Probes' findings, too.
    Fault {
        plant: "CREATE UNIQUE INDEX x ON public.documents (storage_path)",
        heal: "DROP INDEX public.x",
        finding: "unique-oracle/documents.storage_path",
        shows: |shown| shown.errors.contains("duplicate key"),
        minimal: true,
    },
    Fault {
        plant: "CREATE VIEW public.x AS SELECT * FROM public.documents; GRANT SELECT ON public.x TO authenticated",
        heal: "DROP VIEW public.x",
        finding: "view/view public.x",
        shows: |shown| shown.out.contains("made up"),
        minimal: true,
    },
];

/// The script, each time without one thing: a row, a claim, a part of a claim, a setting.
fn without_each(script: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = script.lines().collect();
    let acts = lines.iter().position(|line| line.starts_with("-- as ") && !line.contains("BYPASSRLS"));
    let acts = acts.unwrap_or(lines.len());
    let mut shorter = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let mut with = |line: Option<String>, what: String| {
            let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            match line {
                Some(line) => lines[place] = line,
                None => drop(lines.remove(place)),
            }
            shorter.push((what, lines.join("\n")));
        };
        if (place < acts && line.starts_with("INSERT INTO ")) || line.starts_with("SET CONSTRAINTS") {
            with(None, (*line).to_owned());
        }
        let Some(rest) = line.strip_prefix("SELECT set_config('request.jwt.claims', '") else {
            assert!(!line.starts_with("SELECT set_config("), "a setting that no fault here needs: {line}");
            continue;
        };
        let claims: Value = serde_json::from_str(rest.strip_suffix("', true);").unwrap()).unwrap();
        for (name, value) in claims.as_object().unwrap() {
            let mut fewer = vec![(name.clone(), claims.clone())];
            fewer[0].1.as_object_mut().unwrap().shift_remove(name);
            for (key, _) in value.as_object().into_iter().flatten() {
                let mut claims = claims.clone();
                claims[name].as_object_mut().unwrap().shift_remove(key);
                fewer.push((format!("{name}.{key}"), claims));
            }
            for (what, claims) in fewer {
                with(Some(format!("SELECT set_config('request.jwt.claims', '{claims}', true);")), what);
            }
        }
    }
    shorter
}

/// How many rows there are of what scripts insert.
fn rows(server: &Cluster) -> String {
    let tables = ["auth.users", "chat_threads", "chat_messages", "chat_files", "documents", "user_assistants"];
    let counts: Vec<String> = tables.iter().map(|table| format!("(SELECT count(*) FROM {table})")).collect();
    server.sql(&format!("SELECT {}", counts.join(", ")))
}

#[test]
fn a_script_shows_the_finding_and_nothing_in_it_could_be_dropped() {
    let (server, url) = crate::target::prepared();
    // Rows of the database's own would show some of the faults without the script's.
    server.sql("TRUNCATE public.chat_threads, public.documents, public.vector_stores, public.user_assistants CASCADE");
    let project = Project::copy();
    for fault in FAULTS {
        server.sql(fault.plant);
        let output = project.run(&["verify-rls", "--database-url", &url, "--repro", fault.finding]);
        assert!(output.status.success(), "{}: {}", fault.finding, String::from_utf8_lossy(&output.stderr));
        let script = String::from_utf8(output.stdout).unwrap();
        let before = rows(&server);
        let shown = psql(&server, &script);
        assert!((fault.shows)(&shown), "{}\n{script}\n{}\n{}", fault.finding, shown.out, shown.errors);
        assert_eq!(before, rows(&server), "{}", fault.finding);
        for (what, shorter) in without_each(&script).into_iter().filter(|_| fault.minimal) {
            let shown = psql(&server, &shorter);
            assert!(!(fault.shows)(&shown), "{} shows without {what}\n{script}", fault.finding);
        }
        server.sql(fault.heal);
    }
}

/// What is needed stays, and what is said above it is why.
#[test]
fn a_script_keeps_what_is_needed_and_says_why() {
    let project = Project::with(FAULTS[1].plant);
    for engine in ["local", "embedded"] {
        let output = project.run(&["verify-rls", "--engine", engine, "--repro", FAULTS[1].finding]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.starts_with("-- chat_messages/user/other/select/"), "{script}");
        assert!(script.contains("\n-- let through by x\n"), "{script}");
        assert_eq!(script.matches("INSERT INTO public.chat_threads").count(), 2, "{script}");
        assert_eq!(script.matches("INSERT INTO public.chat_messages").count(), 1, "{script}");
        assert_eq!(script.matches("INSERT INTO").count(), 5, "{script}");
        assert!(script.contains("set_config('request.jwt.claims', '{\"sub\":\""), "{script}");
    }
}

/// A denial that holds can be looked at, too.
#[test]
fn a_held_denial_has_a_script() {
    let output =
        Project::copy().run(&["verify-rls", "--engine", "local", "--repro", "documents/user/other/update/key"]);
    let script = String::from_utf8(output.stdout).unwrap();
    assert!(script.contains("\n-- held: expected hidden, got hidden\n"), "{script}");
    assert_eq!(script.matches("INSERT INTO public.documents").count(), 1, "{script}");
}
