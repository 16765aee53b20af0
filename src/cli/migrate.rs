//! `migrate`: apply pending migrations, or show them with `--plan`.

mod adopt;
mod baseline;

use crate::cli::args::{ConnectionArgs, ProjectArgs};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::contract::project::{self, Project};
use crate::db::conninfo::Conninfo;
use crate::db::session::{Endpoint, Session};
use crate::db::{connect, pooler};
use crate::migrate::{self, ApplyOptions, Event, MigrationFile, Plan, Server, Summary};
use crate::model::failure::Failure;
use crate::server::EngineChoice;
use adopt::Adopting;
use std::path::PathBuf;
use std::time::Duration;

/// Flags.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("without history").args(["baseline", "adopt"]))]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// Print what would run, with its statements; the database itself keeps this read-only
    #[arg(long)]
    plan: bool,
    /// Apply up to and with this version; later files stay pending
    #[arg(long, value_name = "VERSION")]
    to: Option<i32>,
    /// For a database that has the schema but no history: record the files up to this version without running them, once
    /// a comparison with a scratch database found no difference
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["plan", "to"])]
    baseline: Option<i32>,
    /// For a database that grew by hand and has no history: show what differs from what the migrations make and which rows
    /// are in the way, and write the catch-up file for review; the database itself keeps this read-only
    #[arg(long, conflicts_with_all = ["plan", "to", "baseline", "mend"])]
    adopt: bool,
    /// With --adopt: where the catch-up file goes; without it adopt.sql in the project's folder
    #[arg(long, value_name = "FILE", requires = "adopt", conflicts_with = "apply")]
    write: Option<PathBuf>,
    /// With --adopt: run the reviewed file and record the migrations, in one transaction that is rolled back unless every
    /// row is still there and the database is what the migrations make
    #[arg(long, value_name = "FILE", requires = "adopt")]
    apply: Option<PathBuf>,
    /// Where --baseline and --adopt make their scratch database: auto (local PostgreSQL 15 or newer, else embedded),
    /// embedded, local
    #[arg(long, value_name = "ENGINE", requires = "without history")]
    engine: Option<EngineChoice>,
    /// How long to wait for the migration lock and for tables' locks, in seconds; 0 tries once
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    lock_wait: u32,
    /// Mend what a CREATE INDEX CONCURRENTLY left whose client died: drop the invalid index that a pending file names and
    /// build it anew; where the index is whole and what the file makes, record the file
    #[arg(long, conflicts_with_all = ["plan", "baseline"])]
    mend: bool,
    /// Print DETAIL and quoted values of errors, which may be values of rows
    #[arg(long)]
    show_detail: bool,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    let project = project::find(args.project.project.as_deref(), args.project.embedded)?;
    let files = migrate::load(&project)?;
    let mut session = open(&args.connection).await?;
    let options = ApplyOptions {
        to: args.to,
        lock_wait: Duration::from_secs(args.lock_wait.into()),
        show_detail: args.show_detail,
        mend: args.mend,
        ..ApplyOptions::default()
    };
    let engine = args.engine.unwrap_or(EngineChoice::Auto);
    let done = if args.adopt {
        let adopting = Adopting { session: &session, project: &project, files: &files, engine, output };
        match &args.apply {
            Some(path) => adopting.apply(path, &options).await,
            None => adopting.look(args.write).await,
        }
    } else if let Some(version) = args.baseline {
        baseline::baseline(&session, &project, &files, version, engine, &options, output).await
    } else if args.plan {
        plan(&session, &project, &files, args.to, output).await.map(|()| Exit::Clean)
    } else {
        apply(&mut session, &project, &files, &options, output).await.map(|()| Exit::Clean)
    };
    if done.is_ok() {
        session.close().await;
    }
    Ok(done?)
}

/// Connects as `migrate` and `status` do: no transaction pooler, whose backends share no lock.
///
/// # Errors
/// Nothing names a database; no connection; a transaction pooler.
pub(super) async fn open(args: &ConnectionArgs) -> Result<Session, Failure> {
    let url = args.database_url.as_ref().map(|url| url.expose());
    let conninfo = Conninfo::resolve(url, |name| std::env::var(name).ok())?;
    pooler::refuse_transaction_pooler(&conninfo)?;
    connect::connect(&conninfo).await
}

/// The lines that say which database, which server and which files.
pub(super) fn header(endpoint: &Endpoint, server: &Server, project: &Project) -> String {
    let role = if server.role == endpoint.user { String::new() } else { format!(", acting as {}", server.role) };
    format!("database  {endpoint}{role}\nserver    PostgreSQL {}\nfiles     {}\n", server.version, project.describe())
}

async fn apply(
    session: &mut Session,
    project: &Project,
    files: &[MigrationFile],
    options: &ApplyOptions,
    output: &Output,
) -> Result<(), Failure> {
    let endpoint = session.endpoint().clone();
    let mut told = Told::default();
    let summary = migrate::apply(session, files, options, &mut |event| {
        if let Event::Looked { server, .. } = event {
            output.print(&header(&endpoint, server, project));
        }
        told.tell(event, output);
    })
    .await?;
    output.print(&footer(&summary));
    Ok(())
}

/// Prints events; remembers what need not be said twice.
#[derive(Debug, Default)]
pub(super) struct Told {
    holder: Option<i32>,
}

impl Told {
    /// Prints what people want to know of an event.
    pub(super) fn tell(&mut self, event: &Event<'_>, output: &Output) {
        match event {
            Event::Looked { .. } => {}
            Event::Waiting { holder, .. } => {
                let pid = holder.map(|holder| holder.pid);
                if pid.is_some() && self.holder != pid {
                    self.holder = pid;
                    if let Some(holder) = holder {
                        output.note(&format!("waiting for the migration lock, held by {holder}"));
                    }
                }
            }
            Event::Applying { file } => tracing::info!(file = file.file_name(), "applying"),
            Event::Blocked { file, holders, tries } => {
                let who = match holders {
                    [] => "someone who is gone by now".to_owned(),
                    [first, ..] => first.to_string(),
                };
                output.note(&format!(
                    "{} did not get a table's lock (try {tries}), perhaps because of {who}; it was rolled back and is tried again",
                    file.file_name()
                ));
            }
            Event::Mended { file, index, dropped } => {
                let what =
                    if *dropped { "was INVALID and is dropped" } else { "is there already: not run, only recorded" };
                output.line(&format!("  mended   {}: index {index} {what}", file.file_name()));
            }
            Event::Applied { file, elapsed } => output.line(&row("applied", file.file_name(), Some(*elapsed))),
        }
    }
}

pub(super) fn row(state: &str, file: &str, elapsed: Option<Duration>) -> String {
    match elapsed {
        Some(elapsed) => format!("  {state:<8} {file:<40} {:>8.1} ms", elapsed.as_secs_f64() * 1000.0),
        None => format!("  {state:<8} {file}"),
    }
}

fn footer(summary: &Summary) -> String {
    let mut text = match summary.applied.len() {
        0 => format!("nothing to do: {} applied before\n", summary.before),
        count => {
            format!("{count} applied in {:.2} s, {} before\n", summary.elapsed.as_secs_f64(), summary.before)
        }
    };
    if summary.beyond > 0 {
        text.push_str(&format!("{} still pending beyond --to; next: chartchek-db migrate\n", summary.beyond));
    } else if !summary.applied.is_empty() {
        text.push_str("next: chartchek-db verify-rls\n");
    }
    text
}

async fn plan(
    session: &Session,
    project: &Project,
    files: &[MigrationFile],
    to: Option<i32>,
    output: &Output,
) -> Result<(), Failure> {
    let plan = migrate::plan(session, files, to).await?;
    output.print(&header(session.endpoint(), &plan.server, project));
    output.print(&planned(&plan));
    Ok(())
}

fn planned(plan: &Plan<'_>) -> String {
    let mut text = String::new();
    for (file, script) in &plan.pending {
        text.push_str(&row("pending", file.file_name(), None));
        text.push('\n');
        for statement in &script.statements {
            let sql = file.source().text.get(statement.span.clone()).unwrap_or_default();
            for (index, line) in sql.lines().enumerate() {
                text.push_str(if index == 0 { "    -> " } else { "       " });
                text.push_str(line);
                text.push('\n');
            }
            if let Some(what) = statement.outside {
                text.push_str(&format!("       ({what}: runs without a transaction)\n"));
            }
        }
    }
    text.push_str(&format!("{} pending, {} applied", plan.pending.len(), plan.applied));
    if plan.beyond > 0 {
        text.push_str(&format!(", {} beyond --to", plan.beyond));
    }
    text.push_str(if plan.pending.is_empty() { "; nothing to do\n" } else { "; next: chartchek-db migrate\n" });
    text
}
