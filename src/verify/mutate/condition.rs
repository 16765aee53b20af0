//! A policy's condition changed in one place, on its parse tree.

use super::matter::Matter;
use crate::db::quote::readable_identifier;
use crate::model::access::TableName;
use squawk_syntax::{SyntaxKind as Kind, SyntaxNode};
use std::collections::{BTreeMap, BTreeSet};

/// A condition with one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changed {
    /// What was changed, for people: `t.user_id = ( SELECT auth.uid() AS uid) became true`.
    pub(super) what: String,
    /// The whole condition.
    pub(super) text: String,
}

/// A condition, parsed.
#[derive(Debug)]
pub(super) struct Condition {
    text: String,
    root: SyntaxNode,
    /// Where the condition begins in what was parsed.
    start: usize,
}

impl Condition {
    /// Parses a condition as the server writes it; `None` where it is not understood.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parsed = squawk_syntax::SourceFile::parse(&format!("SELECT {text}"));
        if !parsed.errors().is_empty() {
            return None;
        }
        let tree = parsed.syntax_node();
        let root = tree.descendants().find(|node| node.kind() == Kind::TARGET)?.children().next()?;
        let start = usize::from(root.text_range().start());
        (root.text().to_string().trim() == text.trim()).then(|| Self { text: text.trim().to_owned(), root, start })
    }

    /// One operand of each AND in place of the whole: once without the left, once without the right.
    pub(super) fn conjuncts_dropped(&self) -> Vec<Changed> {
        self.operands_dropped(Kind::AND_KW)
    }

    /// One operand of each OR in place of the whole.
    pub(super) fn disjuncts_dropped(&self) -> Vec<Changed> {
        self.operands_dropped(Kind::OR_KW)
    }

    /// Each AND as OR.
    pub(super) fn and_to_or(&self) -> Vec<Changed> {
        let joined = self.root.descendants().filter(|node| joins(node, Kind::AND_KW));
        joined
            .filter_map(|node| {
                let (left, right) = sides(&node)?;
                Some(self.with(&node, &format!("{} OR {}", left.text(), right.text())))
            })
            .collect()
    }

    /// `OR true` to the condition of each sub-select, and to each operand of AND.
    pub(super) fn or_true(&self) -> Vec<Changed> {
        let wheres = self.root.descendants().filter(|node| node.kind() == Kind::WHERE_CLAUSE);
        let wheres = wheres.filter_map(|clause| clause.children().next());
        let operands = self.root.descendants().filter(|node| joins(node, Kind::AND_KW)).filter_map(|node| sides(&node));
        let operands = operands.flat_map(|(left, right)| [left, right]);
        // A conjunct OR true is that conjunct dropped, which has an operator of its own.
        let known: BTreeSet<String> = self.conjuncts_dropped().into_iter().map(|changed| changed.text).collect();
        wheres
            .chain(operands)
            .map(|node| self.with(&node, &format!("({} OR true)", node.text())))
            .filter(|changed| !known.contains(&changed.text))
            .collect()
    }

    /// Each comparison with `=`, one side in place of the other: true wherever that side is not NULL.
    pub(super) fn compared_with_itself(&self) -> Vec<Changed> {
        let mut changed = Vec::new();
        for node in self.equalities() {
            if let Some((left, right)) = sides(&node) {
                changed.extend(
                    [&left, &right]
                        .into_iter()
                        .filter(|side| names_column(side))
                        .map(|side| self.with(&node, &format!("{0} = {0}", side.text()))),
                );
            }
        }
        changed
    }

    /// Each `a = b` as `a IS NOT DISTINCT FROM b`: NULL equals NULL.
    pub(super) fn not_distinct(&self) -> Vec<Changed> {
        let equal = self.equalities().filter_map(|node| {
            let (left, right) = sides(&node)?;
            // `= ANY (…)` has no such form.
            let any = right.descendants().any(|inner| inner.kind() == Kind::ANY_FN);
            (!any).then(|| self.with(&node, &format!("{} IS NOT DISTINCT FROM {}", left.text(), right.text())))
        });
        equal.collect()
    }

    /// Each operand in a sub-select's condition that ties it to the row outside, as `true`.
    pub(super) fn uncorrelated(&self, table: &TableName) -> Vec<Changed> {
        let mut changed = Vec::new();
        for clause in self.root.descendants().filter(|node| node.kind() == Kind::WHERE_CLAUSE) {
            let ties = clause.descendants().filter(|node| {
                node.kind() == Kind::BIN_EXPR
                    && !joins(node, Kind::AND_KW)
                    && !joins(node, Kind::OR_KW)
                    && qualifiers(node).contains(&table.name)
                    && node.ancestors().find(|outer| outer.kind() == Kind::WHERE_CLAUSE).as_ref() == Some(&clause)
            });
            changed.extend(ties.map(|node| self.with(&node, "true")));
        }
        changed
    }

    /// Each column that is named, as every other column of its table that has its type.
    pub(super) fn columns_swapped(&self, table: &TableName, matter: &Matter) -> Vec<Changed> {
        let aliases = self.aliases();
        let mut changed = Vec::new();
        for node in self.root.descendants() {
            let (owner, name, qualifier) = match node.kind() {
                Kind::FIELD_EXPR if is_column(&node) => {
                    let parts: Vec<String> = identifiers(&node);
                    let [.., qualifier, column] = parts.as_slice() else { continue };
                    let owner =
                        if *qualifier == table.name { Some(table.clone()) } else { aliases.get(qualifier).cloned() };
                    (owner, column.clone(), Some(qualifier.clone()))
                }
                Kind::NAME_REF if is_column(&node) => (Some(table.clone()), identifiers(&node).concat(), None),
                _ => continue,
            };
            let Some(owner) = owner else { continue };
            let columns = matter.columns(&owner);
            let Some((_, kind)) = columns.iter().find(|(column, _)| *column == name) else { continue };
            for (other, _) in columns.iter().filter(|(column, other)| other == kind && *column != name) {
                let column = readable_identifier(other);
                let text = qualifier
                    .as_ref()
                    .map_or_else(|| column.clone(), |qualifier| format!("{}.{column}", readable_identifier(qualifier)));
                changed.push(self.with(&node, &text));
            }
        }
        changed
    }

    /// The names that sub-selects give their tables, where the schema is written out or is public.
    fn aliases(&self) -> BTreeMap<String, TableName> {
        let items = self.root.descendants().filter(|node| node.kind() == Kind::RELATION_FROM_ITEM);
        items
            .filter_map(|item| {
                let path = item.children().find(|node| node.kind() == Kind::RELATION_NAME_REF)?;
                let (schema, name) = match identifiers(&path).as_slice() {
                    [name] => ("public".to_owned(), name.clone()),
                    [schema, name] => (schema.clone(), name.clone()),
                    _ => return None,
                };
                let alias = item.children().find(|node| node.kind() == Kind::FROM_ALIAS);
                let alias =
                    alias.and_then(|alias| identifiers(&alias).first().cloned()).unwrap_or_else(|| name.clone());
                Some((alias, TableName { schema, name }))
            })
            .collect()
    }

    fn operands_dropped(&self, word: Kind) -> Vec<Changed> {
        let joined = self.root.descendants().filter(|node| joins(node, word));
        let dropped = joined.filter_map(|node| {
            let (left, right) = sides(&node)?;
            Some([self.with(&node, &left.text().to_string()), self.with(&node, &right.text().to_string())])
        });
        dropped.flatten().collect()
    }

    fn equalities(&self) -> impl Iterator<Item = SyntaxNode> {
        self.root.descendants().filter(|node| {
            node.kind() == Kind::BIN_EXPR && node.children_with_tokens().any(|child| child.kind() == Kind::EQ)
        })
    }

    fn with(&self, node: &SyntaxNode, text: &str) -> Changed {
        let from = usize::from(node.text_range().start()) - self.start;
        let to = usize::from(node.text_range().end()) - self.start;
        let (before, after) = (self.text.get(..from).unwrap_or_default(), self.text.get(to..).unwrap_or_default());
        let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        Changed {
            what: format!("{} became {}", line(&node.text().to_string()), line(text)),
            text: format!("{before}{text}{after}"),
        }
    }
}

fn joins(node: &SyntaxNode, word: Kind) -> bool {
    node.kind() == Kind::BIN_EXPR && node.children_with_tokens().any(|child| child.kind() == word)
}

fn sides(node: &SyntaxNode) -> Option<(SyntaxNode, SyntaxNode)> {
    let mut children = node.children();
    Some((children.next()?, children.next()?))
}

/// Whether a name is a column: not a function's, not a type's, not a part of a longer name, not an alias that is given.
fn is_column(node: &SyntaxNode) -> bool {
    node.parent().is_none_or(|parent| match parent.kind() {
        Kind::FIELD_EXPR => false,
        // The name of the function, and not an argument, which stands in the list.
        Kind::CALL_EXPR => false,
        _ => true,
    })
}

fn names_column(node: &SyntaxNode) -> bool {
    node.descendants().any(|inner| matches!(inner.kind(), Kind::FIELD_EXPR | Kind::NAME_REF) && is_column(&inner))
        && !node.descendants().any(|inner| matches!(inner.kind(), Kind::SELECT | Kind::ANY_FN | Kind::ALL_FN))
}

fn qualifiers(node: &SyntaxNode) -> BTreeSet<String> {
    let fields = node.descendants().filter(|inner| inner.kind() == Kind::FIELD_EXPR && is_column(inner));
    fields.filter_map(|field| identifiers(&field).into_iter().rev().nth(1)).collect()
}

/// The identifiers in a node, without their quotes.
fn identifiers(node: &SyntaxNode) -> Vec<String> {
    let tokens = node.descendants_with_tokens().filter_map(|element| element.into_token());
    tokens
        .filter(|token| {
            !token.kind().is_trivia() && token.text().starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '"')
        })
        .map(|token| match token.text().strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(inner) => inner.replace("\"\"", "\""),
            None => token.text().to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXISTS: &str = "(EXISTS ( SELECT 1\n   FROM chat_threads t\n  WHERE ((t.id = m.thread_id) AND (t.user_id = ( SELECT auth.uid() AS uid)))))";

    fn table() -> TableName {
        TableName { schema: "public".to_owned(), name: "m".to_owned() }
    }

    fn texts(changed: Vec<Changed>) -> Vec<String> {
        changed.into_iter().map(|one| one.text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    fn parse(text: &str) -> Condition {
        Condition::parse(text).unwrap_or_else(|| panic!("not understood: {text}"))
    }

    #[test]
    fn a_conjunct_goes_or_becomes_a_disjunct() {
        let condition = parse("((a = 1) AND ((b IS NULL) OR (c = d)))");
        assert_eq!(texts(condition.conjuncts_dropped()), ["((a = 1))", "(((b IS NULL) OR (c = d)))"]);
        assert_eq!(texts(condition.disjuncts_dropped()), ["((a = 1) AND ((b IS NULL)))", "((a = 1) AND ((c = d)))"]);
        assert_eq!(texts(condition.and_to_or()), ["((a = 1) OR ((b IS NULL) OR (c = d)))"]);
    }

    #[test]
    fn a_sub_select_loses_its_tie() {
        let condition = parse(EXISTS);
        assert_eq!(texts(condition.conjuncts_dropped()).len(), 2);
        assert_eq!(
            texts(condition.uncorrelated(&table())),
            ["(EXISTS ( SELECT 1 FROM chat_threads t WHERE ((true) AND (t.user_id = ( SELECT auth.uid() AS uid)))))"]
        );
        assert!(texts(condition.compared_with_itself()).contains(
            &"(EXISTS ( SELECT 1 FROM chat_threads t WHERE ((t.id = t.id) AND (t.user_id = ( SELECT auth.uid() AS uid)))))"
                .to_owned()
        ));
        assert_eq!(condition.not_distinct().len(), 2);
    }

    #[test]
    fn columns_are_swapped_for_those_of_their_type() {
        let columns = serde_json::json!({
            "tables": [], "policies": [], "functions": [], "triggers": [], "keys": [],
            "columns": [
                {"schema": "public", "table": "m", "columns": [["thread_id", "uuid"], ["id", "uuid"], ["n", "int"]]},
                {"schema": "public", "table": "chat_threads", "columns": [["id", "uuid"], ["user_id", "uuid"]]},
            ]
        });
        let matter: Matter = serde_json::from_value(columns).unwrap_or_default();
        assert_eq!(parse("(thread_id = auth.uid())").columns_swapped(&table(), &matter).len(), 1);
        let swapped = texts(parse(EXISTS).columns_swapped(&table(), &matter));
        assert_eq!(swapped.len(), 3, "{swapped:?}");
        assert!(swapped[0].contains("t.user_id = m.thread_id"), "{swapped:?}");
    }

    #[test]
    fn what_is_not_understood_is_not_changed() {
        assert!(Condition::parse("a = )").is_none());
    }
}
