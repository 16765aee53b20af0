//! The files of `policies/`: which table each is for, and where each policy, trigger and function stands in them.

use crate::contract::project::Project;
use crate::migrate::{check_script, parse_script};
use crate::model::failure::Failure;
use crate::model::source::{Place, SourceFile};
use crate::schema::facts::Key;
use std::ops::Range;

/// The file of the functions that policies and triggers call.
pub(crate) const HELPERS: &str = "_helpers";

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct PolicyFile {
    /// The file.
    pub(crate) source: SourceFile,
    /// `_helpers`, or `schema.table` in plain letters.
    pub(crate) subject: String,
    /// The statements, in order.
    pub(crate) statements: Vec<FileStatement>,
}

/// A statement of a file.
#[derive(Debug, Clone)]
pub(crate) struct FileStatement {
    /// Where it stands, without its semicolon.
    pub(crate) span: Range<usize>,
    /// Whether it creates what it is about.
    pub(crate) creates: bool,
    /// What it is about, where that is a policy, a trigger or a function: kind, and name as [`plain`] writes it; of a
    /// function without its arguments.
    pub(crate) about: Option<(&'static str, String)>,
}

/// The project's files, helpers first. A table without a schema stands in `schema`.
///
/// # Errors
/// Usage: a statement that would end the transaction in which the file is tried.
pub(crate) fn load(project: &Project, schema: &str) -> Result<Vec<PolicyFile>, Failure> {
    let mut files = Vec::new();
    for source in &project.policies {
        let script = parse_script(source);
        if !script.statements.is_empty() {
            check_script(source, &script)?;
        }
        let name = source.path.rsplit(['/', '\\']).next().unwrap_or(&source.path);
        let stem = name.strip_suffix(".sql").unwrap_or(name);
        let subject = if stem == HELPERS { stem.to_owned() } else { qualified(stem, schema) };
        let statements = script.statements.into_iter().map(|statement| {
            let words = words(source.text.get(statement.span.clone()).unwrap_or_default());
            let creates = words.first().is_some_and(|word| word.is("create"));
            FileStatement { about: about(&words, schema), creates, span: statement.span }
        });
        files.push(PolicyFile { subject, statements: statements.collect(), source: source.clone() });
    }
    files.sort_by_key(|file| file.subject != HELPERS);
    Ok(files)
}

impl PolicyFile {
    /// The text of a statement.
    pub(crate) fn text(&self, statement: &FileStatement) -> &str {
        self.source.text.get(statement.span.clone()).unwrap_or_default()
    }

    /// The first line of a statement, or of the file.
    pub(crate) fn place(&self, statement: Option<&FileStatement>, label: &str) -> Place {
        let start = statement.map_or(0, |statement| statement.span.start);
        let length = self.source.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default().len();
        Place { file: self.source.clone(), span: start..start + length, label: label.to_owned() }
    }
}

/// The statement that creates the object, and its file.
pub(crate) fn find<'a>(files: &'a [PolicyFile], key: &Key) -> Option<(&'a PolicyFile, &'a FileStatement)> {
    let mut found = mentions(files, key).filter(|(_, statement)| statement.creates);
    let first = found.next();
    // Two functions of one name: which is which the words do not tell.
    if found.next().is_some() { None } else { first }
}

/// Every statement that is about the object.
pub(crate) fn mentions<'a>(
    files: &'a [PolicyFile],
    (kind, name): &Key,
) -> impl Iterator<Item = (&'a PolicyFile, &'a FileStatement)> {
    let kind = if kind == "procedure" { "function" } else { kind.as_str() }.to_owned();
    let name = plain(if kind == "function" { name.split('(').next().unwrap_or(name) } else { name });
    files.iter().flat_map(|file| file.statements.iter().map(move |statement| (file, statement))).filter(
        move |(_, statement)| statement.about.as_ref().is_some_and(|(about, other)| *about == kind && *other == name),
    )
}

/// A name without its quotes.
pub(crate) fn plain(name: &str) -> String {
    name.replace('"', "")
}

fn qualified(name: &str, schema: &str) -> String {
    if name.contains('.') { name.to_owned() } else { format!("{schema}.{name}") }
}

/// A word of a statement: a name folded as PostgreSQL folds it, or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: String,
    quoted: bool,
}

impl Word {
    fn is(&self, key_word: &str) -> bool {
        !self.quoted && self.text == key_word
    }
}

fn words(sql: &str) -> Vec<Word> {
    let root = squawk_syntax::SourceFile::parse(sql).syntax_node();
    let tokens = root.descendants_with_tokens().filter_map(|element| element.into_token());
    tokens
        .filter(|token| !token.kind().is_trivia())
        .map(|token| match token.text().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(name) => Word { text: name.replace("\"\"", "\""), quoted: true },
            None => Word { text: token.text().to_lowercase(), quoted: false },
        })
        .collect()
}

/// A name with dots that begins at `at`.
fn name_at(words: &[Word], at: usize) -> Option<String> {
    let mut name = plain(&words.get(at)?.text);
    let mut next = at + 1;
    while words.get(next).is_some_and(|word| word.is(".")) {
        name = format!("{name}.{}", plain(&words.get(next + 1)?.text));
        next += 2;
    }
    Some(name)
}

fn about(words: &[Word], schema: &str) -> Option<(&'static str, String)> {
    let (at, kind) = words.iter().enumerate().find_map(|(at, word)| {
        let kinds = [("policy", "policy"), ("trigger", "trigger"), ("function", "function"), ("procedure", "function")];
        kinds.into_iter().find(|(key_word, _)| word.is(key_word)).map(|(_, kind)| (at, kind))
    })?;
    // IF EXISTS, IF NOT EXISTS
    let skipped =
        words.get(at + 1..)?.iter().take_while(|word| ["if", "not", "exists"].iter().any(|skip| word.is(skip)));
    let at = at + 1 + skipped.count();
    let name = name_at(words, at)?;
    if kind == "function" {
        return Some((kind, qualified(&name, schema)));
    }
    let on = at + words.get(at..)?.iter().position(|word| word.is("on"))?;
    Some((kind, format!("{name} on {}", qualified(&name_at(words, on + 1)?, schema))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_about(sql: &str) -> Option<(&'static str, String)> {
        about(&words(sql), "public")
    }

    #[test]
    fn statements_say_what_they_are_about() {
        for (sql, kind, name) in [
            ("CREATE POLICY a ON public.t FOR SELECT USING (true)", "policy", "a on public.t"),
            ("create policy \"A b\" on \"T\" using (x is on)", "policy", "A b on public.T"),
            ("DROP POLICY IF EXISTS a ON s.t", "policy", "a on s.t"),
            (
                "CREATE CONSTRAINT TRIGGER g AFTER UPDATE OF a, b ON public.t FOR EACH ROW EXECUTE FUNCTION f()",
                "trigger",
                "g on public.t",
            ),
            ("CREATE OR REPLACE FUNCTION s.f(a int) RETURNS int LANGUAGE sql AS 'select 1'", "function", "s.f"),
            ("/* trigger */ GRANT EXECUTE ON FUNCTION s.f(int) TO x", "function", "s.f"),
        ] {
            assert_eq!(is_about(sql), Some((kind, name.to_owned())), "{sql}");
        }
        assert_eq!(is_about("GRANT SELECT ON TABLE public.t TO x"), None);
    }
}
