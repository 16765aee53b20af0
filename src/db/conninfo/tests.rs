//! What connection strings and variables come to.

use super::*;
use crate::db::tls::{Roots, SslMode};
use proptest::prelude::*;

fn parse(text: &str) -> Conninfo {
    Conninfo::parse(text).unwrap_or_else(|failure| panic!("{text}: {}", whole(&failure)))
}

fn refused(text: &str) -> String {
    whole(&Conninfo::parse(text).expect_err(text))
}

fn whole(failure: &Failure) -> String {
    assert_eq!(failure.kind(), crate::model::failure::FailureKind::Usage);
    format!("{failure:?}")
}

fn environment<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    move |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
}

#[test]
fn urls_are_read_as_libpq_reads_them() {
    let all =
        parse("postgresql://us%40er:p%2Fw%3A%25@db.example.com:6000/da%20ta?application_name=x%26y&options=-c%20a%3Db");
    assert_eq!((all.host(), all.port(), all.user(), all.database()), ("db.example.com", 6000, "us@er", "da ta"));
    assert_eq!(all.password.as_deref(), Some("p/w:%"));
    assert_eq!(all.application_name, "x&y");
    assert_eq!(all.options.as_deref(), Some("-c a=b"));

    let short = parse("postgres://u@h");
    assert_eq!((short.host(), short.port(), short.database()), ("h", 5432, "u"));
    assert_eq!((short.password.as_deref(), short.application_name.as_str()), (None, "chartchek-db"));
    assert_eq!(short.connect_timeout, Some(Duration::from_secs(10)));

    // Bare characters that libpq takes in a password.
    assert_eq!(parse("postgres://u:a?b#c:d&e=f@h/d").password.as_deref(), Some("a?b#c:d&e=f"));
    assert_eq!(parse("postgres://u:p@[::1]:77/d").host(), "::1");
    assert_eq!(parse("postgres://u:p@[::1]/d").port(), 5432);
    for url in ["postgres://u@/d?host=/tmp/x&port=77", "postgres://u@%2Ftmp%2Fx:77/d"] {
        let socket = parse(url);
        assert_eq!((socket.socket_folder(), socket.port(), socket.database()), (Some("/tmp/x"), 77, "d"));
    }
    assert_eq!(parse("postgres://u@h/d\n").database(), "d");
    // A parameter overrides what stands before it; the last one holds.
    assert_eq!(parse("postgres://u@h/d?dbname=e&dbname=f&host=i").database(), "f");
    assert_eq!(parse("postgres://u@h/d?ssl=true").tls.mode, SslMode::Require);
    assert_eq!(parse("postgres://u@h/d?connect_timeout=0").connect_timeout, None);
}

#[test]
fn keyword_strings_are_read_as_libpq_reads_them() {
    let all = parse(r" host = h  port=77 user='a b' password='it\'s \\ here' dbname=d\ e ");
    assert_eq!((all.host(), all.port(), all.user(), all.database()), ("h", 77, "a b", "d e"));
    assert_eq!(all.password.as_deref(), Some(r"it's \ here"));
    assert_eq!(parse("host=h user=u dbname=d\\ ").database(), "d ");
    assert_eq!(parse("host=h user=u password='' dbname='d'").password, None);
    let addressed = parse("hostaddr=10.0.0.7 user=u");
    assert_eq!((addressed.host(), addressed.hostaddr()), ("10.0.0.7", Some("10.0.0.7".parse().unwrap())));
}

#[test]
fn what_is_wrong_is_refused_and_the_password_not_repeated() {
    for (text, says) in [
        ("", "empty"),
        ("  ", "empty"),
        ("hunter2", "neither a URL"),
        ("https://hunter2.supabase.co?a=b", "neither a URL"),
        ("postgres://u:hunter2@h/d?colour=red", "sets colour, which is no keyword"),
        ("postgres://u:hunter2@h/d?pgbouncer=true", "Prisma"),
        ("postgres://u:hunter2@h/d?sslcert=x", "sslcert, which is not supported yet"),
        ("postgres://u:hunter2@h/d?service=x", "service, which is not supported yet"),
        ("host=h colour=red password=hunter2", "sets colour"),
        // Passwords that were not encoded: pieces of them come to stand as host, port, parameter, keyword.
        ("postgres://u:x@hunter2@h/d", "an @ that is out of place"),
        ("postgres://u:x/hunter2@h/d", "an @ that is out of place"),
        ("postgres://u:x@a?hunter2=@h/d", "an @ that is out of place"),
        ("postgres://u:hunter2/d", "port in the connection string"),
        ("postgres://h/d?hunter2", "no = and no value"),
        ("postgres://u:hun%ter2@h/d", "% without two hexadecimal digits"),
        ("postgres://u:hunter2%00@h/d", "NUL"),
        ("postgres://u:hunter2%ff@h/d", "no UTF-8"),
        ("password=x hunter2 host=h", "no = after it"),
        ("password=x hunter2=y host=h", "keyword after the password is unknown"),
        ("host=h password='hunter2", "no closing quote"),
        ("postgres://u:hunter2@h:0/d", "number from 1 to 65535"),
        ("postgres://u:hunter2@h:65536/d", "number from 1 to 65535"),
        ("postgres://u:hunter2@[::1/d", "no closing bracket"),
        ("postgres://u:hunter2@[::1]x/d", "brackets"),
        ("postgres://u:hunter2@::1/d", "more than one colon"),
        ("postgres://u:hunter2@a,b/d", "host in the connection string is not a single one"),
        ("postgres://u:hunter2@a:1,b:2/d", "more than one colon"),
        ("postgres://u:hunter2@a b/d", "not a host name"),
        ("postgres://u:hunter2@h/d?sslmode=on", "one of disable, allow, prefer, require, verify-ca, verify-full"),
        ("postgres://u:hunter2@h/d?sslrootcert=system&sslmode=require", "too weak for sslrootcert=system"),
        ("postgres://u:hunter2@h/d?sslnegotiation=direct&sslmode=prefer", "too weak for sslnegotiation"),
        ("postgres://u:hunter2@h/d?connect_timeout=soon", "connect_timeout in the connection string is not a whole"),
        ("postgres://u:hunter2@h/d?target_session_attrs=primary", "one of any, read-write, read-only"),
        ("postgres://u:hunter2@h/d?gssencmode=require", "one of disable, prefer"),
    ] {
        let failure = refused(text);
        assert!(failure.contains(says), "{text}: {failure}");
        assert!(!failure.contains("hunter2"), "{text}: {failure}");
    }
}

#[test]
fn verify_full_is_the_default_where_the_host_is_not_local() {
    for host in ["/tmp", "localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
        let info = parse(&format!("user=u host={host}"));
        assert!(info.is_local(), "{host}");
        assert_eq!(info.tls.mode, SslMode::Prefer, "{host}");
    }
    for host in ["db.abc.supabase.co", "10.0.0.1", "postgres", "localhost.example.com", "128.0.0.1", "0.0.0.0", "::2"] {
        let info = parse(&format!("user=u host={host}"));
        assert!(!info.is_local(), "{host}");
        assert_eq!(info.tls.mode, SslMode::VerifyFull, "{host}");
    }
    // Either of the two elsewhere is elsewhere.
    assert!(!parse("user=u host=localhost hostaddr=10.0.0.1").is_local());
    assert!(!parse("user=u host=example.com hostaddr=127.0.0.1").is_local());
    let system = parse("user=u host=localhost sslrootcert=system");
    assert_eq!((system.tls.mode, system.tls.roots), (SslMode::VerifyFull, Roots::System));
}

#[test]
fn the_flag_goes_before_the_variable_and_pg_variables_fill_the_gaps() {
    let both = [("DATABASE_URL", "postgres://a@variable/d"), ("PGPASSWORD", "pw"), ("PGPORT", "77"), ("PGHOST", "x")];
    let flag = Conninfo::resolve(Some("postgres://b@flag/d"), environment(&both)).unwrap();
    assert_eq!((flag.host(), flag.user(), flag.port(), flag.password.as_deref()), ("flag", "b", 77, Some("pw")));
    let variable = Conninfo::from_environment(environment(&both)).unwrap();
    assert_eq!((variable.host(), variable.user()), ("variable", "a"));
    let pg = [("PGHOST", "h"), ("PGUSER", "u"), ("PGSSLMODE", "require"), ("PGAPPNAME", "n"), ("PGDATABASE", "")];
    let pg = Conninfo::from_environment(environment(&pg)).unwrap();
    assert_eq!((pg.host(), pg.user(), pg.database(), pg.application_name.as_str()), ("h", "u", "u", "n"));
    assert_eq!(pg.tls.mode, SslMode::Require);
    // The operating system's user, as psql has it.
    let user = Conninfo::from_environment(environment(&[("PGHOST", "h")])).unwrap();
    assert_eq!(user.user(), whoami::username().unwrap());
    let wrong = Conninfo::from_environment(environment(&[("PGHOST", "h"), ("PGPORT", "x")])).unwrap_err();
    assert!(wrong.what().starts_with("port in PGPORT"), "{wrong}");
}

#[test]
fn nothing_and_empty_never_choose_a_database() {
    let pg = [("PGHOST", "h"), ("PGUSER", "u")];
    let with_url = [("DATABASE_URL", ""), ("PGHOST", "h"), ("PGUSER", "u")];
    for (flag, variables, says) in [
        (Some(""), &pg[..], "--database-url is empty"),
        (Some(" \n"), &pg[..], "--database-url is empty"),
        (None, &with_url[..], "DATABASE_URL is empty"),
        (None, &[][..], "no database is named"),
        (None, &[("PGPASSWORD", "hunter2"), ("PGSSLMODE", "require")][..], "no database is named"),
        (None, &[("PGHOST", "h"), ("PGSERVICE", "prod")][..], "PGSERVICE is set, which is not supported yet"),
    ] {
        let failure = whole(&Conninfo::resolve(flag, environment(variables)).unwrap_err());
        assert!(failure.contains(says), "{failure}");
        assert!(!failure.contains("hunter2"), "{failure}");
    }
}

#[test]
fn debug_hides_the_password() {
    let info = parse("postgres://u:hunter2@h/d");
    let shown = format!("{info:?}");
    assert!(shown.contains("password: Some(\"…\")") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn urls_of_local_servers_are_plain() {
    let socket = Conninfo::local("/tmp", 77, "u", None, "d");
    assert_eq!(socket.url(), "postgresql://u@/d?host=/tmp&port=77");
    let tcp = Conninfo::local("127.0.0.1", 77, "u", Some("p/w"), "d");
    assert_eq!(tcp.url(), "postgresql://u:p%2Fw@127.0.0.1:77/d?sslmode=disable");
    let other = tcp.with_database("e").with_user_password("v", None).with_application_name("n");
    assert_eq!(other.url(), "postgresql://v@127.0.0.1:77/e?sslmode=disable&application_name=n");
    assert_eq!(parse(&other.url()), other);
}

proptest! {
    #[test]
    fn parsing_never_panics(text in ".*", url in "postgres://[a:@/?&=%,\\[\\]\\PC]*", words in "[a-z ='\\\\]*") {
        for text in [text, url, words] {
            let _either = Conninfo::parse(&text);
        }
    }

    #[test]
    fn a_url_gives_itself_back(
        host in prop_oneof!["[a-z][a-z0-9.-]{0,20}", Just("::1".to_owned()), Just("10.1.2.3".to_owned()), "/[a-z/ %é?]{1,20}"],
        port in 1u16..,
        (user, database, name) in ("[^\0]{1,10}", "[^\0]{1,10}", "[^\0]{1,10}"),
        password in proptest::option::of("[^\0]{1,20}"),
        mode in proptest::sample::select(SslMode::ALL.to_vec()),
        roots in prop_oneof![Just(Roots::Default), "/[a-z ]{1,9}".prop_map(|path| Roots::File(path.into()))],
        timeout in proptest::option::of(1u64..100),
    ) {
        let mut info = Conninfo::local(&host, port, &user, password.as_deref(), &database).with_application_name(&name);
        info.tls = TlsSettings { mode, roots, direct: false };
        info.connect_timeout = timeout.map(Duration::from_secs);
        info.keepalives.on = port % 2 == 0;
        let read = Conninfo::parse(&info.url()).map_err(|failure| TestCaseError::fail(format!("{failure:?}")))?;
        prop_assert_eq!(&read, &info);
        prop_assert_eq!(read.password, info.password);
    }
}
