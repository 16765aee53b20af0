//! The reference queries on a real server, held against standings and owners that were written by hand, row by row.

use crate::server::Server;
use chartchek_db::contract::{parse, project, reference, validate};
use chartchek_db::db::quote;
use chartchek_db::model::access::Contract;
use chartchek_db::model::catalog::Catalog;
use chartchek_db::model::source::SourceFile;
use std::collections::BTreeSet;

const UID: &str = "00000000-0000-0000-0000-00000000000a";

fn world() -> (Server, Contract, Catalog) {
    let file = SourceFile::new("reference.toml", include_str!("../../fixtures/contract/reference.toml"));
    let contract = parse::parse(&file).unwrap();
    let server = Server::start();
    server.run(include_str!("../../fixtures/contract/reference.sql"));
    let catalog = server.catalog();
    validate::validate(&contract, &catalog).unwrap();
    (server, contract, catalog)
}

#[test]
fn every_row_stands_as_the_contract_says() {
    let (server, contract, catalog) = world();
    let mut tried = BTreeSet::new();
    for table in &contract.tables {
        // Aliases that the queries themselves might use, and one that must be quoted.
        for alias in ["t", "p1", "row", "we\"ird"] {
            let sql = format!(
                "select {}, {}, {}, expected, ends, {alias}::text from {} as {alias}",
                reference::standing(&contract, &catalog, table, alias, UID),
                reference::owns(&contract, &catalog, table, alias, UID),
                reference::owners(&contract, &catalog, table, alias),
                quote::table(&table.table),
                alias = quote::identifier(alias),
            );
            let rows = server.rows(&sql);
            assert!(!rows.is_empty(), "{}", table.table);
            for row in rows {
                let (standing, owns): (Option<String>, Option<bool>) = (row.get(0), row.get(1));
                let (owners, expected): (Option<Vec<Option<String>>>, String) = (row.get(2), row.get(3));
                let what = format!("{} {}\n{sql}", table.table, row.get::<_, String>(5));
                assert_eq!(standing.as_deref(), Some(expected.as_str()), "{what}");
                assert_eq!(owns, Some(expected == "own"), "{what}");
                assert_eq!(owners, row.get::<_, Option<Vec<Option<String>>>>(4), "{what}");
                tried.insert(expected);
            }
        }
    }
    assert_eq!(tried.into_iter().collect::<Vec<_>>(), ["any", "mixed", "orphan", "other", "own"]);
}

#[test]
fn an_id_that_is_none_owns_nothing_and_ends_no_string() {
    let (server, contract, catalog) = world();
    for uid in ["", "x' or true or 'x' = '", r"\' or true --", "00000000-0000-0000-0000-0000000000ff"] {
        for table in &contract.tables {
            if uid.len() != UID.len() && table.table.name.starts_with("team") {
                // Their condition compares with a uuid itself, and says so: an error, not an answer.
                continue;
            }
            let owns = reference::owns(&contract, &catalog, table, "t", uid);
            let sql = format!("select count(*) from {} t where {owns}", quote::table(&table.table));
            assert_eq!(server.rows(&sql)[0].get::<_, i64>(0), 0, "{sql}");
        }
    }
}

#[test]
fn indexes_serve() {
    let (server, contract, catalog) = world();
    server.run("set enable_seqscan = off; set enable_bitmapscan = off");
    for (name, wanted) in [("threads", "threads_user"), ("notes", "threads_user"), ("short", "Seq Scan")] {
        let table = contract.tables.iter().find(|table| table.table.name == name).unwrap();
        let owns = reference::owns(&contract, &catalog, table, "t", UID);
        let sql = format!("explain select * from {name} t where {owns}");
        let plan: Vec<String> = server.rows(&sql).iter().map(|row| row.get(0)).collect();
        assert!(plan.iter().any(|line| line.contains(wanted)), "{}", plan.join("\n"));
    }
}

/// What the migrations need of Supabase; the stand-in proper is tested where it lives.
const SUPABASE: &str = "
    create role anon; create role authenticated; create role service_role bypassrls; create schema auth;
    create table auth.users (id uuid primary key);
    create function auth.jwt() returns jsonb language sql stable as
        $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
    create function auth.uid() returns uuid language sql stable as $$ select (auth.jwt() ->> 'sub')::uuid $$;";

#[test]
fn the_projects_own_contract_fits_its_own_schema() {
    let project = project::find(None, true).unwrap();
    let server = Server::start();
    server.run(SUPABASE);
    for file in &project.migrations {
        server.run(&file.text);
    }
    let contract = parse::parse(&project.contract).unwrap();
    let catalog = server.catalog();
    validate::validate(&contract, &catalog).unwrap();
    assert_eq!(validate::uncovered(&contract, &catalog), [], "every table is promised or exempted");
    assert_eq!(validate::stale_exempts(&contract, &catalog).len(), 0);
    for table in &contract.tables {
        let standing = reference::standing(&contract, &catalog, table, "t", UID);
        server.rows(&format!("select {standing} from {} t", quote::table(&table.table)));
    }
}
