//! A [`Conninfo`] -> the URL that means the same, for `psql` and for [`Conninfo::parse`].

use super::{CONNECT_TIMEOUT, Conninfo, Keepalives, PROGRAM};
use crate::db::tls::{Roots, SslMode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Duration;
use tokio_postgres::config::{ChannelBinding, TargetSessionAttrs};

/// What is encoded: everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What is encoded in a host or a parameter, where paths and addresses stay readable.
const IN_PARAMETER: &AsciiSet = &RESERVED.remove(b'/').remove(b':');

impl Conninfo {
    /// The URL, WITH the password: only to be shown for databases of this tool's own. What is as by default is left out.
    pub fn url(&self) -> String {
        let mut url = format!("postgresql://{}", utf8_percent_encode(&self.user, RESERVED));
        if let Some(password) = &self.password {
            url.push(':');
            url.extend(utf8_percent_encode(password, RESERVED));
        }
        url.push('@');
        let mut parameters: Vec<(&str, String)> = Vec::new();
        if self.host.starts_with('/') {
            parameters.push(("host", self.host.clone()));
            parameters.push(("port", self.port.to_string()));
        } else {
            let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
            let host = utf8_percent_encode(&self.host, IN_PARAMETER);
            url.push_str(&format!("{open}{host}{close}:{}", self.port));
        }
        url.push('/');
        url.extend(utf8_percent_encode(&self.database, RESERVED));
        parameters.extend(self.parameters());
        for (index, (keyword, value)) in parameters.iter().enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            url.push_str(&format!("{separator}{keyword}={}", utf8_percent_encode(value, IN_PARAMETER)));
        }
        url
    }

    /// The parameters beyond host, port, user, password and database that are not as by default.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = Vec::new();
        let mut add = |differs: bool, keyword: &'static str, value: String| {
            if differs {
                parameters.push((keyword, value));
            }
        };
        let seconds = |duration: Duration| duration.as_secs().to_string();
        if let Some(address) = self.hostaddr {
            add(true, "hostaddr", address.to_string());
        }
        let default_mode = SslMode::default_for(self.is_local(), &self.tls.roots);
        add(self.tls.mode != default_mode, "sslmode", self.tls.mode.word().to_owned());
        match &self.tls.roots {
            Roots::Default => {}
            Roots::System => add(true, "sslrootcert", "system".to_owned()),
            Roots::File(path) => add(true, "sslrootcert", path.to_string_lossy().into_owned()),
        }
        add(self.tls.direct, "sslnegotiation", "direct".to_owned());
        add(self.application_name != PROGRAM, "application_name", self.application_name.clone());
        add(self.options.is_some(), "options", self.options.clone().unwrap_or_default());
        let timeout = self.connect_timeout;
        add(timeout != Some(CONNECT_TIMEOUT), "connect_timeout", timeout.map_or("0".to_owned(), seconds));
        if let Some(timeout) = self.tcp_user_timeout {
            add(true, "tcp_user_timeout", timeout.as_millis().to_string());
        }
        let (given, default) = (&self.keepalives, Keepalives::default());
        add(!given.on, "keepalives", "0".to_owned());
        add(given.idle != default.idle, "keepalives_idle", seconds(given.idle));
        add(given.interval != default.interval, "keepalives_interval", seconds(given.interval));
        add(given.count != default.count, "keepalives_count", given.count.to_string());
        match self.session_attrs {
            TargetSessionAttrs::ReadWrite => add(true, "target_session_attrs", "read-write".to_owned()),
            TargetSessionAttrs::ReadOnly => add(true, "target_session_attrs", "read-only".to_owned()),
            _ => {}
        }
        match self.channel_binding {
            ChannelBinding::Disable => add(true, "channel_binding", "disable".to_owned()),
            ChannelBinding::Require => add(true, "channel_binding", "require".to_owned()),
            _ => {}
        }
        parameters
    }
}
