//! `migrate`: apply pending migrations, or show them with `--plan`.

mod adopt;
mod baseline;
mod plan;

use crate::cli::args::{ConnectionArgs, ProjectArgs};
use crate::cli::exit::Exit;
use crate::cli::interrupt::Interrupts;
use crate::cli::output::Output;
use crate::contract::project::{self, Project};
use crate::db::conninfo::Conninfo;
use crate::db::session::{Endpoint, Session};
use crate::db::{connect, pooler};
use crate::migrate::{self, ApplyOptions, Event, Holder, MigrationFile, Server, Summary};
use crate::model::failure::{Failure, FailureKind};
use crate::report::header;
use crate::server::EngineChoice;
use adopt::Adopting;
use anstyle::AnsiColor;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Flags.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// Print what would run, with its statements; the database itself keeps this read-only
    #[arg(long)]
    plan: bool,
    /// With --plan: apply the pending files to a scratch database too, and show the locks that they took and their times
    #[arg(long, requires = "plan", group = "scratch")]
    trace: bool,
    /// How --plan prints
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = plan::Format::Human, requires = "plan")]
    format: plan::Format,
    /// Apply up to and with this version; later files stay pending
    #[arg(long, value_name = "VERSION")]
    to: Option<i32>,
    /// For a database that has the schema but no history: record the files up to this version without running them, once
    /// a comparison with a scratch database found no difference
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["plan", "to"], group = "scratch")]
    baseline: Option<i32>,
    /// For a database that grew by hand and has no history: show what differs from what the migrations make and which rows
    /// are in the way, and write the catch-up file for review; the database itself keeps this read-only
    #[arg(long, conflicts_with_all = ["plan", "to", "baseline", "mend"], group = "scratch")]
    adopt: bool,
    /// With --adopt: where the catch-up file goes; without it adopt.sql in the project's folder
    #[arg(long, value_name = "FILE", requires = "adopt", conflicts_with = "apply")]
    write: Option<PathBuf>,
    /// With --adopt: run the reviewed file and record the migrations, in one transaction that is rolled back unless every
    /// row is still there and the database is what the migrations make
    #[arg(long, value_name = "FILE", requires = "adopt")]
    apply: Option<PathBuf>,
    /// Where --baseline, --adopt and --trace make their scratch database: auto (local PostgreSQL 15 or newer, else
    /// embedded), embedded, local
    #[arg(long, value_name = "ENGINE", requires = "scratch")]
    engine: Option<EngineChoice>,
    /// How long to wait for the migration lock and for tables' locks, in seconds; 0 tries once
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    lock_wait: u32,
    /// How long one statement may run, in seconds; 0 is no limit. Without it the role's own statement_timeout holds, and
    /// CREATE INDEX CONCURRENTLY and its like have no limit
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["plan", "baseline"])]
    statement_timeout: Option<u32>,
    /// Mend what CREATE INDEX, DROP INDEX or REINDEX CONCURRENTLY left whose client died: drop the invalid indexes of a
    /// pending file and run it; where its work is done already, record it
    #[arg(long, conflicts_with_all = ["plan", "baseline"])]
    mend: bool,
    /// Print DETAIL and quoted values of errors, which may be values of rows
    #[arg(long)]
    show_detail: bool,
}

pub(crate) async fn run(args: Args, output: &Output, interrupts: &Interrupts) -> anyhow::Result<Exit> {
    let project = project::find(args.project.project.as_deref(), args.project.embedded)?;
    let files = migrate::load(&project)?;
    if args.plan {
        return plan::run(&args, &project, &files, output).await;
    }
    let mut session = open(&args.connection).await?;
    let mut options = ApplyOptions {
        to: args.to,
        lock_wait: Duration::from_secs(args.lock_wait.into()),
        show_detail: args.show_detail,
        statement_timeout: args.statement_timeout.map(|seconds| Duration::from_secs(seconds.into())),
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
    } else {
        options.stop = interrupts.listen();
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
    header::render(&[
        ("database", &reached(endpoint, server)),
        ("server", &format!("PostgreSQL {}", server.version)),
        ("files", &project.describe()),
    ])
}

/// Which database, as whom, and through what.
fn reached(endpoint: &Endpoint, server: &Server) -> String {
    let role = if server.role == endpoint.user { String::new() } else { format!(", acting as {}", server.role) };
    let pooler = pooler::kind(&endpoint.host).map(|kind| format!(", through {kind}")).unwrap_or_default();
    format!("{endpoint}{role}{pooler}")
}

/// Who holds the migration lock; empty where nobody does.
pub(super) fn held(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!("held by {holder}")).unwrap_or_default()
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
    .await;
    told.settle(output);
    match &summary {
        Ok(summary) => output.print(&footer(summary)),
        Err(failure) => output.print(&told.failed(failure)),
    }
    summary.map(|_| ())
}

/// How often waiting is told where no line can be written over.
const REPEATED: Duration = Duration::from_secs(10);

/// Prints events; remembers what need not be said twice.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What is being waited for, and when that was said.
    waiting: Option<(String, Instant)>,
    /// The file that runs.
    running: Option<String>,
    /// How many files ran.
    applied: usize,
}

impl Told {
    /// Prints what people want to know of an event.
    pub(super) fn tell(&mut self, event: &Event<'_>, output: &Output) {
        match event {
            Event::Looked { .. } => {}
            Event::Waiting { holder, waited } => {
                let what = format!("the migration lock of {}", holder.map_or(0, |holder| holder.pid));
                let who = holder.map(|holder| format!(", held by {holder}")).unwrap_or_default();
                let text = format!("waiting for the migration lock{who}; {} s so far", waited.as_secs());
                self.wait(&what, &text, output);
            }
            Event::Applying { file } => {
                self.settle(output);
                self.running = Some(file.file_name().to_owned());
                tracing::info!(file = file.file_name(), "applying");
            }
            Event::Blocked { file, blockers, tries } => {
                let because = if blockers.named { "because of" } else { "perhaps because of" };
                let who = match blockers.holders.as_slice() {
                    [] => "someone who is gone by now".to_owned(),
                    [first, ..] => format!("{first}, which this would end: {}", first.end()),
                };
                let text = format!(
                    "{} did not get a table's lock (try {tries}), {because} {who}; it was rolled back and is tried again",
                    file.file_name()
                );
                self.wait(file.file_name(), &text, output);
            }
            Event::Waits { file, holders } => {
                let each =
                    holders.iter().take(5).map(|holder| format!("{holder}, which this would end: {}", holder.end()));
                let text = format!("{} waits for {}", file.file_name(), each.collect::<Vec<_>>().join("; and for "));
                self.wait(file.file_name(), &text, output);
            }
            Event::Mended { file, index, how } => {
                output.line(&format!("  mended   {}: index {index} {}", file.file_name(), how.words()));
            }
            Event::Applied { file, elapsed } => {
                self.settle(output);
                self.running = None;
                self.applied += 1;
                output.line(&row("applied", file.file_name(), Some(*elapsed)));
            }
        }
    }

    /// Tells of waiting: at a terminal in one line that is written over, elsewhere at the start and from time to time.
    fn wait(&mut self, what: &str, text: &str, output: &Output) {
        let said = self.waiting.as_ref().filter(|(one, _)| one == what).map(|(_, at)| *at);
        if output.is_terminal() {
            output.update(text);
        } else if said.is_none_or(|at| at.elapsed() >= REPEATED) {
            output.note(text);
        } else {
            return;
        }
        self.waiting = Some((what.to_owned(), Instant::now()));
    }

    /// The last lines where a file failed: its row, the counts and what to type next. Empty where no file ran.
    fn failed(&self, failure: &Failure) -> String {
        let Some(file) = &self.running else { return String::new() };
        let next = match failure.kind() {
            FailureKind::Migration => {
                format!("mend {file}, try it with chartchek-db migrate --plan --trace, then chartchek-db migrate")
            }
            FailureKind::Lock => "chartchek-db migrate, when the table is less busy".to_owned(),
            _ => "chartchek-db status".to_owned(),
        };
        format!("{}\n{} applied, 1 failed\nnext: {next}\n", row("failed", file, None), self.applied)
    }

    /// Takes the line away that told of waiting.
    fn settle(&mut self, output: &Output) {
        if self.waiting.take().is_some() && output.is_terminal() {
            output.update("");
        }
    }
}

impl Drop for Told {
    /// What is printed next, an error too, begins on a line of its own.
    fn drop(&mut self) {
        self.settle(&Output::new());
    }
}

pub(super) fn row(word: &str, file: &str, elapsed: Option<Duration>) -> String {
    match elapsed {
        Some(elapsed) => state(word, &format!("{file:<40} {:>8.1} ms", elapsed.as_secs_f64() * 1000.0)),
        None => state(word, file),
    }
}

/// A row that begins with a state, in its colour.
pub(super) fn state(word: &str, rest: &str) -> String {
    let style = match word {
        "applied" | "recorded" => AnsiColor::Green.on_default(),
        "pending" => AnsiColor::Yellow.on_default(),
        _ => AnsiColor::Red.on_default().bold(),
    };
    format!("  {style}{word:<8}{style:#} {rest}")
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
