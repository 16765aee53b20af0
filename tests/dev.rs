//! `dev`: the tool's own development database, and a plain PostgreSQL that it is given.

mod support;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use support::{PASSWORD, Server, one};

const SECRET: &[u8] = b"super-secret-jwt-token-with-at-least-32-characters-long";
const ALICE: &str = "a11ce000-0000-4000-8000-000000000001";

/// Runs `chartchek-db dev …` with a cache folder of the test's own.
fn dev(cache: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    command.arg("dev").args(args).env("CHARTCHEK_DB_CACHE", cache).current_dir(support::project());
    // A database that these name must never be touched by `dev`.
    command.env("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none").env("PGHOST", "127.0.0.1").env("PGPORT", "1");
    command.output().unwrap()
}

fn texts(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn succeed(cache: &Path, args: &[&str]) -> String {
    let output = dev(cache, args);
    let (text, error) = texts(&output);
    assert!(output.status.success(), "{args:?}\n{text}\n{error}");
    hides_the_password(&text, args);
    hides_the_password(&error, args);
    text
}

fn refuse(cache: &Path, args: &[&str], code: i32, needle: &str) {
    let output = dev(cache, args);
    let (text, error) = texts(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{text}\n{error}");
    assert!(error.contains(needle), "{args:?}: {needle} is not in\n{error}");
    hides_the_password(&text, args);
    hides_the_password(&error, args);
}

fn hides_the_password(text: &str, args: &[&str]) {
    for form in [PASSWORD.to_owned(), PASSWORD.replace(' ', "%20")] {
        assert!(!text.contains(&form), "{args:?} shows the superuser's password");
    }
}

/// What stands after a word at the start of a line.
fn after<'a>(text: &'a str, word: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("no {word} in\n{text}")).trim()
}

/// Verifies a token without the library that made it, and gives its claims.
fn verified(token: &str, secret: &[u8]) -> Option<Value> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    assert_eq!((&header["alg"], &header["typ"]), (&"HS256".into(), &"JWT".into()));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(signed.as_bytes());
    mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn cache() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn its_own_database_from_up_to_down() {
    let cache = cache();
    let cache = cache.path();
    refuse(cache, &["token", "alice"], 4, "dev up");
    assert!(succeed(cache, &["status"]).contains("not made yet"));

    let up = succeed(cache, &["up"]);
    assert!(up.contains("all 7 migrations are applied"), "{up}");
    let application = after(&up, "application");
    assert!(application.starts_with("postgresql://authenticator:"), "{up}");
    assert!(succeed(cache, &["status"]).contains("all 7 migrations are applied"));
    refuse(cache, &["up", "--regime", "legacy"], 2, "dev reset --regime legacy");

    // The printed URLs work, and without their password nobody gets in.
    let psql = |url: &str, sql: &str| {
        let output = Command::new("psql").args(["-XAtw", "-d", url, "-c", sql]).output().unwrap();
        String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr }).trim().to_owned()
    };
    let migrator = after(&up, "migrator");
    assert_eq!(psql(migrator, "SELECT count(*) FROM public.chat_threads"), "5");
    assert_eq!(psql(application, "SET ROLE anon; SELECT current_user"), "SET\nanon");
    assert!(psql(application, "SELECT count(*) FROM public.chat_threads").contains("permission denied"));
    let (before, rest) = migrator.split_once("migrator:").unwrap();
    let (_, host) = rest.split_once('@').unwrap();
    assert!(psql(&format!("{before}migrator@{host}"), "SELECT 1").contains("password"), "no password was asked for");
    assert!(psql(&format!("{before}postgres@{host}"), "SELECT 1").contains("password"), "the superuser got in");

    // As a user: their rows, and no way back to more.
    let as_alice = |sql: &str| succeed(cache, &["psql", "--as", "alice", "--", "-Atq", "-c", sql]).trim().to_owned();
    assert_eq!(as_alice("SELECT current_user || ' ' || auth.uid()"), format!("authenticated {ALICE}"));
    assert_eq!(as_alice("SELECT count(*) FROM chat_threads"), "3");
    assert_eq!(
        as_alice("RESET ROLE; RESET ALL; SELECT current_user || ' ' || auth.uid()"),
        format!("authenticated {ALICE}")
    );
    let nobody =
        dev(cache, &["psql", "--as", "alice", "--", "-Atq", "-c", "SET ROLE NONE", "-c", "SELECT * FROM documents"]);
    assert!(texts(&nobody).1.contains("permission denied"), "{:?}", texts(&nobody));
    for (who, count) in [("carol", "0"), ("guest", "0"), ("bob@example.test", "2"), ("service", "5")] {
        let got = succeed(cache, &["psql", "--as", who, "--", "-Atq", "-c", "SELECT count(*) FROM chat_threads"]);
        assert_eq!(got.trim(), count, "{who}");
    }
    refuse(cache, &["psql", "--as", "mallory"], 2, "alice");

    // What was done to it stays over up and down, and is gone after reset.
    assert_eq!(psql(migrator, "DELETE FROM public.resources WHERE id = 'imprint'"), "DELETE 1");
    assert_eq!(psql(migrator, "INSERT INTO public.resources (id, content) VALUES ('mine', 'x')"), "INSERT 0 1");
    assert!(succeed(cache, &["down"]).contains("stopped"));
    assert!(psql(migrator, "SELECT 1").contains("refused"), "the server still runs");
    assert!(succeed(cache, &["status"]).contains("not running"));
    assert_eq!(after(&succeed(cache, &["up"]), "migrator"), migrator, "the URL changed");
    assert_eq!(psql(migrator, "SELECT string_agg(id, ' ' ORDER BY id) FROM public.resources"), "imprint mine welcome");
    succeed(cache, &["reset"]);
    assert_eq!(psql(migrator, "SELECT string_agg(id, ' ' ORDER BY id) FROM public.resources"), "imprint welcome");

    succeed(cache, &["down", "--delete"]);
    assert_eq!(std::fs::read_dir(cache).unwrap().count(), 0, "something is left in the cache");
}

#[test]
fn tokens_are_signed_and_carry_productions_claims() {
    let cache = cache();
    let cache = cache.path();
    let up = succeed(cache, &["up"]);
    assert_eq!(up.lines().filter(|line| line.trim().starts_with("eyJ")).count(), 5, "{up}");
    for (who, email, anonymous, role) in [
        ("alice", "alice@example.test", false, Value::Null),
        ("dana", "dana@example.test", false, "admin".into()),
        ("guest", "", true, Value::Null),
    ] {
        let token = succeed(cache, &["token", who, "--hours", "2"]);
        let claims = verified(token.trim(), SECRET).unwrap_or_else(|| panic!("{who}: the signature is wrong"));
        assert_eq!(verified(token.trim(), b"another secret"), None, "a wrong secret passes");
        let mut names: Vec<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        let production = "aal amr app_metadata aud email exp iat is_anonymous phone role session_id sub user_metadata";
        assert_eq!(names.join(" "), production, "{who}");
        assert_eq!(claims["email"], email, "{who}");
        assert_eq!(claims["is_anonymous"], anonymous, "{who}");
        assert_eq!(claims["app_metadata"]["role"], role, "{who}");
        assert_eq!((&claims["role"], &claims["aud"]), (&"authenticated".into(), &"authenticated".into()), "{who}");
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 7200, "{who}");
    }
    succeed(cache, &["down", "--delete"]);
}

#[tokio::test]
async fn a_given_server_is_prepared_and_only_what_was_made_is_taken_away() {
    let server = Server::start().await;
    let superuser = server.connect("postgres", "postgres").await;
    let url = server.url("postgres");
    let cache = server.folder();
    superuser.batch("CREATE TABLE public.theirs (id int); INSERT INTO public.theirs VALUES (1)").await.unwrap();

    // Nothing of ours: nothing is taken away.
    refuse(cache, &["down", "--database-url", &url], 2, "nothing in the database");
    refuse(cache, &["reset", "--database-url", &url], 2, "nothing in the database");
    assert_eq!(one(&superuser, "SELECT count(*) FROM public.theirs").await, "1");

    let first = succeed(cache, &["up", "--database-url", &url, "--stand-in-only"]);
    assert!(first.starts_with("postgresql://migrator:") && first.lines().count() == 1, "{first}");
    assert_eq!(one(&superuser, "SELECT to_regclass('public.chat_threads')").await, "NULL");
    let second = succeed(cache, &["up", "--database-url", &url]);
    assert_eq!(second, first, "the URL changed under whoever uses it");
    assert_eq!(one(&superuser, "SELECT count(*) FROM public.chat_threads").await, "5");
    assert_eq!(one(&superuser, "SELECT tableowner FROM pg_tables WHERE tablename = 'chat_threads'").await, "migrator");
    succeed(cache, &["up", "--database-url", &url]);
    assert_eq!(one(&superuser, "SELECT count(*) FROM public.chat_threads").await, "5", "seeded twice");
    let count = succeed(
        cache,
        &["psql", "--database-url", &url, "--as", "bob", "--", "-Atc", "SELECT count(*) FROM documents"],
    );
    assert_eq!(count.trim(), "3");
    assert!(verified(succeed(cache, &["token", "bob", "--database-url", &url]).trim(), SECRET).is_some());

    superuser.batch("DELETE FROM public.documents").await.unwrap();
    succeed(cache, &["reset", "--database-url", &url]);
    assert_eq!(one(&superuser, "SELECT count(*) FROM public.documents").await, "6");
    succeed(cache, &["down", "--database-url", &url]);
    assert_eq!(one(&superuser, "SELECT to_regnamespace('auth')").await, "NULL");
    assert_eq!(
        one(&superuser, "SELECT string_agg(relname, ',') FROM pg_class WHERE relnamespace = 'public'::regnamespace")
            .await,
        "theirs"
    );
    refuse(cache, &["down", "--database-url", &url], 2, "nothing in the database");
}

#[tokio::test]
async fn hosted_and_distant_databases_are_refused_and_a_local_stack_is_not() {
    let server = Server::start().await;
    let cache = server.folder();
    for command in ["up", "down", "reset", "status"] {
        refuse(cache, &[command, "--database-url", ""], 2, "is empty");
        refuse(
            cache,
            &[command, "--database-url", "postgresql://a:pass%20word@db.x.supabase.co/postgres", "--force"],
            2,
            "hosted",
        );
        refuse(
            cache,
            &[command, "--database-url", "postgresql://a@aws-0.pooler.supabase.com:6543/postgres"],
            2,
            "hosted",
        );
        refuse(cache, &[command, "--database-url", "postgresql://a:pass%20word@db.example.org/postgres"], 2, "--force");
    }
    refuse(cache, &["up", "--force"], 2, "--database-url");

    // A tunnel to a hosted project is "localhost" too: GoTrue's tables give it away.
    let superuser = server.connect("postgres", "postgres").await;
    let url = server.url("postgres");
    succeed(cache, &["up", "--database-url", &url, "--stand-in-only"]);
    superuser.batch("CREATE TABLE auth.identities (id int); COMMENT ON SCHEMA auth IS NULL").await.unwrap();
    for command in ["up", "down", "reset", "status"] {
        refuse(cache, &[command, "--database-url", &url, "--force"], 2, "is a Supabase");
    }
    assert_eq!(one(&superuser, "SELECT to_regclass('public.chat_threads')").await, "NULL");

    // Supabase's local stack carries the public secret: there the stand-in is skipped, the rest is done.
    let secret = String::from_utf8_lossy(SECRET);
    superuser.batch(&format!("ALTER DATABASE postgres SET app.settings.jwt_secret = '{secret}'")).await.unwrap();
    let output = succeed(cache, &["up", "--database-url", &url]);
    assert!(output.starts_with("postgresql://postgres@"), "not the role of the URL, or with its password");
}

#[test]
fn a_machine_without_postgresql_is_told_what_to_do() {
    let cache = cache();
    let output = Command::new(env!("CARGO_BIN_EXE_chartchek-db"))
        .args(["dev", "up"])
        .env("CHARTCHEK_DB_CACHE", cache.path())
        .env("PGBIN", cache.path())
        .current_dir(support::project())
        .output()
        .unwrap();
    let (_, error) = texts(&output);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("there is no PostgreSQL server") && error.contains("PGBIN"), "{error}");
}
