//! Standard output and standard error of the process: every byte that a command prints goes through here.

use crate::cli::exit::Exit;
use crate::model::failure::Failure;
use crate::report;
use std::io::{IsTerminal, Write};

/// Where commands print. Colours are dropped where the stream is no terminal, or NO_COLOR is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output;

impl Output {
    /// The process' own streams.
    pub(crate) fn new() -> Self {
        Self
    }

    /// Prints text to standard output as it is. A reader that has gone away (`| head`) is no error.
    pub(crate) fn print(&self, text: &str) {
        let mut stream = anstream::stdout().lock();
        let _gone = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    }

    /// Prints one line to standard output.
    pub(crate) fn line(&self, text: &str) {
        self.print(&format!("{text}\n"));
    }

    /// Prints one line to standard error: progress and warnings, which are no result.
    pub(crate) fn note(&self, text: &str) {
        let mut stream = anstream::stderr().lock();
        let _gone = writeln!(stream, "{text}");
    }

    /// Whether standard error is a terminal, where a line can be written over.
    pub(crate) fn is_terminal(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// Writes over the last line of standard error, which must be a terminal; empty text takes the line away. What does
    /// not fit on the line is cut off: one that went on could not be written over.
    pub(crate) fn update(&self, text: &str) {
        let mut stream = std::io::stderr().lock();
        let _gone = write!(stream, "\r\x1b[K\x1b[?7l{text}\x1b[?7h").and_then(|()| stream.flush());
    }

    /// Prints an error to standard error and gives its exit code. An error that is no [`Failure`] is a mistake in how
    /// the tool was called or set up: exit code 2.
    pub(crate) fn error(&self, error: &anyhow::Error) -> Exit {
        let mut stream = anstream::stderr().lock();
        if let Some(failure) = error.downcast_ref::<Failure>() {
            let _gone = stream.write_all(report::failure::render(failure).as_bytes());
            return failure.kind().into();
        }
        let _gone = writeln!(stream, "error: {error:#}");
        Exit::Usage
    }
}
