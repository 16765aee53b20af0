//! What each observation is judged as: above all, what must never read as held.

use super::*;
use crate::db::error::DbError;
use crate::db::session::StatementResult;
use crate::model::access::{Actor, Ownership, TableAccess, TableName};
use crate::model::catalog::Table;
use crate::model::source::{Place, SourceFile};
use crate::verify::form::{Need, Route};
use crate::verify::trial::Changes;
use crate::verify::world::Seen;
use std::collections::BTreeMap;

fn place() -> Place {
    Place { file: SourceFile::new("access.toml", ""), span: 0..0, label: String::new() }
}

/// Everything that a case borrows: a table whose own rows a user is promised to read and change.
struct Bench {
    contract: Contract,
    subject: Subject,
    persona: Persona,
    planned: Planned,
    before: Sight,
    told: BTreeSet<Standing>,
}

impl Bench {
    fn new(command: Command, standing: Standing, aim: Aim) -> Self {
        let actor = Actor {
            name: "user".to_owned(),
            role: "authenticated".to_owned(),
            claims: serde_json::Map::new(),
            extends: None,
            bypasses_rls: false,
            place: place(),
        };
        let own = BTreeMap::from([(Standing::Own, vec![Command::Select, Command::Insert, Command::Update])]);
        let access = TableAccess {
            table: TableName { schema: "public".to_owned(), name: "t".to_owned() },
            ownership: Ownership::All(Vec::new()),
            promises: BTreeMap::from([("user".to_owned(), own)]),
            columns: BTreeMap::new(),
            place: place(),
        };
        let everything = Command::ALL.iter().map(|command| command.word().to_owned()).collect();
        let table = Table {
            schema: "public".to_owned(),
            table: "t".to_owned(),
            grants: BTreeMap::from([("authenticated".to_owned(), everything)]),
            schema_usage: vec!["authenticated".to_owned()],
            ..Table::default()
        };
        let contract = Contract {
            schemas: vec!["public".to_owned()],
            pre_request: None,
            actors: vec![actor.clone()],
            tables: vec![access.clone()],
            accepts: Vec::new(),
            exempts: Vec::new(),
        };
        let persona = Persona {
            name: "user".to_owned(),
            actor,
            uid: None,
            claims: "{}".to_owned(),
            has_rows: true,
            tries: true,
            narrow: false,
            exists: true,
            parameters: Vec::new(),
            become_sql: String::new(),
        };
        let promised = standing == Standing::Own;
        let planned = Planned {
            subject: 0,
            persona: 0,
            standing,
            command,
            asks: vec![command],
            form: "key".to_owned(),
            sql: "…".to_owned(),
            route: Route::Plain,
            tells: if command == Command::Select { Tells::Answer } else { Tells::Changes },
            needs: vec![Need { command, columns: Vec::new() }],
            aim,
            promise: if promised { Promise::Yes } else { Promise::No },
            denial: Outcome::Hidden,
            control: None,
            impossible: Vec::new(),
            no_row: None,
            given: None,
        };
        let seen = |standing| Seen { locator: String::new(), standing };
        let before = [("mine", Standing::Own), ("mine too", Standing::Own), ("theirs", Standing::Other)];
        let before = before.into_iter().map(|(key, standing)| (key.to_owned(), seen(standing))).collect();
        let told = BTreeSet::from([Standing::Own, Standing::Other]);
        Self { contract, subject: Subject { access, table }, persona, planned, before, told }
    }

    fn judge(&self, observed: &Observed, control: Option<&Observed>) -> (Outcome, Verdict) {
        let attempt = judge(&Case {
            contract: &self.contract,
            subject: &self.subject,
            persona: &self.persona,
            planned: &self.planned,
            before: &self.before,
            told: &self.told,
            observed: Some(observed),
            control,
        });
        (attempt.outcome, attempt.verdict)
    }
}

fn rows(keys: &[&str]) -> Aim {
    Aim::Rows(keys.iter().map(|key| (*key).to_owned()).collect())
}

fn observed(result: Result<StatementResult, DbError>, changes: Option<Changes>) -> Observed {
    Observed { result, changes, holding: None, emptied: BTreeSet::new(), elsewhere: BTreeMap::new() }
}

fn saw(keys: &[&str]) -> Observed {
    let keys: Vec<Option<String>> = keys.iter().map(|key| Some((*key).to_owned())).collect();
    observed(Ok(StatementResult { count: keys.len() as u64, keys }), None)
}

fn wrote(keys: &[(&str, Standing)]) -> Observed {
    let written = keys.iter().map(|(key, standing)| ((*key).to_owned(), *standing)).collect();
    observed(Ok(StatementResult::default()), Some(Changes { written, gone: BTreeSet::new() }))
}

fn failed(code: &str) -> Observed {
    observed(Err(DbError { code: code.to_owned(), ..DbError::default() }), None)
}

#[test]
fn a_denial_holds_only_beside_a_control_that_does_something() {
    let bench = Bench::new(Command::Select, Standing::Other, rows(&["theirs"]));
    assert_eq!(bench.judge(&saw(&[]), Some(&saw(&["theirs"]))), (Outcome::Hidden, Verdict::Held));
    assert_eq!(bench.judge(&saw(&[]), Some(&saw(&[]))).1, Verdict::Inconclusive);
    assert_eq!(bench.judge(&saw(&[]), Some(&saw(&["mine"]))).1, Verdict::Inconclusive);
    assert_eq!(bench.judge(&saw(&[]), Some(&failed("42501"))).1, Verdict::Inconclusive);
    assert_eq!(bench.judge(&saw(&[]), None).1, Verdict::Inconclusive);
}

#[test]
fn only_42501_is_a_refusal() {
    let bench = Bench::new(Command::Update, Standing::Other, rows(&["theirs"]));
    let works = wrote(&[("theirs", Standing::Other)]);
    assert_eq!(bench.judge(&failed("42501"), Some(&works)), (Outcome::RefusedPolicy, Verdict::Held));
    for code in ["23505", "23503", "22P02", "P0001", "57014", "25P02", "XX000", "42P17"] {
        assert_eq!(bench.judge(&failed(code), Some(&works)), (Outcome::Error, Verdict::Inconclusive), "{code}");
    }
}

#[test]
fn a_missing_grant_is_told_from_a_policy_by_the_catalogue() {
    let mut bench = Bench::new(Command::Select, Standing::Other, rows(&["theirs"]));
    bench.subject.table.grants.clear();
    assert_eq!(bench.judge(&failed("42501"), None), (Outcome::RefusedGrant, Verdict::Held));
    // It ran although it could not have: the catalogue or the session is not what it seems.
    assert_eq!(bench.judge(&saw(&[]), Some(&saw(&["theirs"]))).1, Verdict::Inconclusive);
}

#[test]
fn a_grant_that_no_promise_needs_is_a_leak_even_where_policies_deny() {
    let mut bench = Bench::new(Command::Select, Standing::Other, rows(&["theirs"]));
    bench.planned.denial = Outcome::RefusedGrant;
    assert_eq!(bench.judge(&saw(&[]), Some(&saw(&["theirs"]))).1, Verdict::Leak);
    assert_eq!(bench.judge(&failed("42501"), Some(&saw(&["theirs"]))).1, Verdict::Leak);
}

#[test]
fn what_is_seen_beyond_the_promise_is_a_leak() {
    let bench = Bench::new(Command::Select, Standing::Other, rows(&["theirs"]));
    assert_eq!(bench.judge(&saw(&["theirs"]), None), (Outcome::Done, Verdict::Leak));
    // A row that nobody made and nobody read before: a real one.
    assert_eq!(bench.judge(&saw(&["a stranger's"]), Some(&saw(&["theirs"]))).1, Verdict::Leak);
    let own = Bench::new(Command::Select, Standing::Own, rows(&["mine"]));
    assert_eq!(own.judge(&saw(&["mine", "theirs"]), None).1, Verdict::Leak);
}

#[test]
fn a_promise_is_kept_whole_or_it_is_an_over_denial() {
    let bench = Bench::new(Command::Select, Standing::Own, Aim::All(vec!["mine".to_owned(), "mine too".to_owned()]));
    assert_eq!(bench.judge(&saw(&["mine", "mine too"]), None), (Outcome::Done, Verdict::Held));
    assert_eq!(bench.judge(&saw(&["mine"]), None).1, Verdict::OverDenial);
    assert_eq!(bench.judge(&saw(&[]), None).1, Verdict::OverDenial);
    assert_eq!(bench.judge(&failed("42501"), None).1, Verdict::OverDenial);
    // The other's row is told of by the attempt on others' rows.
    assert_eq!(bench.judge(&saw(&["mine", "mine too", "theirs"]), None).1, Verdict::Held);
    // Where no attempt tells of that standing, this one does.
    let mut alone = bench;
    alone.told.remove(&Standing::Other);
    assert_eq!(alone.judge(&saw(&["mine", "mine too", "theirs"]), None).1, Verdict::Leak);
}

#[test]
fn a_row_is_judged_by_whose_it_is_afterwards_too() {
    let bench = Bench::new(Command::Update, Standing::Own, rows(&["mine"]));
    assert_eq!(bench.judge(&wrote(&[("mine", Standing::Own)]), None).1, Verdict::Held);
    assert_eq!(bench.judge(&wrote(&[("mine", Standing::Other)]), None).1, Verdict::Leak);
    assert_eq!(bench.judge(&wrote(&[("mine", Standing::Own), ("theirs", Standing::Own)]), None).1, Verdict::Leak);
    let insert = Bench::new(Command::Insert, Standing::Own, Aim::New);
    assert_eq!(insert.judge(&wrote(&[("new", Standing::Own)]), None).1, Verdict::Held);
    assert_eq!(insert.judge(&wrote(&[("new", Standing::Orphan)]), None).1, Verdict::Leak);
}

#[test]
fn a_count_is_compared_both_ways() {
    let bench = Bench::new(Command::Select, Standing::Own, Aim::Count(2));
    assert_eq!(bench.judge(&saw(&["2"]), None).1, Verdict::Held);
    assert_eq!(bench.judge(&saw(&["3"]), None).1, Verdict::Leak);
    assert_eq!(bench.judge(&saw(&["1"]), None).1, Verdict::OverDenial);
    assert_eq!(bench.judge(&saw(&["many"]), None).1, Verdict::Inconclusive);
}

/// A form in which the server raises an error where no row is there for it.
#[test]
fn a_code_that_says_no_row_was_there_reads_as_such() {
    let mut bench = Bench::new(Command::Insert, Standing::Other, rows(&["theirs"]));
    bench.planned.no_row = Some("23505");
    let works = wrote(&[("theirs", Standing::Other)]);
    assert_eq!(bench.judge(&failed("23505"), Some(&works)), (Outcome::Hidden, Verdict::Held));
    assert_eq!(bench.judge(&failed("23505"), Some(&failed("23505"))).1, Verdict::Inconclusive);
    assert_eq!(bench.judge(&failed("23503"), Some(&works)).1, Verdict::Inconclusive);
    let mut own = Bench::new(Command::Insert, Standing::Own, rows(&["mine"]));
    own.planned.no_row = Some("23505");
    assert_eq!(own.judge(&failed("23505"), None), (Outcome::Hidden, Verdict::OverDenial));
}

#[test]
fn what_the_server_refuses_to_everyone_is_no_over_denial() {
    let mut bench = Bench::new(Command::Update, Standing::Own, rows(&["mine"]));
    bench.planned.impossible = vec!["0A000", "55000"];
    assert_eq!(bench.judge(&failed("0A000"), Some(&failed("0A000"))), (Outcome::Error, Verdict::Held));
    assert_eq!(bench.judge(&failed("0A000"), Some(&failed("55000"))).1, Verdict::Inconclusive);
    assert_eq!(bench.judge(&failed("0A000"), Some(&wrote(&[("mine", Standing::Own)]))).1, Verdict::Inconclusive);
}

/// A statement that reads and writes needs both promised; of one that inserts or changes, each row needs what was done
/// to it.
#[test]
fn each_row_needs_what_was_done_to_it() {
    let mut bench = Bench::new(Command::Update, Standing::Own, rows(&["mine"]));
    bench.subject.access.promises.get_mut("user").unwrap().insert(Standing::Other, vec![Command::Update]);
    let both = wrote(&[("mine", Standing::Own), ("theirs", Standing::Other)]);
    assert_eq!(bench.judge(&both, None).1, Verdict::Held);
    bench.planned.asks = vec![Command::Update, Command::Select];
    assert_eq!(bench.judge(&both, None).1, Verdict::Leak);
    // Rows that are locked are answered, and need both too.
    bench.planned.tells = Tells::Answer;
    assert_eq!(bench.judge(&saw(&["mine"]), None).1, Verdict::Held);
    assert_eq!(bench.judge(&saw(&["mine", "theirs"]), None).1, Verdict::Leak);

    let mut upsert = Bench::new(Command::Insert, Standing::Own, rows(&["mine"]));
    upsert.subject.access.promises.get_mut("user").unwrap().insert(Standing::Other, vec![Command::Update]);
    upsert.planned.asks = vec![Command::Insert, Command::Update];
    assert_eq!(upsert.judge(&both, None).1, Verdict::Held);
    assert_eq!(upsert.judge(&wrote(&[("mine", Standing::Own), ("new", Standing::Other)]), None).1, Verdict::Leak);
    // What only inserts has no business with a row that was there.
    upsert.planned.asks = vec![Command::Insert];
    assert_eq!(upsert.judge(&both, None).1, Verdict::Leak);
}

/// A trigger may give a row that was meant for another to who inserts it.
#[test]
fn another_s_row_that_became_one_s_own_is_no_leak() {
    let bench = Bench::new(Command::Insert, Standing::Other, Aim::New);
    assert_eq!(bench.judge(&wrote(&[("new", Standing::Own)]), None), (Outcome::Done, Verdict::Held));
    assert_eq!(bench.judge(&wrote(&[("new", Standing::Other)]), None).1, Verdict::Leak);
    let both = wrote(&[("new", Standing::Own), ("newer", Standing::Other)]);
    assert_eq!(bench.judge(&both, None).1, Verdict::Leak);
    // Made for a row that was not to be seen, one's own row tells of it.
    let mut copied = bench;
    copied.planned.command = Command::Select;
    copied.planned.asks = vec![Command::Select, Command::Insert];
    assert_eq!(copied.judge(&wrote(&[("new", Standing::Own)]), None).1, Verdict::Leak);
}
