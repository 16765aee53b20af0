//! A proxy between a client and a PostgreSQL that makes every answer late and counts how often the client waits.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Connections; each has one login, of one round trip where no password is asked for.
    pub(crate) connections: usize,
    /// How often a client sent after it was answered: the round trips, logins included. TCP's own handshake is not.
    pub(crate) trips: usize,
}

/// A proxy that listens on a port of 127.0.0.1.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    ending: Arc<AtomicBool>,
    trips: Arc<AtomicUsize>,
    accepting: JoinHandle<usize>,
}

impl Proxy {
    /// Forwards to a server's socket; each answer reaches the client `late` after the server gave it.
    pub(crate) fn start(socket: PathBuf, late: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (ending, trips) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (ends, counted) = (ending.clone(), trips.clone());
        let accepting = thread::spawn(move || {
            let mut forwarding = Vec::new();
            loop {
                let (client, _) = listener.accept().unwrap();
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let server = UnixStream::connect(&socket).unwrap();
                let counted = counted.clone();
                forwarding.push(thread::spawn(move || forward(client, server, late, &counted)));
            }
            let connections = forwarding.len();
            forwarding.into_iter().for_each(|thread| thread.join().unwrap());
            connections
        });
        Self { port, ending, trips, accepting }
    }

    /// Waits until every connection has ended, and gives the counts.
    pub(crate) fn finish(self) -> Counts {
        self.ending.store(true, Ordering::SeqCst);
        let _wakes = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let connections = self.accepting.join().unwrap();
        Counts { connections, trips: self.trips.load(Ordering::SeqCst) }
    }
}

fn forward(mut client: TcpStream, mut server: UnixStream, late: Duration, trips: &AtomicUsize) {
    client.set_nodelay(true).unwrap();
    let answered = Arc::new(AtomicBool::new(true));
    let (mut from_server, mut to_client, answers) =
        (server.try_clone().unwrap(), client.try_clone().unwrap(), answered.clone());
    // Reading goes on while an answer waits for its time: several of them are late once, not one behind the other.
    let (send, due) = mpsc::channel::<(Instant, Vec<u8>)>();
    let reading = thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok(length @ 1..) = from_server.read(&mut buffer) {
            if send.send((Instant::now() + late, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    let answering = thread::spawn(move || {
        for (at, bytes) in due {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            answers.store(true, Ordering::SeqCst);
            if to_client.write_all(&bytes).is_err() {
                break;
            }
        }
        let _gone = to_client.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; 65536];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        // Terminate is no question.
        if buffer[0] != b'X' && answered.swap(false, Ordering::SeqCst) {
            trips.fetch_add(1, Ordering::SeqCst);
        }
        if server.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _gone = server.shutdown(Shutdown::Both);
    reading.join().unwrap();
    answering.join().unwrap();
}
