//! The lines at the top of what a command prints: which database, which server, which files.

use anstyle::Style;

const QUIET: Style = Style::new().dimmed();

/// A line for each name that has a value.
pub fn render(lines: &[(&str, &str)]) -> String {
    lines
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{QUIET}{name:<9}{QUIET:#} {value}\n"))
        .collect()
}
