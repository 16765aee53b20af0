//! What `policies check` finds, and where.

use crate::project::Project;
use crate::{findings, scratch};
use chartchek_db::server::EngineChoice;
use std::fs;

#[test]
fn the_project_agrees_on_every_engine_and_regime() {
    let project = Project::copy();
    for engine in ["local", "embedded"] {
        assert_eq!(project.check(engine), (0, Vec::new()), "{engine}");
    }
    let output = project.run(&["policies", "check", "--regime", "legacy"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("they agree: 10 files"), "{text}");
}

/// A change of a file: the file, what stands there, what is put in its place; the only finding's words and its line.
type Edit = (&'static str, &'static str, &'static str, &'static str, &'static str);

const EDITS: &[Edit] = &[
    (
        "documents.sql",
        "USING (user_id = (SELECT chartchek_private.uid()))",
        "USING (true)",
        "policy documents_select on public.documents is not the same in",
        "documents.sql:6:1",
    ),
    (
        "documents.sql",
        "CREATE POLICY documents_delete ON public.documents FOR DELETE",
        "CREATE POLICY documents_delete ON public.documents FOR ALL",
        "policy documents_delete on public.documents is not the same",
        "documents.sql:13:1",
    ),
    (
        "documents.sql",
        "DELETE ON TABLE",
        "DELETE, TRUNCATE ON TABLE",
        "grant on table public.documents to ",
        "documents.sql:1:1",
    ),
    (
        "documents.sql",
        "BEFORE INSERT OR UPDATE ON",
        "BEFORE UPDATE ON",
        "trigger documents_stamp on public.documents is not the same",
        "documents.sql:16:1",
    ),
    (
        "_helpers.sql",
        "'app_metadata'",
        "'user_metadata'",
        "body of function chartchek_private.is_admin() is not the same",
        "_helpers.sql:13:1",
    ),
    (
        "_helpers.sql",
        "STABLE PARALLEL SAFE SECURITY INVOKER",
        "STABLE PARALLEL SAFE SECURITY DEFINER",
        "security of function chartchek_private.uid() is not the same",
        "_helpers.sql:4:1",
    ),
    (
        "_helpers.sql",
        "GRANT EXECUTE ON FUNCTION chartchek_private.uid() TO authenticated",
        "GRANT EXECUTE ON FUNCTION chartchek_private.uid() TO anon",
        "grant on function chartchek_private.uid() to ",
        "_helpers.sql:1:1",
    ),
    (
        "_helpers.sql",
        "The id of the signed-in person, or NULL",
        "Another comment",
        "comment of function chartchek_private.uid() is not the same",
        "_helpers.sql:4:1",
    ),
];

#[tokio::test]
async fn an_edited_file_is_found_with_its_line() {
    let scratch = scratch(EngineChoice::Local, "").await;
    for (file, from, to, what, place) in EDITS {
        let project = Project::copy();
        project.edit(&format!("policies/{file}"), from, to);
        let found = findings(&scratch, &project).await;
        // One for each role whose rights changed.
        let expected = if what.contains("grant on") { 2 } else { 1 };
        assert_eq!(found.len(), expected, "{found:#?}");
        assert!(found[0].what.contains(what), "{found:#?}");
        assert!(found[0].place.as_ref().unwrap().location().ends_with(place), "{found:#?}");
    }
    // Nothing of all that stayed.
    assert_eq!(findings(&scratch, &Project::copy()).await, Vec::new());
}

#[tokio::test]
async fn what_one_side_alone_has_is_found() {
    let project = Project::copy();
    project.append("policies/documents.sql", "CREATE POLICY more ON public.documents AS RESTRICTIVE USING (true);");
    let (code, found) = project.check("embedded");
    assert_eq!((code, found.len()), (1, 1), "{found:#?}");
    let what = found[0]["what"].as_str().unwrap();
    assert!(
        what.starts_with("policy more on public.documents is in ") && what.ends_with("not in the migrations"),
        "{what}"
    );

    for (sql, what) in [
        (
            "CREATE POLICY more ON public.documents USING (true);",
            "policy more on public.documents is in the migrations",
        ),
        (
            "GRANT SELECT (filename) ON public.documents TO anon;",
            "grant on column public.documents.filename to anon is in the migrations",
        ),
        ("DROP POLICY documents_select ON public.documents;", "policy documents_select on public.documents is in "),
        (
            "CREATE FUNCTION chartchek_private.more() RETURNS int LANGUAGE sql AS 'SELECT 1';",
            "function chartchek_private.more() is in the migrations",
        ),
        ("DROP TRIGGER documents_stamp ON public.documents;", "trigger documents_stamp on public.documents is in "),
        (
            "ALTER TABLE public.documents DISABLE TRIGGER documents_stamp;",
            "state of trigger documents_stamp on public.documents is not the same",
        ),
    ] {
        let found = findings(&scratch(EngineChoice::Local, sql).await, &Project::copy()).await;
        assert_eq!(found.len(), 1, "{sql}: {found:#?}");
        assert!(found[0].what.starts_with(what), "{found:#?}");
    }
}

#[tokio::test]
async fn files_and_tables_belong_together() {
    let project = Project::copy();
    fs::remove_file(project.path("policies/documents.sql")).unwrap();
    let (code, found) = project.check("local");
    assert_eq!((code, found.len()), (1, 1), "{found:#?}");
    assert_eq!(found[0]["what"], "policies/documents.sql is missing");
    let (code, _, error) = project.write(&[]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("policies/documents.sql is missing"), "{error}");

    // A table that nobody promised anything on needs a file only if it has something to show.
    let closed =
        "CREATE TABLE public.more (id int); REVOKE ALL ON public.more FROM PUBLIC, anon, authenticated, service_role;";
    let scratch_with = async |sql: &str| findings(&scratch(EngineChoice::Local, sql).await, &Project::copy()).await;
    assert_eq!(scratch_with(closed).await, Vec::new());
    let found = scratch_with(&format!("{closed} GRANT SELECT ON public.more TO anon;")).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].what, "policies/more.sql is missing");

    let project = Project::copy();
    project.append("policies/lost.sql", "GRANT SELECT ON public.lost TO anon;");
    let (_, found) = project.check("local");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0]["what"].as_str().unwrap().ends_with("is for a table that does not exist"), "{found:#?}");

    let project = Project::copy();
    let policy = "CREATE POLICY more ON public.resources USING (true);";
    project.append("policies/documents.sql", policy);
    let found = findings(&scratch(EngineChoice::Local, policy).await, &project).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].what, "policy more on public.resources stands in another table's file");
}

#[test]
fn a_file_that_does_not_run_is_an_error_with_its_place() {
    for (sql, message) in [
        ("CREATE POLICY more ON public.documents USING (nothing = 1);", "documents.sql:19:1"),
        ("SELECT 1;\nCOMMIT;", "documents.sql:20:1"),
        ("CREATE POLICY documents_select ON public.documents USING (true);", "documents.sql:19:1"),
    ] {
        for engine in ["local", "embedded"] {
            let project = Project::copy();
            project.append("policies/documents.sql", &format!("\n{sql}"));
            let output = project.run(&["policies", "check", "--engine", engine]);
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{sql}: {error}");
            assert!(error.contains(message), "{sql}: {error}");
        }
    }
}

/// A function that a column's default needs can't be dropped: it is replaced.
#[tokio::test]
async fn a_helper_that_something_else_needs_is_compared_too() {
    let project = Project::copy();
    let sql = "ALTER TABLE public.documents ALTER COLUMN user_id SET DEFAULT chartchek_private.uid();";
    let scratch = scratch(EngineChoice::Local, sql).await;
    assert_eq!(findings(&scratch, &project).await, Vec::new());
    project.edit("policies/_helpers.sql", "SELECT CASE WHEN auth.jwt()", "SELECT CASE WHEN NOT auth.jwt()");
    let grant = "GRANT EXECUTE ON FUNCTION chartchek_private.uid() TO authenticated;";
    project.edit("policies/_helpers.sql", grant, "");
    let found = findings(&scratch, &project).await;
    let what: Vec<_> = found.iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(what.len(), 2, "{what:#?}");
    assert!(what[0].starts_with("body of function chartchek_private.uid()"), "{what:#?}");
    assert!(what[1].starts_with("grant on function chartchek_private.uid() to authenticated"), "{what:#?}");
}
