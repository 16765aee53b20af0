//! Keywords and values, from a connection string and from variables -> a complete [`Conninfo`].

use super::{CONNECT_TIMEOUT, Conninfo, Keepalives, PROGRAM, host, keyword, text};
use crate::db::tls::{Roots, SslMode, TlsSettings};
use crate::model::failure::Failure;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use tokio_postgres::config::{ChannelBinding, TargetSessionAttrs};

/// What was set, and by what: a variable's name, or none for the connection string.
#[derive(Default)]
pub(super) struct Settings(BTreeMap<&'static str, (String, Option<&'static str>)>);

impl Settings {
    /// Those of a URL or keyword string.
    ///
    /// # Errors
    /// Usage: what [`text::read`] refuses.
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        Ok(Self(text::read(text)?.into_iter().map(|(keyword, value)| (keyword, (value, None))).collect()))
    }

    /// Adds what `var` says of keywords that are not set yet. An empty variable says nothing.
    ///
    /// # Errors
    /// Usage: a variable is set that would choose another server or a stronger protection, and isn't read yet.
    pub(super) fn fill(&mut self, var: &impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        if let Some(later) = keyword::LATER_VARIABLES.iter().find(|name| set(name).is_some()) {
            return Err(Failure::usage(format!("{later} is set, which is not supported yet"))
                .note("libpq reads it, and passing over it could connect otherwise than was asked for")
                .help(format!("unset {later}, and name the database with --database-url")));
        }
        for (variable, keyword) in keyword::VARIABLES {
            // As in libpq, a keyword that the string gives is set, even to nothing.
            if !self.0.contains_key(keyword)
                && let Some(value) = set(variable)
            {
                self.0.insert(keyword, (value, Some(variable)));
            }
        }
        Ok(())
    }

    /// The value of a keyword, unless it is empty.
    fn take(&mut self, keyword: &'static str) -> Option<Setting> {
        let (value, variable) = self.0.remove(keyword)?;
        (!value.is_empty()).then_some(Setting { keyword, value, variable })
    }

    fn text(&mut self, keyword: &'static str) -> Option<String> {
        self.take(keyword).map(|setting| setting.value)
    }

    /// Everything, with libpq's defaults and our own.
    ///
    /// # Errors
    /// Usage: a value isn't one that its keyword takes.
    pub(super) fn complete(mut self) -> Result<Conninfo, Failure> {
        self.refuse_what_has_no_effect()?;
        let port = self.take("port").map_or(Ok(5432), |setting| setting.port())?;
        let hostaddr = self.take("hostaddr").map(|setting| setting.address()).transpose()?;
        let host = match (self.take("host"), hostaddr) {
            (Some(setting), _) => setting.host()?,
            (None, Some(address)) => address.to_string(),
            (None, None) => host::default(port),
        };
        let user = match self.text("user") {
            Some(user) => user,
            None => whoami::username().map_err(|error| {
                Failure::usage("no user is given, and the operating system's user has no name")
                    .note(error.to_string())
                    .help("name the user in the connection string, or in PGUSER")
            })?,
        };
        let local = host::is_local(&host, hostaddr);
        let fallback_name = self.text("fallback_application_name");
        Ok(Conninfo {
            tls: self.tls(local)?,
            database: self.text("dbname").unwrap_or_else(|| user.clone()),
            password: self.text("password"),
            application_name: self.text("application_name").or(fallback_name).unwrap_or_else(|| PROGRAM.to_owned()),
            options: self.text("options"),
            connect_timeout: match self.take("connect_timeout") {
                Some(setting) => setting.duration(Duration::from_secs)?,
                None => Some(CONNECT_TIMEOUT),
            },
            tcp_user_timeout: match self.take("tcp_user_timeout") {
                Some(setting) => setting.duration(Duration::from_millis)?,
                None => None,
            },
            keepalives: self.keepalives()?,
            session_attrs: self.take("target_session_attrs").map_or(Ok(TargetSessionAttrs::Any), |setting| {
                setting.one_of(&[
                    ("any", TargetSessionAttrs::Any),
                    ("read-write", TargetSessionAttrs::ReadWrite),
                    ("read-only", TargetSessionAttrs::ReadOnly),
                ])
            })?,
            channel_binding: self.take("channel_binding").map_or(Ok(ChannelBinding::Prefer), |setting| {
                setting.one_of(&[
                    ("disable", ChannelBinding::Disable),
                    ("prefer", ChannelBinding::Prefer),
                    ("require", ChannelBinding::Require),
                ])
            })?,
            host,
            hostaddr,
            port,
            user,
        })
    }

    /// Keywords that are taken only with the value that this tool has anyway.
    fn refuse_what_has_no_effect(&mut self) -> Result<(), Failure> {
        if let Some(setting) = self.take("client_encoding") {
            setting.one_of(&[("UTF8", ()), ("utf8", ()), ("UTF-8", ()), ("utf-8", ()), ("auto", ())])?;
        }
        if let Some(setting) = self.take("gssencmode") {
            setting.one_of(&[("disable", ()), ("prefer", ())])?;
        }
        Ok(())
    }

    /// The TLS settings; for a host that isn't local the default is verify-full.
    fn tls(&mut self, local: bool) -> Result<TlsSettings, Failure> {
        let roots = match self.text("sslrootcert") {
            None => Roots::Default,
            Some(word) if word == "system" => Roots::System,
            Some(path) => Roots::File(path.into()),
        };
        let mode = match self.take("sslmode") {
            Some(setting) => setting.one_of(&SslMode::ALL.map(|mode| (mode.word(), mode)))?,
            None => SslMode::default_for(local, &roots),
        };
        if roots == Roots::System && mode != SslMode::VerifyFull {
            return Err(Failure::usage(format!("sslmode={} is too weak for sslrootcert=system", mode.word()))
                .note("anybody can get a certificate that the system trusts, for a host of theirs")
                .help("use sslmode=verify-full, or leave sslmode out"));
        }
        let direct = match self.take("sslnegotiation") {
            Some(setting) => setting.one_of(&[("postgres", false), ("direct", true)])?,
            None => false,
        };
        if direct && mode < SslMode::Require {
            return Err(Failure::usage(format!("sslmode={} is too weak for sslnegotiation=direct", mode.word()))
                .help("use sslmode=require or stronger"));
        }
        Ok(TlsSettings { mode, roots, direct })
    }

    fn keepalives(&mut self) -> Result<Keepalives, Failure> {
        let default = Keepalives::default();
        let seconds = |setting: Option<Setting>, default: Duration| match setting {
            Some(setting) => setting.duration(Duration::from_secs).map(|given| given.unwrap_or(default)),
            None => Ok(default),
        };
        Ok(Keepalives {
            on: self.take("keepalives").map_or(Ok(true), |setting| setting.number().map(|number| number != 0))?,
            idle: seconds(self.take("keepalives_idle"), default.idle)?,
            interval: seconds(self.take("keepalives_interval"), default.interval)?,
            count: match self.take("keepalives_count") {
                Some(setting) => match u32::try_from(setting.number()?) {
                    Ok(count) if count > 0 => count,
                    _ => default.count,
                },
                None => default.count,
            },
        })
    }
}

/// One keyword's value. Errors say which keyword and what it takes, never the value: a URL that was typed wrongly puts
/// pieces of the password anywhere.
struct Setting {
    keyword: &'static str,
    value: String,
    variable: Option<&'static str>,
}

impl Setting {
    fn wrong(&self, expected: &str) -> Failure {
        let place = self.variable.unwrap_or("the connection string");
        Failure::usage(format!("{} in {place} is not {expected}", self.keyword))
    }

    fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Failure> {
        choices.iter().find(|(word, _)| *word == self.value).map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.wrong(&format!("one of {}", words.join(", ")))
        })
    }

    fn number(&self) -> Result<i64, Failure> {
        self.value.trim().parse::<i32>().map(i64::from).map_err(|_| self.wrong("a whole number"))
    }

    /// A time in units of `of`; none for zero and less, which mean no limit.
    fn duration(&self, of: impl Fn(u64) -> Duration) -> Result<Option<Duration>, Failure> {
        Ok(u64::try_from(self.number()?).ok().filter(|number| *number > 0).map(of))
    }

    fn port(&self) -> Result<u16, Failure> {
        self.refuse_several()?;
        match self.value.trim().parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => {
                let failure = self.wrong("a number from 1 to 65535");
                Err(if self.variable.is_some() {
                    failure
                } else {
                    failure.help("in a URL, percent-encode what the password holds of / ? # @ % & and space")
                })
            }
        }
    }

    fn address(&self) -> Result<IpAddr, Failure> {
        self.refuse_several()?;
        self.value.parse().map_err(|_| self.wrong("an IPv4 or IPv6 address"))
    }

    fn host(self) -> Result<String, Failure> {
        self.refuse_several()?;
        let folder = self.value.starts_with('/');
        let fits = |c: char| !c.is_control() && (folder || !(c.is_whitespace() || matches!(c, '/' | '@' | '?' | '#')));
        if self.value.chars().all(fits) {
            Ok(self.value)
        } else {
            Err(self.wrong("a host name, address or socket folder"))
        }
    }

    fn refuse_several(&self) -> Result<(), Failure> {
        if self.value.contains(',') {
            return Err(self
                .wrong("a single one")
                .note("several hosts in one connection string are not supported yet")
                .help("name the server that takes writes"));
        }
        Ok(())
    }
}
