//! (under construction)

use crate::cli::exit::Exit;
use crate::cli::output::Output;

/// Flags.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_args: Args, _output: &Output) -> anyhow::Result<Exit> {
    anyhow::bail!("under construction")
}
