//! What came of the mutants, for people: the score, what nothing noticed and what would have, and what nobody can notice.

use crate::model::mutation::{Fate, Mutated, Mutation};
use anstyle::{AnsiColor, Style};
use std::collections::BTreeMap;
use std::fmt::Write;

const BAD: Style = AnsiColor::Red.on_default().bold();
const DOUBT: Style = AnsiColor::Yellow.on_default().bold();
const QUIET: Style = Style::new().dimmed();

/// The part of a verification's report that tells of its mutants.
pub(super) fn render(mutation: &Mutation) -> String {
    let score = mutation.score().map_or_else(String::new, |score| format!("; score {:.1} %", 100.0 * score));
    let mut text = format!(
        "\n{} mutants in {:.1} s on {} database{}: {} killed, {} survived, {} equivalent, {} undecided{score}\n",
        mutation.mutants.len(),
        mutation.seconds,
        mutation.databases,
        if mutation.databases == 1 { "" } else { "s" },
        mutation.count(Fate::Killed),
        mutation.count(Fate::Survived),
        mutation.count(Fate::Equivalent),
        mutation.count(Fate::Undecided),
    );
    for (fate, style) in [(Fate::Survived, BAD), (Fate::Undecided, DOUBT)] {
        for mutant in of(mutation, fate) {
            let _infallible =
                writeln!(text, "  {style}{fate}{style:#} {}: {}: {}", mutant.operator, mutant.object, mutant.change);
            let _infallible = writeln!(text, "    {QUIET}{}: {}{QUIET:#}", mutant.about, mutant.statement);
            let told = mutant.differences.iter().map(|difference| format!("would be killed by: {difference}"));
            for line in told.chain((!mutant.why.is_empty()).then(|| mutant.why.clone())) {
                let _infallible = writeln!(text, "    {line}");
            }
        }
    }
    // The same reason is told once.
    let mut reasons: BTreeMap<&str, Vec<&Mutated>> = BTreeMap::new();
    for mutant in of(mutation, Fate::Equivalent) {
        reasons.entry(&mutant.why).or_default().push(mutant);
    }
    for (why, mutants) in reasons {
        let _infallible = writeln!(text, "  {QUIET}equivalent: {why}{QUIET:#}");
        for mutant in mutants {
            let _infallible = writeln!(text, "    {}: {}: {}", mutant.operator, mutant.object, mutant.change);
        }
    }
    if !mutation.small_world.is_empty() {
        let _infallible = writeln!(text, "  {QUIET}{}{QUIET:#}", mutation.small_world);
    }
    for opaque in &mutation.opaque {
        let _infallible = writeln!(text, "  {DOUBT}not changed{DOUBT:#} {opaque}: its condition was not understood");
    }
    text
}

fn of(mutation: &Mutation, fate: Fate) -> impl Iterator<Item = &Mutated> {
    mutation.mutants.iter().filter(move |mutant| mutant.fate == fate)
}
