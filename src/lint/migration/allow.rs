//! `-- chartchek-db: allow <lint>, because <reason>`: over a statement for that one, at the head for the whole file.

use super::{Hit, LINTS};
use crate::lint::Lint;
use crate::migrate::{self, ForeseenFile};
use crate::model::failure::Failure;
use crate::model::source::Place;
use std::ops::Range;

/// How such a comment begins.
const MARK: &str = "chartchek-db:";

/// What a file allows.
pub(super) struct Allowed(Vec<Allow>);

struct Allow {
    /// The comment.
    span: Range<usize>,
    lint: &'static str,
    /// The bytes of the file for which it holds.
    over: Range<usize>,
    used: bool,
}

/// Reads the file's comments.
///
/// # Errors
/// One that says something else than `allow <lint>, because <reason>`, or stands over no statement: of kind usage.
pub(super) fn read(file: &ForeseenFile<'_>) -> Result<Allowed, Failure> {
    let text = &file.source.text;
    let mut allowed = Vec::new();
    if !text.contains(MARK) {
        return Ok(Allowed(allowed));
    }
    for span in migrate::comments(file.source) {
        let written = text.get(span.clone()).unwrap_or_default();
        let Some(said) = written.strip_prefix("--").and_then(|said| said.trim().strip_prefix(MARK)) else { continue };
        let wrong = |what: &str| {
            Failure::usage(what)
                .at(Place { file: file.source.clone(), span: span.clone(), label: String::new() })
                .help("write -- chartchek-db: allow <lint>, because <reason>")
        };
        let Some((lint, reason)) =
            said.trim().strip_prefix("allow ").map(|rest| rest.split_once(',').unwrap_or((rest, "")))
        else {
            return Err(wrong("a comment for chartchek-db does not say what it allows"));
        };
        let lint = lint.trim();
        let Some(known) = LINTS.iter().find(|known| known.name == lint) else {
            let near = LINTS
                .iter()
                .map(|known| known.name)
                .max_by(|one, other| strsim::jaro_winkler(one, lint).total_cmp(&strsim::jaro_winkler(other, lint)));
            return Err(wrong(&format!("there is no lint of migration files called {lint}"))
                .help(format!("did you mean {}?", near.unwrap_or_default())));
        };
        let reason = reason.trim().strip_prefix("because").filter(|rest| rest.starts_with(char::is_whitespace));
        if reason.is_none_or(|reason| reason.trim().is_empty()) {
            return Err(wrong(&format!("{lint} is allowed without a reason")));
        }
        let Some(over) = reach(file, &span) else {
            return Err(wrong("this allows nothing: it stands over no statement").help(
                "put it on the line before the statement, or at the head of the file with an empty line after it",
            ));
        };
        allowed.push(Allow { span, lint: known.name, over, used: false });
    }
    Ok(Allowed(allowed))
}

/// What a comment holds for: the statement right after it, comments between them aside; the whole file where it stands
/// before all statements and an empty line follows.
fn reach(file: &ForeseenFile<'_>, span: &Range<usize>) -> Option<Range<usize>> {
    let text = &file.source.text;
    let next = file.statements.iter().position(|statement| statement.span.start >= span.end)?;
    let statement = &file.statements[next];
    let before = next.checked_sub(1).map_or(0, |last| file.statements[last].span.end);
    if span.start < before {
        return None;
    }
    let between = text.get(span.end..statement.span.start)?;
    // The first piece is the end of the comment's own line, the last stands before the statement on its line.
    let lines: Vec<&str> = between.split('\n').collect();
    let apart = lines.iter().skip(1).rev().skip(1).any(|line| line.trim().is_empty());
    match (apart, next) {
        (false, _) => Some(statement.span.clone()),
        (true, 0) => Some(0..text.len()),
        (true, _) => None,
    }
}

impl Allowed {
    /// Whether a hit of the lint is allowed there; what allows it has been of use then.
    pub(super) fn take(&mut self, lint: &Lint, at: &Range<usize>) -> bool {
        let mut taken = false;
        for allow in self.0.iter_mut().filter(|allow| allow.lint == lint.name && allow.over.contains(&at.start)) {
            allow.used = true;
            taken = true;
        }
        taken
    }

    /// Those that allowed nothing.
    pub(super) fn stale(self) -> impl Iterator<Item = Hit> {
        self.0.into_iter().filter(|allow| !allow.used).map(|allow| Hit {
            span: allow.span,
            object: allow.lint.to_owned(),
            what: format!("{} is allowed here, and nothing here needs it", allow.lint),
        })
    }
}
