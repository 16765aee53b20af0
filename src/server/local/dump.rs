//! A target's schema without its rows, as SQL that a scratch database takes: by `pg_dump` of the local installation.

use crate::db::conninfo::Conninfo;
use crate::db::session::Session;
use crate::model::failure::{Failure, FailureKind};
use crate::server::local::account::Account;
use crate::server::local::installation::find_or_fail;

/// The schemas that the stand-in has, and those of Supabase's own services: theirs is not the schema that is verified.
const PLATFORM: &str = "'auth', 'extensions', 'storage', 'realtime', '_realtime', 'graphql', 'graphql_public', 'vault', \
     'pgsodium', 'pgsodium_masks', 'net', 'cron', 'pgmq', 'supabase_functions', 'supabase_migrations', 'pgbouncer', \
     'pgtle', '_analytics'";

/// Reads the schema of what `session` is connected to by `conninfo`. Tables are locked against DDL alone, and not waited
/// for.
///
/// # Errors
/// Connection: there is no local installation, it has no `pg_dump`, or that one fails: its server is newer, a table is
/// locked.
pub async fn schema_of(session: &Session, conninfo: &Conninfo) -> Result<String, Failure> {
    let sql = format!(
        "SELECT n.nspname FROM pg_catalog.pg_namespace n \
         WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', {PLATFORM}) \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_namespace'::regclass \
               AND d.objid = n.oid AND d.deptype = 'e')"
    );
    let rows =
        session.text_rows(&sql).await.map_err(|error| error.into_failure("the target's schemas were not read"))?;
    let program = find_or_fail()?.program("pg_dump");
    let mut command = Account::current()?.command(&program);
    command.args(["--schema-only", "--no-owner", "--no-comments", "--no-security-labels", "--no-tablespaces"]);
    command.args(["--no-publications", "--no-subscriptions", "--lock-wait-timeout=3s", "--no-password"]);
    for schema in rows.into_iter().flatten().flatten() {
        // A pattern, in which quotes keep every sign what it is.
        command.arg(format!("--schema=\"{}\"", schema.replace('"', "\"\"")));
    }
    // Not on the command line, where every user of the machine could read it.
    if let Some(password) = conninfo.password() {
        command.env("PGPASSWORD", password);
    }
    command.arg("--dbname").arg(conninfo.with_user_password(conninfo.user(), None).url());
    let failed = |why: String| {
        Failure::new(FailureKind::Connection, format!("{} did not read the schema", program.display())).note(why)
    };
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(failed(said.lines().next().unwrap_or("it said nothing").to_owned()));
    }
    String::from_utf8(output.stdout).map_err(|error| failed(error.to_string()))
}

/// Makes that schema, as the migrator. The grants are the target's: none that new objects get here, none for roles that
/// this server has not.
///
/// # Errors
/// The server's: a type of an extension that is not here, a policy for a role that is not.
pub async fn make_schema(session: &Session, schema: &str) -> Result<(), Failure> {
    let failure = "the target's schema could not be made on the scratch database";
    let roles = session.text_rows("SELECT rolname FROM pg_catalog.pg_roles").await;
    let roles = roles.map_err(|error| error.into_failure(failure))?;
    let roles: Vec<String> = roles.into_iter().flatten().flatten().collect();
    let kept: Vec<&str> = schema.lines().filter(|line| is_kept(line, &roles)).collect();
    let defaults = ["TABLES", "ROUTINES", "SEQUENCES"].map(|kind| {
        format!(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON {kind} FROM anon, authenticated, service_role;\n"
        )
    });
    // That the migrator can't grant on public, which is not its own, is no news: the stand-in has done so.
    let sql = format!("SET client_min_messages = error;\n{}{}", defaults.concat(), kept.join("\n"));
    session.batch(&sql).await.map_err(|error| error.into_failure(failure))
}

/// Whether a line of `pg_dump`'s is made: psql's own commands, other owners' defaults and grants to strangers are not.
fn is_kept(line: &str, roles: &[String]) -> bool {
    let left_out = [
        "\\restrict ",
        "\\unrestrict ",
        "ALTER DEFAULT PRIVILEGES ",
        "CREATE SCHEMA public;",
        "SET client_min_messages ",
    ];
    if left_out.iter().any(|start| line.starts_with(start)) {
        return false;
    }
    let grant = line.strip_prefix("GRANT ").and_then(|rest| rest.rsplit_once(" TO "));
    let Some((_, to)) = grant.or_else(|| line.strip_prefix("REVOKE ").and_then(|rest| rest.rsplit_once(" FROM ")))
    else {
        return true;
    };
    let to = to.trim_end_matches(';').trim_end_matches(" WITH GRANT OPTION");
    let name = to.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"'));
    let name = name.map_or_else(|| to.to_owned(), |quoted| quoted.replace("\"\"", "\""));
    name == "PUBLIC" || roles.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_and_psql_are_left_out() {
        let roles = ["anon".to_owned(), "odd \"one".to_owned()];
        for (line, kept) in [
            ("GRANT SELECT ON TABLE public.t TO anon;", true),
            ("GRANT SELECT(id),UPDATE(id) ON TABLE public.t TO PUBLIC;", true),
            ("GRANT ALL ON TABLE public.t TO \"odd \"\"one\" WITH GRANT OPTION;", true),
            ("GRANT ALL ON TABLE public.t TO dashboard;", false),
            ("REVOKE ALL ON FUNCTION public.f() FROM PUBLIC;", true),
            ("REVOKE ALL ON FUNCTION public.f() FROM stranger;", false),
            ("ALTER DEFAULT PRIVILEGES FOR ROLE x IN SCHEMA public GRANT ALL ON TABLES TO anon;", false),
            ("\\restrict abc", false),
            ("CREATE SCHEMA public;", false),
            ("    GRANT is a word of a function's body TO stranger;", true),
        ] {
            assert_eq!(is_kept(line, &roles), kept, "{line}");
        }
    }
}
