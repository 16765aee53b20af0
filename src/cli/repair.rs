//! `repair`: how files and history differ, and the acceptance of what is named; never by itself.

use crate::cli::args::{ConnectionArgs, ProjectArgs};
use crate::cli::exit::Exit;
use crate::cli::migrate::{Told, header, open};
use crate::cli::output::Output;
use crate::cli::status::Format;
use crate::contract::project;
use crate::migrate::{self, Difference, Differences, Identity, State};
use serde_json::json;
use std::time::Duration;

/// Flags.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --accept nothing is written, and the exit code is 1 where anything differs.\n\nExamples:\n  chartchek-db repair               what differs, with the recorded and the found checksums\n  chartchek-db repair --accept 7    the history takes name and checksum of V007's file"
)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    project: ProjectArgs,
    /// Accept the difference of this version: a changed file's name and checksum are recorded, a missing file's row is
    /// deleted. The database itself is not touched. May be given several times; all or none are written
    #[arg(long, value_name = "VERSION")]
    accept: Vec<i32>,
    /// How long to wait for the migration lock, in seconds; 0 tries once
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    lock_wait: u32,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<Exit> {
    let project = project::find(args.project.project.as_deref(), args.project.embedded)?;
    let files = migrate::load(&project)?;
    let session = open(&args.connection).await?;
    let endpoint = session.endpoint().clone();
    let (accepted, left) = if args.accept.is_empty() {
        (Vec::new(), migrate::differences(&session, &files).await?)
    } else {
        let mut told = Told::default();
        let wait = Duration::from_secs(args.lock_wait.into());
        migrate::accept(&session, &files, &args.accept, wait, &mut |event| told.tell(event, output)).await?
    };
    session.close().await;
    match args.format {
        Format::Human => {
            output.print(&header(&endpoint, &left.server, &project));
            for difference in &accepted {
                output.print(&before_and_after(difference));
            }
            output.print(&shown(&left));
        }
        Format::Json => output.line(&json(&accepted, &left, &endpoint.to_string(), &project.describe())),
    }
    Ok(if left.list.is_empty() { Exit::Clean } else { Exit::Findings })
}

/// The row of the history, before and after.
fn before_and_after(difference: &Difference) -> String {
    let after = match &difference.found {
        Some(found) => identity(found),
        None => "no row: the history forgets it; what it did stays in the database".to_owned(),
    };
    format!(
        "  accepted {}\n    before  {}\n    after   {after}\n",
        last(&difference.file),
        difference.recorded.as_ref().map(identity).unwrap_or_default()
    )
}

fn shown(differences: &Differences) -> String {
    let mut text = String::new();
    for difference in &differences.list {
        let when = difference.applied_on.as_deref().map(|at| format!("  applied {at}")).unwrap_or_default();
        text.push_str(&format!("  {:<8} {}{when}\n", difference.state.word(), last(&difference.file)));
        let sides = [("recorded", &difference.recorded), ("file", &difference.found)];
        for (side, found) in sides.iter().filter_map(|(side, found)| Some((side, found.as_ref()?))) {
            text.push_str(&format!("    {side:<9} {}\n", identity(found)));
        }
        let (mend, accept) = match difference.state {
            State::Changed => {
                ("give the file its applied text and name back", "or, where the database is as the file says")
            }
            State::Missing => ("take the checkout that has the file", "or, to let the history forget it"),
            _ => ("it was never applied, and never would be", "give it the next free version"),
        };
        text.push_str(&format!("    {mend};\n    {accept}: {}\n", difference.remedy(differences.next)));
    }
    text.push_str(&match differences.list.len() {
        0 => format!("{} recorded; files and history agree\n", differences.recorded),
        1 => "1 version differs; `migrate` will refuse until files and history agree\n".to_owned(),
        count => format!("{count} versions differ; `migrate` will refuse until files and history agree\n"),
    });
    text
}

fn json(accepted: &[Difference], left: &Differences, database: &str, project: &str) -> String {
    // As text: JSON's readers round whole numbers of 64 bits.
    let side = |side: &Option<Identity>| {
        side.as_ref().map(|one| json!({ "name": one.name, "checksum": one.checksum.to_string() }))
    };
    let entry = |difference: &Difference| {
        json!({
            "version": difference.version,
            "file": difference.file,
            "state": difference.state.word(),
            "applied_on": difference.applied_on,
            "recorded": side(&difference.recorded),
            "found": side(&difference.found),
        })
    };
    let differences = left.list.iter().map(|difference| {
        let mut document = entry(difference);
        document["remedy"] = difference.remedy(left.next).into();
        document
    });
    let document = json!({
        "version": 1,
        "command": "repair",
        "environment": {
            "database": database,
            "server": left.server.version,
            "role": left.server.role,
            "history": left.history,
            "project": project,
        },
        "summary": { "recorded": left.recorded, "accepted": accepted.len(), "differences": left.list.len() },
        "accepted": accepted.iter().map(entry).collect::<Vec<_>>(),
        "differences": differences.collect::<Vec<_>>(),
    });
    format!("{document:#}")
}

fn identity(identity: &Identity) -> String {
    format!("{:<30} checksum {}", identity.name, identity.checksum)
}

fn last(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
