//! `ALTER TYPE … ADD VALUE` whose new value is used in the same file: PostgreSQL refuses that within one transaction.

use squawk_syntax::ast::{self, AstNode};
use squawk_syntax::{SyntaxKind, SyntaxNode, SyntaxToken};
use std::ops::Range;

/// A new value that is used too early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyUse {
    /// The value.
    pub label: String,
    /// Where it is used: the bytes of the file.
    pub span: Range<usize>,
}

/// The first use of a value that the same file adds to an enum, `offset` bytes further into the file than the tree says.
/// A literal of the same text that means something else is taken for one too: what a literal becomes is known to the
/// server alone. An enum that the file itself creates is left to the server: PostgreSQL 17 and newer take its new values at
/// once. Bodies of functions run later, but `DO` and SQL bodies are read when the file runs.
pub(crate) fn early_use(root: &SyntaxNode, offset: usize) -> Option<EarlyUse> {
    let (mut created, mut added): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for statement in root.children() {
        if let Some(label) = added_value(&statement, &created) {
            added.push(label);
        } else if let Some(used) = (!added.is_empty()).then(|| used(&statement, &added, offset)).flatten() {
            return Some(used);
        }
        if let Some(name) = ast::CreateType::cast(statement).and_then(|made| made.type_name()) {
            created.push(last_name(name.syntax()));
        }
    }
    None
}

/// The value that a statement adds to an enum that was there before the file.
fn added_value(statement: &SyntaxNode, created: &[String]) -> Option<String> {
    let altered = ast::AlterType::cast(statement.clone())?;
    let name = last_name(altered.type_name_ref()?.syntax());
    let value = altered.syntax().descendants().find_map(ast::AddValue::cast)?.literal()?;
    (!created.contains(&name))
        .then(|| value.syntax().descendants_with_tokens().find_map(|one| text(&one.into_token()?)))?
}

fn used(statement: &SyntaxNode, added: &[String], offset: usize) -> Option<EarlyUse> {
    let run = is_run(statement);
    statement.descendants_with_tokens().filter_map(|element| element.into_token()).find_map(|token| {
        let start = usize::from(token.text_range().start()) + offset;
        if let Some(label) = text(&token).filter(|text| added.contains(text)) {
            return Some(EarlyUse { label, span: start..start + token.text().len() });
        }
        (run && token.kind() == SyntaxKind::DOLLAR_QUOTED_STRING).then(|| {
            added.iter().find_map(|label| {
                let quoted = format!("'{}'", label.replace('\'', "''"));
                let at = start + token.text().find(&quoted)?;
                Some(EarlyUse { label: label.clone(), span: at..at + quoted.len() })
            })
        })?
    })
}

/// Whether what the statement quotes with dollars is run, or read as SQL, at once.
fn is_run(statement: &SyntaxNode) -> bool {
    let words = || {
        statement.descendants_with_tokens().filter_map(|one| one.into_token()).filter(|token| !token.kind().is_trivia())
    };
    words().next().is_some_and(|first| first.kind() == SyntaxKind::DO_KW)
        || words()
            .skip_while(|token| token.kind() != SyntaxKind::LANGUAGE_KW)
            .nth(1)
            .is_some_and(|language| language.text().trim_matches(['\'', '"']).eq_ignore_ascii_case("sql"))
}

/// What a string literal says, without its quotes.
fn text(token: &SyntaxToken) -> Option<String> {
    let quoted = matches!(token.kind(), SyntaxKind::STRING | SyntaxKind::ESC_STRING | SyntaxKind::UNICODE_ESC_STRING);
    let inner = quoted.then(|| token.text().split_once('\'')?.1.strip_suffix('\''))??;
    Some(inner.replace("''", "'"))
}

/// The last part of a name, as PostgreSQL folds it.
fn last_name(name: &SyntaxNode) -> String {
    let last = name
        .descendants_with_tokens()
        .filter_map(|one| one.into_token())
        .filter(|token| !token.kind().is_trivia())
        .last();
    let text = last.map(|token| token.text().to_owned()).unwrap_or_default();
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => text.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(String, &str)> {
        let parsed = squawk_syntax::SourceFile::parse(text);
        early_use(&parsed.syntax_node(), 0).map(|used| (used.label, &text[used.span]))
    }

    #[test]
    fn a_new_value_that_is_used_in_its_file_is_found() {
        for (text, label, at) in [
            ("alter type s add value 'x'; update t set s = 'x'", "x", "'x'"),
            ("ALTER TYPE public.s ADD VALUE IF NOT EXISTS 'it''s' BEFORE 'a'; select E'it''s'::s", "it's", "E'it''s'"),
            ("alter type s add value 'x'; alter table t alter s set default 'x'::s", "x", "'x'"),
            ("alter type s add value 'x'; create policy p on t using (s = 'x')", "x", "'x'"),
            ("alter type s add value 'x'; alter type s add value 'y'; select 'y'::s", "y", "'y'"),
            ("alter type s add value 'x'; do $$ begin update t set s = 'x'; end $$", "x", "'x'"),
            (
                "alter type s add value 'x'; create function f() returns s language sql as $f$ select 'x'::s $f$",
                "x",
                "'x'",
            ),
            ("create type other as enum ('a'); alter type s add value 'x'; select 'x'::s", "x", "'x'"),
        ] {
            assert_eq!(found(text), Some((label.to_owned(), at)), "{text}");
        }
    }

    #[test]
    fn what_postgresql_takes_is_left_alone() {
        for text in [
            "alter type s add value 'x'",
            "select 'x'; alter type s add value 'x'",
            "alter type s add value 'x'; alter type s add value 'y' after 'x'",
            "alter type s add value 'x'; select 'y'::s",
            "create type s as enum ('a'); alter type s add value 'x'; select 'x'::s",
            "create type \"S\" as enum ('a'); alter type public.\"S\" add value 'x'; select 'x'",
            "alter type s add value 'x'; create function f() returns s language plpgsql as $$ begin return 'x'; end $$",
            "alter type s rename value 'a' to 'x'; select 'x'::s",
            "alter type s add value 'x'; -- 'x'\nselect 1",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
