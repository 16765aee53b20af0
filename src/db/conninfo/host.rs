//! Which host is meant where none is named, and which hosts are this machine.

use std::net::IpAddr;
use std::path::Path;

/// The folders in which servers keep their sockets: Debian's and Red Hat's, then PostgreSQL's own.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The first folder in which a socket for `port` stands, else localhost.
pub(super) fn default(port: u16) -> String {
    SOCKET_FOLDERS
        .into_iter()
        .find(|folder| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists())
        .unwrap_or("localhost")
        .to_owned()
}

/// Whether both the host and the address, where there is one, are this machine's own.
pub(super) fn is_local(host: &str, address: Option<IpAddr>) -> bool {
    let loopback = |address: IpAddr| address.to_canonical().is_loopback();
    let named = host.starts_with('/')
        || host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(loopback);
    named && address.is_none_or(loopback)
}
