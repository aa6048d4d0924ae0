//! Which sources there are, and how each is reached.
//!
//! Invariant: what is shown or written never holds an API key.

use std::fmt;

/// How a site answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    Danbooru,
    E621,
    /// yande.re, konachan and others.
    Moebooru,
    /// Gelbooru itself, which wants a key.
    Gelbooru,
    /// What has the API of an older Gelbooru: rule34.xxx, safebooru, tbib.
    Dapi,
}

impl SiteKind {
    pub const ALL: [Self; 5] = [
        Self::Danbooru,
        Self::E621,
        Self::Moebooru,
        Self::Gelbooru,
        Self::Dapi,
    ];

    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Danbooru => "danbooru",
            Self::E621 => "e621",
            Self::Moebooru => "moebooru",
            Self::Gelbooru => "gelbooru",
            Self::Dapi => "dapi",
        }
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What nobody else may read.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSettings {
    /// In sidecars, in queries and in the keys of the cache.
    pub name: String,
    pub kind: SiteKind,
    /// Without the slash at the end.
    pub url: String,
    /// The name, or the number, of the account that the key belongs to.
    pub login: Option<String>,
    pub api_key: Option<Secret>,
    /// Milliseconds between the beginnings of two requests.
    pub interval_ms: u64,
}

/// The well-known sites, first whose word counts most.
const SITES: [(&str, SiteKind, &str, u64); 7] = [
    (
        "danbooru",
        SiteKind::Danbooru,
        "https://danbooru.donmai.us",
        500,
    ),
    ("e621", SiteKind::E621, "https://e621.net", 1_000),
    (
        "gelbooru",
        SiteKind::Gelbooru,
        "https://gelbooru.com",
        1_000,
    ),
    ("yandere", SiteKind::Moebooru, "https://yande.re", 1_000),
    (
        "konachan",
        SiteKind::Moebooru,
        "https://konachan.com",
        1_000,
    ),
    ("rule34", SiteKind::Dapi, "https://api.rule34.xxx", 1_000),
    ("safebooru", SiteKind::Dapi, "https://safebooru.org", 1_000),
];

/// The sites that need no address in the configuration, in the order in which they
/// are believed. None is asked because it is listed here.
pub fn default_sites() -> Vec<SourceSettings> {
    SITES
        .into_iter()
        .map(|(name, kind, url, interval_ms)| SourceSettings {
            name: name.to_owned(),
            kind,
            url: url.to_owned(),
            login: None,
            api_key: None,
            interval_ms,
        })
        .collect()
}
