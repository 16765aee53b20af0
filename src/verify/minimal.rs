//! Takes out of a script what it can do without: rows, claims and settings, as long as it shows what it is to show.
//! Every step is tried on the server, and rolled back.

use crate::db::error::DbError;
use crate::db::session::{Session, StatementResult};
use crate::model::access::Standing;
use crate::verify::repro::{Piece, Script};
use crate::verify::world::build::parse_read_back;
use std::collections::BTreeSet;

/// How often a script is tried before it is left as it has become.
const TRIES: usize = 2000;

/// From so many bytes on a key is looked for inside of what is shown.
const LONG: usize = 16;

/// What a script is to show.
#[derive(Debug, Clone)]
pub(crate) enum Evidence {
    /// The statement runs, or is refused with that SQLSTATE.
    Same(Option<String>),
    /// The statement sees or changes the row; `false`: leaves it, in the way of that SQLSTATE or without any.
    Row(Watched, bool, Option<String>),
    /// The statement makes a row; `false`: it makes none, refused in that way or silently, and a role that bypasses
    /// RLS makes one with it.
    New(bool, Option<String>),
    /// Every step comes to what it came to, and the last still shows one of these keys, where it showed any.
    Steps(Vec<Came>, BTreeSet<String>),
}

/// A row that is there, stands so to the actor, and is looked at before and after.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) key: String,
    pub(crate) standing: Standing,
    /// Reads it back: locator, standing, key.
    pub(crate) read_back: String,
    /// Whether the statement shows keys, shows a count, or changes rows.
    pub(crate) shows: Shows,
}

/// How a statement shows that it reached a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    /// By its key.
    Key,
    /// By counting it.
    Count,
    /// By changing it.
    Change,
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    /// These keys, and this count.
    Ok(Vec<Option<String>>, u64),
    /// This SQLSTATE.
    Err(String),
}

/// The smallest script that shows it; `None` where not even all of it does.
pub(crate) async fn reduce(
    session: &Session,
    script: &Script,
    evidence: &Evidence,
    fixed: &BTreeSet<Piece>,
) -> Option<Script> {
    let whole = script.pieces();
    let mut kept: Vec<Piece> = whole.iter().filter(|piece| !fixed.contains(piece)).cloned().collect();
    let all: BTreeSet<Piece> = whole.into_iter().filter(|piece| !fixed.contains(piece)).collect();
    let left_out = |kept: &[Piece]| all.iter().filter(|piece| !kept.contains(piece)).cloned().collect::<BTreeSet<_>>();
    if !holds(session, script, evidence).await {
        return None;
    }
    let (mut size, mut tries) = (kept.len(), 0);
    // From behind: what refers to a row stands behind it.
    loop {
        size = (size / 2).max(1);
        let before = kept.len();
        let mut end = kept.len();
        while end > 0 && tries < TRIES {
            let start = end.saturating_sub(size);
            let candidate: Vec<Piece> = kept[..start].iter().chain(&kept[end..]).cloned().collect();
            tries += 1;
            if holds(session, &script.without(&left_out(&candidate)), evidence).await {
                kept = candidate;
            }
            end = start;
        }
        if tries >= TRIES || (size == 1 && kept.len() == before) {
            return Some(script.without(&left_out(&kept)));
        }
    }
}

/// What the steps of a script come to.
pub(crate) async fn steps(session: &Session, script: &Script) -> Option<Vec<Came>> {
    world(session, script).await?;
    let mut came = Vec::with_capacity(script.acts.len());
    for place in 0..script.acts.len() {
        came.push(match act(session, script, place).await {
            Ok(result) => Came::Ok(result.keys, result.count),
            Err(error) if error.is_connection() => return None,
            Err(error) => Came::Err(error.code),
        });
    }
    Some(came)
}

/// Puts the script's rows there, and nothing else; as psql would, with row security as it is by default.
async fn world(session: &Session, script: &Script) -> Option<()> {
    let mut sql = vec!["ROLLBACK TO SAVEPOINT world; SET LOCAL row_security = on".to_owned()];
    sql.extend(script.inserts.iter().cloned());
    if script.settles {
        sql.push("SET CONSTRAINTS ALL IMMEDIATE".to_owned());
    }
    session.batch(&sql.join("; ")).await.ok()
}

async fn act(session: &Session, script: &Script, place: usize) -> Result<StatementResult, DbError> {
    let become_sql = script.become_sql(place).join("; ");
    if !become_sql.is_empty() {
        session.batch(&become_sql).await?;
    }
    let result = session.statement(&script.acts[place].sql).await?;
    if script.acts[place].fires {
        session.batch("SET CONSTRAINTS ALL IMMEDIATE").await?;
    }
    Ok(result)
}

async fn holds(session: &Session, script: &Script, evidence: &Evidence) -> bool {
    let shown = match evidence {
        Evidence::Same(code) => async { Some(refusal(&once(session, script).await?) == *code) }.await,
        Evidence::Row(watched, reached, code) => row(session, script, watched, *reached, code.as_deref()).await,
        Evidence::New(made, code) => new(session, script, *made, code.as_deref()).await,
        Evidence::Steps(before, keys) => async { Some(same(before, &steps(session, script).await?, keys)) }.await,
    };
    shown.unwrap_or(false)
}

/// What the first act comes to on the script's rows.
async fn once(session: &Session, script: &Script) -> Option<Result<StatementResult, DbError>> {
    world(session, script).await?;
    Some(act(session, script, 0).await)
}

fn refusal(result: &Result<StatementResult, DbError>) -> Option<String> {
    result.as_ref().err().map(|error| error.code.clone())
}

async fn row(session: &Session, script: &Script, watched: &Watched, reached: bool, code: Option<&str>) -> Option<bool> {
    world(session, script).await?;
    let before = look(session, watched).await?;
    let result = act(session, script, 0).await;
    let reaches = match (&result, watched.shows) {
        (Err(_), _) => false,
        (Ok(result), Shows::Key) => result.keys.iter().flatten().any(|key| *key == watched.key),
        (Ok(result), Shows::Count) => {
            result.keys.iter().flatten().any(|count| count.parse::<u64>().is_ok_and(|count| count > 0))
        }
        (Ok(_), Shows::Change) => {
            session.batch("SET LOCAL ROLE NONE").await.ok()?;
            look(session, watched).await.as_ref() != Some(&before)
        }
    };
    Some(reaches == reached && (reached || refusal(&result).as_deref() == code))
}

/// Where the row lies, if it is there and stands as it is to stand.
async fn look(session: &Session, watched: &Watched) -> Option<String> {
    let rows = parse_read_back(session.statement(&watched.read_back).await.ok()?.keys)?;
    let row = rows.into_iter().find(|row| row.key == watched.key)?;
    (row.standing == Some(watched.standing)).then_some(row.locator)
}

async fn new(session: &Session, script: &Script, made: bool, code: Option<&str>) -> Option<bool> {
    let result = once(session, script).await?;
    let makes = |result: &Result<StatementResult, DbError>| result.as_ref().is_ok_and(|result| result.count > 0);
    if made {
        return Some(makes(&result));
    }
    if makes(&result) || refusal(&result).as_deref() != code {
        return Some(false);
    }
    world(session, script).await?;
    let privileged = session.statement(&script.acts[0].sql).await;
    Some(makes(&privileged))
}

/// Whether steps come to the same: refused alike, something alike, and the last with one of its telling keys.
fn same(before: &[Came], now: &[Came], telling: &BTreeSet<String>) -> bool {
    let alike = before.len() == now.len()
        && before.iter().zip(now).all(|pair| match pair {
            (Came::Ok(_, before), Came::Ok(_, now)) => (*before == 0) == (*now == 0),
            (Came::Err(before), Came::Err(now)) => before == now,
            _ => false,
        });
    let (Some(Came::Ok(keys, count)), Some(Came::Ok(seen, counted))) = (before.last(), now.last()) else {
        return alike;
    };
    // A row as text holds its key; a short one stands in much else.
    let tells = |texts: &[Option<String>]| {
        let holds = |text: &String| telling.iter().any(|key| key.len() >= LONG && text.contains(key.as_str()));
        texts.iter().flatten().any(|text| telling.contains(text) || holds(text))
    };
    alike && if tells(keys) { tells(seen) } else { (keys, count) == (seen, counted) }
}
