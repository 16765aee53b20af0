//! The project's own schema holds, with the same verdicts on every engine and under both default-privilege regimes.

use crate::project::{Project, count};
use serde_json::Value;
use std::collections::BTreeMap;

const TABLES: [&str; 9] = [
    "chat_threads",
    "chat_messages",
    "chat_message_annotations",
    "chat_files",
    "documents",
    "vector_stores",
    "document_vector_stores",
    "user_assistants",
    "resources",
];

fn held(args: &[&str]) -> Value {
    let (code, report) = Project::copy().verify(args);
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
    for bad in ["leak", "over_denial", "inconclusive", "not_run", "findings"] {
        assert_eq!(count(&report, bad), 0, "{bad}");
    }
    assert_eq!(count(&report, "held"), count(&report, "attempts"));
    assert!(count(&report, "attempts") >= 2000, "only {} attempts", count(&report, "attempts"));
    for table in TABLES {
        for (actor, command) in [("user", "select"), ("user", "insert"), ("admin", "update"), ("anon", "delete")] {
            let tried =
                report["attempts"].as_array().unwrap().iter().any(|attempt| {
                    attempt["table"] == table && attempt["actor"] == actor && attempt["command"] == command
                });
            assert!(tried, "{actor} never tried to {command} {table}");
        }
    }
    report
}

/// Id -> outcome and verdict.
pub(crate) fn verdicts(report: &Value) -> BTreeMap<String, (String, String)> {
    let attempts = report["attempts"].as_array().unwrap();
    let verdicts: BTreeMap<_, _> = attempts
        .iter()
        .map(|attempt| {
            let word = |name: &str| attempt[name].as_str().unwrap().to_owned();
            (word("id"), (word("outcome"), word("verdict")))
        })
        .collect();
    assert_eq!(verdicts.len(), attempts.len(), "two attempts share an id");
    verdicts
}

/// As [`verdicts`], of the forms that every server takes: engines are of different versions.
pub(crate) fn everywhere(report: &Value) -> BTreeMap<String, (String, String)> {
    let newer = |id: &str| {
        let form = id.rsplit('/').next().unwrap().split('@').next().unwrap();
        let merge = form.starts_with("merge");
        form.ends_with("old-new") || merge && (form.contains("-by-source") || form.ends_with("-returning"))
    };
    verdicts(report).into_iter().filter(|(id, _)| !newer(id)).collect()
}

#[test]
fn local_and_embedded_agree() {
    let local = held(&["--engine", "local"]);
    let embedded = held(&["--engine", "embedded"]);
    assert_eq!(everywhere(&local), everywhere(&embedded));
}

#[test]
fn the_legacy_regime_holds_too() {
    let legacy = held(&["--engine", "local", "--regime", "legacy"]);
    let explicit = held(&["--engine", "local", "--regime", "explicit"]);
    assert_eq!(verdicts(&legacy), verdicts(&explicit));
}

#[test]
fn a_leak_is_noticed_embedded_too() {
    let project = Project::with("CREATE POLICY x ON documents USING (true);");
    let (code, report) = project.verify(&["--engine", "embedded"]);
    assert_eq!(code, 1);
    assert_eq!(crate::project::verdict(&report, "documents/user/other/select/all"), "leak");
}

#[test]
fn the_report_for_people_names_the_leak() {
    let project = Project::with("CREATE POLICY x ON documents USING (true);");
    let output = project.run(&["verify-rls", "--engine", "local"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("leak: user can select other users' rows in documents"), "{text}");
    assert!(text.contains("SELECT"), "{text}");
    assert!(text.lines().last().unwrap().starts_with("THE CONTRACT DOES NOT HOLD on a scratch database"), "{text}");
    assert!(!text.contains('\u{1b}'), "colours although this is no terminal");
}

#[test]
fn only_what_is_asked_for_and_nothing_is_no_pass() {
    let (code, report) = Project::copy().verify(&["--engine", "local", "--only", "documents/user/own/delete"]);
    assert_eq!(code, 0);
    assert!((1..50).contains(&count(&report, "attempts")));
    let (code, report) = Project::copy().verify(&["--engine", "local", "--only", "no such attempt"]);
    assert_eq!((code, count(&report, "attempts")), (3, 0));
}

/// The script shows what the attempt saw, to someone with nothing but psql.
#[test]
fn an_attempt_is_repeated_in_psql() {
    let (server, url) = crate::target::prepared();
    server.sql("CREATE POLICY x ON public.documents FOR SELECT USING (true)");
    let project = Project::copy();
    let output = project.run(&["verify-rls", "--database-url", &url, "--repro", "documents/user/other/select/count"]);
    assert!(!output.status.success(), "the count is told of rows of one's own");
    let output = project.run(&["verify-rls", "--database-url", &url, "--repro", "documents/user/other/select/all"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = server.sql_as("migrator", &String::from_utf8(output.stdout).unwrap());
    assert!(shown.contains("made up"), "{shown}");
    let none = project.run(&["verify-rls", "--database-url", &url, "--repro", "no/such/attempt"]);
    assert_eq!(none.status.code(), Some(2));
}

/// A contract that does not fit is an error with its place, and nothing is verified.
#[test]
fn a_contract_that_is_wrong_verifies_nothing_embedded_either() {
    for (from, to, said) in [
        ("[tables.user_assistants]", "[tables.user_asistants]", "did you mean `user_assistants`"),
        ("owner = \"user_id\"", "owner = \"usr_id\"", "has no column `usr_id`"),
        ("\"service_role\"", "\"servce_role\"", "the role `servce_role`"),
        ("pre_request", "pre_requst", "unknown key `pre_requst`"),
        ("\"delete\"", "\"remove\"", "remove"),
    ] {
        let project = Project::copy();
        let file = project.path("policies/access.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        std::fs::write(&file, text.replace(from, to)).unwrap();
        let output = project.run(&["verify-rls", "--engine", "embedded"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{to}: {error}");
        assert!(
            error.contains("policies/access.toml:") && error.contains(said) && error.contains('^'),
            "{to}: {error}"
        );
        assert!(output.stdout.is_empty(), "{to}: something was reported");
    }
}
