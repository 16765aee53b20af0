//! A PostgreSQL of one test's own, with one session that stays open, and its catalogue as the program reads it.

use crate::cluster::Cluster;
use chartchek_db::db::catalog;
use chartchek_db::db::connect::connect;
use chartchek_db::db::conninfo::Conninfo;
use chartchek_db::model::catalog::Catalog;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Row};

pub(crate) struct Server {
    runtime: Runtime,
    client: Client,
    cluster: Cluster,
}

impl Server {
    pub(crate) fn start() -> Self {
        let cluster = Cluster::start();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&cluster.url_as("postgres"), NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        });
        Self { runtime, client, cluster }
    }

    /// Runs statements.
    pub(crate) fn run(&self, sql: &str) {
        self.runtime.block_on(self.client.batch_execute(sql)).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }

    /// The rows of a query.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Row> {
        self.runtime.block_on(self.client.query(sql, &[])).unwrap_or_else(|error| panic!("{error:?}\n{sql}"))
    }

    /// The catalogue of every schema that is not the server's own.
    pub(crate) fn catalog(&self) -> Catalog {
        let schemas = self.rows("SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'");
        let schemas: Vec<String> = schemas.iter().map(|row| row.get(0)).collect();
        self.runtime.block_on(async {
            let session = connect(&Conninfo::parse(&self.cluster.url_as("postgres")).unwrap()).await.unwrap();
            catalog::read(&session, &schemas, &[]).await.unwrap()
        })
    }
}
