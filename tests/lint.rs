//! Lints find their bad example exactly once and nothing in their good one: `fixtures/lint/<name>/`.

#[path = "lint/command.rs"]
mod command;
#[path = "lint/examples.rs"]
mod examples;
mod support;
#[path = "lint/texts.rs"]
mod texts;
