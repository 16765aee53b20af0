//! What the files of `policies/` say, found out by asking PostgreSQL: on a scratch database all that they are about is
//! dropped and made from them, looked at, and rolled back.

use crate::db::session::Session;
use crate::model::failure::{Failure, FailureKind};
use crate::schema::drift::executable;
use crate::schema::facts::{self, Facts, Key, Scope};
use crate::schema::policies::files::{self, HELPERS, PolicyFile};
use std::collections::BTreeSet;

/// dependent_objects_still_exist.
const DEPENDENT_OBJECTS: &str = "2BP01";
/// The kinds of relations that have a file.
pub(crate) const RELATIONS: &[&str] = &["table", "view", "materialized view", "foreign table"];

/// The facts as they were if the files had made policies, triggers, grants and helper functions. `made` are the facts
/// of the migrations, `exposed` the schemas whose tables have files.
///
/// # Errors
/// Usage, with its place: a statement of a file fails.
pub(crate) async fn replay(
    session: &Session,
    made: &Facts,
    files: &[PolicyFile],
    exposed: &[String],
    scope: &Scope,
) -> Result<Facts, Failure> {
    begin(session).await?;
    let replayed = in_transaction(session, made, files, exposed, scope).await;
    let ended = session.batch("ROLLBACK").await.map_err(|error| error.into_failure("the scratch database is lost"));
    replayed.and_then(|facts| ended.map(|()| facts))
}

/// The facts after a migration's text, which is rolled back.
///
/// # Errors
/// Inconclusive: the text does not run.
pub(crate) async fn after(session: &Session, text: &str, scope: &Scope) -> Result<Facts, Failure> {
    begin(session).await?;
    let done = match session.batch(text).await {
        Ok(()) => facts::read(session, scope).await,
        Err(error) => Err(error.into_failure("the migration that was made does not run")),
    };
    let ended = session.batch("ROLLBACK").await.map_err(|error| error.into_failure("the scratch database is lost"));
    done.and_then(|facts| ended.map(|()| facts))
}

async fn begin(session: &Session) -> Result<(), Failure> {
    session.batch("BEGIN").await.map_err(|error| error.into_failure("the scratch database is lost"))
}

async fn in_transaction(
    session: &Session,
    made: &Facts,
    files: &[PolicyFile],
    exposed: &[String],
    scope: &Scope,
) -> Result<Facts, Failure> {
    let mut undo: Vec<String> = Vec::new();
    for (key, object) in &made.objects {
        let of_file = home(key, made).is_some_and(|relation| stands_in(&relation, exposed));
        let kept = key.0 == "grant" && key.1.ends_with(" to @owner@");
        if of_file && !kept && matches!(key.0.as_str(), "policy" | "trigger" | "grant") {
            undo.extend(object.properties.get("").map(|definition| executable(&definition.undo, made)));
        }
    }
    run(session, &undo).await?;

    let kept = kept_functions(session).await?;
    let helpers = made.objects.keys().filter(|key| is_helper(key, files, exposed));
    let (kept, dropped): (Vec<&Key>, Vec<&Key>) = helpers.partition(|key| kept.contains(&key.1));
    if !dropped.is_empty() {
        let names: Vec<&str> = dropped.iter().map(|key| key.1.as_str()).collect();
        run(session, &[format!("DROP ROUTINE {}", names.join(", "))]).await?;
    }
    // What a function has when it is new.
    let mut rights = Vec::new();
    for key in &kept {
        for (grant, object) in made.objects.iter().filter(|(grant, _)| grant.0 == "grant") {
            if object.parent == format!("{} {}", key.0, key.1) && !grant.1.ends_with(" to @owner@") {
                rights.extend(object.properties.get("").map(|definition| executable(&definition.undo, made)));
            }
        }
        rights.push(format!("GRANT EXECUTE ON ROUTINE {} TO PUBLIC", key.1));
    }
    run(session, &rights).await?;

    for file in files {
        if file.subject != HELPERS && made.objects.keys().all(|key| !is_relation(key, &file.subject)) {
            continue;
        }
        for statement in &file.statements {
            let text = file.text(statement);
            let stays =
                kept.iter().any(|key| files::find(files, key).is_some_and(|(_, other)| std::ptr::eq(other, statement)));
            let text = if stays { or_replace(text) } else { text.to_owned() };
            session.batch(&text).await.map_err(|error| {
                let hint = error.hint.clone();
                let failure = Failure::usage("a statement of policies/ fails on what the migrations produce")
                    .at(file.place(Some(statement), "this one"))
                    .note(error.to_string());
                hint.into_iter().fold(failure, Failure::help)
            })?;
        }
    }
    facts::read(session, scope).await
}

async fn run(session: &Session, statements: &[String]) -> Result<(), Failure> {
    let sql = statements.iter().filter(|sql| !sql.is_empty()).map(|sql| format!("{sql};\n")).collect::<String>();
    session.batch(&sql).await.map_err(|error| {
        let dependents = error.code == DEPENDENT_OBJECTS;
        let failure =
            Failure::new(FailureKind::Inconclusive, "what policies/ is about could not be taken away to be made anew")
                .note(error.to_string());
        if dependents {
            failure.help("a function of policies/_helpers.sql may serve policies and triggers only")
        } else {
            failure
        }
    })
}

/// Functions that something else than policies and triggers of ours needs: they stay, and are replaced.
async fn kept_functions(session: &Session) -> Result<BTreeSet<String>, Failure> {
    let rows = session
        .text_rows(include_str!("kept_functions.sql"))
        .await
        .map_err(|error| error.into_failure("the functions could not be looked at"))?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// A function that `_helpers.sql` has to define: one outside of the exposed schemas, or one that it does define.
pub(crate) fn is_helper(key: &Key, files: &[PolicyFile], exposed: &[String]) -> bool {
    matches!(key.0.as_str(), "function" | "procedure")
        && (!stands_in(&key.1, exposed) || files::mentions(files, key).any(|(_, statement)| statement.creates))
}

/// The relation that an object belongs to: itself, its parent, or its parent's parent.
pub(crate) fn home(key: &Key, facts: &Facts) -> Option<String> {
    let mut key = key;
    for _ in 0..3 {
        if RELATIONS.contains(&key.0.as_str()) {
            return Some(key.1.clone());
        }
        let parent = &facts.objects.get(key)?.parent;
        key = facts.named(parent)?.0;
    }
    None
}

/// Whether the object is the relation of that name, in plain letters.
pub(crate) fn is_relation(key: &Key, subject: &str) -> bool {
    RELATIONS.contains(&key.0.as_str()) && files::plain(&key.1) == subject
}

/// Whether a qualified name stands in one of the schemas.
pub(crate) fn stands_in(name: &str, schemas: &[String]) -> bool {
    let name = files::plain(name);
    schemas.iter().any(|schema| name.strip_prefix(schema.as_str()).is_some_and(|rest| rest.starts_with('.')))
}

/// `CREATE FUNCTION …` as `CREATE OR REPLACE FUNCTION …`.
pub(crate) fn or_replace(sql: &str) -> String {
    match sql.split_at_checked("create".len()) {
        Some((create, rest)) if create.eq_ignore_ascii_case("create") => {
            let replaces = rest.trim_start().get(..2).is_some_and(|word| word.eq_ignore_ascii_case("or"));
            if replaces { sql.to_owned() } else { format!("{create} OR REPLACE{rest}") }
        }
        _ => sql.to_owned(),
    }
}
