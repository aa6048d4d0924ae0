//! The settings of the cache: `[cache]` in the file, and the variables that other
//! programs with Redis know too.
//!
//! Invariant: what is shown or written never holds a password.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use super::{Environment, Setting};
use crate::engine::cache::{
    key::Family,
    policy::{Policies, default_ttl},
    settings::{CacheSettings, Choice, PATIENCE, RedisAddress},
};

/// The largest time to live: ten years.
const MAX_TTL_SECONDS: u64 = 315_360_000;
const DEFAULT_PORT: u16 = 6379;

/// The settings of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    pub backend: Choice,
    /// On the disk.
    pub size_mb: u64,
    /// In the memory of this process.
    pub memory_mb: u64,
    pub redis: Option<RedisAddress>,
    /// The file of who vouches for it, with TLS; `None`: whom the system trusts.
    pub redis_ca: Option<PathBuf>,
    /// Seconds by the first word of the keys.
    pub ttl: BTreeMap<Family, u64>,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            backend: Choice::Auto,
            size_mb: 1000,
            memory_mb: 64,
            redis: None,
            redis_ca: None,
            ttl: Family::ALL
                .into_iter()
                .map(|family| (family, default_ttl(family).as_secs()))
                .collect(),
        }
    }
}

impl CacheConfig {
    /// Sets what follows `cache.`; `None` when there is no such key.
    pub(super) fn set(&mut self, key: &str, value: &Setting<'_>) -> Option<Result<(), String>> {
        let name = key.strip_prefix("cache.")?;
        Some(match name {
            "backend" => value.text(key).and_then(|word| {
                let choice = Choice::by_name(word).ok_or_else(|| {
                    format!(
                        "{key} is one of {}",
                        Choice::ALL.map(Choice::name).join(" ")
                    )
                });
                choice.map(|choice| self.backend = choice)
            }),
            "size_mb" => value
                .number(key, 1..=10_000_000)
                .map(|size| self.size_mb = size),
            "memory_mb" => value
                .number(key, 1..=1_000_000)
                .map(|size| self.memory_mb = size),
            "redis_ca" => value.text(key).map(|path| {
                self.redis_ca = (!path.is_empty()).then(|| PathBuf::from(path));
            }),
            "redis_url" => value.text(key).and_then(|url| self.set_url(url)),
            _ => {
                let family = name.strip_prefix("ttl.").and_then(Family::by_name)?;
                value.number(key, 0..=MAX_TTL_SECONDS).map(|seconds| {
                    self.ttl.insert(family, seconds);
                })
            }
        })
    }

    fn set_url(&mut self, url: &str) -> Result<(), String> {
        self.redis = if url.is_empty() {
            None
        } else {
            Some(RedisAddress::parse(url)?)
        };
        Ok(())
    }

    /// Takes over `REDIS_URL`, or a server by its parts, and whether it is wanted.
    pub(super) fn apply_environment(
        &mut self,
        environment: Environment<'_>,
        problems: &mut Vec<String>,
    ) {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let enabled = variable("REDIS_ENABLED").map(|word| {
            matches!(
                word.to_ascii_lowercase().as_str(),
                "1" | "true" | "yes" | "on"
            )
        });
        let host = variable("REDIS_HOST");
        let password = variable("REDIS_PASSWORD");
        let mut number = |name: &str| -> Option<u32> {
            let parsed = variable(name)?.parse();
            if parsed.is_err() {
                problems.push(format!("{name} is not a number"));
            }
            parsed.ok()
        };
        let port = number("REDIS_PORT").map(u16::try_from);
        let db = number("REDIS_DB");
        if port.is_some_and(|port| port.is_err()) {
            problems.push("REDIS_PORT is not a port".to_owned());
        }
        let port = port.and_then(Result::ok);
        let names_a_server = host.is_some() || port.is_some() || db.is_some();
        if names_a_server || (enabled == Some(true) && self.redis.is_none()) {
            self.redis = Some(RedisAddress::of_parts(
                host.as_deref().unwrap_or("localhost"),
                port.unwrap_or(DEFAULT_PORT),
                db.unwrap_or(0),
                password.as_deref(),
            ));
        } else if let (Some(address), Some(password)) = (&self.redis, &password) {
            self.redis = Some(address.with_password(password));
        }
        // The most particular one last.
        for name in ["REDIS_URL", "TAGLOUPE_REDIS_URL"] {
            if let Some(url) = variable(name)
                && let Err(error) = self.set_url(&url)
            {
                problems.push(format!("{name}: {error}"));
            }
        }
        if let (Some(address), Some(password)) = (&self.redis, &password) {
            self.redis = Some(address.with_password(password));
        }
        if let Some(path) = variable("REDIS_CA") {
            self.redis_ca = Some(PathBuf::from(path));
        }
        if enabled == Some(false) {
            self.redis = None;
            if self.backend == Choice::Redis {
                self.backend = Choice::Disk;
            }
        }
    }

    /// The lines of the file.
    pub(super) fn write(&self, line: &mut dyn FnMut(fmt::Arguments<'_>)) {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        line(format_args!("\n[cache]"));
        line(format_args!(
            "# auto: redis when redis_url is set, else disk; {}",
            Choice::ALL.map(Choice::name).join(", ")
        ));
        line(format_args!("backend = {}", quoted(self.backend.name())));
        line(format_args!("# thumbnails and what else is kept on disk"));
        line(format_args!("size_mb = {}", self.size_mb));
        line(format_args!("# in memory, in front of it"));
        line(format_args!("memory_mb = {}", self.memory_mb));
        line(format_args!(
            "# several hosts share a cache and see each other's edits; a password can be in REDIS_PASSWORD"
        ));
        match &self.redis {
            Some(address) => line(format_args!("redis_url = {}", quoted(&address.to_string()))),
            None => line(format_args!("# redis_url = \"redis://localhost:6379/0\"")),
        }
        line(format_args!(
            "# with TLS (rediss://): who vouches for the server, where the system does not know"
        ));
        match &self.redis_ca {
            Some(path) => line(format_args!(
                "redis_ca = {}",
                quoted(&path.to_string_lossy())
            )),
            None => line(format_args!("# redis_ca = \"/etc/ssl/redis-ca.pem\"")),
        }
        line(format_args!(
            "\n# seconds that entries are good for; 0: until they make room"
        ));
        line(format_args!("[cache.ttl]"));
        for (family, seconds) in &self.ttl {
            line(format_args!("{} = {seconds}", family.name()));
        }
    }

    /// As the engine takes them.
    pub fn settings(&self) -> CacheSettings {
        let ttl = self.ttl.iter();
        CacheSettings {
            choice: self.backend,
            disk_bytes: self.size_mb.saturating_mul(1_000_000),
            memory_bytes: self.memory_mb.saturating_mul(1_000_000),
            redis: match (self.redis.clone(), self.redis_ca.clone()) {
                (Some(address), Some(file)) => Some(address.with_authority(file)),
                (address, _) => address,
            },
            redis_patience: PATIENCE,
            policies: Policies {
                ttl: ttl
                    .map(|(family, seconds)| (*family, Duration::from_secs(*seconds)))
                    .collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::Config;

    /// The address that these variables give, and what was wrong with them.
    fn from(variables: &[(&str, &str)]) -> (CacheConfig, Vec<String>) {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let (config, problems) = Config::load(&environment);
        (config.cache, problems)
    }

    fn secret(config: &CacheConfig) -> Option<&str> {
        config.redis.as_ref().map(RedisAddress::secret)
    }

    #[test]
    fn a_server_is_named_by_its_url_or_its_parts() {
        for (variables, expected) in [
            (&[][..], None),
            (
                &[("REDIS_ENABLED", "true")],
                Some("redis://localhost:6379/0"),
            ),
            (&[("REDIS_HOST", "nas")], Some("redis://nas:6379/0")),
            (
                &[
                    ("REDIS_HOST", "nas"),
                    ("REDIS_PORT", "6380"),
                    ("REDIS_DB", "2"),
                    ("REDIS_PASSWORD", "a b"),
                ],
                Some("redis://:a%20b@nas:6380/2"),
            ),
            (
                &[("REDIS_URL", "redis://one"), ("REDIS_PASSWORD", "x")],
                Some("redis://:x@one"),
            ),
            (
                &[
                    ("REDIS_URL", "redis://one"),
                    ("TAGLOUPE_REDIS_URL", "rediss://two"),
                ],
                Some("rediss://two"),
            ),
            (
                &[("REDIS_URL", "redis://one"), ("REDIS_ENABLED", "false")],
                None,
            ),
        ] {
            let (config, problems) = from(variables);
            assert_eq!(secret(&config), expected, "{variables:?}");
            assert!(problems.is_empty(), "{problems:?}");
        }
        let (config, _) = from(&[("CACHE_SIZE_MB", "250")]);
        assert_eq!(config.settings().disk_bytes, 250_000_000);
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        let (_, problems) = from(&[
            ("REDIS_PORT", "many"),
            ("REDIS_URL", "http://:sesame@host"),
            ("REDIS_PASSWORD", "sesame"),
        ]);
        assert_eq!(problems.len(), 2, "{problems:?}");
        let (config, _) = from(&[
            ("REDIS_URL", "redis://:sesame@host"),
            ("REDIS_PORT", "70000"),
        ]);
        let mut shown = format!("{config:?}{problems:?}");
        config.write(&mut |line| shown.push_str(&line.to_string()));
        assert!(!shown.contains("sesame"), "{shown}");
    }

    #[test]
    fn the_file_sets_each_of_them() {
        let mut config = Config::default();
        let problems = config.apply(
            "[cache]\nbackend = \"redis\"\nsize_mb = 5\nmemory_mb = 6\nredis_url = \"redis://h\"\n\
             [cache.ttl]\nsearch = 9\nnothing = 1",
        );
        assert_eq!(problems, ["line 8: unknown key cache.ttl.nothing"]);
        let settings = config.cache.settings();
        assert_eq!(settings.choice, Choice::Redis);
        assert_eq!(
            (settings.disk_bytes, settings.memory_bytes),
            (5_000_000, 6_000_000)
        );
        let search = settings.policies.of(Family::Search);
        assert_eq!(search.ttl, Some(Duration::from_secs(9)));
        let problems = config.apply("[cache]\nbackend = \"tape\"");
        assert_eq!(
            problems,
            ["line 2: cache.backend is one of auto memory disk redis off"]
        );
    }
}
