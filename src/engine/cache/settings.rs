//! What the configuration says about the cache.
//!
//! Invariant: nothing here shows a password, neither for people nor for debugging.

use std::{
    fmt::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use super::policy::Policies;

/// How long a caller waits for Redis: with what it takes to wake up afterwards, less
/// than 50 ms.
pub const PATIENCE: Duration = Duration::from_millis(40);

/// Where entries lie behind the memory tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Redis when an address is given, else the disk.
    #[default]
    Auto,
    /// Nowhere.
    Memory,
    Disk,
    Redis,
    /// No cache at all, for comparison.
    Off,
}

impl Choice {
    pub const ALL: [Self; 5] = [Self::Auto, Self::Memory, Self::Disk, Self::Redis, Self::Off];

    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Redis => "redis",
            Self::Off => "off",
        }
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }
}

/// The URL of a Redis server: `redis://`, `rediss://` with TLS, or
/// `redis+unix:///path`. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    url: String,
    authority: Option<PathBuf>,
}

impl RedisAddress {
    /// # Errors
    /// When it is no such URL; the text never repeats it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let known = ["redis://", "rediss://", "redis+unix://", "unix://"];
        if known.iter().any(|scheme| url.starts_with(scheme)) {
            Ok(Self::of_url(url.to_owned()))
        } else {
            Err(format!(
                "a Redis address begins with {}",
                known.join(" or ")
            ))
        }
    }

    /// The address of a server by its parts.
    pub fn of_parts(host: &str, port: u16, db: u32, password: Option<&str>) -> Self {
        // An IPv6 address has colons of its own.
        let host = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        let address = Self::of_url(format!("redis://{host}:{port}/{db}"));
        match password {
            Some(password) => address.with_password(password),
            None => address,
        }
    }

    /// The same with a password, unless it has one.
    pub fn with_password(&self, password: &str) -> Self {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("redis", &self.url));
        if scheme.contains("unix") || rest.split('/').next().unwrap_or(rest).contains('@') {
            return self.clone();
        }
        let mut url = format!("{scheme}://:");
        push_escaped(&mut url, password);
        url.push('@');
        url.push_str(rest);
        Self {
            url,
            authority: self.authority.clone(),
        }
    }

    /// The same, trusting with TLS only who this file (PEM) vouches for, instead of
    /// whom the system trusts.
    pub fn with_authority(self, file: PathBuf) -> Self {
        Self {
            authority: Some(file),
            ..self
        }
    }

    /// Who vouches for the server, where that is not left to the system.
    pub fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.url.starts_with("rediss://")
    }

    fn of_url(url: String) -> Self {
        Self {
            url,
            authority: None,
        }
    }

    /// The whole of it, for whoever connects.
    pub fn secret(&self) -> &str {
        &self.url
    }
}

fn push_escaped(url: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            url.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

/// With `***` in place of user and password, and of what follows `?` what is known to be
/// none of both.
impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("redis", &self.url));
        // The last one: a password that was not escaped may hold some, and anything else.
        let credentials = if scheme.contains("unix") {
            rest.find('/').unwrap_or(0)
        } else {
            rest.rfind('@').map_or(0, |at| at + 1)
        };
        let (hidden, open) = match rest.split_at(credentials) {
            ("", open) => ("", open),
            (_, open) => ("***@", open),
        };
        let (path, query) = open.split_once('?').unwrap_or((open, ""));
        write!(f, "{scheme}://{hidden}{path}")?;
        let open: Vec<&str> = query
            .split('&')
            .filter(|part| part.starts_with("db=") || part.starts_with("protocol="))
            .collect();
        if !open.is_empty() {
            write!(f, "?{}", open.join("&"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({self})")
    }
}

/// What a cache is told when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    pub choice: Choice,
    /// Bytes on the disk.
    pub disk_bytes: u64,
    /// Bytes in the memory of this process.
    pub memory_bytes: u64,
    pub redis: Option<RedisAddress>,
    /// How long a caller waits for Redis.
    pub redis_patience: Duration,
    pub policies: Policies,
}

impl CacheSettings {
    /// The server that hosts share, unless it is not to be used.
    pub fn server(&self) -> Option<&RedisAddress> {
        let is_wanted = matches!(self.choice, Choice::Auto | Choice::Redis);
        self.redis.as_ref().filter(|_| is_wanted)
    }
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            choice: Choice::Auto,
            disk_bytes: 1_000_000_000,
            memory_bytes: 64_000_000,
            redis: None,
            redis_patience: PATIENCE,
            policies: Policies::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_never_shown_with_its_password() {
        for (url, shown) in [
            ("redis://host:6379/0", "redis://host:6379/0"),
            ("redis://:secret@host:1/2", "redis://***@host:1/2"),
            ("rediss://me:se@cret@host", "rediss://***@host"),
            ("redis://:se?cret@host:1/2", "redis://***@host:1/2"),
            (
                "redis+unix:///run/r.sock?db=1&pass=secret&user=secret",
                "redis+unix:///run/r.sock?db=1",
            ),
            ("unix://:secret@/run/r.sock", "unix://***@/run/r.sock"),
            (
                "redis+unix:///run/r.sock?pass=se&cret@&db=1",
                "redis+unix:///run/r.sock?db=1",
            ),
        ] {
            let address = RedisAddress::parse(url).unwrap();
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("cret"));
            assert_eq!(address.secret(), url);
        }
        let error = RedisAddress::parse("http://:secret@host").unwrap_err();
        assert!(!error.contains("secret"));
    }

    #[test]
    fn an_address_is_made_of_parts() {
        let address = RedisAddress::of_parts("host", 6380, 3, Some("a/b@c"));
        assert_eq!(address.secret(), "redis://:a%2Fb%40c@host:6380/3");
        let address = RedisAddress::of_parts("::1", 6379, 0, None);
        assert_eq!(address.secret(), "redis://[::1]:6379/0");
    }
}
