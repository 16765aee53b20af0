//! A run can be told to stop: between two files at once, within one by cancelling it.

use crate::db::session::Session;
use std::time::Duration;
use tokio::sync::watch;

/// How long the server may take to answer once it is asked to cancel.
const GRACE: Duration = Duration::from_secs(5);

/// What a run listens to; by default nobody speaks.
#[derive(Debug, Clone, Default)]
pub struct Stop(Option<watch::Receiver<bool>>);

impl Stop {
    /// Listens to `asked`: true asks the run to stop.
    pub fn new(asked: watch::Receiver<bool>) -> Self {
        Self(Some(asked))
    }

    /// Whether the run is to stop.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| *asked.borrow())
    }

    /// Ends once the run is to stop.
    pub(crate) async fn asked(&self) {
        if let Some(asked) = &self.0
            && asked.clone().wait_for(|asked| *asked).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// Once the run is to stop, asks the server to cancel what runs on `session`, every second: a request that arrives
    /// between two statements counts for nothing. Ends when the server has had its time and nothing came of it.
    pub(crate) async fn cancel(&self, session: &Session) {
        self.asked().await;
        let requests = async {
            loop {
                if let Err(error) = session.cancel().await {
                    tracing::debug!(%error, "the request to cancel did not reach the server");
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let _time_is_up: Result<(), _> = tokio::time::timeout(GRACE, requests).await;
    }
}
