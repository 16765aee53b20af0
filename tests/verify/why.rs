//! Findings say why: the right that is missing, the policies that were consulted, and the part that decides; the same
//! on every engine, and never at odds with what PostgreSQL did.

use crate::project::Project;
use serde_json::Value;
use std::collections::BTreeMap;

/// The finding of that id.
fn finding<'a>(report: &'a Value, id: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["id"] == id);
    found.unwrap_or_else(|| panic!("no finding {id} among {:?}", ids(report)))
}

fn ids(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect()
}

/// The policy that was consulted, wherever it was.
fn policy<'a>(finding: &'a Value, name: &str) -> &'a Value {
    let consulted = finding["explanation"]["consulted"].as_array().unwrap();
    let mut policies = consulted.iter().flat_map(|one| one["policies"].as_array().unwrap());
    policies.find(|policy| policy["name"] == name).unwrap_or_else(|| panic!("{name} was not consulted: {finding}"))
}

/// What decides in a policy: text, value and note of each part.
fn deciding(policy: &Value) -> Vec<(&str, &str, &str)> {
    let atoms = policy["atoms"].as_array().unwrap().iter().filter(|atom| atom["decides"] == true);
    let word = |atom: &'_ Value, name: &str| atom[name].as_str().unwrap_or_default().to_owned();
    let leaked = |text: String| -> &'static str { text.leak() };
    atoms.map(|atom| (leaked(word(atom, "text")), leaked(word(atom, "value")), leaked(word(atom, "note")))).collect()
}

fn because<'a>(report: &'a Value, id: &str) -> &'a str {
    finding(report, id)["explanation"]["because"].as_str().unwrap()
}

/// Denials: each for another reason.
const DENIALS: &str = "
    DROP POLICY chat_files_delete ON public.chat_files;
    REVOKE UPDATE ON public.chat_threads FROM service_role;
    REVOKE INSERT ON public.documents FROM authenticated;
    GRANT INSERT (id, user_id, file_id, filename, file_type, facility, category, size_bytes, vector_store_id,
        processing_status, storage_path, mime_type) ON public.documents TO authenticated;
    CREATE POLICY never ON public.vector_stores AS RESTRICTIVE FOR UPDATE TO authenticated USING (NULL::boolean);
    ALTER POLICY user_assistants_insert ON public.user_assistants
        WITH CHECK (user_id = (SELECT chartchek_private.uid()) AND NOT (user_id IS NOT NULL));
    ALTER POLICY chat_messages_select ON public.chat_messages USING (false);";

#[test]
fn a_denial_says_what_denies() {
    let (_, report) = Project::with(DENIALS).verify(&["--engine", "local"]);
    assert_eq!(
        because(&report, "over-denial/chat_files/user/own/delete"),
        "no permissive policy of chat_files is for DELETE by authenticated, so nothing passes"
    );
    let missing = |id: &str| finding(&report, id)["explanation"]["missing"].clone();
    assert_eq!(missing("over-denial/chat_threads/service/other/update"), serde_json::json!(["UPDATE on chat_threads"]));
    assert_eq!(
        missing("over-denial/documents/user/own/insert"),
        serde_json::json!(["INSERT on column metadata of documents"])
    );

    let restricted = finding(&report, "over-denial/vector_stores/user/own/update");
    let never = policy(restricted, "never");
    assert_eq!(
        (&never["permissive"], &never["value"], &never["decides"]),
        (&false.into(), &"null".into(), &true.into())
    );
    assert_eq!(never["roles"], serde_json::json!(["authenticated"]));
    assert_eq!(policy(restricted, "vector_stores_update")["decides"], false, "the permissive one is true");
    assert_eq!(restricted["explanation"]["because"], "never is null for the row");

    let negated = policy(finding(&report, "over-denial/user_assistants/user/own/insert"), "user_assistants_insert");
    assert_eq!((&negated["clause"], &negated["value"]), (&"WITH CHECK".into(), &"false".into()));
    assert_eq!(deciding(negated), [("user_id IS NOT NULL", "true", "")]);

    // The parent's policies hide it from the actor: the condition itself would hold.
    let id = "over-denial/chat_message_annotations/user/own/insert";
    let hidden = deciding(policy(finding(&report, id), "chat_message_annotations_insert"));
    assert_eq!(hidden.len(), 1);
    assert!(hidden[0].0.starts_with("EXISTS") && hidden[0].1 == "false", "{hidden:?}");
    assert!(hidden[0].2.starts_with("true for a role that bypasses RLS"), "{hidden:?}");
    // A new row that may not be read is refused with RETURNING.
    let id = "over-denial/chat_messages/user/own/insert";
    assert_eq!(because(&report, id), "chat_messages_select is false for the new row");
}

/// Leaks, and what the first list could not hold together.
const LEAKS: &str = "
    CREATE POLICY x ON public.documents FOR SELECT TO authenticated USING (filename = '' OR id IS NOT NULL);
    ALTER TABLE public.chat_threads DISABLE ROW LEVEL SECURITY;
    GRANT SELECT ON public.user_assistants TO PUBLIC;
    DROP POLICY vector_stores_select ON public.vector_stores;
    DROP POLICY vector_stores_insert ON public.vector_stores;
    DROP POLICY vector_stores_update ON public.vector_stores;
    DROP POLICY vector_stores_delete ON public.vector_stores;
    CREATE FUNCTION chartchek_private.secret() RETURNS boolean LANGUAGE sql AS 'SELECT true';
    REVOKE EXECUTE ON FUNCTION chartchek_private.secret() FROM PUBLIC;
    ALTER POLICY chat_messages_delete ON public.chat_messages USING (chartchek_private.secret());
    ALTER POLICY chat_messages_insert ON public.chat_messages WITH CHECK (EXISTS (
        SELECT 1 FROM public.chat_threads t
        WHERE t.thread_id = chat_messages.thread_id AND t.id = gen_random_uuid()));";

#[test]
fn a_leak_says_what_lets_it_through() {
    let (_, report) = Project::with(LEAKS).verify(&["--engine", "local"]);
    let leak = finding(&report, "leak/documents/user/other/select");
    assert_eq!(leak["explanation"]["because"], "let through by x");
    assert_eq!(deciding(policy(leak, "x")), [("id IS NOT NULL", "true", "")]);
    assert_eq!(policy(leak, "documents_select")["value"], "false");
    assert_eq!(
        because(&report, "leak/chat_threads/user/other/select"),
        "row-level security is off on chat_threads, so no policy is asked"
    );
    let granted = because(&report, "grant-without-promise/user_assistants/anon/other/select");
    assert!(granted.starts_with("SELECT is granted to PUBLIC; no permissive policy"), "{granted}");
    assert_eq!(
        because(&report, "over-denial/vector_stores/user/own/select"),
        "row-level security is on, and vector_stores has no policy, so nothing passes"
    );
    let error = deciding(policy(finding(&report, "over-denial/chat_messages/user/own/delete"), "chat_messages_delete"));
    assert_eq!(
        error,
        [("chartchek_private.secret()", "error", "permission denied for function secret (SQLSTATE 42501)")]
    );
    let deeper =
        deciding(policy(finding(&report, "over-denial/chat_messages/user/own/insert"), "chat_messages_insert"));
    assert_eq!(deeper[0].2, "true but for t.id = gen_random_uuid()");
}

/// For people: a line for the reason, one for each policy, with a mark at what decides; and no row's value.
#[test]
fn the_report_for_people_marks_what_decides() {
    let project = Project::with(DENIALS);
    let output = project.run(&["verify-rls", "--engine", "local", "--only", "vector_stores/"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("id:       over-denial/vector_stores/user/own/update\n"), "{text}");
    assert!(text.contains("because:  never is null for the row\n"), "{text}");
    let line =
        "UPDATE of the row: → never (restrictive, for UPDATE to authenticated) USING is null: → NULL::boolean is null";
    assert!(text.contains(line), "{text}");
}

/// What explanations come to, by finding.
fn explanations(report: &Value) -> BTreeMap<String, Value> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|finding| (finding["id"].as_str().unwrap().to_owned(), finding["explanation"].clone())).collect()
}

/// Neither the engine, nor its version, nor the order in which the contract names tables changes ids and reasons.
#[test]
fn ids_and_reasons_are_the_same_on_embedded_and_in_another_order() {
    let project = Project::with(DENIALS);
    let (_, local) = project.verify(&["--engine", "local"]);
    let (_, embedded) = project.verify(&["--engine", "embedded"]);
    assert!(explanations(&local).len() > 10);
    assert_eq!(explanations(&local).len(), ids(&local).len(), "two findings share an id");
    assert_eq!(explanations(&local), explanations(&embedded));

    let file = project.path("policies/access.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (head, tables) = text.split_at(text.find("\n[tables.").unwrap());
    let end = tables.find("\n[[").unwrap_or(tables.len());
    let (tables, tail) = tables.split_at(end);
    let mut tables: Vec<&str> = tables.split("\n[tables.").skip(1).collect();
    assert!(tables.len() > 5);
    tables.reverse();
    let tables: String = tables.iter().map(|table| format!("\n[tables.{table}\n")).collect();
    std::fs::write(&file, format!("{head}{tables}{tail}")).unwrap();
    let (_, turned) = project.verify(&["--engine", "local"]);
    assert_ne!(ids(&local), ids(&turned), "the order was not another");
    let reasons = |report| {
        let of = |explanation: &Value| (explanation["because"].clone(), explanation["attempt"].clone());
        explanations(report).into_iter().map(|(id, explanation)| (id, of(&explanation))).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(reasons(&local), reasons(&turned));
}

fn explain(project: &Project, args: &[&str], id: &str) -> String {
    let output = project.run(&[&["verify-rls", "--explain", id], args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every attempt, denied or not, explained: nowhere do the policies as they are evaluated here say other than what
/// PostgreSQL did.
#[test]
fn no_explanation_is_at_odds_with_what_happened() {
    let project = Project::copy();
    let mut explained = 0;
    for table in ["chat_messages", "document_vector_stores"] {
        let text = explain(&project, &["--engine", "local"], &format!("{table}/"));
        explained += text.lines().filter(|line| line.starts_with(&format!("{table}/"))).count();
        let doubt = text.lines().find(|line| line.contains("in doubt"));
        assert_eq!(doubt, None, "{table}\n{text}");
    }
    assert!(explained > 1000, "only {explained}");
}

#[test]
fn a_held_denial_is_explained_embedded_too() {
    let id = "chat_messages/user/other/insert/plain";
    let (local, embedded) = (
        explain(&Project::copy(), &["--engine", "local"], id),
        explain(&Project::copy(), &["--engine", "embedded"], id),
    );
    assert_eq!(local, embedded);
    assert!(local.starts_with("chat_messages/user/other/insert/plain: held, expected refused_policy"), "{local}");
    assert!(local.contains("(true but for t.thread_id = chat_messages.thread_id)"), "{local}");
    let none = Project::copy().run(&["verify-rls", "--engine", "embedded", "--explain", "no/such/attempt"]);
    assert_eq!(none.status.code(), Some(2));
}

/// On a target nothing is granted for a moment's sake: a condition that names a schema closed to the actor is evaluated
/// by the session's role, which is said.
#[test]
fn on_a_target_the_same_is_said_with_a_doubt() {
    let (server, url) = crate::target::prepared();
    let before = server.dump();
    let project = Project::copy();
    let target = explain(&project, &["--database-url", &url], "documents/user/other/update/");
    assert!(target.contains("in doubt: evaluated by a role that bypasses RLS"), "{target}");
    let plain = |text: &str| text.lines().filter(|line| !line.contains("in doubt")).collect::<Vec<_>>().join("\n");
    let local = explain(&project, &["--engine", "local"], "documents/user/other/update/");
    assert_eq!(plain(&target), plain(&local));
    assert_eq!(before, server.dump());

    server.sql(
        "ALTER TABLE public.resources OWNER TO authenticated, NO FORCE ROW LEVEL SECURITY;
         GRANT ALL ON public.resources TO migrator",
    );
    let owned = explain(&project, &["--database-url", &url], "resources/user/any/update/key");
    let reason = "row-level security does not apply to authenticated, which owns resources, which is without FORCE";
    assert!(owned.contains(reason), "{owned}");
}
