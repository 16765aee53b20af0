//! The report for people at a terminal.

use crate::model::attempt::{Attempt, Verdict};
use crate::model::explanation::Explanation;
use crate::model::finding::Finding;
use crate::model::mutation::Fate;
use crate::model::report::{Change, Coverage, Report, Tried};
use crate::report::{matrix, mutation};
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

/// How many inconclusive attempts are listed before the rest is counted.
const LISTED: usize = 10;

/// How many ids of one finding's attempts are listed before the rest is counted.
const IDS: usize = 3;

const BAD: Style = AnsiColor::Red.on_default().bold();
const DOUBT: Style = AnsiColor::Yellow.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const QUIET: Style = Style::new().dimmed();

/// The report as text with colours, which the stream drops where it is no terminal. The first and the last line say
/// what was verified.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    let environment = &report.environment;
    let _infallible = writeln!(text, "{}: {}", report.command, environment.subject);
    let regime = if environment.regime.is_empty() {
        String::new()
    } else {
        format!(", {} default privileges", environment.regime)
    };
    let _infallible = writeln!(
        text,
        "{QUIET}{} · {}{regime} · {}{QUIET:#}",
        environment.tool, environment.engine, environment.project
    );
    if !environment.migrations.is_empty() {
        let _infallible = writeln!(text, "{QUIET}migrations: {}{QUIET:#}", environment.migrations);
    }
    if !report.attempts.is_empty() {
        let _infallible = write!(text, "\n{}", paint_matrix(&matrix::render(&report.attempts)));
        let _infallible = writeln!(text, "{QUIET}{}{QUIET:#}", matrix::LEGEND);
    }
    for finding in &report.findings {
        text.push_str(&render_finding(report, finding));
    }
    if !report.beyond.is_empty() {
        let _infallible = writeln!(
            text,
            "\n{DOUBT}the server's own, and what no schema can close{DOUBT:#}: fails only with --strict"
        );
        for finding in &report.beyond {
            text.push_str(&render_finding(report, finding));
        }
    }
    if !report.accepted.is_empty() {
        let _infallible = writeln!(text, "\n{QUIET}accepted{QUIET:#}");
        for accepted in &report.accepted {
            let _infallible = writeln!(text, "  {}: {}", accepted.id, accepted.reason);
        }
    }
    inconclusive(&mut text, &report.attempts);
    listed(&mut text, "inconclusive probes", DOUBT, &report.doubts);
    listed(&mut text, "not run", DOUBT, &report.not_run);
    listed(&mut text, "not tried here", QUIET, &report.not_tried);
    if let Some(mutants) = &report.mutation {
        text.push_str(&mutation::render(mutants));
    }
    against(&mut text, report);
    controls(&mut text, report);
    text.push_str(&closing(report));
    text
}

fn listed(text: &mut String, title: &str, style: Style, items: &[crate::model::report::NotRun]) {
    if items.is_empty() {
        return;
    }
    let _infallible = writeln!(text, "\n{style}{title}{style:#}");
    for item in items.iter().take(LISTED) {
        let _infallible = writeln!(text, "  {}: {}", item.what, item.why);
    }
    if items.len() > LISTED {
        let _infallible = writeln!(text, "  … and {} more", items.len() - LISTED);
    }
}

/// Colours the signs of trouble; the cells stand behind the two name columns.
fn paint_matrix(matrix: &str) -> String {
    matrix.replace('!', &format!("{BAD}!{BAD:#}")).replace('?', &format!("{DOUBT}?{DOUBT:#}"))
}

fn render_finding(report: &Report, finding: &Finding) -> String {
    let mut text = format!("\n{BAD}{}{BAD:#}: {}\n", finding.check, finding.what);
    if let Some(place) = &finding.place {
        let _infallible = writeln!(text, "  promise:  {}", place.location());
    }
    let _infallible = writeln!(text, "  id:       {}", finding.id(&report.attempts));
    let _infallible = writeln!(text, "  seen:     {}", finding.why);
    for (place, line) in report.explanation(finding).into_iter().flat_map(Explanation::lines).enumerate() {
        let _infallible = writeln!(text, "  {:9} {line}", if place == 0 { "because:" } else { "" });
    }
    if !finding.statement.is_empty() {
        let _infallible = writeln!(text, "  shown by: {}", finding.statement);
    }
    let _infallible = writeln!(text, "  reach:    {}", finding.reach);
    let _infallible = writeln!(text, "  to do:    {}", finding.remedy);
    if finding.attempts.len() > 1 {
        let shown = finding.attempts.len().min(IDS);
        let rest = finding.attempts.len() - shown;
        let more = if rest == 0 { String::new() } else { format!(" … and {rest} more") };
        let _infallible = writeln!(text, "  attempts: {}{more}", finding.attempts[..shown].join(", "));
    }
    text
}

fn inconclusive(text: &mut String, attempts: &[Attempt]) {
    let doubtful: Vec<&Attempt> = attempts.iter().filter(|attempt| attempt.verdict == Verdict::Inconclusive).collect();
    if doubtful.is_empty() {
        return;
    }
    let _infallible = writeln!(text, "\n{DOUBT}inconclusive{DOUBT:#}: these attempts show nothing, and do not pass");
    for attempt in doubtful.iter().take(LISTED) {
        let _infallible =
            writeln!(text, "  {}: {}\n    {}; -- as {}", attempt.id, attempt.why, attempt.statement, attempt.persona);
    }
    if doubtful.len() > LISTED {
        let _infallible = writeln!(text, "  … and {} more", doubtful.len() - LISTED);
    }
}

/// What is otherwise than in the earlier report that was named; what loosens first.
fn against(text: &mut String, report: &Report) {
    let Some(comparison) = &report.against else { return };
    let _infallible = writeln!(text, "\nagainst {}", comparison.earlier);
    if comparison.changes.is_empty() {
        let _infallible = writeln!(text, "  nothing changed");
    }
    let (loosening, other): (Vec<&Change>, Vec<&Change>) = comparison.changes.iter().partition(|change| change.loosens);
    for (style, changes) in [(BAD, loosening), (QUIET, other)] {
        for Change { kind, id, what, .. } in changes {
            let _infallible = writeln!(text, "  {style}{kind}{style:#} {id}: {what}");
        }
    }
}

/// Holes that the run made itself and did not notice.
fn controls(text: &mut String, report: &Report) {
    if !report.is_detector_broken() {
        return;
    }
    let _infallible = writeln!(
        text,
        "\n{BAD}the detector is broken{BAD:#}: holes that it made itself went unnoticed, so nothing that held can be relied on"
    );
    for control in report.controls.iter().filter(|control| !control.noticed) {
        let _infallible = writeln!(text, "  {}: {}\n    {}", control.name, control.shown_by, control.why);
    }
}

fn closing(report: &Report) -> String {
    let summary = report.summary();
    let each = if summary.attempts == 0 { 0.0 } else { report.seconds * 1000.0 / summary.attempts as f64 };
    let mut text = format!(
        "\n{} attempts and {} in {:.2} s ({each:.2} ms each): {} held, {}, {}, {} inconclusive, {} not run; {}\n",
        summary.attempts,
        plural(summary.probes, "probe"),
        report.seconds,
        summary.held,
        plural(summary.leak, "leak"),
        plural(summary.over_denial, "over-denial"),
        summary.inconclusive,
        summary.not_run,
        plural(summary.findings, "finding"),
    );
    if let Some(Coverage { tables, actors, columns, policies }) = report.coverage {
        let all = [(tables, "tables"), (actors, "actors"), (columns, "columns with a promise"), (policies, "policies")];
        let all = all.map(|(Tried { tried, of }, what)| format!("{tried} of {of} {what}"));
        let _infallible = writeln!(text, "tried: {}", all.join(", "));
    }
    if !report.atoms.is_empty() {
        let open = report.atoms.iter().filter(|atom| atom.false_for.is_empty()).count();
        let _infallible =
            writeln!(text, "parts of policies seen false: {} of {}", report.atoms.len() - open, report.atoms.len());
    }
    if !report.controls.is_empty() {
        let noticed = report.controls.iter().filter(|control| control.noticed).count();
        let _infallible = writeln!(text, "negative controls: {noticed} of {} noticed", report.controls.len());
    }
    let mutants = |fate| report.mutation.as_ref().map_or(0, |mutation| mutation.count(fate));
    let (style, verdict) = if summary.attempts == 0 && summary.probes == 0 {
        (DOUBT, "NOTHING WAS VERIFIED".to_owned())
    } else if summary.findings > 0 || summary.leak > 0 || summary.over_denial > 0 {
        (BAD, "THE CONTRACT DOES NOT HOLD".to_owned())
    } else if report.is_detector_broken() {
        (BAD, "THE DETECTOR IS BROKEN".to_owned())
    } else if mutants(Fate::Survived) > 0 {
        (BAD, "every attempt held, but NOT EVERY MUTANT WAS NOTICED".to_owned())
    } else if summary.inconclusive > 0 || mutants(Fate::Undecided) > 0 {
        (DOUBT, "INCONCLUSIVE".to_owned())
    } else if summary.not_run > 0 {
        (DOUBT, "every attempt made held, and not all were made".to_owned())
    } else {
        (GOOD, "every attempt held".to_owned())
    };
    let _infallible = writeln!(text, "{style}{verdict}{style:#} on {}", report.environment.subject);
    text
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}
