//! Tokens and roles out of the ordinary: each shows a hole that nobody else's token shows, and is silent without it.

use crate::project::{Project, count, verdict};
use crate::target::prepared;
use serde_json::Value;

/// With `sql` the attempt reads as a leak, and no attempt of an ordinary token does.
fn only_shown_by(sql: &str, id: &str) {
    let (code, report) = Project::with(sql).verify(&["--engine", "local", "--only", id.split('/').next().unwrap()]);
    assert_eq!(code, 1, "not noticed: {sql}\n{}", report["summary"]);
    assert_eq!(verdict(&report, id), "leak", "{id} on {sql}");
    let persona = id.split('/').nth(1).unwrap();
    for attempt in report["attempts"].as_array().unwrap() {
        let shown = attempt["id"].as_str().unwrap();
        assert!(attempt["verdict"] != "leak" || shown.split('/').nth(1).unwrap() == persona, "{shown} shows it too");
    }
}

#[test]
fn an_admin_signed_in_anonymously() {
    only_shown_by(
        "CREATE POLICY x ON public.resources FOR DELETE TO authenticated
             USING (auth.jwt() -> 'app_metadata' ->> 'role' = 'admin');",
        "resources/anonymous-with-admin-claims/any/delete/bare",
    );
}

#[test]
fn a_role_in_metadata_that_its_holder_writes() {
    for condition in [
        "auth.jwt() -> 'user_metadata' ->> 'role' = 'admin'",
        "auth.jwt() -> 'user_metadata' -> 'app_metadata' ->> 'role' = 'admin'",
        "(auth.jwt() -> 'user_metadata' ->> 'is_admin')::boolean",
    ] {
        only_shown_by(
            &format!("CREATE POLICY x ON public.documents FOR SELECT TO authenticated USING ({condition});"),
            "documents/user-forged/other/select/all",
        );
    }
}

#[test]
fn an_account_that_is_nowhere() {
    only_shown_by(
        "CREATE FUNCTION chartchek_private.gone() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
             SET search_path = '' AS
             'SELECT NOT EXISTS (SELECT FROM auth.users u WHERE u.id = auth.uid()) AND auth.uid() IS NOT NULL';
         GRANT EXECUTE ON FUNCTION chartchek_private.gone() TO authenticated;
         GRANT USAGE ON SCHEMA auth TO migrator;
         CREATE POLICY x ON public.documents TO authenticated USING (chartchek_private.gone());",
        "documents/user-unknown/other/select/all",
    );
}

#[test]
fn a_claim_as_a_parameter_of_its_own() {
    only_shown_by(
        "CREATE POLICY x ON public.documents FOR SELECT TO authenticated
             USING (current_setting('request.jwt.claim.aal', true) = 'aal1');",
        "documents/user-legacy/other/select/all",
    );
}

/// They try few forms, so that the matrix stays what people can read.
#[test]
fn the_sound_schema_holds_for_all_of_them() {
    let (code, report) = Project::copy().verify(&["--engine", "local"]);
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
    let attempts = report["attempts"].as_array().unwrap();
    for persona in ["anonymous-with-admin-claims", "user-unknown", "user-forged", "user-legacy"] {
        let own = attempts.iter().filter(|attempt| attempt["id"].as_str().unwrap().split('/').nth(1) == Some(persona));
        let count = own.count();
        assert!((50..400).contains(&count), "{persona}: {count} attempts");
    }
    assert!(count(&report, "attempts") <= 9_000, "{}", report["summary"]);
}

fn roles(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["check"] == "uncovered-role").map(|f| f["object"].as_str().unwrap()).collect()
}

/// On a server of its own: roles belong to all of a server's databases.
#[test]
fn a_role_that_is_no_actors() {
    let (server, url) = prepared();
    let project = Project::copy();
    let verify = || {
        let args = ["verify-rls", "--format", "json", "--database-url", &url, "--only", "resources/anon/"];
        crate::project::report(&project.run(&args))
    };
    let (code, report) = verify();
    assert_eq!((code, roles(&report)), (0, vec![]), "{}", report["findings"]);

    server.sql(
        "CREATE ROLE idle LOGIN; CREATE ROLE group_of_readers; GRANT SELECT ON public.documents TO group_of_readers;
         CREATE ROLE report LOGIN; GRANT SELECT (filename) ON public.documents TO report;
         CREATE ROLE member LOGIN IN ROLE group_of_readers;
         CREATE ROLE api_reader BYPASSRLS; GRANT DELETE ON public.chat_threads TO api_reader;
         GRANT api_reader TO authenticator",
    );
    server.sql("GRANT USAGE ON SCHEMA public TO report, member, api_reader");
    let (code, report) = verify();
    assert_eq!((code, roles(&report)), (1, vec!["api_reader", "member", "report"]), "{}", report["findings"]);
    let text = report["findings"].to_string();
    assert!(text.contains("a request can be made as api_reader"), "{text}");
    assert!(text.contains("may select documents"), "{text}");

    server.sql("GRANT pg_read_all_data TO authenticator");
    let (_, report) = verify();
    assert!(roles(&report).contains(&"pg_read_all_data"), "{}", report["findings"]);
}

/// Where a superuser migrates, the stand-in's postgres owns nothing, and is no client's all the same.
#[test]
fn the_stand_ins_migrator_where_another_migrates() {
    let (server, _) = prepared();
    let url = server.url();
    let project = Project::copy();
    let verify = || {
        let args = ["verify-rls", "--format", "json", "--database-url", &url, "--only", "resources/anon/"];
        crate::project::report(&project.run(&args))
    };
    server.sql(
        "DO $$ BEGIN EXECUTE format('REASSIGN OWNED BY migrator TO %I', current_user); END $$;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO migrator",
    );
    let (code, report) = verify();
    assert_eq!((code, roles(&report)), (0, vec![]), "{}", report["findings"]);

    server.sql("COMMENT ON ROLE migrator IS 'somebody else made it'");
    let (code, report) = verify();
    assert_eq!((code, roles(&report)), (1, vec!["migrator"]), "{}", report["findings"]);
}
