//! A file that people edit, as it was read: what errors and findings point into.

use std::ops::Range;
use std::sync::Arc;

/// A text file with the path under which it is shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as shown: relative to the working directory where it can be, or `embedded:…`.
    pub path: String,
    /// The whole text, as read.
    pub text: Arc<str>,
}

impl SourceFile {
    /// A file shown as `path` that holds `text`.
    pub fn new(path: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// The 1-based line and column (in characters) of a byte offset; offsets past the end give the last position.
    pub fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let mut end = byte.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &self.text[..end];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (line, before[start..].chars().count() + 1)
    }
}

/// A place in a [`SourceFile`]: the bytes that are wrong, and in a few words what is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: SourceFile,
    /// The bytes of `file.text` to underline.
    pub span: Range<usize>,
    /// The words beside the caret; may be empty.
    pub label: String,
}

impl Place {
    /// `path:line:col`, 1-based.
    pub fn location(&self) -> String {
        let (line, column) = self.file.line_and_column(self.span.start);
        format!("{}:{line}:{column}", self.file.path)
    }
}
