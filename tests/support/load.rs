//! Clients that do what the application does, each as its own user through PostgREST's form of a request, and the longest
//! time that one of them had to wait. Shared by the test of `migrate` under load and by the benchmark, through #[path].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Statement};

/// What clients met, together.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests that were answered.
    pub(crate) requests: u64,
    /// What the server refused: SQLSTATE, message, request.
    pub(crate) errors: Vec<String>,
    /// How long the slowest request took.
    pub(crate) longest: Duration,
    /// Which one that was.
    pub(crate) slowest: &'static str,
}

/// Clients at work, until they are ended.
pub(crate) struct Load {
    ends: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Tally>>,
}

/// Accounts, threads and messages for `clients` users in a database that the migrations made; `settings` are a superuser's.
pub(crate) fn fill(settings: &str, clients: usize, messages: usize) {
    let sql = format!(
        "INSERT INTO auth.users (id) SELECT ('00000000-0000-4000-8000-' || lpad(u::text, 12, '0'))::uuid FROM generate_series(1, {clients}) u;
         INSERT INTO chat_threads (user_id, thread_id, status)
           SELECT ('00000000-0000-4000-8000-' || lpad(u::text, 12, '0'))::uuid, 'thread_' || u || '_' || t, 'active'
           FROM generate_series(1, {clients}) u, generate_series(1, 20) t;
         INSERT INTO chat_messages (thread_id, role, content)
           SELECT 'thread_' || (m % {clients} + 1) || '_' || (m / {clients} % 20 + 1), 'user', repeat('text ', 20)
           FROM generate_series(1, {messages}) m;
         ANALYZE;"
    );
    runtime().block_on(async { open(settings).await.unwrap().batch_execute(&sql).await.unwrap() });
}

impl Load {
    /// Starts them; `settings` are of a role that may become `authenticated`. Between two requests a client pauses.
    pub(crate) fn start(settings: &str, clients: usize, pause: Duration) -> Self {
        let (ends, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (1..=clients)
            .map(|number| {
                let (settings, ends, answered) = (settings.to_owned(), ends.clone(), answered.clone());
                std::thread::spawn(move || runtime().block_on(work(&settings, number, pause, &ends, &answered)))
            })
            .collect();
        Self { ends, answered, clients }
    }

    /// Waits until the clients have got so many answers more.
    pub(crate) fn more(&self, answers: u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let enough = self.answered.load(Ordering::Relaxed) + answers;
        while self.answered.load(Ordering::Relaxed) < enough {
            assert!(Instant::now() < deadline, "the clients get no answers");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends them, and gives what they met.
    pub(crate) fn end(self) -> Tally {
        self.ends.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for client in self.clients {
            let one = client.join().unwrap();
            all.requests += one.requests;
            all.errors.extend(one.errors);
            if one.longest > all.longest {
                (all.longest, all.slowest) = (one.longest, one.slowest);
            }
        }
        all
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn open(settings: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(settings, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A request's name, and its statement. $1 is a thread's text id, and in links and files its number.
const REQUESTS: &[(&str, &str)] = &[
    ("threads", "SELECT t.* FROM public.chat_threads t WHERE $1::text IS NOT NULL ORDER BY t.updated_at DESC LIMIT 20"),
    ("messages", "SELECT m.* FROM public.chat_messages m WHERE m.thread_id = $1 ORDER BY m.created_at LIMIT 50"),
    (
        "new thread",
        "INSERT INTO public.chat_threads (thread_id, status) VALUES ($1 || '_' || gen_random_uuid(), 'active') RETURNING *",
    ),
    (
        "new message",
        "INSERT INTO public.chat_messages (thread_id, role, content) VALUES ($1, 'user', 'a new message') RETURNING *",
    ),
    ("archive", "UPDATE public.chat_threads SET status = 'archived' WHERE thread_id = $1 RETURNING *"),
    (
        "new annotation",
        "INSERT INTO public.chat_message_annotations (message_id, type, text, start_index)
           SELECT m.id, 'citation', '[1]', 7 FROM public.chat_messages m WHERE m.thread_id = $1 LIMIT 1 RETURNING *",
    ),
    (
        "annotations",
        "SELECT a.* FROM public.chat_message_annotations a
           WHERE a.message_id IN (SELECT m.id FROM public.chat_messages m WHERE m.thread_id = $1 LIMIT 5) ORDER BY a.start_index",
    ),
    (
        "new file",
        "INSERT INTO public.chat_files (thread_id, file_id, filename, purpose)
           SELECT t.id, 'file', 'a.pdf', 'assistants' FROM public.chat_threads t WHERE t.thread_id = $1 RETURNING *",
    ),
    ("documents", "SELECT d.* FROM public.documents d WHERE $1::text IS NOT NULL ORDER BY d.created_at DESC LIMIT 20"),
    ("new document", "INSERT INTO public.documents (file_id, filename) VALUES ($1, 'a.pdf') RETURNING *"),
    // With its messages and files, by cascade.
    ("delete threads", "DELETE FROM public.chat_threads WHERE thread_id LIKE $1 || '\\_%-%' RETURNING *"),
];

async fn work(settings: &str, number: usize, pause: Duration, ends: &AtomicBool, answered: &AtomicU64) -> Tally {
    let client = open(settings).await.unwrap();
    let mut statements = Vec::new();
    for (name, sql) in REQUESTS {
        // PostgREST's form: whatever columns there are, the answer has one.
        let sql = format!("WITH source AS ({sql}) SELECT coalesce(json_agg(source), '[]')::text FROM source");
        statements.push((*name, client.prepare(&sql).await.unwrap_or_else(|error| panic!("{name}: {error:?}"))));
    }
    let begin = format!(
        "BEGIN; SET LOCAL ROLE authenticated; SELECT set_config('request.jwt.claims', \
         '{{\"sub\": \"00000000-0000-4000-8000-{number:012}\", \"role\": \"authenticated\", \"is_anonymous\": false}}', true)"
    );
    let mut tally = Tally::default();
    let mut round = number;
    while !ends.load(Ordering::Relaxed) {
        let (name, statement) = &statements[round % statements.len()];
        let thread = format!("thread_{number}_{}", round / statements.len() % 20 + 1);
        round += 1;
        let started = Instant::now();
        match request(&client, &begin, statement, &thread).await {
            Ok(()) => {
                tally.requests += 1;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                let code = error.code().map_or("no answer", |code| code.code()).to_owned();
                tally.errors.push(format!("{code} {error} in {name}: {:?}", error.as_db_error()));
                if client.batch_execute("ROLLBACK").await.is_err() {
                    return tally;
                }
            }
        }
        if started.elapsed() > tally.longest {
            (tally.longest, tally.slowest) = (started.elapsed(), name);
        }
        tokio::time::sleep(pause).await;
    }
    tally
}

async fn request(client: &Client, begin: &str, statement: &Statement, thread: &str) -> Result<(), Error> {
    client.batch_execute(begin).await?;
    let parameters: [&(dyn ToSql + Sync); 1] = [&thread];
    client.query_one(statement, &parameters).await?;
    client.batch_execute("COMMIT").await
}
