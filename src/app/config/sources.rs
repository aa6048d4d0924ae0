//! The settings of the sources: `[sources.NAME]` in the file.
//!
//! Invariants: a source is asked only where the file switches it on; what is shown or
//! written never holds an API key.

use std::fmt;

use super::Setting;
use crate::engine::source::settings::{Secret, SiteKind, SourceSettings, default_sites};

/// Milliseconds between two requests to a site that nothing is known of.
const INTERVAL_MS: u64 = 1_000;
/// An hour.
const MOST_INTERVAL_MS: u64 = 3_600_000;

/// The settings of the sources, in the order of their priority: those built in, then
/// those that the file names besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcesConfig {
    pub sites: Vec<SiteConfig>,
}

/// The settings of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteConfig {
    pub name: String,
    pub is_on: bool,
    /// How it answers; built-in ones know.
    pub kind: Option<SiteKind>,
    pub url: Option<String>,
    pub login: Option<String>,
    pub api_key: Option<Secret>,
    pub interval_ms: u64,
}

impl Default for SourcesConfig {
    fn default() -> Self {
        let site = |site: SourceSettings| SiteConfig {
            name: site.name,
            is_on: false,
            kind: Some(site.kind),
            url: Some(site.url),
            login: site.login,
            api_key: site.api_key,
            interval_ms: site.interval_ms,
        };
        Self {
            sites: default_sites().into_iter().map(site).collect(),
        }
    }
}

impl SourcesConfig {
    /// Sets what follows `sources.`; `None` when there is no such key.
    pub(super) fn set(&mut self, key: &str, value: &Setting<'_>) -> Option<Result<(), String>> {
        let (name, setting) = key.strip_prefix("sources.")?.rsplit_once('.')?;
        let known = ["enabled", "kind", "url", "login", "api_key", "interval_ms"];
        if !known.contains(&setting) {
            return None;
        }
        if !is_name(name) {
            return Some(Err(format!(
                "{key}: a source is named by small letters, digits, - and _"
            )));
        }
        let site = self.site(name);
        Some(match setting {
            "enabled" => value.flag(key).map(|on| site.is_on = on),
            "kind" => value.text(key).and_then(|word| {
                let kind = SiteKind::by_name(word).ok_or_else(|| {
                    format!(
                        "{key} is one of {}",
                        SiteKind::ALL.map(SiteKind::name).join(" ")
                    )
                });
                kind.map(|kind| site.kind = Some(kind))
            }),
            "url" => value.text(key).and_then(|url| {
                let url = url.trim_end_matches('/');
                if !url.starts_with("https://") && !url.starts_with("http://") {
                    return Err(format!("{key} begins with https:// or http://"));
                }
                site.url = Some(url.to_owned());
                Ok(())
            }),
            "login" => text_or_number(key, value).map(|login| site.login = login),
            "api_key" => text_or_number(key, value).map(|secret| site.api_key = secret.map(Secret)),
            _ => value
                .number(key, 0..=MOST_INTERVAL_MS)
                .map(|interval| site.interval_ms = interval),
        })
    }

    fn site(&mut self, name: &str) -> &mut SiteConfig {
        let at = self.sites.iter().position(|site| site.name == name);
        let at = at.unwrap_or_else(|| {
            self.sites.push(SiteConfig {
                name: name.to_owned(),
                is_on: false,
                kind: None,
                url: None,
                login: None,
                api_key: None,
                interval_ms: INTERVAL_MS,
            });
            self.sites.len() - 1
        });
        &mut self.sites[at]
    }

    /// What is missing of sources that are switched on.
    pub(super) fn problems(&self) -> Vec<String> {
        let on = self.sites.iter().filter(|site| site.is_on);
        let problem = |site: &SiteConfig| {
            let lacks = match (&site.kind, &site.url) {
                (None, _) => format!(
                    "its kind is one of {}",
                    SiteKind::ALL.map(SiteKind::name).join(" ")
                ),
                (_, None) => "its url is missing".to_owned(),
                _ => return None,
            };
            Some(format!("[sources.{}] is not asked: {lacks}", site.name))
        };
        on.filter_map(problem).collect()
    }

    /// As the engine takes them: those that are switched on.
    pub fn settings(&self) -> Vec<SourceSettings> {
        let on = self.sites.iter().filter(|site| site.is_on);
        let settings = on.filter_map(|site| {
            Some(SourceSettings {
                name: site.name.clone(),
                kind: site.kind?,
                url: site.url.clone()?,
                login: site.login.clone(),
                api_key: site.api_key.clone(),
                interval_ms: site.interval_ms,
            })
        });
        settings.collect()
    }

    pub(super) fn write(&self, line: &mut dyn FnMut(fmt::Arguments<'_>)) {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        line(format_args!(
            "\n# sites that are asked by md5 what they know of a picture, in this order; own ones have a kind ({}) and a url",
            SiteKind::ALL.map(SiteKind::name).join(", ")
        ));
        for site in &self.sites {
            line(format_args!("[sources.{}]", site.name));
            line(format_args!("enabled = {}", site.is_on));
            if let Some(kind) = site.kind {
                line(format_args!("kind = {}", quoted(kind.name())));
            }
            if let Some(url) = &site.url {
                line(format_args!("url = {}", quoted(url)));
            }
            match &site.login {
                Some(login) => line(format_args!("login = {}", quoted(login))),
                None => line(format_args!("# login = \"me\"")),
            }
            match &site.api_key {
                Some(_) => line(format_args!("# api_key = \"***\" (set, and not shown)")),
                None => line(format_args!("# api_key = \"\"")),
            }
            line(format_args!("interval_ms = {}", site.interval_ms));
        }
    }
}

/// Whether it can be a key of sidecars, queries and the cache.
fn is_name(name: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    !name.is_empty() && name.chars().all(is_fine)
}

/// Accounts of some sites are numbers.
fn text_or_number(key: &str, value: &Setting<'_>) -> Result<Option<String>, String> {
    let text = match value {
        Setting::Number(number) => number.to_string(),
        _ => value.text(key)?.to_owned(),
    };
    Ok((!text.is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::Config;

    #[test]
    fn nothing_is_asked_until_a_file_says_so() {
        assert_eq!(Config::default().sources.settings(), []);
        let mut config = Config::default();
        let problems = config.apply(
            "[sources.e621]\nenabled = true\n[sources.danbooru]\nenabled = true\n\
             login = \"me\"\napi_key = \"secret\"\n[sources.gelbooru]\nlogin = 77",
        );
        assert_eq!(problems, [""; 0]);
        let settings = config.sources.settings();
        let names: Vec<&str> = settings.iter().map(|site| site.name.as_str()).collect();
        assert_eq!(
            names,
            ["danbooru", "e621"],
            "in the order of their priority"
        );
        assert_eq!(settings[0].api_key, Some(Secret("secret".to_owned())));
        assert_eq!(settings[0].url, "https://danbooru.donmai.us");
    }

    #[test]
    fn a_source_of_ones_own_has_a_kind_and_an_address() {
        let mut config = Config::default();
        let problems = config.apply(
            "[sources.mine]\nenabled = true\nkind = \"moebooru\"\n\
             url = \"http://nas.local:8080/\"\ninterval_ms = 0",
        );
        assert_eq!(problems, [""; 0]);
        let mine = config.sources.settings().pop().unwrap();
        assert_eq!((mine.kind, mine.interval_ms), (SiteKind::Moebooru, 0));
        assert_eq!(mine.url, "http://nas.local:8080");
        for (text, expected) in [
            (
                "[sources.other]\nenabled = true",
                "[sources.other] is not asked: its kind",
            ),
            (
                "[sources.other]\nenabled = true\nkind = \"dapi\"",
                "[sources.other] is not asked: its url is missing",
            ),
            (
                "[sources.other]\nkind = \"flickr\"",
                "line 2: sources.other.kind is one of danbooru",
            ),
            (
                "[sources.mine]\nurl = \"ftp://a\"",
                "line 2: sources.mine.url begins with",
            ),
            (
                "[sources.mine]\ncolor = 1",
                "line 2: unknown key sources.mine.color",
            ),
            (
                "[sources.\"A b\"]\nenabled = true",
                "line 2: sources.A b.enabled: a source is named",
            ),
        ] {
            let mut config = Config::default();
            let problems = config.apply(text);
            assert!(problems[0].starts_with(expected), "{problems:?}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_and_has_no_key() {
        let mut config = Config::default();
        config.apply("[sources.gelbooru]\nenabled = true\nlogin = 77\napi_key = \"hush\"");
        let shown = config.to_toml();
        assert!(!shown.contains("hush"), "{shown}");
        assert!(!format!("{config:?}").contains("hush"));
        let mut again = Config::default();
        assert_eq!(again.apply(&shown), [""; 0]);
        config.sources.site("gelbooru").api_key = None;
        assert_eq!(again.sources, config.sources);
    }
}
