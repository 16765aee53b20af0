//! A connection string taken apart: URL or keyword string -> keywords and values, as libpq reads them.
//!
//! Follows `conninfo_uri_parse` and `conninfo_parse` of PostgreSQL's `fe-connect.c`, and is stricter in one thing: a
//! bare `@` may stand in a URL only once. Whatever isn't where it should be can be a piece of a password that was not
//! encoded, so no error here repeats any of the text, but for a keyword that can't come from a password.

use super::keyword;
use crate::model::failure::Failure;
use percent_encoding::percent_decode_str;

/// What a connection string says, in its order; a later keyword overrides an earlier one.
pub(super) type Pairs = Vec<(&'static str, String)>;

/// Reads a URL (`postgresql://…`, `postgres://…`) or a keyword string (`host=… dbname=…`).
///
/// # Errors
/// Usage: it is neither, a keyword is unknown, or it breaks the syntax.
pub(super) fn read(text: &str) -> Result<Pairs, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::usage("the connection string is empty").help(EXAMPLES));
    }
    if text.contains('\0') {
        return Err(Failure::usage("the connection string holds a NUL character"));
    }
    // A secret read from a file ends in a newline.
    let trimmed = text.trim();
    match ["postgresql://", "postgres://"].iter().find_map(|scheme| trimmed.strip_prefix(scheme)) {
        Some(rest) => url(rest),
        None if text.contains('=') && !looks_like_a_url(trimmed) => keywords(text),
        None => Err(Failure::usage(
            "the connection string is neither a URL that begins with postgresql:// nor a keyword string",
        )
        .help(EXAMPLES)),
    }
}

/// What to write, for errors.
const EXAMPLES: &str = "write postgresql://user:password@host:5432/database or \"host=… user=… dbname=…\"";

/// `scheme://` before anything else that a keyword string could begin with.
fn looks_like_a_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// The part of a URL after `//`.
fn url(rest: &str) -> Result<Pairs, Failure> {
    let mut pairs = Pairs::new();
    let user_info_end = rest.find(['@', '/']).filter(|&at| rest[at..].starts_with('@'));
    let rest = match user_info_end {
        Some(at) => {
            let (user, password) = match rest[..at].split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (&rest[..at], None),
            };
            store(&mut pairs, "user", user)?;
            store(&mut pairs, "password", password.unwrap_or_default())?;
            &rest[at + 1..]
        }
        None => rest,
    };
    if rest.contains('@') {
        return Err(Failure::usage("the URL holds an @ that is out of place")
            .note("it may stand bare only once, between the password and the host")
            .help(ENCODE));
    }
    let (address, query) = rest.split_once('?').map_or((rest, None), |(address, query)| (address, Some(query)));
    let (authority, database) =
        address.split_once('/').map_or((address, ""), |(authority, database)| (authority, database));
    let (host, port) = host_and_port(authority)?;
    store(&mut pairs, "host", host)?;
    store(&mut pairs, "port", port)?;
    store(&mut pairs, "dbname", database)?;
    for parameter in query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty()) {
        let Some((name, value)) = parameter.split_once('=') else {
            return Err(Failure::usage("a parameter of the URL has no = and no value").help(ENCODE));
        };
        let (name, value) = (decode(name)?, decode(value)?);
        // JDBC's spelling, which libpq takes in URLs.
        if name == "ssl" && value == "true" {
            pairs.push(("sslmode", "require".to_owned()));
            continue;
        }
        pairs.push((keyword::known(&name, false)?, value));
    }
    Ok(pairs)
}

/// What to do about a URL that can't be taken apart.
const ENCODE: &str =
    "percent-encode what user, password and parameters hold of / ? # @ % & and space: %2F %3F %23 %40 %25 %26 %20";

/// `host`, `host:port`, `[address]`, `[address]:port`; either part may be missing.
fn host_and_port(authority: &str) -> Result<(&str, &str), Failure> {
    let Some(bracketed) = authority.strip_prefix('[') else {
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        if port.contains(':') {
            return Err(Failure::usage("the URL's host and port hold more than one colon")
                .help("write an IPv6 address in brackets: postgresql://user@[2001:db8::1]:5432/database")
                .help(ENCODE));
        }
        return Ok((host, port));
    };
    let Some((host, after)) = bracketed.split_once(']') else {
        return Err(Failure::usage("the IPv6 address in the URL has no closing bracket"));
    };
    match after.strip_prefix(':') {
        Some(port) if !host.is_empty() => Ok((host, port)),
        None if after.is_empty() && !host.is_empty() => Ok((host, "")),
        _ => Err(Failure::usage("the URL's brackets must hold an IPv6 address, and a : or / must follow them")),
    }
}

/// Keeps a part of a URL that isn't empty.
fn store(pairs: &mut Pairs, keyword: &'static str, encoded: &str) -> Result<(), Failure> {
    if !encoded.is_empty() {
        pairs.push((keyword, decode(encoded)?));
    }
    Ok(())
}

/// Percent-decoding as libpq does it: every % begins two hexadecimal digits, and %00 is refused.
fn decode(encoded: &str) -> Result<String, Failure> {
    let bytes = encoded.as_bytes();
    let wrong = bytes.iter().enumerate().any(|(at, byte)| {
        let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
        *byte == b'%' && !(is_digit(at + 1) && is_digit(at + 2))
    });
    if wrong {
        return Err(Failure::usage("the URL holds a % without two hexadecimal digits after it").help(ENCODE));
    }
    match percent_decode_str(encoded).decode_utf8() {
        Ok(text) if text.contains('\0') => Err(Failure::usage("the URL holds %00, a NUL character")),
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Failure::usage("the URL's percent-encoding gives no UTF-8 text")),
    }
}

/// A keyword string: `name = value` any number of times; values with spaces in single quotes, `\` escapes.
fn keywords(text: &str) -> Result<Pairs, Failure> {
    let mut pairs = Pairs::new();
    let mut chars = text.chars().peekable();
    // A word after a password that was not quoted is a part of the password: it is not to be named.
    let mut after_bare_password = false;
    loop {
        while chars.next_if(|c| is_space(*c)).is_some() {}
        if chars.peek().is_none() {
            return Ok(pairs);
        }
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| *c != '=' && !is_space(*c)) {
            name.push(c);
        }
        while chars.next_if(|c| is_space(*c)).is_some() {}
        if chars.next() != Some('=') {
            return Err(Failure::usage("a word of the keyword string has no = after it")
                .help("put a value that holds spaces in single quotes: password='…'"));
        }
        while chars.next_if(|c| is_space(*c)).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let value = value(&mut chars, quoted)?;
        let name = keyword::known(&name, after_bare_password)?;
        after_bare_password = name == "password" && !quoted;
        pairs.push((name, value));
    }
}

/// The value that begins at the next character; `quoted` when it came after a quote.
fn value(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, quoted: bool) -> Result<String, Failure> {
    let mut value = String::new();
    while let Some(c) = chars.next_if(|c| quoted || !is_space(*c)) {
        match c {
            '\\' => value.extend(chars.next()),
            '\'' if quoted => return Ok(value),
            other => value.push(other),
        }
    }
    if quoted { Err(Failure::usage("a quoted value of the keyword string has no closing quote")) } else { Ok(value) }
}

/// C's `isspace`, which libpq uses.
fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}
