//! Opens a connection: find the addresses, try each, TLS as `sslmode` says, and say what stood in the way.
//!
//! One connection is one TCP handshake, one question whether there is TLS (none for `disable`), the TLS handshake, and
//! the login; nothing is asked of the server after that.

mod diagnose;

use crate::db::conninfo::Conninfo;
use crate::db::session::{Endpoint, Origin, Session};
use crate::db::tls::{Connector, SslMode};
use crate::model::failure::Failure;
use diagnose::Fault;
use futures::StreamExt;
use std::future::Future;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{SslMode as Offer, SslNegotiation};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket};

/// Where one attempt goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    Socket(String),
    Tcp(IpAddr),
}

/// Connects; the session runs until it is dropped or closed. Notices go to the log, target `chartchek_db::notice`.
///
/// Of several addresses the next is tried where one can't be reached; a server that answers and refuses ends it, as with
/// libpq.
///
/// # Errors
/// [`FailureKind::Connection`](crate::model::failure::FailureKind::Connection) with cause and help; Usage where
/// `sslrootcert` is wrong.
pub async fn connect(conninfo: &Conninfo) -> Result<Session, Failure> {
    let addresses = addresses(conninfo).await?;
    let mut unreached = Vec::new();
    for address in addresses {
        match attempt(conninfo, &address).await? {
            Ok(session) => return Ok(session),
            Err(fault) if fault.is_unreached() => unreached.push((address, fault)),
            Err(fault) => return Err(diagnose::refused(conninfo, &fault)),
        }
    }
    Err(diagnose::unreached(conninfo, &unreached))
}

/// The addresses to try, in the resolver's order.
async fn addresses(conninfo: &Conninfo) -> Result<Vec<Address>, Failure> {
    if let Some(folder) = conninfo.socket_folder() {
        return Ok(vec![Address::Socket(folder.to_owned())]);
    }
    if let Some(address) = conninfo.hostaddr().or_else(|| conninfo.host().parse().ok()) {
        return Ok(vec![Address::Tcp(address)]);
    }
    let looked_up = within(conninfo, tokio::net::lookup_host((conninfo.host(), conninfo.port()))).await;
    let mut addresses = Vec::new();
    match looked_up {
        Some(Ok(found)) => {
            for address in found.map(|found| Address::Tcp(found.ip())) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Some(Err(error)) => return Err(diagnose::unresolved(conninfo, &error.to_string())),
        None => return Err(diagnose::unresolved(conninfo, "the name server did not answer in time")),
    }
    if addresses.is_empty() {
        return Err(diagnose::unresolved(conninfo, "the name has no address"));
    }
    Ok(addresses)
}

/// `work`, or none where the connection's time is up.
async fn within<F: Future>(conninfo: &Conninfo, work: F) -> Option<F::Output> {
    match conninfo.connect_timeout() {
        Some(limit) => tokio::time::timeout(limit, work).await.ok(),
        None => Some(work.await),
    }
}

/// One address. The outer error is one that no other address could mend.
async fn attempt(conninfo: &Conninfo, address: &Address) -> Result<Result<Session, Fault>, Failure> {
    let mut config = conninfo.client_config();
    // A second connection must meet the same server.
    let pinned;
    let conninfo = match address {
        Address::Socket(folder) => {
            config.host(folder);
            conninfo
        }
        Address::Tcp(ip) => {
            config.host(conninfo.host()).hostaddr(*ip);
            pinned = conninfo.with_hostaddr(*ip);
            &pinned
        }
    };
    if conninfo.tls().direct {
        config.ssl_negotiation(SslNegotiation::Direct);
    }
    let mode = conninfo.tls().mode;
    // As with libpq, sslmode counts for TCP only.
    if mode == SslMode::Disable || matches!(address, Address::Socket(_)) {
        return Ok(plain(conninfo, config).await);
    }
    let connector = Connector::new(conninfo)?;
    Ok(match mode {
        SslMode::Allow => match plain(conninfo, config.clone()).await {
            Err(fault) if fault.is_refused_by_rule() => {
                tls(conninfo, config, Offer::Require, &connector).await.map_err(|second| second.after(fault))
            }
            result => result,
        },
        SslMode::Prefer => match tls(conninfo, config.clone(), Offer::Prefer, &connector).await {
            Err(fault) if connector.begun() && (fault.is_tls() || fault.is_refused_by_rule()) => {
                plain(conninfo, config).await.map_err(|second| second.after(fault))
            }
            result => result,
        },
        _ => tls(conninfo, config, Offer::Require, &connector).await,
    })
}

/// One attempt without TLS.
async fn plain(conninfo: &Conninfo, mut config: Config) -> Result<Session, Fault> {
    config.ssl_mode(Offer::Disable).ssl_negotiation(SslNegotiation::Postgres);
    let (client, connection) = open(conninfo, &config, NoTls).await?;
    Ok(session(conninfo, client, connection, None))
}

/// One attempt with TLS, or where the server has none and `offer` allows it, without.
async fn tls(conninfo: &Conninfo, mut config: Config, offer: Offer, connector: &Connector) -> Result<Session, Fault> {
    config.ssl_mode(offer);
    let (client, connection) = open(conninfo, &config, connector.clone()).await?;
    Ok(session(conninfo, client, connection, Some(connector)))
}

type Opened<T> = (Client, Connection<Socket, <T as MakeTlsConnect<Socket>>::Stream>);

async fn open<T: MakeTlsConnect<Socket>>(conninfo: &Conninfo, config: &Config, tls: T) -> Result<Opened<T>, Fault> {
    match within(conninfo, config.connect(tls)).await {
        Some(result) => result.map_err(Fault::from),
        None => Err(Fault::timeout()),
    }
}

/// Starts the task that drives the connection; `tls` is what was offered.
fn session<S>(
    conninfo: &Conninfo,
    client: Client,
    connection: Connection<Socket, S>,
    tls: Option<&Connector>,
) -> Session
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let endpoint = Endpoint {
        host: conninfo.host().to_owned(),
        port: conninfo.port(),
        database: conninfo.database().to_owned(),
        user: conninfo.user().to_owned(),
        tls: tls.is_some_and(Connector::begun),
    };
    let origin = Origin { conninfo: conninfo.clone(), tls: tls.cloned() };
    Session::new(client, tokio::spawn(drive(connection)), endpoint, origin)
}

/// Moves the connection's messages until it ends, and logs what the server says unasked.
async fn drive<S: AsyncRead + AsyncWrite + Unpin>(mut connection: Connection<Socket, S>) {
    let mut messages = futures::stream::poll_fn(move |context| connection.poll_message(context));
    while let Some(message) = messages.next().await {
        match message {
            Ok(AsyncMessage::Notice(notice)) => {
                let (severity, code) = (notice.severity(), notice.code().code());
                // DETAIL is left out: it can hold row values.
                if severity == "WARNING" {
                    tracing::warn!(target: "chartchek_db::notice", code, "{severity}: {}", notice.message());
                } else {
                    tracing::info!(target: "chartchek_db::notice", code, "{severity}: {}", notice.message());
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(target: "chartchek_db::notice", "connection lost: {}", super::error::DbError::from(error));
                return;
            }
        }
    }
}
