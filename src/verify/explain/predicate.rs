//! A policy's condition as a tree of AND, OR and NOT over parts, with SQL's three values; and what of it decides.

use crate::model::explanation::Truth;
use squawk_syntax::{SyntaxKind as Kind, SyntaxNode};
use std::collections::BTreeSet;

/// How parts are put together; parts by their place in the condition.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tree {
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Not(Box<Tree>),
    Atom(usize),
}

/// A condition, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Predicate {
    tree: Tree,
    /// The parts, in the condition's order.
    pub(crate) atoms: Vec<String>,
}

/// Takes a condition apart, as the server writes it. What the parser does not understand is one part.
pub(crate) fn parse(condition: &str) -> Predicate {
    let mut atoms = Vec::new();
    let tree = expression(condition).map(|node| build(&node, &mut atoms));
    match tree {
        Some(tree) => Predicate { tree, atoms },
        None => Predicate { tree: Tree::Atom(0), atoms: vec![condition.to_owned()] },
    }
}

impl Predicate {
    /// What it is where its parts are that.
    pub(crate) fn value(&self, atoms: &[Truth]) -> Truth {
        value(&self.tree, atoms)
    }

    /// The parts for which it is what it is: those that would have to be something else.
    pub(crate) fn deciding(&self, atoms: &[Truth]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        deciding(&self.tree, atoms, &mut found);
        found
    }
}

/// For each condition that the outermost sub-select of `atom` joins with AND: its text, and `atom` without it.
pub(crate) fn without_each(atom: &str) -> Vec<(String, String)> {
    let Some(node) = expression(atom) else { return Vec::new() };
    let Some(condition) = node.descendants().find(|node| node.kind() == Kind::WHERE_CLAUSE) else { return Vec::new() };
    let mut parts = Vec::new();
    if let Some(condition) = condition.children().next() {
        joined(&condition, &mut parts);
    }
    let start = usize::from(node.text_range().start());
    let text = node.text().to_string();
    let without = |part: &SyntaxNode| {
        let from = usize::from(part.text_range().start()) - start;
        let to = usize::from(part.text_range().end()) - start;
        Some(format!("{}true{}", text.get(..from)?, text.get(to..)?))
    };
    parts.iter().filter_map(|part| Some((bare(part).text().to_string(), without(part)?))).collect()
}

/// The expression of `SELECT <text>`; `None` where the text is not understood.
fn expression(text: &str) -> Option<SyntaxNode> {
    let parsed = squawk_syntax::SourceFile::parse(&format!("SELECT {text}"));
    if !parsed.errors().is_empty() {
        return None;
    }
    let root = parsed.syntax_node();
    let target = root.descendants().find(|node| node.kind() == Kind::TARGET)?;
    let node = target.children().next()?;
    // All of it, or it was not one expression.
    (node.text().to_string().trim() == text.trim()).then_some(node)
}

/// Without the parentheses around it; a sub-select keeps its own.
fn bare(node: &SyntaxNode) -> SyntaxNode {
    let mut node = node.clone();
    while node.kind() == Kind::PAREN_EXPR {
        match node.children().next() {
            Some(inner) if !matches!(inner.kind(), Kind::SELECT | Kind::COMPOUND_SELECT | Kind::VALUES) => node = inner,
            _ => break,
        }
    }
    node
}

/// Whether AND or OR joins its two sides.
fn joins(node: &SyntaxNode, word: Kind) -> bool {
    node.kind() == Kind::BIN_EXPR && node.children_with_tokens().any(|child| child.kind() == word)
}

/// What AND joins, however deep.
fn joined(node: &SyntaxNode, parts: &mut Vec<SyntaxNode>) {
    let inner = bare(node);
    if joins(&inner, Kind::AND_KW) {
        inner.children().for_each(|side| joined(&side, parts));
    } else {
        parts.push(node.clone());
    }
}

fn build(node: &SyntaxNode, atoms: &mut Vec<String>) -> Tree {
    let node = bare(node);
    let sides = |atoms: &mut Vec<String>| node.children().map(|side| build(&side, atoms)).collect::<Vec<_>>();
    if joins(&node, Kind::AND_KW) {
        return Tree::And(sides(atoms));
    }
    if joins(&node, Kind::OR_KW) {
        return Tree::Or(sides(atoms));
    }
    let negates =
        node.kind() == Kind::PREFIX_EXPR && node.children_with_tokens().any(|child| child.kind() == Kind::NOT_KW);
    if negates && let Some(inner) = node.children().next() {
        return Tree::Not(Box::new(build(&inner, atoms)));
    }
    atoms.push(node.text().to_string());
    Tree::Atom(atoms.len() - 1)
}

/// Left to right: what stands behind an error is reached only where what stands before does not settle it.
fn value(tree: &Tree, atoms: &[Truth]) -> Truth {
    let fold = |sides: &[Tree], settles: Truth, neutral: Truth| {
        let mut known = neutral;
        for side in sides {
            match value(side, atoms) {
                one if one == settles => return settles,
                Truth::Error => return Truth::Error,
                Truth::Null => known = Truth::Null,
                _ => {}
            }
        }
        known
    };
    match tree {
        Tree::And(sides) => fold(sides, Truth::False, Truth::True),
        Tree::Or(sides) => fold(sides, Truth::True, Truth::False),
        Tree::Not(inner) => match value(inner, atoms) {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            other => other,
        },
        Tree::Atom(place) => atoms.get(*place).copied().unwrap_or(Truth::Null),
    }
}

fn deciding(tree: &Tree, atoms: &[Truth], found: &mut BTreeSet<usize>) {
    let whole = value(tree, atoms);
    match tree {
        Tree::Atom(place) => {
            found.insert(*place);
        }
        Tree::Not(inner) => deciding(inner, atoms, found),
        Tree::And(sides) | Tree::Or(sides) => {
            let passes = whole == Truth::True;
            // Where it passes, what passes made it; where it does not, what does not pass stood in the way. An error
            // is its own reason.
            let counts =
                |one: Truth| if whole == Truth::Error { one == Truth::Error } else { (one == Truth::True) == passes };
            sides.iter().filter(|side| counts(value(side, atoms))).for_each(|side| deciding(side, atoms, found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Truth::{Error, False, Null, True};

    #[test]
    fn conditions_are_taken_apart() {
        for (condition, atoms) in [
            ("true", vec!["true"]),
            ("(user_id = ( SELECT auth.uid() AS uid))", vec!["user_id = ( SELECT auth.uid() AS uid)"]),
            ("((a = 1) AND ((b IS NULL) OR (NOT c)))", vec!["a = 1", "b IS NULL", "c"]),
            (
                "(EXISTS ( SELECT 1\n   FROM t\n  WHERE ((t.id = x.id) AND (t.owner = auth.uid()))))",
                vec!["EXISTS ( SELECT 1\n   FROM t\n  WHERE ((t.id = x.id) AND (t.owner = auth.uid())))"],
            ),
            ("((a >= 1) AND (a <= 5) AND (a <> 3))", vec!["a >= 1", "a <= 5", "a <> 3"]),
            ("(a BETWEEN 1 AND 5)", vec!["a BETWEEN 1 AND 5"]),
            ("(role = ANY (ARRAY['a'::text, 'b OR c'::text]))", vec!["role = ANY (ARRAY['a'::text, 'b OR c'::text])"]),
            ("this is )( no expression", vec!["this is )( no expression"]),
        ] {
            assert_eq!(parse(condition).atoms, atoms, "{condition}");
        }
    }

    #[test]
    fn three_values_and_what_decides() {
        let decided = |condition: &str, atoms: &[Truth]| {
            let predicate = parse(condition);
            (predicate.value(atoms), predicate.deciding(atoms).into_iter().collect::<Vec<_>>())
        };
        assert_eq!(decided("(a AND b)", &[True, Null]), (Null, vec![1]));
        assert_eq!(decided("(a AND b)", &[False, Null]), (False, vec![0, 1]));
        assert_eq!(decided("(a OR b)", &[False, True]), (True, vec![1]));
        assert_eq!(decided("(a OR b)", &[False, Null]), (Null, vec![0, 1]));
        assert_eq!(decided("(NOT a)", &[True]), (False, vec![0]));
        assert_eq!(decided("(NOT a)", &[Null]), (Null, vec![0]));
        assert_eq!(decided("(a OR b)", &[True, Error]), (True, vec![0]));
        assert_eq!(decided("(a AND b)", &[Error, False]), (Error, vec![0]));
        assert_eq!(decided("(a AND (b OR c))", &[True, False, False]), (False, vec![1, 2]));
    }

    #[test]
    fn a_sub_select_without_each_of_its_conditions() {
        let atom = "EXISTS ( SELECT 1 FROM t WHERE ((t.id = x.id) AND (t.owner = auth.uid())))";
        let parts = without_each(atom);
        assert_eq!(parts[0].0, "t.id = x.id");
        assert_eq!(parts[0].1, "EXISTS ( SELECT 1 FROM t WHERE (true AND (t.owner = auth.uid())))");
        assert_eq!(parts[1].0, "t.owner = auth.uid()");
        assert_eq!(parts.len(), 2);
        assert!(without_each("a = 1").is_empty());
    }
}
