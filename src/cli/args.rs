//! Groups of flags that several commands share.

use clap::Args;
use std::fmt;
use std::path::PathBuf;

/// A connection string as it was typed: opaque, so that no error message and no `{:?}` can print its password.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The text, to be parsed by `db::conninfo`.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// Which database: for the commands that take DATABASE_URL and PG* too.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// URL (postgresql://…) or keyword string (host=… dbname=…) of the database; without it DATABASE_URL, else the PG* variables
    #[arg(long, value_name = "URL")]
    pub database_url: Option<DatabaseUrl>,
}

/// Which project: the folder that holds `policies/access.toml` and `migrations/`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Project")]
pub struct ProjectArgs {
    /// The project's folder; without it the nearest folder upward that holds policies/access.toml
    #[arg(long, value_name = "DIR", conflicts_with = "embedded")]
    pub project: Option<PathBuf>,
    /// Use ChartChek's own files, the copies that this binary carries
    #[arg(long)]
    pub embedded: bool,
}

/// What is logged; RUST_LOG goes before.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// Log more to standard error: -v what is done, -vv every statement
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
}

impl LogArgs {
    /// Starts the log on standard error, at the level of `-v` or RUST_LOG.
    pub(crate) fn start(&self) {
        let level = match self.verbose {
            0 => "warn",
            1 => "chartchek_db=info,warn",
            2 => "chartchek_db=trace,info",
            _ => "trace",
        };
        let filter = tracing_subscriber::EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
        // A second subscriber in one process (tests) changes nothing.
        let _already_set = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init();
    }
}
