//! Small questions to a statement's parse tree: children, words, names.

use squawk_syntax::{SyntaxKind, SyntaxNode};

/// The first child of that kind.
pub(crate) fn child(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.children().find(|child| child.kind() == kind)
}

/// The first node of that kind, however deep.
pub(crate) fn find(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    all(node, kind).next()
}

/// All nodes of that kind, however deep.
pub(crate) fn all(node: &SyntaxNode, kind: SyntaxKind) -> impl Iterator<Item = SyntaxNode> {
    node.descendants().filter(move |one| one.kind() == kind)
}

/// Whether a node or word of that kind stands somewhere in it.
pub(crate) fn has(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    node.descendants_with_tokens().any(|element| element.kind() == kind)
}

/// Whether the word stands in the node itself, not in a part of it.
pub(crate) fn has_word(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    node.children_with_tokens().any(|element| element.kind() == kind)
}

/// The words and signs, as they are written, without comments.
fn tokens(node: &SyntaxNode) -> impl Iterator<Item = String> {
    node.descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| !token.kind().is_trivia())
        .map(|token| token.text().to_owned())
}

/// The parts of a name, folded as PostgreSQL folds them.
pub(crate) fn parts(node: &SyntaxNode) -> Vec<String> {
    tokens(node).filter(|token| token != ".").map(|token| unquoted(&token)).collect()
}

/// A name of one part; empty where there is none.
pub(crate) fn name(node: Option<SyntaxNode>) -> String {
    node.and_then(|node| parts(&node).pop()).unwrap_or_default()
}

fn unquoted(token: &str) -> String {
    match token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => token.to_lowercase(),
    }
}

/// The text on one line, without comments.
pub(crate) fn text(node: &SyntaxNode) -> String {
    let mut text = String::new();
    let mut space = false;
    for token in node.descendants_with_tokens().filter_map(|element| element.into_token()) {
        if token.kind().is_trivia() {
            space = true;
        } else if token.kind() != SyntaxKind::SEMICOLON {
            if space && !text.is_empty() {
                text.push(' ');
            }
            text.push_str(token.text());
            space = false;
        }
    }
    text
}
