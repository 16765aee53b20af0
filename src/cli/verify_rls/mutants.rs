//! `--mutate`: the database in which mutants are tried, and progress on a terminal.

use super::Args;
use crate::cli::output::Output;
use crate::model::failure::Failure;
use crate::server::Scratch;
use crate::verify::{Connect, Mutating, Verified};
use futures::FutureExt;
use std::time::Instant;

/// Verifies with mutants, which are tried in `scratch` too, once the verification has left it.
///
/// # Errors
/// As `verify`.
pub(super) async fn verify(
    args: &Args,
    scratch: &Scratch,
    output: &Output,
    verify: impl AsyncFnOnce(&Mutating<'_, '_>) -> Result<Verified, Failure>,
) -> Result<Verified, Failure> {
    let connect: Connect<'_> = Box::new(move || scratch.connect().boxed_local());
    let started = Instant::now();
    let progress = |done: usize, of: usize| {
        if output.is_terminal() && done > 0 {
            let left = started.elapsed().as_secs_f64() / done as f64 * of.saturating_sub(done) as f64;
            let text =
                if done < of { format!("{done} of {of} mutants, about {left:.0} s left") } else { String::new() };
            output.update(&text);
        }
    };
    verify(&Mutating { databases: vec![connect], only: args.mutant.clone(), progress: &progress }).await
}
