//! Each fault that is planted is noticed where it is expected, and by the attempts that are meant to notice it.

use crate::project::{Project, count, verdict};

/// A fault: its SQL, attempts that must read as a leak or an over-denial, and the name of a finding.
struct Fault<'a> {
    sql: &'a str,
    leaks: &'static [&'static str],
    over_denials: &'static [&'static str],
    finding: &'static str,
    /// Tables that must stay clean: nothing else is blamed.
    clean: &'static [&'static str],
}

fn check(fault: &Fault<'_>) {
    let (code, report) = Project::with(fault.sql).verify(&["--engine", "local"]);
    assert_eq!(code, 1, "the fault was not noticed: {}\n{}", fault.sql, report["summary"]);
    for id in fault.leaks {
        assert_eq!(verdict(&report, id), "leak", "{id} on {}", fault.sql);
    }
    for id in fault.over_denials {
        assert_eq!(verdict(&report, id), "over_denial", "{id} on {}", fault.sql);
    }
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["check"] == fault.finding), "no {} on {}", fault.finding, fault.sql);
    for table in fault.clean {
        let blamed = findings.iter().find(|finding| finding["object"] == *table);
        assert!(blamed.is_none(), "{table} is blamed on {}: {}", fault.sql, blamed.unwrap());
    }
    assert_eq!(count(&report, "findings") as usize, findings.len());
}

#[test]
fn a_policy_that_admits_everyone() {
    check(&Fault {
        sql: "CREATE POLICY x ON public.documents USING (true);",
        leaks: &[
            "documents/user/other/select/all",
            "documents/anonymous/own/select/key",
            "documents/user/other/delete/bare",
        ],
        over_denials: &[],
        finding: "leak",
        clean: &["chat_threads", "vector_stores", "resources"],
    });
}

#[test]
fn rls_switched_off() {
    check(&Fault {
        sql: "ALTER TABLE public.chat_threads DISABLE ROW LEVEL SECURITY;",
        leaks: &["chat_threads/user/other/select/all"],
        over_denials: &[],
        finding: "row-security-inactive",
        clean: &["documents"],
    });
}

#[test]
fn an_update_that_may_give_rows_away() {
    check(&Fault {
        sql: "ALTER POLICY vector_stores_update ON public.vector_stores WITH CHECK (true);
              ALTER POLICY vector_stores_select ON public.vector_stores USING ((SELECT chartchek_private.uid()) IS NOT NULL);",
        leaks: &["vector_stores/user/own/update/transfer", "vector_stores/user/other/select/all"],
        over_denials: &[],
        finding: "leak",
        clean: &["documents", "chat_threads"],
    });
}

/// The check refuses the row, so only a statement that sets the owner to oneself steals it: and without WHERE, since
/// the SELECT policy hides the row from a WHERE.
#[test]
fn an_update_that_captures() {
    check(&Fault {
        sql: "ALTER POLICY documents_update ON public.documents USING (true);",
        leaks: &["documents/user/other/update/capture-bare"],
        over_denials: &[],
        finding: "leak",
        clean: &["chat_threads"],
    });
}

#[test]
fn a_link_to_another_users_store() {
    check(&Fault {
        sql: "ALTER POLICY document_vector_stores_insert ON public.document_vector_stores WITH CHECK (EXISTS (
                  SELECT 1 FROM public.documents d
                  WHERE d.id = document_vector_stores.document_id AND d.user_id = (SELECT chartchek_private.uid())));",
        leaks: &["document_vector_stores/user/mixed/insert/foreign-vector_store_id"],
        over_denials: &[],
        finding: "leak",
        clean: &["documents", "vector_stores"],
    });
}

#[test]
fn a_message_moved_under_another_users_thread() {
    check(&Fault {
        sql: "ALTER POLICY chat_messages_update ON public.chat_messages WITH CHECK (true);
              ALTER POLICY chat_messages_select ON public.chat_messages USING (true);",
        leaks: &["chat_messages/user/own/update/reparent", "chat_messages/user/own/update/disown"],
        over_denials: &[],
        finding: "leak",
        clean: &["chat_threads"],
    });
}

#[test]
fn nobodys_rows_for_everybody() {
    check(&Fault {
        sql: "CREATE POLICY x ON public.chat_messages FOR SELECT TO authenticated USING (thread_id IS NULL);",
        leaks: &["chat_messages/user/orphan/select/all"],
        over_denials: &[],
        finding: "leak",
        clean: &["chat_threads", "documents"],
    });
}

#[test]
fn a_grant_without_a_promise() {
    check(&Fault {
        sql: "GRANT SELECT ON public.documents TO anon;",
        leaks: &["documents/anon/other/select/all", "documents/anon/other/select/count"],
        over_denials: &[],
        finding: "grant-without-promise",
        clean: &["chat_threads"],
    });
}

#[test]
fn truncate_granted() {
    check(&Fault {
        sql: "GRANT TRUNCATE ON public.resources TO authenticated;",
        leaks: &["resources/user/any/truncate/cascade"],
        over_denials: &[],
        finding: "leak",
        clean: &["documents"],
    });
}

#[test]
fn an_anonymous_sign_in_taken_for_a_person() {
    check(&Fault {
        sql: "ALTER POLICY user_assistants_select ON public.user_assistants USING (user_id = (SELECT auth.uid()));",
        leaks: &["user_assistants/anonymous/own/select/all"],
        over_denials: &[],
        finding: "leak",
        clean: &["documents"],
    });
}

#[test]
fn everyone_an_admin() {
    check(&Fault {
        sql: "ALTER POLICY resources_update ON public.resources USING (true) WITH CHECK (true);",
        leaks: &["resources/user/any/update/bare", "resources/user/any/update/key"],
        over_denials: &[],
        finding: "leak",
        clean: &["documents"],
    });
}

#[test]
fn a_policy_dropped() {
    check(&Fault {
        sql: "DROP POLICY chat_files_delete ON public.chat_files;",
        leaks: &[],
        over_denials: &["chat_files/user/own/delete/key", "chat_files/admin/own/delete/bare"],
        finding: "over-denial",
        clean: &["chat_threads"],
    });
}

#[test]
fn a_grant_revoked() {
    check(&Fault {
        sql: "REVOKE UPDATE ON public.chat_threads FROM service_role;",
        leaks: &[],
        over_denials: &["chat_threads/service/other/update/key"],
        finding: "over-denial",
        clean: &["documents"],
    });
}

/// A trigger that fires only at commit, and as its owner: the attempt never commits, so it is made to fire.
#[test]
fn a_row_stolen_at_commit() {
    let requests_only =
        THIEF.replace("FOR EACH ROW", "FOR EACH ROW WHEN (current_setting('request.jwt.claims', true) <> '')");
    check(&Fault {
        sql: &requests_only,
        leaks: &["user_assistants/user/own/insert/plain"],
        over_denials: &[],
        finding: "leak",
        clean: &["documents"],
    });
}

/// The same for every insert, the world's own rows too: then nothing can be concluded, and it does not pass.
#[test]
fn rows_stolen_from_the_world_itself() {
    let output = Project::with(THIEF).run(&["verify-rls", "--engine", "local"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("user_assistants"), "{error}");
}

const THIEF: &str =
    "CREATE FUNCTION public.steal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
              BEGIN
                  UPDATE public.user_assistants SET user_id = NEW.user_id WHERE user_id <> NEW.user_id;
                  RETURN NULL;
              END $$;
              CREATE CONSTRAINT TRIGGER steal AFTER INSERT ON public.user_assistants
                  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.steal();";

#[test]
fn a_condition_on_another_column() {
    check(&Fault {
        sql: "ALTER POLICY chat_threads_select ON public.chat_threads
                  USING (user_id = (SELECT chartchek_private.uid()) OR status = 'archived');",
        leaks: &["chat_threads/user/other/select/all"],
        over_denials: &[],
        finding: "leak",
        clean: &["documents"],
    });
}

/// Each label is on another's row, though every other row holds NULL in that column.
#[test]
fn a_condition_on_any_one_label() {
    for label in ["active", "deleted"] {
        let sql = format!(
            "ALTER POLICY chat_threads_select ON public.chat_threads
                 USING (user_id = (SELECT chartchek_private.uid()) OR status = '{label}');"
        );
        check(&Fault {
            sql: &sql,
            leaks: &["chat_threads/user/other/select/all"],
            over_denials: &[],
            finding: "leak",
            clean: &["documents"],
        });
    }
}

/// The parent's own policies hide it, and only some parents let others in.
#[test]
fn a_message_under_another_users_deleted_thread() {
    check(&Fault {
        sql: "CREATE FUNCTION chartchek_private.deleted() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER
                  SET search_path = '' AS $$SELECT thread_id::text FROM public.chat_threads WHERE status = 'deleted'$$;
              GRANT EXECUTE ON FUNCTION chartchek_private.deleted() TO authenticated;
              CREATE POLICY x ON public.chat_messages FOR INSERT TO authenticated
                  WITH CHECK (thread_id IN (SELECT chartchek_private.deleted()));",
        leaks: &["chat_messages/user/other/insert/plain-6"],
        over_denials: &[],
        finding: "leak",
        clean: &["documents"],
    });
}

/// With a WHERE the SELECT policy refuses the row as it would be; without one nobody asks it.
#[test]
fn rows_given_away_without_where() {
    check(&Fault {
        sql: "ALTER POLICY vector_stores_update ON public.vector_stores WITH CHECK (true);",
        leaks: &["vector_stores/user/own/update/transfer-bare"],
        over_denials: &[],
        finding: "leak",
        clean: &["documents", "chat_threads"],
    });
}

/// The same, to nobody.
#[test]
fn rows_given_up_without_where() {
    check(&Fault {
        sql: "CREATE POLICY x ON public.chat_messages FOR UPDATE TO authenticated
                  USING (false) WITH CHECK (thread_id IS NULL);",
        leaks: &["chat_messages/user/own/update/disown-bare"],
        over_denials: &[],
        finding: "leak",
        clean: &["documents", "chat_threads"],
    });
}

/// A row that the check lets in for one label, whoever's it is.
#[test]
fn a_row_for_another_with_one_label() {
    for label in ["active", "archived", "deleted"] {
        let sql = format!(
            "CREATE POLICY x ON public.chat_threads FOR INSERT TO authenticated WITH CHECK (status = '{label}');"
        );
        let (code, report) =
            Project::with(&sql).verify(&["--engine", "local", "--only", "chat_threads/user/other/insert"]);
        assert_eq!(code, 1, "{label}: {}", report["summary"]);
        assert!(count(&report, "leak") > 0);
    }
}

/// Statements on the whole row are refused, those on the one column are not.
#[test]
fn a_column_granted_without_a_promise() {
    check(&Fault {
        sql: "GRANT SELECT (filename), UPDATE (storage_path), INSERT (filename) ON public.documents TO anon;
              CREATE POLICY x ON public.documents TO anon USING (true);",
        leaks: &[
            "documents/anon/other/select/count",
            "documents/anon/other/update/bare",
            "documents/anon/other/insert/rights",
        ],
        over_denials: &[],
        finding: "leak",
        clean: &["chat_threads"],
    });
}

/// Seen only where rows are alike: another's row is let through for sharing a value with one's own.
#[test]
fn sharing_by_an_equal_value() {
    check(&Fault {
        sql: "CREATE FUNCTION chartchek_private.my_names() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER
                  SET search_path = '' AS 'SELECT name FROM public.vector_stores WHERE user_id = auth.uid()';
              REVOKE ALL ON FUNCTION chartchek_private.my_names() FROM PUBLIC;
              GRANT EXECUTE ON FUNCTION chartchek_private.my_names() TO authenticated;
              CREATE POLICY x ON public.vector_stores FOR SELECT TO authenticated
                  USING (name IN (SELECT chartchek_private.my_names()) AND (SELECT chartchek_private.uid()) IS NOT NULL);",
        leaks: &["vector_stores/user/other/select/all@equal"],
        over_denials: &[],
        finding: "leak",
        clean: &["documents"],
    });
}

#[test]
fn a_table_that_the_contract_does_not_know() {
    check(&Fault {
        sql: "CREATE TABLE public.notes (id uuid PRIMARY KEY, body text);",
        leaks: &[],
        over_denials: &[],
        finding: "uncovered-table",
        clean: &["documents"],
    });
}

/// A policy that raises an error denies nothing that can be relied on.
#[test]
fn a_policy_in_error_is_inconclusive_and_never_held() {
    let sql = "ALTER POLICY documents_select ON public.documents USING (1 / (id::text = '')::int = 1);";
    let (code, report) = Project::with(sql).verify(&["--engine", "local"]);
    assert!(code == 3 || code == 1, "exit code {code}");
    assert!(count(&report, "inconclusive") > 0);
    assert_eq!(verdict(&report, "documents/user/other/select/all"), "inconclusive");
}
