//! The report of a check without attempts, such as `drift`, for people at a terminal.

use crate::model::finding::Finding;
use crate::model::report::{NotRun, Report};
use crate::report::failure;
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

const DOUBT: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const QUIET: Style = Style::new().dimmed();

/// The report as text with colours, which the stream drops where it is no terminal. `clean` says what holds where there
/// is no finding. The first and the last line say what was compared.
pub fn render(report: &Report, clean: &str) -> String {
    let environment = &report.environment;
    let mut text = format!("{}: {}\n", report.command, environment.subject);
    let facts = [&environment.tool, &environment.engine, &environment.project];
    let facts: Vec<&str> = facts.into_iter().map(String::as_str).filter(|fact| !fact.is_empty()).collect();
    let _infallible = writeln!(text, "{QUIET}{}{QUIET:#}", facts.join(" · "));
    for finding in &report.findings {
        text.push_str(&render_finding(finding, BAD));
    }
    for finding in &report.beyond {
        text.push_str(&render_finding(finding, DOUBT));
    }
    if !report.accepted.is_empty() {
        let _infallible = writeln!(text, "\n{QUIET}accepted{QUIET:#}");
    }
    for accepted in &report.accepted {
        let _infallible = writeln!(text, "  {}: {}", accepted.id, accepted.reason);
    }
    for (title, items) in [("not run", &report.not_run), ("not compared", &report.not_tried)] {
        text.push_str(&listed(title, items));
    }
    let _infallible = match report.findings.len() {
        0 if !report.not_run.is_empty() => writeln!(text, "\n{DOUBT}inconclusive{DOUBT:#}: {}", environment.subject),
        0 if !report.beyond.is_empty() => {
            let count = report.beyond.len();
            let fail = if count == 1 { "finding, which fails" } else { "findings, which fail" };
            writeln!(text, "\n{DOUBT}{count} {fail} only with --strict{DOUBT:#}: {}", environment.subject)
        }
        0 => writeln!(text, "\n{GOOD}{clean}{GOOD:#}: {}", environment.subject),
        1 => writeln!(text, "\n{BAD}1 finding{BAD:#}: {}", environment.subject),
        count => writeln!(text, "\n{BAD}{count} findings{BAD:#}: {}", environment.subject),
    };
    text
}

fn render_finding(finding: &Finding, style: Style) -> String {
    let mut text = format!("\n{style}{}{style:#}: {}\n", finding.check, finding.what);
    if let Some(place) = &finding.place {
        text.push_str(&failure::shown(place));
    }
    let _infallible = writeln!(text, "  seen:  {}", indented(&finding.why));
    let _infallible = writeln!(text, "  to do: {}", finding.remedy);
    if !finding.statement.is_empty() {
        let _infallible = writeln!(text, "         {}", indented(&finding.statement));
    }
    text
}

/// Lines after the first stand below it.
fn indented(text: &str) -> String {
    text.replace('\n', "\n         ")
}

fn listed(title: &str, items: &[NotRun]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{QUIET}{title}{QUIET:#}\n");
    for item in items {
        let _infallible = writeln!(text, "  {}: {}", item.what, item.why);
    }
    text
}
