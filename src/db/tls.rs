//! TLS over rustls: the six values of `sslmode`, and where the certificates come from that a server is held against.
//!
//! PostgreSQL manual, section 34.19. The crypto provider is ring, named here and never the process' default. Client
//! certificates, revocation lists and protocol bounds come later: their place is `TlsSettings`.

mod verifier;

use crate::db::conninfo::Conninfo;
use crate::model::failure::{Failure, FailureKind};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;
use verifier::{Trust, Verifier};

/// libpq's `sslmode`, from weak to strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// Plain, and TLS where the server refuses that.
    Allow,
    /// TLS, and plain where the server has none.
    Prefer,
    /// TLS; the server's certificate counts only where `sslrootcert` is given.
    Require,
    /// TLS, with a certificate of a trusted authority.
    VerifyCa,
    /// TLS, with a certificate of a trusted authority for this very host.
    VerifyFull,
}

impl SslMode {
    /// All, from weak to strong.
    pub const ALL: [Self; 6] =
        [Self::Disable, Self::Allow, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// The word in connection strings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// What holds where nothing is said: libpq's `prefer` on this machine, `verify-full` everywhere else.
    pub(crate) fn default_for(local: bool, roots: &Roots) -> Self {
        if local && *roots != Roots::System { Self::Prefer } else { Self::VerifyFull }
    }
}

/// libpq's `sslrootcert`: the authorities that a server's certificate is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Nothing is said: `~/.postgresql/root.crt` where that exists, else those of the operating system.
    Default,
    /// `system`: those of the operating system.
    System,
    /// A PEM file.
    File(PathBuf),
}

/// How a connection is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    pub(crate) mode: SslMode,
    pub(crate) roots: Roots,
    /// TLS from the first byte (`sslnegotiation=direct`, PostgreSQL 17), without asking first.
    pub(crate) direct: bool,
}

/// Makes the TLS layer of a connection, and knows whether a server took up the offer.
#[derive(Clone)]
pub(crate) struct Connector {
    rustls: MakeRustlsConnect,
    begun: Arc<AtomicBool>,
}

impl Connector {
    /// The connector for these settings. Certificates are read only where they count.
    ///
    /// # Errors
    /// Usage: `sslrootcert` can't be read or holds no certificate. Connection: the system has no certificates.
    pub(crate) fn new(conninfo: &Conninfo) -> Result<Self, Failure> {
        let settings = conninfo.tls();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier {
            trust: trust(settings)?,
            name_counts: settings.mode == SslMode::VerifyFull,
            algorithms: provider.signature_verification_algorithms,
        };
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = config
            .map_err(|error| Failure::new(FailureKind::Connection, "TLS did not start").note(error.to_string()))?
            // Not dangerous but for sslmode=allow, prefer and require without sslrootcert, which promise no more.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // As libpq 17 does; sslnegotiation=direct can't do without it.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self { rustls: MakeRustlsConnect::new(config), begun: Arc::new(AtomicBool::new(false)) })
    }

    /// Whether a server has agreed to TLS since the connector was made.
    pub(crate) fn begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }
}

/// What the server's certificate is held against; libpq's table in section 34.19.4.
fn trust(settings: &TlsSettings) -> Result<Trust, Failure> {
    let home_file = || {
        let home = etcetera::home_dir().ok()?;
        Some(home.join(".postgresql/root.crt")).filter(|path| path.exists())
    };
    match (&settings.roots, settings.mode) {
        (Roots::File(path), _) => from_file(path),
        (Roots::System, _) => system(),
        (Roots::Default, SslMode::VerifyCa | SslMode::VerifyFull) => {
            home_file().map_or_else(system, |path| from_file(&path))
        }
        // A root file makes `require` as strong as `verify-ca`.
        (Roots::Default, SslMode::Require) => home_file().map_or(Ok(Trust::Anyone), |path| from_file(&path)),
        (Roots::Default, _) => Ok(Trust::Anyone),
    }
}

/// The certificates of a PEM file.
fn from_file(path: &Path) -> Result<Trust, Failure> {
    let failure = |cause: String| {
        Failure::usage(format!("the root certificates in {} can't be read", path.display()))
            .note(cause)
            .help("sslrootcert names a PEM file; for Supabase download it at Dashboard > Database > Settings > SSL")
    };
    // Read as a whole: the library reports a missing file and a broken one alike.
    let text = std::fs::read(path).map_err(|error| failure(error.to_string()))?;
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| failure(format!("it is no PEM file: {error}")))?;
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(certificates.iter().cloned());
    if usable == 0 {
        return Err(failure("it holds no usable certificate".to_owned()));
    }
    Ok(Trust::Roots { roots: Arc::new(roots), exact: certificates })
}

/// The operating system's certificates, read once a process.
fn system() -> Result<Trust, Failure> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Trust::Roots { roots: Arc::clone(roots), exact: Vec::new() });
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let mut failure =
            Failure::new(FailureKind::Connection, "this system has no certificates to hold the server's against");
        for error in found.errors.iter().take(3) {
            failure = failure.note(error.to_string());
        }
        return Err(failure
            .help("install the system's certificates (Debian: apt install ca-certificates)")
            .help("or name the server's authority: sslrootcert=FILE"));
    }
    let roots = ROOTS.get_or_init(|| Arc::new(roots));
    Ok(Trust::Roots { roots: Arc::clone(roots), exact: Vec::new() })
}

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;
    type TlsConnect = Watched<<MakeRustlsConnect as MakeTlsConnect<S>>::TlsConnect>;
    type Error = Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, Infallible> {
        let inner = MakeTlsConnect::<S>::make_tls_connect(&mut self.rustls, host)?;
        Ok(Watched { inner, begun: Arc::clone(&self.begun) })
    }
}

/// One TLS handshake, which the client library begins only once the server has agreed.
pub(crate) struct Watched<C> {
    inner: C,
    begun: Arc<AtomicBool>,
}

impl<S, C: TlsConnect<S>> TlsConnect<S> for Watched<C> {
    type Stream = C::Stream;
    type Error = C::Error;
    type Future = C::Future;

    fn connect(self, stream: S) -> Self::Future {
        self.begun.store(true, Ordering::Relaxed);
        self.inner.connect(stream)
    }
}
