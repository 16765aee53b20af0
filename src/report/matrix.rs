//! The access matrix as text: a line for each table and actor, a column for each standing, a sign for each command.

use crate::model::access::{Command, Standing};
use crate::model::attempt::{Attempt, Outcome, Verdict};
use std::fmt::Write;

/// What the signs mean, as one line.
pub const LEGEND: &str = "S select, I insert, U update, D delete, T truncate: allowed as promised;  - denied;  . no grant;  \
                          ! leak;  x over-denial;  ? inconclusive";

/// The matrix. A cell has a sign for each of the five commands; a blank sign was not tried.
pub fn render(attempts: &[Attempt]) -> String {
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for attempt in attempts {
        let row = (attempt.table.as_str(), attempt.actor.as_str());
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let standings: Vec<Standing> = Standing::ALL
        .into_iter()
        .filter(|standing| attempts.iter().any(|attempt| attempt.standing == *standing))
        .collect();
    let table_width = rows.iter().map(|(table, _)| table.chars().count()).max().unwrap_or(0).max("table".len());
    let actor_width = rows.iter().map(|(_, actor)| actor.chars().count()).max().unwrap_or(0).max("actor".len());
    let mut text = format!("{:table_width$}  {:actor_width$}", "table", "actor");
    for standing in &standings {
        let _infallible = write!(text, "  {:6}", standing.word());
    }
    let mut text = format!("{}\n", text.trim_end());
    let mut last = "";
    for (table, actor) in rows {
        let shown = if table == last { "" } else { table };
        last = table;
        let mut line = format!("{shown:table_width$}  {actor:actor_width$}");
        for standing in &standings {
            let cell: String =
                Command::ALL.iter().map(|command| sign(attempts, table, actor, *standing, *command)).collect();
            let _infallible = write!(line, "  {cell:6}");
        }
        let _infallible = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The worst verdict of the attempts on one cell, as a sign.
fn sign(attempts: &[Attempt], table: &str, actor: &str, standing: Standing, command: Command) -> char {
    let of_cell = attempts.iter().filter(|attempt| {
        attempt.table == table && attempt.actor == actor && attempt.standing == standing && attempt.command == command
    });
    let Some(worst) = of_cell.clone().map(|attempt| attempt.verdict).max() else { return ' ' };
    match worst {
        Verdict::Leak => '!',
        Verdict::Inconclusive => '?',
        Verdict::OverDenial => 'x',
        Verdict::Held if of_cell.clone().any(|attempt| attempt.outcome == Outcome::Done) => {
            command.word().chars().next().map_or(' ', |first| first.to_ascii_uppercase())
        }
        Verdict::Held if of_cell.clone().all(|attempt| attempt.outcome == Outcome::RefusedGrant) => '.',
        Verdict::Held => '-',
    }
}
