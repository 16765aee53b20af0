//! `migrate --adopt`: a database that grew by hand. Without `--apply` it is only looked at, and the catch-up file is
//! written for review; with it the file runs, and what it left is looked at before anything is committed.

use crate::cli::drift::{LOOK, batch};
use crate::cli::exit::Exit;
use crate::cli::migrate::{Told, header, row};
use crate::cli::output::Output;
use crate::contract::parse;
use crate::contract::project::Project;
use crate::db::session::Session;
use crate::migrate::{self, ApplyOptions, Event, MigrationFile};
use crate::model::failure::Failure;
use crate::model::finding::Finding;
use crate::model::report::{Environment, NotRun, Report};
use crate::model::source::SourceFile;
use crate::report::comparison;
use crate::schema::adopt::{self, Expected};
use crate::schema::drift;
use crate::server::{self, EngineChoice};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

/// What is adopted, and with what.
pub(super) struct Adopting<'a> {
    pub(super) session: &'a Session,
    pub(super) project: &'a Project,
    pub(super) files: &'a [MigrationFile],
    pub(super) engine: EngineChoice,
    pub(super) output: &'a Output,
}

/// What the migrations make, and for the report where it was made.
struct Made {
    expected: Expected,
    engine: String,
    regime: String,
}

impl Adopting<'_> {
    /// Shows what differs and which rows are in the way, and writes the catch-up file.
    ///
    /// # Errors
    /// Usage: the database has a history or nothing to adopt, or the file is there and somebody's work is in it. What
    /// [`adopt::adoption()`] fails with.
    pub(super) async fn look(&self, write: Option<PathBuf>) -> Result<Exit, Failure> {
        let path = write.unwrap_or_else(|| self.project.root.clone().unwrap_or_default().join("adopt.sql"));
        let path = path.strip_prefix(".").unwrap_or(&path).to_owned();
        refuse_edited(&path)?;
        let server = migrate::without_history(self.session, self.files).await?;
        self.output.print(&header(self.session.endpoint(), &server, self.project));
        let made = self.made().await?;
        batch(self.session, LOOK).await?;
        let adoption = adopt::adoption(&made.expected, self.session).await;
        batch(self.session, "ROLLBACK").await?;
        let adoption = adoption?;
        let subject = format!("{} against {} objects of the migrations", self.session.endpoint(), adoption.objects);
        let report = self.report(&made, subject, adoption.findings, adoption.not_tried);
        self.output.print(&comparison::render(&report, "nothing differs"));
        if report.findings.is_empty() {
            let newest = self.files.last().map_or(0, MigrationFile::version);
            self.output.line(&format!("next: chartchek-db migrate --baseline {newest}"));
            return Ok(Exit::Clean);
        }
        save(&path, &adoption.file)?;
        let decisions = match adoption.decisions {
            0 => String::new(),
            1 => "; 1 thing in it is to decide".to_owned(),
            count => format!("; {count} things in it are to decide"),
        };
        self.output.line(&format!("written: {}{decisions}; the database was only read", path.display()));
        let rows = report.findings.iter().any(|finding| finding.check == adopt::IN_THE_WAY);
        let first = if rows { "mend the rows in the way, read the file" } else { "read the file" };
        self.output.line(&format!("next: {first}, then chartchek-db migrate --adopt --apply {}", path.display()));
        Ok(Exit::Findings)
    }

    /// Runs a reviewed file; commits only where nothing is lost and the database is what the migrations make.
    ///
    /// # Errors
    /// As [`migrate::adopt()`]; the file can't be read.
    pub(super) async fn apply(&self, path: &Path, options: &ApplyOptions) -> Result<Exit, Failure> {
        let source = read(path)?;
        migrate::without_history(self.session, self.files).await?;
        // Before any lock is taken: making the scratch database takes its time.
        let made = self.made().await?;
        let mut told = Told::default();
        let mut on_event = |event: &Event<'_>| {
            if let Event::Looked { server, .. } = event {
                self.output.print(&header(self.session.endpoint(), server, self.project));
            }
            told.tell(event, self.output);
        };
        let last = RefCell::new(None);
        let before = async |target: &Session| adopt::before(&made.expected, target, &source).await;
        let after = async |target: &Session, before: adopt::Before| {
            let after = adopt::after(&made.expected, target, &before).await?;
            let done = after.findings.is_empty();
            last.replace(Some(after));
            Ok(done)
        };
        let done = migrate::adopt(self.session, self.files, &source, options, &mut on_event, before, after).await?;
        let Some(after) = last.into_inner() else { return Ok(Exit::Inconclusive) };
        for line in &after.written {
            self.output.line(line);
        }
        if !done {
            let subject = format!("{} after {}", self.session.endpoint(), source.path);
            let report = self.report(&made, subject, after.findings, Vec::new());
            self.output.print(&comparison::render(&report, "nothing differs"));
            self.output.line("all of it was rolled back: the database is as it was");
            return Ok(Exit::Findings);
        }
        for kept in &after.kept {
            self.output.line(&format!("  kept     {kept}"));
        }
        for file in self.files {
            self.output.line(&row("recorded", file.file_name(), None));
        }
        self.output.line(&format!(
            "adopted: {} are all there, {} migrations recorded without running them",
            after.counted,
            self.files.len()
        ));
        self.output.line("next: chartchek-db verify-rls --target");
        Ok(Exit::Clean)
    }

    async fn made(&self) -> Result<Made, Failure> {
        if self.files.is_empty() {
            return Err(Failure::usage("the project has no migrations: there is nothing to adopt a database for"));
        }
        let contract = parse::parse(&self.project.contract)?;
        let regime = drift::regime(self.session).await?;
        let scratch = server::scratch(self.engine, regime, &self.project.fingerprint(), async |session| {
            migrate::apply_all(session, self.project).await
        })
        .await?;
        let made = scratch.connect().await?;
        let expected = adopt::expected(&made, self.session, self.project, &contract).await;
        made.close().await;
        Ok(Made { expected: expected?, engine: scratch.engine().to_owned(), regime: regime.word().to_owned() })
    }

    fn report(&self, made: &Made, subject: String, findings: Vec<Finding>, not_tried: Vec<NotRun>) -> Report {
        Report {
            command: "adopt".to_owned(),
            environment: Environment {
                subject,
                engine: made.engine.clone(),
                project: self.project.describe(),
                regime: made.regime.clone(),
                tool: concat!("chartchek-db ", env!("CARGO_PKG_VERSION")).to_owned(),
                ..Environment::default()
            },
            findings,
            not_tried,
            ..Report::default()
        }
    }
}

/// A file that this command wrote and nobody edited may be written anew; any other is somebody's work.
fn refuse_edited(path: &Path) -> Result<(), Failure> {
    let Ok(bytes) = fs::read(path) else {
        // Nothing is there; or nothing that could be written to, which shows then.
        return Ok(());
    };
    if std::str::from_utf8(&bytes).is_ok_and(adopt::is_unedited) {
        return Ok(());
    }
    Err(Failure::usage(format!("{} is there, and somebody has edited it", path.display()))
        .note("nothing was written")
        .help("name another file with --write FILE, or move that one away"))
}

fn save(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| {
        Failure::usage(format!("{} was not written", path.display()))
            .note(error.to_string())
            .help("name another file with --write FILE")
    })
}

fn read(path: &Path) -> Result<SourceFile, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("{} can't be read", path.display()))
            .note(error.to_string())
            .help("chartchek-db migrate --adopt writes the file")
    })?;
    Ok(SourceFile::new(path.display().to_string(), text))
}
