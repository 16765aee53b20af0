//! `new`: the next migration file, and equal versions that two branches took.

use crate::cli::args::ProjectArgs;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::contract::project::{self, Project};
use crate::migrate::{self, Renaming};
use crate::model::failure::Failure;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Flags.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  chartchek-db new add_titles      writes migrations/V008__add_titles.sql\n  chartchek-db new --renumber      two branches took the same version: the second gets the next free one"
)]
pub(crate) struct Args {
    /// What the migration does, such as add_titles
    #[arg(value_name = "NAME", required_unless_present = "renumber", conflicts_with = "renumber")]
    name: Option<String>,
    /// Give files of equal versions versions of their own: the first by name keeps it, the others go behind the newest
    #[arg(long)]
    renumber: bool,
    #[command(flatten)]
    project: ProjectArgs,
}

pub(crate) fn run(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let project = project::find(args.project.project.as_deref(), args.project.embedded)?;
    match &args.name {
        Some(name) => write(&project, name, output)?,
        None => renumber(&project, output)?,
    }
    Ok(Exit::Clean)
}

fn write(project: &Project, name: &str, output: &Output) -> Result<(), Failure> {
    let file = migrate::new_file(project, name)?;
    let unwritten = |error: std::io::Error| {
        Failure::usage(format!("{} was not written", file.path.display())).note(error.to_string())
    };
    if let Some(folder) = file.path.parent() {
        fs::create_dir_all(folder).map_err(unwritten)?;
    }
    // Fails where something is there already.
    let mut new = fs::File::create_new(&file.path).map_err(unwritten)?;
    new.write_all(file.text.as_bytes()).map_err(unwritten)?;
    output.line(&format!(
        "written: {}\nnext: write its statements, then chartchek-db migrate --plan",
        file.path.display()
    ));
    Ok(())
}

fn renumber(project: &Project, output: &Output) -> Result<(), Failure> {
    for renaming in migrate::renumber(project)? {
        rename(&renaming)?;
        let Renaming { version, kept, from, to } = renaming;
        output.line(&format!(
            "renamed: {} -> {}\n         {kept} keeps version {version}",
            from.display(),
            to.display()
        ));
    }
    output.line(
        "where a renamed file was applied under its old version, `chartchek-db status` tells: exchange the two names then\n\
         next: chartchek-db status",
    );
    Ok(())
}

fn rename(renaming: &Renaming) -> Result<(), Failure> {
    let failed = |why: String| {
        Failure::usage(format!("{} was not renamed to {}", renaming.from.display(), renaming.to.display())).note(why)
    };
    // fs::rename replaces what is there.
    if is_there(&renaming.to) {
        return Err(failed("there is a file of that name".to_owned()));
    }
    fs::rename(&renaming.from, &renaming.to).map_err(|error| failed(error.to_string()))
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
