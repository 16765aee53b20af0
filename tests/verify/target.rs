//! verify-rls on a target: the same verdicts as on scratch, and the database is byte for byte what it was.

use crate::cluster::Cluster;
use crate::project::{Project, binary, count, report, verdict};
use crate::verdicts::{everywhere, verdicts};

/// A prepared, migrated and seeded database on a server of its own, and the migrator's URL.
pub(crate) fn prepared() -> (Cluster, String) {
    let server = Cluster::start();
    let up = binary().args(["dev", "up", "--database-url", &server.url()]).output().unwrap();
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let url = server.url_as("migrator");
    (server, url)
}

#[test]
fn the_target_is_left_as_it_was_with_the_same_verdicts() {
    let (server, url) = prepared();
    let before = server.dump();
    assert!(before.contains("COPY public.chat_messages"), "the dump holds the seeded rows");
    let (code, target) = report(&Project::copy().run(&["verify-rls", "--format", "json", "--database-url", &url]));
    assert_eq!(code, 0, "{}\n{}", target["summary"], target["findings"]);
    assert_eq!(before, server.dump());

    let (_, scratch) = Project::copy().verify(&["--engine", "embedded"]);
    let (on_target, mut on_scratch) = (everywhere(&target), everywhere(&scratch));
    // On a target the rights decide on TRUNCATE.
    on_scratch =
        on_scratch.into_iter().map(|(id, what)| (id.replace("/truncate/cascade", "/truncate/rights"), what)).collect();
    assert_eq!(on_target, on_scratch);
}

#[test]
fn a_leak_on_a_target_is_found_and_nothing_remains() {
    let (server, url) = prepared();
    server.sql("CREATE POLICY x ON public.documents FOR DELETE USING (true); CREATE POLICY y ON public.documents FOR SELECT USING (true)");
    let before = server.dump();
    let (code, found) = report(&Project::copy().run(&["verify-rls", "--format", "json", "--database-url", &url]));
    assert_eq!(code, 1);
    assert_eq!(verdict(&found, "documents/user/other/delete/bare"), "leak");
    assert_eq!(before, server.dump());
}

#[test]
fn database_url_alone_never_chooses_the_target() {
    let (_server, url) = prepared();
    let project = Project::copy();
    let mut command = binary();
    command.env("DATABASE_URL", &url).args(["verify-rls", "--format", "json", "--only", "resources/", "--project"]);
    let (code, scratch) = report(&command.arg(project.path("")).output().unwrap());
    assert_eq!(code, 0);
    assert_eq!(scratch["environment"]["subject"], "a scratch database made from the migrations");

    let mut command = binary();
    command.env("DATABASE_URL", &url).args([
        "verify-rls",
        "--target",
        "--format",
        "json",
        "--only",
        "resources/",
        "--project",
    ]);
    let (code, target) = report(&command.arg(project.path("")).output().unwrap());
    assert_eq!(code, 0);
    assert!(target["environment"]["subject"].as_str().unwrap().starts_with("target "));
}

#[test]
fn wrong_ways_to_name_a_target_are_refused() {
    let project = Project::copy();
    for (args, code) in [
        (vec!["verify-rls", "--database-url", ""], 2),
        (vec!["verify-rls", "--database-url", "postgresql://localhost/x", "--engine", "local"], 2),
        (vec!["verify-rls", "--target", "--engine", "local"], 2),
        (vec!["verify-rls", "--target"], 2),
        (vec!["verify-rls", "--format", "hologram"], 2),
        (vec!["verify-rls", "--report", "json"], 2),
        (vec!["verify-rls", "--database-url", "postgresql://nobody:secret-word@127.0.0.1:1/x"], 4),
    ] {
        let output = project.run(&args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        assert!(error.starts_with("error"), "{args:?}: {error}");
        assert!(!error.contains("secret-word"), "{error}");
    }
    // Set but empty: a secret that is missing in CI.
    let mut command = binary();
    let output = command
        .env("DATABASE_URL", "")
        .args(["verify-rls", "--target", "--project"])
        .arg(project.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_role_that_cannot_judge_is_refused() {
    let (server, url) = prepared();
    server.sql("CREATE ROLE poor LOGIN; GRANT authenticated, anon, service_role TO poor");
    let output = Project::copy().run(&["verify-rls", "--database-url", &server.url_as("poor")]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{error}");
    assert!(error.contains("does not bypass RLS"), "{error}");

    server.sql("ALTER ROLE migrator SET default_transaction_read_only = on");
    let output = Project::copy().run(&["verify-rls", "--database-url", &url]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{error}");
    assert!(error.contains("takes no writes"), "{error}");
}

/// Statements without WHERE on a table above the bound are run on a copy of the schema without rows; where that can't be
/// made they are not run, said so, and do not pass unless allowed.
#[test]
fn a_large_table_is_not_locked() {
    let (server, url) = prepared();
    server.sql(
        "INSERT INTO public.resources (id, content) SELECT 'filler ' || n, 'filler' FROM generate_series(1, 50) n;
         INSERT INTO public.documents (user_id, file_id, filename)
             SELECT u.id, 'filler ' || n, 'filler' FROM auth.users u, generate_series(1, 50) n",
    );
    let project = Project::copy();
    let args = ["verify-rls", "--format", "json", "--bare-bound", "40", "--database-url", &url];
    let (code, small) = report(&project.run(&args[..3].iter().chain(&args[5..]).copied().collect::<Vec<_>>()));
    assert_eq!(code, 0, "{}", small["summary"]);
    let before = server.dump();
    let (code, found) = report(&project.run(&args));
    assert_eq!(before, server.dump());
    assert_eq!((code, count(&found, "not_run")), (0, 0), "{} {}", found["summary"], found["not_run"]);
    assert!(found["environment"]["subject"].as_str().unwrap().contains("on a copy of its schema without rows"));
    let (small, mut large) = (verdicts(&small), verdicts(&found));
    // There the statement itself is run, too, which on the target the rights decide.
    large.retain(|id, _| !id.contains("/truncate/") || small.contains_key(id));
    assert_eq!(small, large);

    // A hole that only a statement without WHERE shows: it changes rows that it does not read.
    server.sql("CREATE POLICY hole ON public.documents FOR UPDATE TO authenticated USING (true)");
    let (code, found) = report(&project.run(&args));
    assert_eq!(code, 1, "{}", found["summary"]);
    assert_eq!(verdict(&found, "documents/user/other/update/bare"), "leak");
    server.sql("DROP POLICY hole ON public.documents");

    server.sql(
        "CREATE ROLE stranger; CREATE POLICY x ON public.documents FOR DELETE TO stranger, authenticated USING (false)",
    );
    let (code, found) = report(&project.run(&args));
    assert_eq!(code, 3, "{}", found["summary"]);
    assert!(count(&found, "not_run") > 0);
    let why = found["not_run"][0]["why"].as_str().unwrap();
    assert!(why.contains("no copy of the schema") && why.contains("stranger"), "{why}");
    assert_eq!((count(&found, "leak"), count(&found, "inconclusive"), count(&found, "over_denial")), (0, 0, 0));
    let (code, _) = report(&project.run(&[&args[..], &["--allow-not-run"]].concat()));
    assert_eq!(code, 0);
}

/// Everybody's, by what no row made for the verification has.
const LONG: &str = "INSERT INTO public.documents (user_id, file_id, filename)
         SELECT u.id, 'filler ' || n, repeat('long ', 20) FROM auth.users u, generate_series(1, 50) n";
const OPEN: &str = "CREATE POLICY long ON public.documents FOR SELECT TO authenticated USING (length(filename) = 100)";

/// The ids of attempts that leak.
fn leaks(report: &serde_json::Value) -> Vec<&str> {
    let attempts = report["attempts"].as_array().unwrap().iter();
    attempts.filter(|attempt| attempt["verdict"] == "leak").map(|attempt| attempt["id"].as_str().unwrap()).collect()
}

/// Who is new to the database sees none of its rows: in a small table every row is looked at, in a large one the first
/// that anybody sees.
#[test]
fn rows_that_were_there_before() {
    let (server, url) = prepared();
    server.sql(LONG);
    let project = Project::copy();
    let small = ["verify-rls", "--format", "json", "--database-url", &url];
    let large = [&small[..], &["--bare-bound", "40", "--allow-not-run"]].concat();
    for args in [&small[..], &large] {
        let (code, sound) = report(&project.run(args));
        assert_eq!(code, 0, "{args:?}: {}\n{}", sound["summary"], sound["findings"]);
    }

    server.sql(OPEN);
    let (code, found) = report(&project.run(&small));
    assert_eq!(code, 1, "{}", found["summary"]);
    let new = "documents/user-without-rows/other/select/all";
    assert!(leaks(&found).contains(&new), "{:?}", leaks(&found));

    let output = project.run(&large);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("long long"), "a row's values are told");
    let (code, found) = report(&output);
    assert_eq!(code, 1, "{}", found["summary"]);
    let findings = found["findings"].as_array().unwrap();
    let told = findings.iter().find(|finding| finding["check"] == "real-row").expect("the rows are not noticed");
    assert_eq!(told["object"], "documents");
}
