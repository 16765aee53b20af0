//! How often the program waits for the server, counted at a proxy that makes every answer late.

use crate::server::{Database, Project, run};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Forwards one connection and counts how often the client sends after it was answered: the round trips.
fn proxied(database: &Database, project: &Project) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
    let target = database.folder().join(".s.PGSQL.5432");
    let trips = Arc::new(AtomicUsize::new(0));
    let counted = trips.clone();
    let proxy = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = UnixStream::connect(target).unwrap();
        let answered = Arc::new(AtomicBool::new(true));
        let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let answers = answered.clone();
        let back = std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(length @ 1..) = from_server.read(&mut buffer) {
                std::thread::sleep(Duration::from_millis(30));
                answers.store(true, Ordering::SeqCst);
                if to_client.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
        });
        let mut buffer = [0; 65536];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            // Terminate is no question.
            if buffer[0] != b'X' && answered.swap(false, Ordering::SeqCst) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            server.write_all(&buffer[..length]).unwrap();
        }
        server.shutdown(std::net::Shutdown::Both).unwrap();
        back.join().unwrap();
    });
    let url = format!("host={} user=postgres dbname={}", folder.path().display(), database.name);
    run("migrate", &url, project, &[]).succeeded(&[]);
    proxy.join().unwrap();
    // One is the login.
    trips.load(Ordering::SeqCst) - 1
}

#[test]
fn nothing_to_do_is_one_round_trip_and_a_file_is_one_more() {
    let database = Database::plain();
    let project = Project::new(&[("V1__a.sql", "create table a (i int)")]);
    // Look, lock and look again, the file, give the lock back.
    assert_eq!(proxied(&database, &project), 4);
    assert_eq!(proxied(&database, &project), 1);
    for version in 2..=6 {
        project.write(&format!("V{version}__x.sql"), &format!("create table x{version} (i int)"));
    }
    assert_eq!(proxied(&database, &project), 3 + 5);
}
