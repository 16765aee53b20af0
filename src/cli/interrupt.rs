//! Ctrl-C and SIGTERM: the first asks a command that can end in good order to do so, the second ends it at once.

use crate::cli::output::Output;
use crate::migrate::Stop;
use tokio::sync::watch;

/// Who is told of signals.
#[derive(Debug)]
pub(crate) struct Interrupts(watch::Sender<bool>);

impl Interrupts {
    /// Nobody yet: the first signal ends the command.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// For as long as what this gives lives, the first signal is told to it and does not end the command.
    pub(crate) fn listen(&self) -> Stop {
        Stop::new(self.0.subscribe())
    }

    /// Ends when the command is to end at once.
    pub(crate) async fn end(&self, output: &Output) {
        let mut signals = Signals::new();
        loop {
            signals.next().await;
            if *self.0.borrow() || self.0.receiver_count() == 0 {
                return;
            }
            output.note("interrupted: what runs is cancelled and rolled back; a second time ends at once");
            self.0.send_replace(true);
        }
    }
}

/// The signals that ask a program to end.
#[cfg(unix)]
struct Signals(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        // One that can't be listened to ends the process as it always did.
        Self(
            [SignalKind::interrupt(), SignalKind::terminate()]
                .into_iter()
                .filter_map(|kind| signal(kind).ok())
                .collect(),
        )
    }

    async fn next(&mut self) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let each = self.0.iter_mut().map(|signal| Box::pin(signal.recv()));
        let _which = futures::future::select_all(each).await;
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
