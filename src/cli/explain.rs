//! `explain`: why a lint or a probe exists, with its examples; and all lints as one document, from the same text.

use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::contract::{project, suggest};
use crate::lint::{self, Lint, NOT_TAKEN, Severity};
use crate::model::failure::Failure;
use crate::verify::{self, About};
use std::fmt::Write;

/// Flags.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  chartchek-db explain rls-disabled            a lint; other linters' names for it are known too\n  chartchek-db explain unique-oracle           a probe\n  chartchek-db explain --lints                 all lints in Markdown: docs/lints.md"
)]
pub(crate) struct Args {
    /// The name of a lint or probe, as it stands in findings
    #[arg(value_name = "NAME", required_unless_present = "lints")]
    name: Option<String>,
    /// Print all lints as one Markdown document
    #[arg(long, conflicts_with = "name")]
    lints: bool,
}

pub(crate) fn run(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let Some(name) = &args.name else {
        output.print(&document());
        return Ok(Exit::Clean);
    };
    let probes = verify::probes();
    let probe = probes.iter().find(|probe| probe.name == name);
    let texts: Vec<String> = lint::find(name).map(of_lint).into_iter().chain(probe.map(of_probe)).collect();
    if texts.is_empty() {
        let failure = Failure::usage(format!("there is no lint or probe {name}"));
        let names = lint::all().map(|lint| lint.name).chain(probes.iter().map(|probe| probe.name));
        return Err(suggest(failure, name, names).into());
    }
    output.print(&texts.join("\n"));
    Ok(Exit::Clean)
}

fn of_lint(lint: &Lint) -> String {
    let mut text = format!("{}: a lint, {}\n", lint.name, lint.severity.word());
    for (title, what) in [("when", lint.condition), ("effect", lint.effect), ("to do", lint.remedy)] {
        let _infallible = writeln!(text, "  {title:<7} {what}");
    }
    if !lint.aliases.is_empty() {
        let _infallible = writeln!(text, "  also    {}", lint.aliases.join(", "));
    }
    text.push_str(&examples(lint.name, [("bad", "bad.sql"), ("good", "good.sql")]));
    text
}

fn of_probe(probe: &About) -> String {
    let fault = if probe.is_schema { "the schema's fault" } else { "the server's own, which fails only with --strict" };
    let mut text = format!("{}: a probe of verify-rls\n  holds   {}\n  else    {fault}\n", probe.name, probe.about);
    text.push_str(&examples(probe.name, [("hole", "hole.sql"), ("closed", "closed.sql")]));
    text
}

/// The examples, indented below their titles.
fn examples(name: &str, files: [(&str, &str); 2]) -> String {
    let mut text = String::new();
    for (title, file) in files {
        if let Some(sql) = project::example(name, file) {
            let _infallible = writeln!(text, "\n{title}:");
            for line in sql.lines().filter(|line| !line.starts_with("-- also: ")) {
                let _infallible = writeln!(text, "{}", format!("  {line}").trim_end());
            }
        }
    }
    text
}

/// All lints in Markdown.
fn document() -> String {
    let mut text = "# Lints\n\nWritten by `chartchek-db explain --lints`; a test holds it to what the lints say of themselves.\n\
        An error or warning fails `chartchek-db lint`, what is only worth knowing does so with `--strict`. What is known and\n\
        wanted stands in the contract, as `[[accept]]` with `lint`, `where` and `reason`; in a migration file, as the comment\n\
        `-- chartchek-db: allow <lint>, because <reason>` on the line before the statement, or at the file's head.\n"
        .to_owned();
    for severity in [Severity::Error, Severity::Warning, Severity::Info] {
        let title = match severity {
            Severity::Error => "Errors",
            Severity::Warning => "Warnings",
            Severity::Info => "Worth knowing",
        };
        let _infallible = writeln!(text, "\n## {title}");
        for lint in lint::all().filter(|lint| lint.severity == severity) {
            let Lint { name, condition, effect, remedy, .. } = lint;
            let _infallible = writeln!(text, "\n### {name}\n\n{condition}\n\n- Effect: {effect}.\n- To do: {remedy}.");
            if !lint.aliases.is_empty() {
                let _infallible = writeln!(text, "- Other linters' names: {}.", lint.aliases.join(", "));
            }
            for (title, file) in [("Bad", "bad.sql"), ("Good", "good.sql")] {
                if let Some(sql) = project::example(name, file) {
                    let _infallible = writeln!(text, "\n{title}:\n\n```sql\n{}\n```", sql.trim_end());
                }
            }
        }
    }
    text.push_str("\n## What splinter checks and no lint here does\n\n| splinter | why not |\n|---|---|\n");
    for (id, why) in NOT_TAKEN {
        let _infallible = writeln!(text, "| {id} | {why} |");
    }
    text
}
