//! One file a command: parse the flags, call the floors below, choose the exit code.

pub mod args;
mod contract;
mod dev;
mod doctor;
mod drift;
pub mod exit;
mod interrupt;
mod migrate;
mod new;
mod output;
mod policies;
mod repair;
mod status;
mod verify_rls;

use clap::Parser;
use exit::Exit;
use interrupt::Interrupts;
use output::Output;
use std::process::ExitCode;

/// Owns the database of ChartChek: applies its schema, and shows that no user can reach another user's rows.
#[derive(Debug, Parser)]
#[command(name = "chartchek-db", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    log: args::LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Apply pending migrations
    Migrate(migrate::Args),
    /// Show what is applied, pending, changed and missing; writes nothing
    Status(status::Args),
    /// Show how files and history differ, and accept what is named; never by itself
    Repair(repair::Args),
    /// Write the next migration file, or give equal versions numbers of their own
    New(new::Args),
    /// Show by impersonation that no one reaches another's rows
    VerifyRls(verify_rls::Args),
    /// Compare a database with what its migrations produce
    Drift(drift::Args),
    /// Hold the contract against a catalogue, or draft a first one
    Contract(contract::Args),
    /// Hold policies/*.sql and the migrations together
    Policies(policies::Args),
    /// Look a server over: its version, and PostgreSQL's known faults in row-level security that it has
    Doctor(doctor::Args),
    /// The local development database
    Dev(dev::Args),
}

/// Runs the command line of this process and gives its exit code; nothing else ends the process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help and version to standard output with code 0, and errors to standard error.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Clean };
            // Nothing can be done about a closed standard output.
            let _printed = error.print();
            return exit.into();
        }
    };
    let output = Output::new();
    cli.log.start();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.error(&anyhow::anyhow!("the asynchronous runtime did not start: {error}")).into(),
    };
    let result = runtime.block_on(async {
        let interrupts = Interrupts::new();
        tokio::select! {
            // First, so that it listens before anything is begun.
            biased;
            () = interrupts.end(&output) => Ok(Exit::Interrupted),
            result = run(cli.command, &output, &interrupts) => result,
        }
    });
    // A name that is still being looked up must not hold the process back.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => output.error(&error).into(),
    }
}

async fn run(command: Command, output: &Output, interrupts: &Interrupts) -> anyhow::Result<Exit> {
    match command {
        Command::Migrate(args) => migrate::run(args, output, interrupts).await,
        Command::Status(args) => status::run(args, output).await,
        Command::Repair(args) => repair::run(args, output).await,
        Command::New(args) => new::run(&args, output),
        Command::VerifyRls(args) => verify_rls::run(args, output).await,
        Command::Drift(args) => drift::run(args, output).await,
        Command::Contract(args) => contract::run(args, output).await,
        Command::Policies(args) => policies::run(args, output).await,
        Command::Doctor(args) => doctor::run(args, output).await,
        Command::Dev(args) => dev::run(args, output).await,
    }
}
