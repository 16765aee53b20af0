//! Parse, run, print the error, return the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    chartchek_db::cli::main()
}
