//! Whether a column's new type or default writes the table anew.

use super::catalogue::{Catalogue, Column};
use super::tree;
use squawk_syntax::{SyntaxKind, SyntaxNode};

/// Why ALTER COLUMN … TYPE writes the table anew; `None` where the values stay as they are on disk
/// (PostgreSQL: ATColumnChangeRequiresRewrite, and the support functions of the length casts).
pub(super) fn rewrite(catalogue: &Catalogue, column: Option<&Column>, kind: &str, plain: bool) -> Option<String> {
    let Some(column) = column else { return Some("its present type is not known here".to_owned()) };
    if !plain {
        return Some(format!("USING computes each value of {} anew", column.kind));
    }
    let (old, old_modifiers) = split(&column.kind);
    let written = split(kind).1;
    let because = Some(format!("{} to {kind}", column.kind));
    let Some(found) = catalogue.types.get(kind) else { return because };
    if found.constrained {
        return Some(format!("{kind} is a domain that checks each value"));
    }
    let (new, new_modifiers) = match &found.base {
        Some(base) => split(base),
        None => (found.name.clone(), written),
    };
    if old == new {
        return if keeps(&old, &old_modifiers, &new_modifiers) { None } else { because };
    }
    let zones = ["timestamp without time zone", "timestamp with time zone"];
    if catalogue.utc && zones.contains(&old.as_str()) && zones.contains(&new.as_str()) {
        return if old_modifiers == new_modifiers { None } else { because };
    }
    let coercible = catalogue.coercible.contains(&(old, new));
    if coercible && new_modifiers.is_empty() { None } else { because }
}

/// Whether values of the same type fit a new modifier without being looked at.
fn keeps(kind: &str, old: &[i32], new: &[i32]) -> bool {
    match (kind, old, new) {
        (_, old, new) if old == new => true,
        ("character varying" | "bit varying", _, []) => true,
        ("character varying" | "bit varying", [old], [new]) => new >= old,
        ("numeric", _, []) => true,
        ("numeric", [old, old_scale @ ..], [new, new_scale @ ..]) => {
            new >= old && old_scale.first().unwrap_or(&0) == new_scale.first().unwrap_or(&0)
        }
        (kind, _, []) if kind.starts_with("time") => true,
        (kind, [old], [new]) if kind.starts_with("time") => new >= old,
        (kind, [], [6]) if kind.starts_with("time") => true,
        _ => false,
    }
}

/// `character varying(50)` is the name without the parentheses, and 50.
pub(super) fn split(kind: &str) -> (String, Vec<i32>) {
    let (Some(open), Some(close)) = (kind.find('('), kind.rfind(')')) else { return (kind.to_owned(), Vec::new()) };
    let name = format!("{}{}", kind[..open].trim_end(), &kind[close + 1..]);
    (name, kind[open + 1..close].split(',').filter_map(|number| number.trim().parse().ok()).collect())
}

/// Whether USING does no more than name the column, or there is none.
pub(super) fn is_plain(set_type: &SyntaxNode, column: &str) -> bool {
    tree::child(set_type, SyntaxKind::USING_EXPR).is_none_or(|using| {
        let text = tree::text(&using).to_lowercase();
        let Some((_, expression)) = text.split_once(' ') else { return false };
        let kind = type_of(set_type).to_lowercase();
        let column = column.to_lowercase();
        [column.clone(), format!("{column}::{kind}")].contains(&expression.replace('"', ""))
    })
}

/// The type that stands in ADD COLUMN or SET TYPE, on one line; empty where there is none.
pub(super) fn type_of(node: &SyntaxNode) -> String {
    use SyntaxKind as Kind;
    let kinds = [
        Kind::ARRAY_TYPE,
        Kind::PATH_TYPE,
        Kind::VARCHAR_TYPE,
        Kind::CHARACTER_TYPE,
        Kind::BIT_TYPE,
        Kind::BIT_VARYING_TYPE,
        Kind::DOUBLE_TYPE,
        Kind::TIME_TYPE,
        Kind::TIMESTAMP_TYPE,
        Kind::INTERVAL_TYPE,
    ];
    node.children().find(|child| kinds.contains(&child.kind())).map(|node| tree::text(&node)).unwrap_or_default()
}

/// A column as a statement writes it.
pub(super) fn column(catalogue: &Catalogue, node: &SyntaxNode) -> Column {
    let written = type_of(node);
    let modifiers = written.find('(').map_or("", |open| &written[open..]);
    let kind = catalogue.types.get(&written).map(|found| format!("{}{modifiers}", found.name));
    let has = |kind| tree::child(node, kind).is_some();
    let not_null = has(SyntaxKind::NOT_NULL_CONSTRAINT) || has(SyntaxKind::PRIMARY_KEY_CONSTRAINT);
    Column {
        kind: kind.unwrap_or(written),
        not_null,
        shown_not_null: false,
        checked: has(SyntaxKind::CHECK_CONSTRAINT),
    }
}

/// The column of which a CHECK says that it is not null, and nothing else.
pub(super) fn not_null_column(check: &SyntaxNode) -> Option<String> {
    let (_, condition) = tree::text(check).split_once('(').map(|(start, rest)| (start.to_owned(), rest.to_owned()))?;
    let column = tree::all(check, SyntaxKind::NAME_REF).next()?;
    let rest = condition.strip_prefix(&tree::text(&column))?.to_lowercase();
    (rest.split(')').next().map(str::trim) == Some("is not null")).then(|| tree::parts(&column).pop())?
}

/// The types that make a sequence.
pub(super) fn is_serial(kind: &str) -> bool {
    ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"].contains(&kind.to_lowercase().as_str())
}

/// The functions that an expression calls, by bare name.
pub(super) fn calls(node: &SyntaxNode) -> Vec<String> {
    tree::all(node, SyntaxKind::CALL_EXPR)
        .filter_map(|call| call.children().next().and_then(|name| tree::parts(&name).pop()))
        .collect()
}

/// The first function of an expression that may give another value for each row. One that is not known may.
pub(super) fn volatile(catalogue: &Catalogue, node: &SyntaxNode) -> Option<String> {
    calls(node).into_iter().find(|name| catalogue.functions.get(name).copied().unwrap_or(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_are_read_and_compared() {
        assert_eq!(split("timestamp(3) without time zone"), ("timestamp without time zone".to_owned(), vec![3]));
        assert_eq!(split("numeric(10, 2)"), ("numeric".to_owned(), vec![10, 2]));
        assert_eq!(split("text[]"), ("text[]".to_owned(), vec![]));
        assert!(keeps("character varying", &[50], &[100]) && keeps("character varying", &[50], &[]));
        assert!(!keeps("character varying", &[100], &[50]) && !keeps("character varying", &[], &[50]));
        assert!(keeps("numeric", &[10, 2], &[12, 2]) && keeps("numeric", &[10], &[12, 0]));
        assert!(!keeps("numeric", &[10, 2], &[12, 3]) && !keeps("numeric", &[], &[12, 3]));
        assert!(!keeps("character", &[5], &[6]));
    }
}
