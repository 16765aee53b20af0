//! SECURITY DEFINER functions whose names the caller can bend.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::{all, find, name, parts};
use squawk_syntax::{SyntaxKind as Is, SyntaxNode};

pub(super) const LINT: Lint = Lint {
    name: "definer-path-open",
    aliases: &[],
    severity: Severity::Error,
    condition: "A SECURITY DEFINER function has no search_path of its own, or one in which temporary tables come first.",
    effect: "Whoever calls it decides what its names mean: with a table of the same name in a schema of theirs, temporary ones among them, it works on that with its owner's rights",
    remedy: "SET search_path = '' and write every name with its schema; else name pg_temp last",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let kinds = [Is::CREATE_FUNCTION, Is::CREATE_PROCEDURE, Is::ALTER_FUNCTION, Is::ALTER_PROCEDURE];
    let nodes = file.foreseen.statements.iter().map(|one| &one.node).filter(|node| kinds.contains(&node.kind()));
    let nodes: Vec<&SyntaxNode> = nodes.collect();
    nodes
        .iter()
        .filter(|node| find(node, Is::SECURITY_DEFINER_FUNC_OPTION).is_some())
        .filter_map(|node| {
            let own = see::function(node);
            // ALTER FUNCTION … SET in the same file is as good.
            let mut paths = nodes.iter().filter(|other| see::function(other) == own).filter_map(|other| path(other));
            let why = match paths.next_back() {
                None => "it has no search_path of its own".to_owned(),
                Some(path) if path == [""] || path.last().is_some_and(|last| last == "pg_temp") => return None,
                Some(path) if path.iter().any(|one| one == "pg_temp") => {
                    "pg_temp is not last in its search_path".to_owned()
                }
                Some(path) => format!(
                    "its search_path is {}, and pg_temp, which is not in it, is searched first",
                    path.join(", ")
                ),
            };
            Some(file.hit(node, &own, format!("{own} runs as its owner: {why}")))
        })
        .collect()
}

/// The schemas in SET search_path.
fn path(node: &SyntaxNode) -> Option<Vec<String>> {
    let set = all(node, Is::SET_FUNC_OPTION).find(|set| name(find(set, Is::CONFIG_PARAMETER_REF)) == "search_path")?;
    let value = find(&set, Is::TO_CONFIG_VALUE);
    let words = value.map(|value| parts(&value)).unwrap_or_default();
    Some(
        words
            .iter()
            .filter(|word| ![",", "=", "to"].contains(&word.as_str()))
            .map(|word| word.trim_matches('\'').to_owned())
            .collect(),
    )
}
