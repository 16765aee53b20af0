//! Finds `:uid` in a condition that people write, and refuses a text that would not stay one condition.

use std::ops::Range;

/// Where `:uid` stands in `sql`, outside strings, quoted identifiers and comments (lexical rules: PostgreSQL manual,
/// section 4.1).
///
/// Errors: the bytes and the reason, where the text ends inside a string or comment, holds a semicolon, or its
/// brackets don't match, so that it could not stand in brackets as one expression.
pub(super) fn uids(sql: &str) -> Result<Vec<Range<usize>>, (Range<usize>, &'static str)> {
    places(sql, ":uid")
}

/// Where the parameter `name` (with its colon) stands in `sql`, as [`uids`].
pub(crate) fn places(sql: &str, name: &str) -> Result<Vec<Range<usize>>, (Range<usize>, &'static str)> {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        let word_before = at > 0 && bytes.get(at - 1).is_some_and(|&before| is_word(before));
        let end = match byte {
            b'\'' => string_end(bytes, at).ok_or((at..at + 1, "this string does not end"))?,
            b'"' => until(bytes, at + 1, b"\"").ok_or((at..at + 1, "this quoted name does not end"))?,
            b'-' if rest.starts_with(b"--") => until(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if rest.starts_with(b"/*") => {
                comment_end(bytes, at).ok_or((at..at + 2, "this comment does not end"))?
            }
            b'$' if !word_before => match dollar_tag(rest) {
                Some(tag) => {
                    until(bytes, at + tag.len(), tag).ok_or((at..at + tag.len(), "this string does not end"))?
                }
                None => at + 1,
            },
            b';' => return Err((at..at + 1, "a condition is one expression, without a semicolon")),
            b'(' | b'[' => {
                open.push((byte, at));
                at + 1
            }
            b')' | b']' => {
                let wanted = if byte == b')' { b'(' } else { b'[' };
                match open.pop() {
                    Some((opened, _)) if opened == wanted => at + 1,
                    _ => return Err((at..at + 1, "this bracket closes nothing")),
                }
            }
            b':' if rest.starts_with(b"::") => at + 2,
            b':' if rest.starts_with(name.as_bytes()) && !rest.get(name.len()).is_some_and(|&next| is_word(next)) => {
                found.push(at..at + name.len());
                at + name.len()
            }
            _ => at + 1,
        };
        at = end;
    }
    match open.pop() {
        Some((_, at)) => Err((at..at + 1, "this bracket is not closed")),
        None => Ok(found),
    }
}

/// `sql` with every `:uid` replaced. A text that [`uids`] refuses is given back as it is; parsing has refused it.
pub(super) fn replace_uid(sql: &str, with: &str) -> String {
    replace(sql, ":uid", with)
}

/// `sql` with the parameter `name` replaced wherever [`places`] finds it.
pub(crate) fn replace(sql: &str, name: &str, with: &str) -> String {
    let mut text = sql.to_owned();
    for span in places(sql, name).unwrap_or_default().into_iter().rev() {
        text.replace_range(span, with);
    }
    text
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Past the next `mark` at or after `from`.
fn until(bytes: &[u8], from: usize, mark: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(mark.len()).position(|window| window == mark).map(|position| from + position + mark.len())
}

/// Past the string constant that begins at `at`; a doubled quote begins another, which comes to the same.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let before = |back: usize| at.checked_sub(back).and_then(|index| bytes.get(index)).copied();
    let escapes = matches!(before(1), Some(b'e' | b'E')) && !before(2).is_some_and(is_word);
    let mut index = at + 1;
    loop {
        match bytes.get(index)? {
            // In E'…' a doubled quote must not end the constant, or what follows would be read without escapes.
            b'\'' if escapes && bytes.get(index + 1) == Some(&b'\'') => index += 2,
            b'\'' => return Some(index + 1),
            b'\\' if escapes => index += 2,
            _ => index += 1,
        }
    }
}

/// Past the comment that begins at `at`; comments nest.
fn comment_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 1;
    let mut index = at + 2;
    while depth > 0 {
        match bytes.get(index..index + 2)? {
            b"/*" => (depth, index) = (depth + 1, index + 2),
            b"*/" => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
    }
    Some(index)
}

/// `$tag$` at the start of `rest`.
fn dollar_tag(rest: &[u8]) -> Option<&[u8]> {
    let length = rest.iter().skip(1).position(|&byte| byte == b'$')?;
    let tag = rest.get(..length + 2)?;
    let inner = tag.get(1..=length)?;
    let valid = !inner.first().is_some_and(u8::is_ascii_digit) && inner.iter().all(|&byte| is_word(byte));
    valid.then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_placeholder_itself_is_replaced() {
        for (sql, expected) in [
            ("row.a = :uid", "row.a = 'x'"),
            ("row.a=:uid or row.b=:uid", "row.a='x' or row.b='x'"),
            ("row.a = ':uid' or row.b = :uid", "row.a = ':uid' or row.b = 'x'"),
            (r"row.a = E'\':uid' or row.b = :uid", r"row.a = E'\':uid' or row.b = 'x'"),
            (r"row.a = E'a''\':uid'", r"row.a = E'a''\':uid'"),
            (r"row.a = '\' or row.b = :uid", r"row.a = '\' or row.b = 'x'"),
            ("row.\":uid\" = :uid", "row.\":uid\" = 'x'"),
            ("row.a = :uid -- not :uid", "row.a = 'x' -- not :uid"),
            ("/* :uid /* :uid */ :uid */ :uid", "/* :uid /* :uid */ :uid */ 'x'"),
            ("row.a = $t$:uid$t$ or $$:uid$$ = :uid", "row.a = $t$:uid$t$ or $$:uid$$ = 'x'"),
            ("row.a::uid = :uid::uuid", "row.a::uid = 'x'::uuid"),
            ("row.a = :uidx", "row.a = :uidx"),
        ] {
            assert_eq!(replace_uid(sql, "'x'"), expected, "{sql}");
        }
    }

    #[test]
    fn what_is_not_one_expression_is_refused() {
        for sql in
            ["'a", "\"a", "/* /* */", "$a$ $b$", "true; drop table t", "true) or (true", "(true", "a[1)", "E'\\'"]
        {
            assert!(uids(sql).is_err(), "{sql}");
        }
    }
}
