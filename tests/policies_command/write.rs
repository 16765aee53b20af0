//! What `policies write` writes: after it both agree, on a database that is migrated further too.

use crate::cluster::{Cluster, PASSWORD};
use crate::project::Project;
use crate::{findings, load, scratch};
use chartchek_db::db::connect::connect;
use chartchek_db::db::conninfo::Conninfo;
use chartchek_db::schema::policies;
use chartchek_db::server::{EngineChoice, Regime, stand_in};

/// Edits of files: (file, from, to); an empty `from` appends.
type Edits = &'static [(&'static str, &'static str, &'static str)];

const CHANGES: &[Edits] = &[
    &[("documents.sql", "USING (user_id = (SELECT chartchek_private.uid()))", "USING (user_id = auth.uid() AND true)")],
    &[(
        "documents.sql",
        "",
        "CREATE POLICY more ON documents AS RESTRICTIVE FOR SELECT TO authenticated USING (filename <> '');",
    )],
    &[(
        "documents.sql",
        "CREATE POLICY documents_delete ON public.documents FOR DELETE TO authenticated\n    USING (user_id = (SELECT chartchek_private.uid()));",
        "",
    )],
    // rights: of the table, of columns, both
    &[(
        "documents.sql",
        "SELECT, INSERT, UPDATE, DELETE ON TABLE public.documents TO authenticated, service_role",
        "ALL ON TABLE public.documents TO service_role",
    )],
    &[("documents.sql", "UPDATE, DELETE ON TABLE", "DELETE, UPDATE (filename) ON TABLE")],
    &[("documents.sql", "", "GRANT SELECT (filename) ON public.documents TO anon, service_role;")],
    // triggers
    &[(
        "documents.sql",
        "BEFORE INSERT OR UPDATE ON public.documents",
        "BEFORE UPDATE OF filename ON public.documents",
    )],
    &[(
        "documents.sql",
        "",
        "ALTER TABLE public.documents ENABLE ALWAYS TRIGGER documents_stamp; COMMENT ON TRIGGER documents_stamp ON public.documents IS 'why';",
    )],
    &[("documents.sql", "", "COMMENT ON POLICY documents_select ON public.documents IS 'it''s this';")],
    // functions
    &[("_helpers.sql", "'app_metadata'", "'user_metadata'")],
    &[("_helpers.sql", "SECURITY INVOKER SET search_path = ''", "SECURITY DEFINER SET search_path = ''")],
    &[(
        "_helpers.sql",
        "GRANT EXECUTE ON FUNCTION chartchek_private.uid() TO authenticated;",
        "GRANT EXECUTE ON FUNCTION chartchek_private.uid() TO service_role;",
    )],
    // a new function, and a policy that calls it
    &[
        (
            "_helpers.sql",
            "",
            "CREATE FUNCTION chartchek_private.more(a int) RETURNS boolean LANGUAGE sql AS 'SELECT a > 0';\nREVOKE ALL ON FUNCTION chartchek_private.more(int) FROM PUBLIC;\nGRANT EXECUTE ON FUNCTION chartchek_private.more(int) TO authenticated;",
        ),
        (
            "documents.sql",
            "",
            "CREATE POLICY more ON public.documents AS RESTRICTIVE USING (chartchek_private.more(1));",
        ),
    ],
    // a second function of one name: the file's words do not tell which statement is whose
    &[(
        "_helpers.sql",
        "",
        "CREATE FUNCTION chartchek_private.uid(a int) RETURNS int LANGUAGE sql AS 'SELECT a';\nREVOKE ALL ON FUNCTION chartchek_private.uid(int) FROM PUBLIC;\nGRANT EXECUTE ON FUNCTION chartchek_private.uid(int) TO anon; COMMENT ON FUNCTION chartchek_private.uid(int) IS 'x';",
    )],
    // a new signature, by way of the policies that call it; and a function that goes
    &[
        ("resources.sql", "is_admin()", "is_admin(1)"),
        ("resources.sql", "is_admin()", "is_admin(1)"),
        ("resources.sql", "is_admin()", "is_admin(1)"),
        ("resources.sql", "is_admin()", "is_admin(1)"),
        ("_helpers.sql", "FUNCTION chartchek_private.is_admin()", "FUNCTION chartchek_private.is_admin(a int)"),
        ("_helpers.sql", "FUNCTION chartchek_private.is_admin() FROM", "FUNCTION chartchek_private.is_admin(int) FROM"),
        ("_helpers.sql", "FUNCTION chartchek_private.is_admin() TO", "FUNCTION chartchek_private.is_admin(int) TO"),
        ("_helpers.sql", "FUNCTION chartchek_private.is_admin() IS", "FUNCTION chartchek_private.is_admin(int) IS"),
    ],
];

#[tokio::test]
async fn after_it_files_and_migrations_agree() {
    for (index, edits) in CHANGES.iter().enumerate() {
        let project = Project::copy();
        for (file, from, to) in *edits {
            let file = format!("policies/{file}");
            if from.is_empty() { project.append(&file, to) } else { project.edit(&file, from, to) }
        }
        let engine = if index % 4 == 0 { EngineChoice::Embedded } else { EngineChoice::Local };
        let scratch = scratch(engine, "").await;
        assert_ne!(findings(&scratch, &project).await, Vec::new(), "{edits:?}");
        let (files, contract) = load(&project);
        let session = scratch.connect().await.unwrap();
        let written = policies::write(&session, &files, &contract).await;
        let text = written.unwrap_or_else(|failure| panic!("{edits:?}: {failure:#?}")).expect("a difference");
        session.batch(&text).await.unwrap();
        assert_eq!(policies::write(&session, &files, &contract).await.unwrap(), None, "{text}");
        session.close().await;
        assert_eq!(findings(&scratch, &project).await, Vec::new(), "{edits:?}\n{text}");
    }
}

#[test]
fn statements_are_taken_as_they_stand_in_the_file() {
    let project = Project::copy();
    let policy = "CREATE POLICY documents_select ON public.documents FOR SELECT TO authenticated\n    USING (user_id =  -- two blanks\n auth.uid());";
    let old = "CREATE POLICY documents_select ON public.documents FOR SELECT TO authenticated\n    USING (user_id = (SELECT chartchek_private.uid()));";
    project.edit("policies/documents.sql", old, policy);
    assert_eq!(project.write(&[]).0, 0);
    let text = project.read("migrations/V008__policies.sql");
    let (dropped, created) = (text.find("DROP POLICY documents_select ON public.documents;"), text.find(policy));
    assert!(dropped.is_some() && dropped < created, "{text}");
    assert_eq!(text.matches(';').count(), 2, "nothing else:\n{text}");

    assert_eq!(project.check("local"), (0, Vec::new()));
    let (code, text, _) = project.write(&["change"]);
    assert_eq!((code, project.migrations()), (0, 8), "{text}");
    assert!(text.contains("nothing to write"), "{text}");
}

#[test]
fn what_it_can_not_write_it_refuses() {
    for (file, from, to, code, message) in [
        // a changed result: PostgreSQL replaces no such function
        (
            "_helpers.sql",
            "is_admin() RETURNS boolean",
            "is_admin() RETURNS text",
            2,
            "fails on what the migrations produce",
        ),
        (
            "documents.sql",
            "",
            "ALTER TABLE public.documents ADD COLUMN more text;",
            2,
            "policies/ changes the column public.documents.more",
        ),
        (
            "documents.sql",
            "",
            "CREATE INDEX more ON public.documents (filename);",
            2,
            "policies/ changes the index public.more",
        ),
    ] {
        let project = Project::copy();
        let path = format!("policies/{file}");
        if from.is_empty() {
            project.append(&path, to)
        } else {
            project.edit(&path, from, to)
        }
        let (got, text, error) = project.write(&[]);
        assert_eq!((got, project.migrations()), (code, 7), "{to}: {text}{error}");
        assert!(error.contains(message), "{to}: {error}");
    }
    // The result of a function that a policy calls, in a way that the policy takes too.
    let project = Project::copy();
    project.append("policies/_helpers.sql", "");
    project.edit(
        "policies/_helpers.sql",
        "check_message_author() RETURNS trigger",
        "check_message_author(a int DEFAULT 1) RETURNS int",
    );
    let (code, _, error) = project.write(&[]);
    assert_eq!((code, project.migrations()), (2, 7), "{error}");

    let project = Project::copy();
    project.append("policies/documents.sql", "GRANT SELECT ON public.documents TO anon;");
    let (code, _, error) = project.write(&["a/b"]);
    assert_eq!((code, project.migrations()), (2, 7), "{error}");
    // A name is read as `new` reads it.
    let (code, text, error) = project.write(&["Let anon-read"]);
    assert_eq!((code, project.migrations()), (0, 8), "{error}");
    assert!(text.contains("migrations/V008__let_anon_read.sql"), "{text}");
}

#[tokio::test]
async fn the_newest_is_amended_only_while_it_is_applied_nowhere() {
    let project = Project::copy();
    let (code, _, error) = project.write(&["--amend"]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("was not written by `policies write`"), "{error}");

    project.append("policies/documents.sql", "GRANT SELECT (filename) ON public.documents TO anon;");
    assert_eq!(project.write(&["first"]).0, 0);
    project.edit("policies/documents.sql", "GRANT SELECT (filename)", "GRANT SELECT (file_id)");
    assert_eq!(project.check("local").0, 1);

    let server = Cluster::start();
    let url = |role: &str| format!("postgresql://{role}:{PASSWORD}@127.0.0.1:{}/postgres?sslmode=disable", server.port);
    let superuser = connect(&Conninfo::resolve(Some(&url("postgres")), |_| None).unwrap()).await.unwrap();
    stand_in::install(&superuser, Regime::Explicit, Some(PASSWORD)).await.unwrap();
    superuser.close().await;
    let url = url("migrator");
    let migrated = project.run(&["migrate", "--to", "7", "--database-url", &url]);
    assert_eq!(migrated.status.code(), Some(0), "{}", String::from_utf8_lossy(&migrated.stderr));

    let (code, _, error) = project.write(&["--amend", "--database-url", &url]);
    assert_eq!(code, 0, "{error}");
    assert!(!error.contains(PASSWORD), "{error}");
    assert_eq!((project.check("local").0, project.migrations()), (0, 8));
    let text = project.read("migrations/V008__first.sql");
    assert!(text.contains("file_id") && !text.contains("filename"), "{text}");

    let migrated = project.run(&["migrate", "--database-url", &url]);
    assert_eq!(migrated.status.code(), Some(0), "{}", String::from_utf8_lossy(&migrated.stderr));
    project.edit("policies/documents.sql", "GRANT SELECT (file_id)", "GRANT SELECT (filename)");
    let (code, _, error) = project.write(&["--amend", "--database-url", &url]);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("is applied on postgres on 127.0.0.1"), "{error}");
    assert_eq!(project.read("migrations/V008__first.sql"), text);

    // Nothing left to say: the file would be empty.
    project.edit("policies/documents.sql", "GRANT SELECT (filename) ON public.documents TO anon;", "");
    let (code, output, error) = project.write(&["--amend"]);
    assert_eq!(code, 1, "{output}{error}");
    assert!(output.contains("remove that file"), "{output}");
}
