//! What a statement changes in row security, policies, grants and owners, by name; and what of it may let someone see or
//! do more than before.

use super::Builder;
use super::catalogue::Catalogue;
use super::statement::in_schema;
use super::tree::{all, child, find, has, has_word, name, parts, text};
use crate::db::quote;
use crate::model::access::TableName;
use crate::model::plan::SecurityChange;
use squawk_syntax::{SyntaxKind as Kind, SyntaxNode};
use std::collections::BTreeSet;

/// Every role, and Supabase's for whoever reaches the API; the contract names others.
const API_ROLES: &[&str] = &["public", "anon", "authenticated"];

/// What changes are held against.
pub(super) struct Known<'a> {
    /// The tables on which pending files enable row security.
    pub(super) secured: BTreeSet<TableName>,
    /// Roles that whoever reaches the API has.
    pub(super) api_roles: &'a BTreeSet<String>,
}

impl Known<'_> {
    fn is_api(&self, role: &str) -> bool {
        API_ROLES.contains(&role) || self.api_roles.contains(role)
    }
}

/// Names of objects that rights stand on.
const OBJECTS: &[Kind] = &[
    Kind::TABLE_NAME_REF,
    Kind::RELATION_NAME_REF,
    Kind::SEQUENCE_REF,
    Kind::VIEW_REF,
    Kind::SCHEMA_REF,
    Kind::DATABASE_REF,
    Kind::DOMAIN_REF,
    Kind::LANGUAGE_REF,
    Kind::TYPE_NAME_REF,
    Kind::FUNCTION_SIG,
    Kind::PROCEDURE_SIG,
    Kind::ROUTINE_SIG,
    Kind::FOREIGN_DATA_WRAPPER_REF,
    Kind::SERVER_REF,
];

/// The tables on which the pending files enable row security: those that they make without it are open.
pub(super) fn secured(nodes: impl Iterator<Item = SyntaxNode>, catalogue: &Catalogue) -> BTreeSet<TableName> {
    nodes
        .filter(|node| node.kind() == Kind::ALTER_TABLE && has(node, Kind::ENABLE_RLS))
        .filter_map(|node| find(&node, Kind::TABLE_NAME_REF))
        .map(|name| catalogue.resolve(&parts(&name)))
        .collect()
}

/// The statement's changes.
pub(super) fn changes(build: &mut Builder<'_>, node: &SyntaxNode, known: &Known<'_>) -> Vec<SecurityChange> {
    match node.kind() {
        Kind::CREATE_POLICY | Kind::ALTER_POLICY | Kind::DROP_POLICY => vec![policy(build, node, known)],
        Kind::GRANT | Kind::REVOKE => grants(build, node, known),
        Kind::ALTER_DEFAULT_PRIVILEGES => vec![default_privileges(node, known)],
        Kind::CREATE_TABLE | Kind::CREATE_TABLE_AS => created_table(build, node, known),
        Kind::CREATE_VIEW | Kind::CREATE_MATERIALIZED_VIEW => created_view(build, node),
        Kind::CREATE_FUNCTION | Kind::CREATE_PROCEDURE | Kind::ALTER_FUNCTION | Kind::ALTER_PROCEDURE
            if has(node, Kind::SECURITY_DEFINER_FUNC_OPTION) =>
        {
            let name = node.descendants().find(|one| {
                [Kind::FUNCTION_NAME, Kind::PROCEDURE_NAME, Kind::FUNCTION_NAME_REF, Kind::PROCEDURE_NAME_REF]
                    .contains(&one.kind())
            });
            let why = "it is held by its owner's rights and not by the caller's; EXECUTE is PUBLIC's unless revoked";
            vec![change(format!("function {}", written(name)), "runs as its owner (SECURITY DEFINER)", Some(why))]
        }
        Kind::CREATE_ROLE | Kind::ALTER_ROLE | Kind::CREATE_USER | Kind::ALTER_USER => role(node),
        Kind::REASSIGN | Kind::DROP_OWNED => vec![change(text(node), "owners and rights of many objects", None)],
        Kind::ALTER_TABLE => row_security(build, node).chain(owner(build, node, known)).collect(),
        Kind::CREATE_SCHEMA => {
            let mut found = Vec::new();
            in_schema(build, node, |build, element| found.extend(changes(build, element, known)));
            found
        }
        _ => owner(build, node, known).collect(),
    }
}

fn change(object: String, change: impl Into<String>, opens: Option<&str>) -> SecurityChange {
    SecurityChange { object, change: change.into(), opens: opens.map(str::to_owned) }
}

/// A name as it is written.
fn written(node: Option<SyntaxNode>) -> String {
    node.map(|node| text(&node)).unwrap_or_default()
}

fn relation(build: &Builder<'_>, node: Option<SyntaxNode>) -> String {
    node.map(|node| quote::table(&build.named(&node))).unwrap_or_default()
}

fn policy(build: &Builder<'_>, node: &SyntaxNode, known: &Known<'_>) -> SecurityChange {
    let own = child(node, Kind::POLICY).or_else(|| child(node, Kind::POLICY_REF));
    let table = relation(build, find(node, Kind::TABLE_NAME_REF));
    let object = format!("policy {} on {table}", quote::readable_identifier(&name(own)));
    if node.kind() == Kind::DROP_POLICY {
        return change(
            object,
            "dropped",
            Some("if it was RESTRICTIVE, what it kept out comes in; else fewer rows are seen"),
        );
    }
    if let Some(renamed) = find(node, Kind::POLICY_RENAME_TO) {
        return change(object, format!("renamed to {}", name(child(&renamed, Kind::POLICY))), None);
    }
    let made = node.kind() == Kind::CREATE_POLICY;
    let command =
        child(node, Kind::POLICY_COMMAND).map_or("for all".to_owned(), |command| text(&command).to_lowercase());
    let roles = find(node, Kind::POLICY_ROLES);
    let to = match &roles {
        Some(roles) => text(roles).to_lowercase(),
        None if made => "to public".to_owned(),
        None => String::new(),
    };
    let restrictive =
        child(node, Kind::AS_POLICY_TYPE).is_some_and(|kind| text(&kind).to_lowercase().contains("restrictive"));
    let mut what = if made { format!("created {command} {to}") } else { format!("altered {to}").trim_end().to_owned() };
    if restrictive {
        what.push_str(", restrictive");
    }
    let mut open = Vec::new();
    for (kind, words) in
        [(Kind::USING_EXPR_CLAUSE, "USING (true)"), (Kind::WITH_CHECK_EXPR_CLAUSE, "WITH CHECK (true)")]
    {
        if let Some(clause) = find(node, kind) {
            what.push_str(&format!(", {}", text(&clause)));
            if is_true(&clause) {
                open.push(words);
            }
        }
    }
    let reachable = roles.as_ref().map_or(made, |roles| role_names(roles).iter().any(|role| known.is_api(role)));
    // A new table's first policies are what lets anybody in at all.
    let in_use = find(node, Kind::TABLE_NAME_REF).is_some_and(|table| build.in_use(&build.named(&table)));
    let why = match (restrictive, open.is_empty()) {
        (false, false) => Some(format!("{} takes every row", open.join(" and "))),
        (false, true) if made && reachable && in_use => {
            Some("permissive policies add up: rows that it takes come to those of the others".to_owned())
        }
        _ if !made => Some("compare it with the policy that it changes".to_owned()),
        _ => None,
    };
    SecurityChange { object, change: what, opens: why }
}

/// Whether the expression is `true` and nothing else.
fn is_true(clause: &SyntaxNode) -> bool {
    let text = text(clause).to_lowercase();
    text.split_once('(').is_some_and(|(_, expression)| expression.trim_matches(|c: char| "() ".contains(c)) == "true")
}

fn role_names(node: &SyntaxNode) -> Vec<String> {
    let mut names: Vec<String> = all(node, Kind::ROLE_REF).filter_map(|role| parts(&role).pop()).collect();
    names.dedup();
    names
}

/// Why rights of these roles open something.
fn opening(roles: &[String], known: &Known<'_>) -> Option<String> {
    let api: Vec<&str> = roles.iter().map(String::as_str).filter(|role| known.is_api(role)).collect();
    let who = match api.as_slice() {
        [] => return None,
        ["anon"] => "anon is everyone, without a login",
        ["authenticated"] => "authenticated is everyone with a login",
        roles if roles.contains(&"public") => "PUBLIC is every role, anon too",
        _ => "whoever reaches the API has these roles",
    };
    Some(who.to_owned())
}

fn grants(build: &Builder<'_>, node: &SyntaxNode, known: &Known<'_>) -> Vec<SecurityChange> {
    let grants = node.kind() == Kind::GRANT;
    let list = node.children().filter(|child| child.kind() == Kind::ROLE_REF_LIST).last();
    let roles = list.as_ref().map(role_names).unwrap_or_default();
    let shown: Vec<String> = roles.iter().map(|role| role_word(role)).collect();
    let rights =
        node.children().find(|child| [Kind::ALL_PRIVILEGES, Kind::REVOKE_COMMAND_LIST].contains(&child.kind()));
    let rights = rights.map(|rights| text(&rights)).unwrap_or_default();
    let what = match grants {
        true => format!("{rights} granted to {}", shown.join(", ")),
        false => format!("{rights} revoked from {}", shown.join(", ")),
    };
    let mut opens = if grants { opening(&roles, known) } else { None };
    let Some(on) = child(node, Kind::ON_PRIVILEGE_OBJECTS_CLAUSE) else {
        return vec![SecurityChange {
            object: format!("membership of {rights}"),
            change: if grants {
                format!("granted to {}", shown.join(", "))
            } else {
                format!("revoked from {}", shown.join(", "))
            },
            opens,
        }];
    };
    if has(node, Kind::GRANT_WITH_CLAUSE) && grants {
        opens = opens.map(|why| format!("{why}, and may grant it on"));
    }
    let all_in = on.descendants().any(|one| {
        text(&one).to_lowercase().starts_with("all ")
            && has(&one, Kind::SCHEMA_REF)
            && one.kind() != Kind::ON_PRIVILEGE_OBJECTS_CLAUSE
    });
    if all_in {
        let objects = text(&on).split_once(' ').map(|(_, rest)| rest.to_lowercase()).unwrap_or_default();
        return vec![SecurityChange { object: format!("grants on {objects}"), change: what, opens }];
    }
    let objects = outermost(&on);
    objects
        .into_iter()
        .map(|object| {
            let tables = [Kind::TABLE_NAME_REF, Kind::RELATION_NAME_REF, Kind::SEQUENCE_REF, Kind::VIEW_REF];
            let object = if tables.contains(&object.kind()) {
                relation(build, Some(object))
            } else {
                let kind = object.kind();
                let word = match kind {
                    Kind::SCHEMA_REF => "schema ",
                    Kind::FUNCTION_SIG | Kind::PROCEDURE_SIG | Kind::ROUTINE_SIG => "function ",
                    Kind::DATABASE_REF => "database ",
                    Kind::TYPE_NAME_REF | Kind::DOMAIN_REF => "type ",
                    _ => "",
                };
                format!("{word}{}", text(&object))
            };
            SecurityChange { object: format!("grants on {object}"), change: what.clone(), opens: opens.clone() }
        })
        .collect()
}

/// The objects that a GRANT names, without the types in functions' signatures.
fn outermost(node: &SyntaxNode) -> Vec<SyntaxNode> {
    let mut found: Vec<SyntaxNode> = Vec::new();
    for one in node.descendants().filter(|one| OBJECTS.contains(&one.kind())) {
        if found.iter().all(|outer| !outer.text_range().contains_range(one.text_range())) {
            found.push(one);
        }
    }
    found
}

fn role_word(role: &str) -> String {
    if role == "public" { "PUBLIC".to_owned() } else { quote::readable_identifier(role) }
}

fn default_privileges(node: &SyntaxNode, known: &Known<'_>) -> SecurityChange {
    let action = node
        .children()
        .find(|child| [Kind::GRANT_DEFAULT_PRIVILEGES, Kind::REVOKE_DEFAULT_PRIVILEGES].contains(&child.kind()));
    let context =
        [Kind::FOR_ROLES, Kind::IN_SCHEMAS].into_iter().filter_map(|kind| child(node, kind)).map(|one| text(&one));
    let context: Vec<String> = context.collect();
    let object = format!("default privileges {}", context.join(" ").to_lowercase()).trim_end().to_owned();
    let Some(action) = action else { return change(object, text(node), None) };
    let grants = action.kind() == Kind::GRANT_DEFAULT_PRIVILEGES;
    let opens = if grants { opening(&role_names(&action), known) } else { None };
    SecurityChange {
        object,
        change: text(&action),
        opens: opens.map(|why| format!("{why}; for every object made from then on")),
    }
}

fn created_table(build: &Builder<'_>, node: &SyntaxNode, known: &Known<'_>) -> Vec<SecurityChange> {
    let Some(made) = find(node, Kind::TABLE_NAME) else { return Vec::new() };
    let made = build.catalogue.resolve_new(&parts(&made));
    if child(node, Kind::TEMP).is_some()
        || known.secured.contains(&made)
        || build.catalogue.relations.contains_key(&made)
    {
        return Vec::new();
    }
    let why = "no pending file enables row security on it: grants alone decide who sees its rows";
    vec![change(format!("table {}", quote::table(&made)), "made without row security", Some(why))]
}

fn created_view(build: &Builder<'_>, node: &SyntaxNode) -> Vec<SecurityChange> {
    let Some(made) = find(node, Kind::VIEW) else { return Vec::new() };
    let made = quote::table(&build.catalogue.resolve_new(&parts(&made)));
    if node.kind() == Kind::CREATE_MATERIALIZED_VIEW {
        let why = "it holds copies of rows, and no policy can stand on it";
        return vec![change(format!("materialized view {made}"), "made", Some(why))];
    }
    let options = child(node, Kind::WITH_PARAMS).map(|options| text(&options).to_lowercase().replace(' ', ""));
    let invoker = options.is_some_and(|options| {
        options.contains("security_invoker")
            && !["=false", "=off", "=0", "=no"].iter().any(|off| options.contains(&format!("security_invoker{off}")))
    });
    if invoker {
        return Vec::new();
    }
    let why = "it reads with its owner's rights, past the policies that hold the reader, without security_invoker";
    vec![change(format!("view {made}"), "reads as its owner", Some(why))]
}

/// ALTER TABLE … ROW LEVEL SECURITY.
fn row_security<'a>(build: &'a Builder<'_>, node: &'a SyntaxNode) -> impl Iterator<Item = SecurityChange> + 'a {
    node.children().filter_map(move |action| {
        let (what, opens) = match action.kind() {
            Kind::ENABLE_RLS => ("enabled", None),
            Kind::FORCE_RLS => ("forced, on the owner too", None),
            Kind::DISABLE_RLS => ("disabled", Some("its policies hold nobody any more")),
            Kind::NO_FORCE_RLS => ("no longer forced on the owner", Some("its owner sees every row")),
            _ => return None,
        };
        let table = relation(build, find(node, Kind::TABLE_NAME_REF));
        Some(change(format!("row security of {table}"), what, opens))
    })
}

/// OWNER TO, of whatever it is.
fn owner<'a>(
    build: &'a Builder<'_>,
    node: &'a SyntaxNode,
    known: &'a Known<'_>,
) -> impl Iterator<Item = SecurityChange> + 'a {
    node.children().filter(|action| action.kind() == Kind::OWNER_TO).map(move |action| {
        let to = role_names(&action).pop().unwrap_or_default();
        let table = node.descendants().find(|one| OBJECTS.contains(&one.kind()) || one.kind() == Kind::VIEW_REF);
        let object = match node.kind() {
            Kind::ALTER_TABLE | Kind::ALTER_VIEW | Kind::ALTER_SEQUENCE | Kind::ALTER_MATERIALIZED_VIEW => {
                relation(build, table)
            }
            _ => written(table),
        };
        let why = "an owner is held by no policy unless row security is forced";
        let opens = if known.is_api(&to) { Some(why) } else { None };
        change(format!("owner of {object}"), format!("becomes {}", role_word(&to)), opens)
    })
}

/// Roles that pass by every policy.
fn role(node: &SyntaxNode) -> Vec<SecurityChange> {
    let options = find(node, Kind::ROLE_OPTION_LIST).map(|options| text(&options).to_uppercase()).unwrap_or_default();
    let words: Vec<&str> = options.split_whitespace().collect();
    let object = node.children().find(|child| [Kind::ROLE, Kind::ROLE_REF].contains(&child.kind()));
    let object = format!("role {}", written(object));
    let mut changes = Vec::new();
    if words.contains(&"BYPASSRLS") {
        changes.push(change(object.clone(), "BYPASSRLS", Some("no policy holds it")));
    }
    if words.contains(&"SUPERUSER") {
        changes.push(change(object.clone(), "SUPERUSER", Some("nothing holds it")));
    }
    if changes.is_empty() && node.kind() != Kind::ALTER_ROLE && !has_word(node, Kind::IN_KW) {
        changes.push(change(object, "created", None));
    }
    changes
}
