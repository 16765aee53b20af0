//! The four Rust enums against the database: the same types, labels and order, both ways; and the development data
//! hold every label.

#[path = "support/cluster.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod cluster;

use chartchek_db::model::enums::{ChatThreadStatus, DocumentStatus, MessageRole, VectorStoreStatus};
use cluster::Cluster;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::process::Command;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, NoTls};

/// Holds one enum: every label in order, each value there and back, and each in the seeded column.
async fn holds<T>(client: &Client, name: &str, all: &[T], labels: &[&str], seeded: (&str, &str))
where
    T: ToSql + FromSqlOwned + Sync + PartialEq + Copy + Debug,
{
    let rows = client.query(&format!("SELECT unnest(enum_range(NULL::public.{name}))"), &[]).await.unwrap();
    let values: Vec<T> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(values, all, "{name}");
    let rows = client.query(&format!("SELECT unnest(enum_range(NULL::public.{name}))::text"), &[]).await.unwrap();
    let texts: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(texts, labels, "{name}");
    for (value, label) in all.iter().zip(labels) {
        let row = client.query_one(&format!("SELECT ($1::public.{name})::text"), &[value]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), *label);
    }
    let (table, column) = seeded;
    let query = format!("SELECT DISTINCT {column}::text FROM public.{table} WHERE {column} IS NOT NULL");
    let seeded: BTreeSet<String> = client.query(&query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(
        seeded,
        labels.iter().map(|label| (*label).to_owned()).collect(),
        "{table}.{column} in the development data"
    );
}

#[tokio::test]
async fn the_rust_enums_are_the_databases() {
    let server = Cluster::start();
    let up = Command::new(env!("CARGO_BIN_EXE_chartchek-db"))
        .args(["dev", "up", "--database-url", &server.url()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let (client, connection) = tokio_postgres::connect(&server.url_as("migrator"), NoTls).await.unwrap();
    tokio::spawn(connection);

    let count = "SELECT count(*) FROM pg_type WHERE typtype = 'e' AND typnamespace = 'public'::regnamespace";
    assert_eq!(client.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 4, "an enum without its Rust type");
    macro_rules! hold {
        ($($type:ident in $table:literal . $column:literal),+ $(,)?) => {$(
            let labels: Vec<&str> = $type::ALL.iter().map(|value| value.label()).collect();
            holds(&client, $type::NAME, $type::ALL, &labels, ($table, $column)).await;
        )+};
    }
    hold!(
        MessageRole in "chat_messages"."role",
        ChatThreadStatus in "chat_threads"."status",
        DocumentStatus in "documents"."processing_status",
        VectorStoreStatus in "vector_stores"."status",
    );
}
