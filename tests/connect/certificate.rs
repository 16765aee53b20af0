//! Certificates made for one test: authorities, and what they sign.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::NamedTempFile;

/// A server's certificate and key, as PEM.
pub(crate) struct Certificate {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// Someone who signs. All of them have the same subject, as two of Supabase's roots have.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, as PEM.
    pub(crate) root: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("a root").pem();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// A certificate for `host`.
    pub(crate) fn sign(&self, host: &str) -> Certificate {
        self.sign_with(CertificateParams::new(vec![host.to_owned()]).expect("parameters"))
    }

    /// One that was for `host` until 2020.
    pub(crate) fn sign_expired(&self, host: &str) -> Certificate {
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("parameters");
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign_with(params)
    }

    fn sign_with(&self, params: CertificateParams) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        Certificate { chain: signed.pem(), key: key.serialize_pem() }
    }
}

/// A server's certificate that it signed itself, marked as an authority's as `openssl req -x509` does.
pub(crate) fn self_signed(host: &str) -> Certificate {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![host.to_owned()]).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Certificate { chain: params.self_signed(&key).expect("a certificate").pem(), key: key.serialize_pem() }
}

/// The text in a file, for sslrootcert.
pub(crate) fn file(pem: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), pem).expect("its text");
    file
}
