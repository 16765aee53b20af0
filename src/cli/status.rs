//! `status`: what is applied, pending, changed and missing; writes nothing.

use crate::cli::args::{ConnectionArgs, ProjectArgs};
use crate::cli::exit::Exit;
use crate::cli::migrate::{header, held, open, state};
use crate::cli::output::Output;
use crate::contract::project;
use crate::migrate::{self, State, Status};
use crate::report;
use anstyle::Style;
use serde_json::json;

const QUIET: Style = Style::new().dimmed();

/// Flags.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The exit code is 0 whatever is found. With --exit-code it is 0 where all is applied and nothing differs, else 1:\nin CI it fails a release whose migrations were not run.\n\nExamples:\n  chartchek-db status                  what is applied, pending, late, changed and missing\n  chartchek-db status --exit-code      the same, as a check"
)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// Exit with 1 when anything is pending, late, changed or missing
    #[arg(long)]
    exit_code: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// How to print.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Format {
    /// A table for people
    Human,
    /// JSON, version 1
    Json,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    let project = project::find(args.project.project.as_deref(), args.project.embedded)?;
    let files = migrate::load(&project)?;
    let session = open(&args.connection).await?;
    let status = migrate::status(&session, &files).await?;
    match args.format {
        Format::Human => {
            output.print(&header(session.endpoint(), &status.server, &project));
            output.print(&report::header::render(&[("lock", &held(status.holder.as_ref()))]));
            output.print(&human(&status));
        }
        Format::Json => output.line(&json(&status, &session.endpoint().to_string(), &project.describe())),
    }
    session.close().await;
    Ok(if args.exit_code && !status.is_clean() { Exit::Findings } else { Exit::Clean })
}

const STATES: [State; 5] = [State::Applied, State::Pending, State::Late, State::Changed, State::Missing];

fn human(status: &Status) -> String {
    let mut text = format!("\n  {QUIET}{:<8} {:<40} applied on{QUIET:#}\n", "state", "file");
    for entry in &status.entries {
        let name = entry.file.rsplit(['/', '\\']).next().unwrap_or(&entry.file);
        let when = entry.applied_on.as_deref().unwrap_or_default();
        text.push_str(&state(entry.state.word(), format!("{name:<40} {when}").trim_end()));
        text.push('\n');
    }
    let counts: Vec<String> = STATES
        .iter()
        .map(|state| (status.count(*state), state.word()))
        .filter(|(count, word)| *count > 0 || ["applied", "pending"].contains(word))
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    text.push_str(&format!("\n{}", counts.join(", ")));
    text.push_str(if [State::Late, State::Changed, State::Missing].iter().any(|state| status.count(*state) > 0) {
        "; `migrate` will refuse until files and history agree\nnext: chartchek-db repair\n"
    } else if status.count(State::Pending) > 0 {
        "\nnext: chartchek-db migrate; --plan shows first what it would do\n"
    } else {
        "; up to date\n"
    });
    text
}

fn json(status: &Status, database: &str, project: &str) -> String {
    let counts: serde_json::Map<String, serde_json::Value> =
        STATES.iter().map(|state| (state.word().to_owned(), status.count(*state).into())).collect();
    let entries: Vec<_> = status
        .entries
        .iter()
        .map(|entry| {
            json!({
                "version": entry.version,
                "file": entry.file,
                "state": entry.state.word(),
                "applied_on": entry.applied_on,
            })
        })
        .collect();
    let document = json!({
        "version": 1,
        "command": "status",
        "environment": {
            "database": database,
            "server": status.server.version,
            "role": status.server.role,
            "history": status.history,
            "project": project,
            "lock_holder": status.holder.as_ref().map(|holder| held(Some(holder))),
        },
        "summary": counts,
        "migrations": entries,
    });
    format!("{document:#}")
}
