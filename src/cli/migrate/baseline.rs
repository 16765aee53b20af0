//! `migrate --baseline`: the catalogue check against a scratch database, and then the history's rows.

use crate::cli::drift as against;
use crate::cli::exit::Exit;
use crate::cli::migrate::{Told, header, row};
use crate::cli::output::Output;
use crate::contract::parse;
use crate::contract::project::Project;
use crate::db::session::Session;
use crate::migrate::{self, ApplyOptions, Event, MigrationFile};
use crate::model::access::Contract;
use crate::model::failure::Failure;
use crate::model::report::{Environment, Report};
use crate::report::comparison;
use crate::schema::drift;
use crate::server::EngineChoice;

/// Records the files up to `version` where the database is what they make; else prints what differs.
///
/// # Errors
/// As [`migrate::baseline()`]; a contract that is wrong; no scratch database.
pub(super) async fn baseline(
    session: &Session,
    project: &Project,
    files: &[MigrationFile],
    version: i32,
    engine: EngineChoice,
    options: &ApplyOptions,
    output: &Output,
) -> Result<Exit, Failure> {
    let contract = parse::parse(&project.contract)?;
    let (recorded, rest): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.version() <= version);
    let mut part = project.clone();
    part.migrations.retain(|source| recorded.iter().any(|file| file.source() == source));
    let mut told = Told::default();
    let mut on_event = |event: &Event<'_>| {
        if let Event::Looked { server, .. } = event {
            output.print(&header(session.endpoint(), server, project));
        }
        told.tell(event, output);
    };
    let done = migrate::baseline(session, files, version, options, &mut on_event, async |target| {
        let report = compare(target, &part, &contract, version, engine).await?;
        output.print(&comparison::render(&report, "no drift"));
        Ok(report.findings.is_empty())
    })
    .await?;
    if !done {
        output.line(
            "nothing was recorded: the database is not what these files make\n\
             next: mend what was found, or name the version that the database is at",
        );
        return Ok(Exit::Findings);
    }
    for file in &recorded {
        output.line(&row("recorded", file.file_name(), None));
    }
    output.line(&format!("{} recorded without running them, {} pending", recorded.len(), rest.len()));
    output.line(if rest.is_empty() { "next: chartchek-db verify-rls" } else { "next: chartchek-db migrate" });
    Ok(Exit::Clean)
}

/// The target against what the project's part up to the version makes.
async fn compare(
    target: &Session,
    part: &Project,
    contract: &Contract,
    version: i32,
    engine: EngineChoice,
) -> Result<Report, Failure> {
    let regime = drift::regime(target).await?;
    let (mut found, engine) = against::compare(target, part, contract, engine, regime).await?;
    // The scratch database has a history, and the target is about to get one.
    found.findings.retain(|finding| finding.object != format!("schema {}", migrate::HISTORY_SCHEMA));
    Ok(Report {
        command: "baseline".to_owned(),
        environment: Environment {
            migrations: String::new(),
            subject: format!(
                "{} against {} objects of the migrations up to version {version}",
                target.endpoint(),
                found.objects
            ),
            engine,
            server: String::new(),
            project: part.describe(),
            regime: regime.word().to_owned(),
            tool: concat!("chartchek-db ", env!("CARGO_PKG_VERSION")).to_owned(),
        },
        findings: found.findings,
        not_tried: found.not_tried,
        ..Report::default()
    })
}
