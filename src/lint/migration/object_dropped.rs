//! A view, function, type or schema that is dropped.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::{parts, text};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "object-dropped",
    aliases: &["ban-drop-database"],
    severity: Severity::Warning,
    condition: "A view, function, type, sequence, schema, role or extension is dropped that the file neither made nor makes anew.",
    effect: "Whatever names it fails from that moment on",
    remedy: "Release code first that does not name it, then drop it, allow this lint over the statement and say why",
    see: Kind::Migration(check),
};

const DROPS: &[Is] = &[
    Is::DROP_VIEW,
    Is::DROP_MATERIALIZED_VIEW,
    Is::DROP_SEQUENCE,
    Is::DROP_FUNCTION,
    Is::DROP_PROCEDURE,
    Is::DROP_ROUTINE,
    Is::DROP_AGGREGATE,
    Is::DROP_TYPE,
    Is::DROP_DOMAIN,
    Is::DROP_SCHEMA,
    Is::DROP_EXTENSION,
    Is::DROP_ROLE,
    Is::DROP_USER,
    Is::DROP_GROUP,
    Is::DROP_OWNED,
    Is::DROP_PUBLICATION,
    Is::DROP_DATABASE,
];

const NAMES: &[Is] = &[
    Is::VIEW_REF,
    Is::SEQUENCE_REF,
    Is::FUNCTION_NAME_REF,
    Is::PROCEDURE_NAME_REF,
    Is::ROUTINE_NAME_REF,
    Is::TYPE_NAME_REF,
    Is::DOMAIN_REF,
    Is::SCHEMA_REF,
];

fn check(file: &File<'_>) -> Vec<Hit> {
    let statements = file.foreseen.statements.iter().map(|statement| &statement.node);
    statements
        .filter(|node| DROPS.contains(&node.kind()))
        .filter_map(|node| {
            let names: Vec<_> = node.descendants().filter(|one| NAMES.contains(&one.kind())).collect();
            let here = |name: &String| see::makes(file, name, node);
            let mut gone = names.iter().filter(|name| parts(name).last().is_none_or(|last| !here(last)));
            let object = match gone.next() {
                Some(name) => text(name),
                None if names.is_empty() => String::new(),
                None => return None,
            };
            Some(file.hit(node, object, format!("{} drops what the file does not make", text(node))))
        })
        .collect()
}
