//! The statements of a migration file: where each stands, which can't run in a transaction, and which must not be there.

use crate::migrate::new_values::{self, EarlyUse};
use crate::model::failure::Failure;
use crate::model::source::{Place, SourceFile};
use squawk_syntax::{SyntaxKind, SyntaxNode};
use std::ops::Range;

type Parsed = squawk_syntax::Parse<squawk_syntax::SourceFile>;

/// One statement of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The bytes of the file that it takes, without the semicolon and the comments around it.
    pub span: Range<usize>,
    /// Why it can't run in a transaction: the words for people.
    pub outside: Option<&'static str>,
    /// Why it must not stand in a migration.
    pub refused: Option<Refusal>,
}

/// Why a statement must not stand in a migration, and what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub why: &'static str,
    /// What to do.
    pub instead: &'static str,
}

/// The statements of one file, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// The statements; empty ones left out.
    pub statements: Vec<Statement>,
    /// Where a psql meta-command stands.
    pub meta_command: Option<usize>,
    /// A string, comment or quoted name that is never closed: it would swallow what is sent after the file.
    pub open: Option<Range<usize>>,
    /// A value that the file adds to an enum and uses before it is committed.
    pub early_use: Option<EarlyUse>,
}

const CONTROL: Refusal = Refusal {
    why: "a migration runs in one transaction of its own, together with its line in the history; this would end or \
          nest it, and a later failure would leave the file half applied",
    instead: "take the statement out; to commit in between, make two files",
};
const SESSION: Refusal = Refusal {
    why: "this would outlast the file and change how the next ones run",
    instead: "use SET LOCAL, or SET: both end with the file",
};
const COPY: Refusal =
    Refusal { why: "COPY FROM STDIN needs a client that sends the data", instead: "write INSERT … VALUES" };

/// Splits a file into statements.
pub(crate) fn parse(source: &SourceFile) -> Script {
    script(source, &squawk_syntax::SourceFile::parse(&source.text[bom(source)..]))
}

fn script(source: &SourceFile, parsed: &Parsed) -> Script {
    let bom = bom(source);
    let root = parsed.syntax_node();
    let statements = of(&root).filter_map(|node| statement(&node, bom)).collect();
    let open = parsed
        .errors()
        .iter()
        .filter(|error| error.message().contains("to terminate the") || error.message().starts_with("Unterminated"))
        .filter_map(|error| root.token_at_offset(error.range().start()).right_biased())
        .find(|token| token.text_range().end() == root.text_range().end())
        .map(|token| usize::from(token.text_range().start()) + bom..usize::from(token.text_range().end()) + bom);
    let early_use = new_values::early_use(&root, bom);
    Script { statements, meta_command: meta_command(&source.text, &root, bom), open, early_use }
}

/// The parse tree of each statement, as many as [`parse`] gives, and whether all of it was understood.
pub(crate) fn nodes(source: &SourceFile) -> Vec<(SyntaxNode, bool)> {
    understood(&squawk_syntax::SourceFile::parse(&source.text[bom(source)..]))
}

/// Both, parsed once.
pub(crate) fn read(source: &SourceFile) -> (Script, Vec<(SyntaxNode, bool)>) {
    let parsed = squawk_syntax::SourceFile::parse(&source.text[bom(source)..]);
    (script(source, &parsed), understood(&parsed))
}

fn understood(parsed: &Parsed) -> Vec<(SyntaxNode, bool)> {
    let wrong: Vec<_> = parsed.errors().iter().map(|error| error.range()).collect();
    of(&parsed.syntax_node())
        .filter(|node| span(node, 0).is_some())
        .map(|node| {
            let misread = wrong.iter().any(|range| node.text_range().intersect(*range).is_some());
            // A part that was passed over comes with an error, if not with one in the statement's own bytes.
            let understood = wrong.is_empty() || !misread && !has(&node, SyntaxKind::ERROR);
            (node, understood)
        })
        .collect()
}

fn of(root: &SyntaxNode) -> impl Iterator<Item = SyntaxNode> {
    root.children().filter(|node| node.kind() != SyntaxKind::EMPTY_STMT)
}

/// Where the comments stand.
pub(crate) fn comments(source: &SourceFile) -> Vec<Range<usize>> {
    let bom = bom(source);
    let root = squawk_syntax::SourceFile::parse(&source.text[bom..]).syntax_node();
    let tokens = root.descendants_with_tokens().filter_map(|element| element.into_token());
    let comments = tokens.filter(|token| token.kind() == SyntaxKind::COMMENT).map(|token| token.text_range());
    comments.map(|range| usize::from(range.start()) + bom..usize::from(range.end()) + bom).collect()
}

/// How many bytes the byte order mark takes at the start; it is not sent.
pub(crate) fn bom(source: &SourceFile) -> usize {
    if source.text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 }
}

fn statement(node: &SyntaxNode, offset: usize) -> Option<Statement> {
    Some(Statement { span: span(node, offset)?, outside: outside(node), refused: refused(node) })
}

/// The bytes that a part of the tree takes, `offset` bytes further into the file than the tree says, without the semicolon
/// and the comments around it; `None` where nothing else stands in it.
pub(crate) fn span(node: &SyntaxNode, offset: usize) -> Option<Range<usize>> {
    // All of them in order: from its last token backwards, the tree loses its way at a part that is empty.
    let mut tokens = node
        .descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| !token.kind().is_trivia() && token.kind() != SyntaxKind::SEMICOLON);
    let first = tokens.next()?;
    let last = tokens.last().unwrap_or_else(|| first.clone());
    Some(usize::from(first.text_range().start()) + offset..usize::from(last.text_range().end()) + offset)
}

/// The first words, in capitals, without comments.
fn words(node: &SyntaxNode, count: usize) -> Vec<String> {
    node.descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| !token.kind().is_trivia())
        .take(count)
        .map(|token| token.text().to_ascii_uppercase())
        .collect()
}

/// Whether a part of that kind stands in it.
pub(crate) fn has(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    node.descendants_with_tokens().any(|element| element.kind() == kind)
}

/// The statements that PostgreSQL refuses inside a transaction block (25001).
fn outside(node: &SyntaxNode) -> Option<&'static str> {
    use SyntaxKind as Kind;
    let concurrently = || has(node, Kind::CONCURRENTLY_KW);
    match node.kind() {
        Kind::CREATE_INDEX if concurrently() => Some("CREATE INDEX CONCURRENTLY"),
        Kind::DROP_INDEX if concurrently() => Some("DROP INDEX CONCURRENTLY"),
        Kind::REINDEX if concurrently() => Some("REINDEX CONCURRENTLY"),
        Kind::REINDEX
            if has(node, Kind::REINDEX_TARGET_DATABASE)
                || has(node, Kind::REINDEX_TARGET_SCHEMA)
                || has(node, Kind::REINDEX_TARGET_SYSTEM) =>
        {
            Some("REINDEX of a schema or database")
        }
        Kind::ALTER_TABLE if has(node, Kind::DETACH_CONCURRENTLY) => Some("DETACH PARTITION CONCURRENTLY"),
        Kind::VACUUM => Some("VACUUM"),
        Kind::ALTER_SYSTEM => Some("ALTER SYSTEM"),
        Kind::CREATE_DATABASE => Some("CREATE DATABASE"),
        Kind::DROP_DATABASE => Some("DROP DATABASE"),
        Kind::CREATE_TABLESPACE => Some("CREATE TABLESPACE"),
        Kind::DROP_TABLESPACE => Some("DROP TABLESPACE"),
        _ => None,
    }
}

fn refused(node: &SyntaxNode) -> Option<Refusal> {
    use SyntaxKind as Kind;
    match node.kind() {
        Kind::BEGIN
        | Kind::COMMIT_TRANSACTION
        | Kind::ROLLBACK_TRANSACTION
        | Kind::PREPARE_TRANSACTION
        | Kind::COMMIT_PREPARED
        | Kind::ROLLBACK_PREPARED => Some(CONTROL),
        Kind::SET_SESSION_AUTH | Kind::DISCARD => Some(SESSION),
        Kind::SET | Kind::SET_ROLE | Kind::SET_TRANSACTION => {
            (words(node, 2).get(1).is_some_and(|word| word == "SESSION")).then_some(SESSION)
        }
        Kind::COPY_STDIN => Some(COPY),
        Kind::COPY if has(node, Kind::COPY_STDIN) && has(node, Kind::FROM_KW) => Some(COPY),
        _ => None,
    }
}

/// The byte offset of a line that begins with a backslash outside of every string and comment: psql's, not SQL.
fn meta_command(text: &str, root: &SyntaxNode, bom: usize) -> Option<usize> {
    let mut start = bom;
    for line in text[bom..].split_inclusive('\n') {
        let at = start + (line.len() - line.trim_start().len());
        start += line.len();
        if !text[at..].starts_with('\\') {
            continue;
        }
        let offset = u32::try_from(at - bom).ok()?;
        let begins_here = root
            .token_at_offset(offset.into())
            .right_biased()
            .is_some_and(|token| usize::from(token.text_range().start()) + bom == at);
        if begins_here {
            return Some(at);
        }
    }
    None
}

/// Holds a file against the rules before anything runs.
///
/// # Errors
/// Of kind usage: transaction control, a psql meta-command, something never closed, a statement that must stand alone and does not, a
/// new value of an enum that is used at once, no statement at all, a NUL byte.
pub(crate) fn check(source: &SourceFile, script: &Script) -> Result<(), Failure> {
    let place = |span: Range<usize>, label: &str| Place { file: source.clone(), span, label: label.to_owned() };
    if let Some(at) = source.text.find('\0') {
        return Err(Failure::usage("a NUL byte stands in a migration").at(place(at..at + 1, "here")));
    }
    if let Some(at) = script.meta_command {
        let end = source.text[at..].find('\n').map_or(source.text.len(), |length| at + length);
        return Err(Failure::usage("a psql meta-command stands in a migration")
            .at(place(at..end, "psql's, not SQL"))
            .help("take it out, or write what it does as SQL"));
    }
    if let Some(open) = &script.open {
        return Err(Failure::usage("a string, comment or quoted name is never closed")
            .at(place(first_line(source, open), "it begins here, and the file ends")));
    }
    for statement in &script.statements {
        if let Some(refusal) = statement.refused {
            return Err(Failure::usage("a statement stands in a migration that must not")
                .at(place(first_line(source, &statement.span), "this one"))
                .note(refusal.why)
                .help(refusal.instead));
        }
    }
    if let Some(statement) = script.statements.iter().find(|statement| statement.outside.is_some())
        && script.statements.len() > 1
    {
        let name = statement.outside.unwrap_or_default();
        return Err(Failure::usage(format!("{name} cannot run in a transaction, so it must be alone in its file"))
            .at(place(first_line(source, &statement.span), "move this into a file of its own"))
            .note("with others beside it, a failure would leave the file half applied"));
    }
    if let Some(EarlyUse { label, span }) = &script.early_use {
        return Err(Failure::usage(format!("the enum's new value '{label}' cannot be used in the file that adds it"))
            .at(place(span.clone(), "used here, before it is committed"))
            .note("PostgreSQL refuses it (55P04): the file is one transaction, and a new value counts once that has ended")
            .help("move the use into the next file"));
    }
    if script.statements.is_empty() {
        return Err(Failure::usage(format!("{} holds no statement", source.path))
            .note("once recorded as applied it could never be filled in"));
    }
    Ok(())
}

/// The part of `span` on its first line: what a caret underlines.
pub(crate) fn first_line(source: &SourceFile, span: &Range<usize>) -> Range<usize> {
    let text = source.text.get(span.clone()).unwrap_or_default();
    span.start..span.start + text.lines().next().unwrap_or_default().trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let source = SourceFile::new("V1__x.sql", text);
        parse(&source).statements.into_iter().map(|statement| text[statement.span].to_owned()).collect()
    }

    fn refusal(text: &str) -> Option<String> {
        let source = SourceFile::new("V1__x.sql", text);
        check(&source, &parse(&source)).err().map(|failure| failure.to_string())
    }

    #[test]
    fn statements_are_found_where_they_stand() {
        assert_eq!(
            texts("-- é\nselect 1; ; /* ; */ select ';' ;\ndo $x$ begin perform 1; end $x$; \nselect 2 -- end"),
            ["select 1", "select ';'", "do $x$ begin perform 1; end $x$", "select 2"]
        );
        assert_eq!(texts("\u{feff}select 1;"), ["select 1"]);
        // Its last part is an empty one.
        assert_eq!(texts("alter table t add column x int unique; select 1").len(), 2);
        assert_eq!(texts("create function f() returns int begin atomic select 1; select 2; end; select 3").len(), 2);
        assert_eq!(texts("create rule r as on insert to t do also (delete from a; delete from b); select 3").len(), 2);
    }

    #[test]
    fn what_would_break_the_transaction_is_refused() {
        for text in [
            "begin; select 1",
            "select 1; commit;",
            "start transaction; select 1",
            "select 1; end",
            "abort; select 1",
            "rollback",
            "select 1; prepare transaction 'x'",
            "set session authorization bob",
            "set session search_path = x",
            "set session characteristics as transaction read only",
            "discard all",
            "select 1;\n\\i x.sql\n",
            "\\connect x",
            "copy t from stdin;",
            "create index concurrently i on t (a); select 1",
            "vacuum; select 1",
            "-- nothing",
            "select 'a\0b'",
            "select 1; select 'open",
            "select $x$ open",
            "select 1; /* open",
            "select \"open",
            "select e'open\\'",
        ] {
            assert!(refusal(text).is_some(), "{text}");
        }
        for text in [
            "create function f() returns void language plpgsql as $$ begin commit; end $$",
            "select 'begin; commit;'",
            "savepoint a; rollback to savepoint a; release savepoint a",
            "set local search_path = x; set search_path = y; set role bob",
            "select '\n\\i x'",
            "/*\n\\i x\n*/ select 1",
            "create index concurrently i on t (a)",
            "refresh materialized view concurrently m; select 1",
            "copy t to '/x'",
        ] {
            assert_eq!(refusal(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_passed_over_comes_with_an_error() {
        let text =
            "create table t (a int, \"b\" text check (a > 0)); \\x select $1 frobnicate; alter table t ((; grant é;
            create policy p on t using (a = any (array(select 1))); create function f() as $$ begin end $$ x y";
        for end in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            for start in [0, end / 3, end / 2].into_iter().filter(|at| text.is_char_boundary(*at)) {
                let parsed = squawk_syntax::SourceFile::parse(&text[start..end]);
                let passed_over = has(&parsed.syntax_node(), SyntaxKind::ERROR);
                assert!(!passed_over || !parsed.errors().is_empty(), "{}", &text[start..end]);
            }
        }
    }

    #[test]
    fn statements_that_need_no_transaction_are_recognised() {
        for text in [
            "create unique index concurrently if not exists i on t (a)",
            "drop index concurrently i",
            "reindex table concurrently t",
            "reindex (concurrently) table t",
            "reindex database d",
            "alter table t detach partition p concurrently",
            "vacuum (analyze) t",
        ] {
            let source = SourceFile::new("V1__x.sql", text);
            assert!(parse(&source).statements[0].outside.is_some(), "{text}");
        }
        for text in ["create index i on t (a)", "reindex table t", "alter table t detach partition p", "analyze t"] {
            let source = SourceFile::new("V1__x.sql", text);
            assert!(parse(&source).statements[0].outside.is_none(), "{text}");
        }
    }
}
