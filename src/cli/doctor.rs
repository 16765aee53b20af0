//! `doctor`: what is to be known of a server before it is trusted with rows of many: its version, and PostgreSQL's known
//! faults in row-level security that it has.

use crate::cli::args::{ConnectionArgs, DatabaseUrl};
use crate::cli::drift::Format;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::db::conninfo::Conninfo;
use crate::db::{catalog, connect, pooler};
use crate::model::report::{Environment, NotRun, Report};
use crate::model::server_fault::{AS_OF, known};

/// Flags.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A fault is told by the server's release, with the release that mends it; `verify-rls` also tries what can be tried,\nand says what of the schema leads to it. They fail only with --strict: no schema is to blame.\n\nExamples:\n  chartchek-db doctor                          the server that DATABASE_URL or PG* name\n  chartchek-db doctor --strict --format json   as a check"
)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Exit with 1 where the server has a known fault
    #[arg(long)]
    strict: bool,
    /// What standard output shows
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    let flag = args.connection.database_url.as_ref().map(DatabaseUrl::expose);
    let session = connect::connect(&Conninfo::resolve(flag, |name| std::env::var(name).ok())?).await?;
    let server = catalog::server(&session).await?;
    let endpoint = session.endpoint().clone();
    session.close().await;
    let through = pooler::kind(&endpoint.host).map(|kind| format!(", through {kind}")).unwrap_or_default();
    let mut report = Report {
        command: "doctor".to_owned(),
        environment: Environment {
            subject: format!("PostgreSQL {}, {endpoint}{through}", server.version),
            server: format!("PostgreSQL {}", server.version),
            tool: concat!("chartchek-db ", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Environment::default()
        },
        ..Report::default()
    };
    match known(&server) {
        Ok(faults) => report.beyond = faults.into_iter().map(|fault| fault.finding(&server)).collect(),
        Err(why) => report.not_run.push(NotRun { what: "known faults".to_owned(), why }),
    }
    let clean = format!("none of the faults in row-level security that were known in {AS_OF}");
    output.print(&args.format.render(&report, &clean)?);
    Ok(if args.strict && !report.beyond.is_empty() {
        Exit::Findings
    } else if report.not_run.is_empty() {
        Exit::Clean
    } else {
        Exit::Inconclusive
    })
}
