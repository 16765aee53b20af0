//! A proxy that knows where messages of PostgreSQL's protocol end, and cuts the connection behind one of them.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Who sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Server,
}

/// Behind which message the connection is cut: it still arrives, nothing after it does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) from: From,
    pub(crate) after: usize,
}

/// Messages that went through, by who sent them, and whether the connection was cut.
#[derive(Debug, Default)]
struct Counts {
    client: AtomicUsize,
    server: AtomicUsize,
    cut: AtomicBool,
}

/// The proxy; it serves until it is dropped.
pub(crate) struct Proxy {
    folder: tempfile::TempDir,
    counts: Arc<Counts>,
    ends: Arc<AtomicBool>,
}

impl Proxy {
    /// Serves before the server whose socket is in `folder`. Only the first connection is cut: a later one is a request
    /// to cancel, or looks who is in the way.
    pub(crate) fn start(target: &Path, cut: Option<Cut>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let counts = Arc::new(Counts::default());
        let ends = Arc::new(AtomicBool::new(false));
        let (counted, ended, target) = (counts.clone(), ends.clone(), target.join(".s.PGSQL.5432"));
        std::thread::spawn(move || {
            let mut cut = cut;
            while let Ok((client, _)) = listener.accept() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(server) = UnixStream::connect(&target) else { continue };
                serve(client, server, cut.take(), &counted);
            }
        });
        Self { folder, counts, ends }
    }

    /// The folder of its socket.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many messages of one side have gone through.
    pub(crate) fn count(&self, from: From) -> usize {
        match from {
            From::Client => self.counts.client.load(Ordering::SeqCst),
            From::Server => self.counts.server.load(Ordering::SeqCst),
        }
    }

    /// Whether it has cut.
    pub(crate) fn has_cut(&self) -> bool {
        self.counts.cut.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let socket: PathBuf = self.folder.path().join(".s.PGSQL.5432");
        let _woken = UnixStream::connect(socket);
    }
}

fn serve(client: UnixStream, server: UnixStream, cut: Option<Cut>, counts: &Arc<Counts>) {
    let both = Arc::new(Mutex::new(Some((client.try_clone().unwrap(), server.try_clone().unwrap()))));
    for (from, source, sink) in
        [(From::Client, client.try_clone().unwrap(), server.try_clone().unwrap()), (From::Server, server, client)]
    {
        let (both, counts) = (both.clone(), counts.clone());
        let after = cut.filter(|cut| cut.from == from).map(|cut| cut.after);
        std::thread::spawn(move || {
            forward(from, source, sink, after, &counts);
            if let Some((client, server)) = both.lock().unwrap().take() {
                let _closed = client.shutdown(Shutdown::Both);
                let _closed = server.shutdown(Shutdown::Both);
            }
        });
    }
}

/// Passes messages on until either side is gone, or message number `after` has gone through.
fn forward(from: From, source: UnixStream, mut sink: UnixStream, after: Option<usize>, counts: &Counts) {
    let mut source = std::io::BufReader::new(source);
    let counter = if from == From::Client { &counts.client } else { &counts.server };
    // The client's first message has no type, only a length.
    let mut typed = from == From::Server;
    while let Some(message) = read(&mut source, typed) {
        typed = true;
        if sink.write_all(&message).is_err() {
            return;
        }
        let passed = counter.fetch_add(1, Ordering::SeqCst) + 1;
        if after == Some(passed) {
            counts.cut.store(true, Ordering::SeqCst);
            return;
        }
    }
}

fn read(source: &mut impl Read, typed: bool) -> Option<Vec<u8>> {
    let head = if typed { 5 } else { 4 };
    let mut message = vec![0; head];
    source.read_exact(&mut message).ok()?;
    let length = u32::from_be_bytes(message[head - 4..].try_into().ok()?) as usize;
    message.resize(head - 4 + length, 0);
    source.read_exact(&mut message[head..]).ok()?;
    Some(message)
}
