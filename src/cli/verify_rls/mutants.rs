//! `--mutate`: one scratch database for every core, where the engine allows it, and progress on a terminal.

use super::Args;
use crate::cli::output::Output;
use crate::contract::project::Project;
use crate::migrate;
use crate::model::failure::Failure;
use crate::server::{self, EngineChoice, Scratch};
use crate::verify::{Connect, Mutating, Verified};
use futures::FutureExt;
use std::time::Instant;

/// Verifies with mutants: `scratch` is the first of their databases.
///
/// # Errors
/// As `verify`; or where another database can't be made.
pub(super) async fn verify(
    args: &Args,
    project: &Project,
    scratch: &Scratch,
    output: &Output,
    verify: impl AsyncFnOnce(&Mutating<'_>) -> Result<Verified, Failure>,
) -> Result<Verified, Failure> {
    let choice = args.engine.unwrap_or(EngineChoice::Auto);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut more = Vec::new();
    // An engine of one session at a time runs in this process: another would share its core.
    for _ in 1..if scratch.max_sessions() > 1 { cores } else { 1 } {
        let fill = async |session: &mut _| migrate::apply_all(session, project).await;
        more.push(server::scratch(choice, args.regime, &project.fingerprint(), fill).await?);
    }
    let connect = |scratch| -> Connect<'_> { Box::new(move || Scratch::connect(scratch).boxed_local()) };
    let databases = std::iter::once(scratch).chain(&more).map(connect).collect();
    let started = Instant::now();
    let progress = |done: usize, of: usize| {
        if output.is_terminal() && done > 0 {
            let left = started.elapsed().as_secs_f64() / done as f64 * of.saturating_sub(done) as f64;
            let text =
                if done < of { format!("{done} of {of} mutants, about {left:.0} s left") } else { String::new() };
            output.update(&text);
        }
    };
    verify(&Mutating { databases, progress: &progress }).await
}
