//! The plan of a migration for people: each statement with what it locks, how large that is, and whom it holds up.

pub mod json;

use crate::model::lock::{Blocks, LockMode};
use crate::model::plan::{PlanReport, PlannedFile, PlannedStatement, Size, TableLock, Traced};
use crate::report::header;
use anstyle::{AnsiColor, Style};
use std::time::Duration;

/// How many lines of a statement are shown before the rest is counted.
const LINES: usize = 12;

/// How much of a change's description is shown.
const CHARACTERS: usize = 90;

const BAD: Style = AnsiColor::Red.on_default().bold();
const DOUBT: Style = AnsiColor::Yellow.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const TITLE: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();

/// The plan as text with colours, which the stream drops where it is no terminal.
pub fn render(report: &PlanReport) -> String {
    let mut text = header(report);
    for file in &report.files {
        text.push('\n');
        text.push_str(&render_file(file));
    }
    if !report.files.is_empty() {
        text.push('\n');
    }
    text.push_str(&footer(report));
    text
}

fn header(report: &PlanReport) -> String {
    let traced_on = match report.traced_on.as_str() {
        "" => String::new(),
        engine => format!("{engine}, with no rows but those that the migrations write"),
    };
    let database = if report.database.is_empty() { "none: an empty one is assumed" } else { &report.database };
    header::render(&[
        ("database", database),
        ("server", &format!("PostgreSQL {}", report.server)),
        ("files", &report.project),
        ("lock", &report.lock),
        ("traced on", &traced_on),
    ])
}

fn render_file(file: &PlannedFile) -> String {
    let name = file.path.rsplit(['/', '\\']).next().unwrap_or(&file.path);
    let mut text = format!("  {DOUBT}pending{DOUBT:#}  {TITLE}{name}{TITLE:#}");
    if let Some(elapsed) = file.elapsed {
        text.push_str(&format!("  {QUIET}{}{QUIET:#}", milliseconds(elapsed)));
    }
    text.push('\n');
    for statement in &file.statements {
        text.push_str(&render_statement(name, statement));
    }
    text.push_str(&kept(file));
    let changes: Vec<_> = file
        .statements
        .iter()
        .flat_map(|statement| statement.effect.security.iter().map(|change| (statement.line, change)))
        .collect();
    if changes.is_empty() {
        return text;
    }
    text.push_str(&format!("    {TITLE}row security, grants and policies{TITLE:#}\n"));
    for (line, change) in changes {
        let place = format!("{QUIET}{name}:{line}{QUIET:#}");
        let sign = if change.opens.is_some() { format!("{BAD}!{BAD:#}") } else { format!("{GOOD}.{GOOD:#}") };
        text.push_str(&format!("     {sign} {}: {}  {place}\n", change.object, short(&change.change)));
        if let Some(why) = &change.opens {
            text.push_str(&format!("       {BAD}opens{BAD:#}: {why}\n"));
        }
    }
    text
}

/// The beginning of what the statement above says in full.
fn short(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{} …", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// What a file holds up until it ends: said where more than the statement itself follows.
fn kept(file: &PlannedFile) -> String {
    let last = file.statements.last().map_or(0, |statement| statement.line);
    let kept: Vec<_> = file.kept().into_iter().filter(|lock| lock.line < last).collect();
    if kept.is_empty() {
        return String::new();
    }
    let mut text = format!("    {TITLE}one transaction: locks are kept until the file ends{TITLE:#}\n");
    for lock in kept {
        let blocks = lock.mode.blocks();
        let style = if blocks == Blocks::ReadsAndWrites { BAD } else { DOUBT };
        let word = blocks.word();
        text.push_str(&format!(
            "       {}: {style}no {}{style:#} from line {} on\n",
            lock.relation,
            word.replace("and", "or"),
            lock.line
        ));
    }
    text
}

fn render_statement(name: &str, statement: &PlannedStatement) -> String {
    let mut text = String::new();
    let mut lines = statement.sql.lines();
    for (index, line) in lines.by_ref().take(LINES).enumerate() {
        let sign = if index == 0 { format!("{GOOD}->{GOOD:#} ") } else { "   ".to_owned() };
        text.push_str(format!("    {sign}{line}").trim_end());
        text.push('\n');
    }
    let rest = lines.count();
    if rest > 0 {
        text.push_str(&format!("       {QUIET}… {rest} more lines{QUIET:#}\n"));
    }
    let mut said: Vec<String> = Vec::new();
    let (reading, others): (Vec<_>, Vec<_>) = statement.effect.locks.iter().partition(|lock| is_reading(lock));
    said.extend(others.into_iter().map(render_lock));
    if !reading.is_empty() {
        let names: Vec<&str> = reading.iter().map(|lock| lock.relation.as_str()).collect();
        said.push(format!("reads {}: blocks nobody", names.join(", ")));
    }
    if let Some(why) = &statement.effect.unknown {
        said.push(format!("{DOUBT}unknown{DOUBT:#} what more it does: {why}"));
    }
    if let Some(what) = statement.outside {
        said.push(format!("{what}: runs without a transaction"));
    }
    if said.is_empty() {
        said.push("locks no table".to_owned());
    }
    said.extend(statement.effect.notes.iter().map(|note| format!("{QUIET}note:{QUIET:#} {note}")));
    if let Some(traced) = &statement.traced {
        said.push(render_trace(traced));
        said.extend(traced.mismatches.iter().map(|what| format!("{DOUBT}warning{DOUBT:#}: {what}")));
    }
    text.push_str(&format!("       {QUIET}{name}:{}{QUIET:#}\n", statement.line));
    for one in said {
        text.push_str(&format!("       {one}\n"));
    }
    text
}

fn is_reading(lock: &TableLock) -> bool {
    lock.mode == LockMode::AccessShare && lock.scan.is_none() && lock.rewrite.is_none()
}

fn render_lock(lock: &TableLock) -> String {
    let kind = if lock.kind == "table" || lock.kind.is_empty() { String::new() } else { format!("{} ", lock.kind) };
    if let Some(file) = &lock.made_by {
        return format!("{kind}{} is new in {file}: blocks nobody", lock.relation);
    }
    let Some(blocks) = lock.blocks() else {
        return format!("{} is not in the database: blocks nobody", lock.relation);
    };
    let style = match blocks {
        Blocks::ReadsAndWrites => BAD,
        Blocks::Writes => DOUBT,
        Blocks::SchemaChanges => GOOD,
    };
    let size = lock.size.map(|size| format!(" ({})", render_size(size))).unwrap_or_default();
    let mut text =
        format!("{style}{}{style:#} on {kind}{}{size}: blocks {}", lock.mode.word(), lock.relation, blocks.word());
    if let Some(why) = &lock.rewrite {
        text.push_str(&format!("\n         {BAD}rewrites it{BAD:#}: {why}"));
    }
    if let Some(why) = &lock.scan {
        text.push_str(&format!("\n         {DOUBT}scans it{DOUBT:#}: {why}"));
    }
    text
}

/// `48 MB, about 310,000 rows`.
pub(crate) fn render_size(size: Size) -> String {
    let rows = match size.rows {
        Some(1) => "about 1 row".to_owned(),
        Some(rows) => format!("about {} rows", grouped(rows)),
        None => "rows never counted".to_owned(),
    };
    format!("{}, {rows}", bytes(size.bytes))
}

fn bytes(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    if size < 10.0 && unit > 0 { format!("{size:.1} {}", units[unit]) } else { format!("{size:.0} {}", units[unit]) }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn milliseconds(elapsed: Duration) -> String {
    format!("{:.1} ms", elapsed.as_secs_f64() * 1000.0)
}

fn render_trace(traced: &Traced) -> String {
    let time = milliseconds(traced.elapsed);
    let Some(held) = &traced.held else { return format!("traced: {time}, its locks were gone at its end") };
    // The strongest tells; the weaker ones came first.
    let mut strongest: Vec<(&str, LockMode)> = Vec::new();
    for (name, mode) in held {
        match strongest.iter_mut().find(|(one, _)| one == name) {
            Some((_, most)) => *most = (*most).max(*mode),
            None => strongest.push((name, *mode)),
        }
    }
    let locks: Vec<String> = strongest.iter().map(|(name, mode)| format!("{} on {name}", mode.word())).collect();
    let locks = if locks.is_empty() { String::new() } else { format!(", took {}", locks.join(", ")) };
    let rewritten = match traced.rewritten.as_slice() {
        [] => String::new(),
        names => format!("; rewrote {}", names.join(", ")),
    };
    format!("traced: {time}{locks}{rewritten}")
}

fn footer(report: &PlanReport) -> String {
    let mut text = format!("{TITLE}{} pending{TITLE:#}, {} applied", report.files.len(), report.applied);
    if report.beyond > 0 {
        text.push_str(&format!(", {} beyond --to", report.beyond));
    }
    if report.files.is_empty() {
        return text + "; nothing to do\n";
    }
    let summary = report.summary();
    let counts = [
        (summary.block_reads, "blocks reads and writes", "block reads and writes", BAD),
        (summary.block_writes, "blocks writes", "block writes", DOUBT),
        (summary.rewrites, "rewrites a table", "rewrite a table", BAD),
        (summary.unknown, "is not fully known", "are not fully known", DOUBT),
    ];
    let parts: Vec<String> = counts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many, style)| format!("{style}{count} {}{style:#}", if count == 1 { one } else { many }))
        .collect();
    let word = if summary.statements == 1 { "statement" } else { "statements" };
    let parts = if parts.is_empty() { format!("{GOOD}none holds up anybody{GOOD:#}") } else { parts.join(", ") };
    text.push_str(&format!("\n{} {word}: {parts}\n", summary.statements));
    if summary.opening > 0 {
        let change = if summary.opening == 1 { "change" } else { "changes" };
        text.push_str(&format!("{BAD}{} {change}{BAD:#} may let someone see or do more: marked !\n", summary.opening));
    }
    if summary.mismatches > 0 {
        text.push_str(&format!(
            "{DOUBT}{} predicted otherwise than traced{DOUBT:#}: marked warning\n",
            summary.mismatches
        ));
    }
    let to = report.files.last().filter(|_| report.beyond > 0).map(|file| format!(" --to {}", file.version));
    let to = to.unwrap_or_default();
    if report.traced_on.is_empty() {
        text.push_str(&format!(
            "next: chartchek-db migrate{to}; --plan --trace tries it on a scratch database first\n"
        ));
    } else {
        text.push_str(&format!("next: chartchek-db migrate{to}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        assert_eq!(render_size(Size { bytes: 8192, rows: None }), "8 kB, rows never counted");
        assert_eq!(render_size(Size { bytes: 50_331_648, rows: Some(310_000) }), "48 MB, about 310,000 rows");
        assert_eq!(render_size(Size { bytes: 1_610_612_736, rows: Some(1) }), "1.5 GB, about 1 row");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
    }
}
