//! Boorus: sites that know pictures by md5, each family with an API of its own.

mod answer;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use self::answer::{Answer, Fault};
use super::{
    MetadataSource, Trouble,
    http::{Client, Credentials, is_about_keys},
    post::{
        Grouped, MAX_TAG_BYTES, MAX_TAGS, Object, add_tags, add_url_values, add_urls, grouped,
        kept, rating, scalar, tags, text, unescape,
    },
    settings::{SiteKind, SourceSettings},
};
use crate::{
    engine::job::{Cancel, lock},
    model::{id::Md5, media::Media, tag::GENERAL},
};

/// What one address can name, and few answers are larger than a megabyte with.
const BATCH: usize = 100;
/// Of the names in one address, before what is no letter takes three.
const MAX_NAMES_BYTES: usize = 2_000;
/// Tags of one picture whose category is asked for.
const MAX_TYPED: usize = 400;
/// Tags whose category is remembered, so that common ones are asked for once.
const MAX_REMEMBERED: usize = 50_000;

/// The source of these settings; asks nobody yet.
///
/// # Errors
/// When the settings cannot work, as a sentence for people.
pub fn open(settings: &SourceSettings) -> Result<Arc<dyn MetadataSource>, String> {
    let name = &settings.name;
    let account = match (&settings.login, &settings.api_key) {
        (Some(login), Some(key)) => Some((login.clone(), key.0.clone())),
        (None, None) if settings.kind == SiteKind::Gelbooru => {
            return Err(format!(
                "{name} wants an account, set [sources.{name}] login (its number) and api_key"
            ));
        }
        (None, None) => None,
        _ => {
            return Err(format!(
                "[sources.{name}] needs both login and api_key, or neither"
            ));
        }
    };
    let user_agent = user_agent(settings);
    let credentials = match (settings.kind, account) {
        (_, None) => Credentials::None,
        (SiteKind::Danbooru | SiteKind::E621, Some((login, key))) => {
            Credentials::Basic { login, key }
        }
        (SiteKind::Moebooru, Some((login, key))) => Credentials::Query {
            login: ("login", login),
            key: ("password_hash", key),
        },
        (SiteKind::Gelbooru | SiteKind::Dapi, Some((login, key))) => Credentials::Query {
            login: ("user_id", login),
            key: ("api_key", key),
        },
    };
    let client = Client::new(settings, credentials, &user_agent)?;
    Ok(Arc::new(Booru {
        name: name.clone(),
        kind: settings.kind,
        client,
        types: Mutex::default(),
    }))
}

/// Who asks: this program, and on e621, which wants to know, the user as well.
fn user_agent(settings: &SourceSettings) -> String {
    let program = concat!("tagloupe/", env!("CARGO_PKG_VERSION"));
    let homepage = option_env!("CARGO_PKG_HOMEPAGE").filter(|homepage| !homepage.is_empty());
    let user = settings
        .login
        .as_deref()
        .filter(|login| settings.kind == SiteKind::E621 && is_plain_word(login))
        .map(|login| format!("by {login} on {}", settings.name));
    let about: Vec<&str> = homepage.into_iter().chain(user.as_deref()).collect();
    if about.is_empty() {
        program.to_owned()
    } else {
        format!("{program} ({})", about.join("; "))
    }
}

/// Whether it can stand in a comment of a header.
fn is_plain_word(word: &str) -> bool {
    word.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

struct Booru {
    name: String,
    kind: SiteKind,
    client: Client,
    /// Category by tag, of a site whose posts do not tell.
    types: Mutex<HashMap<String, String>>,
}

impl MetadataSource for Booru {
    fn name(&self) -> &str {
        &self.name
    }

    fn most_at_once(&self) -> usize {
        match self.kind {
            SiteKind::Danbooru | SiteKind::E621 | SiteKind::Moebooru => BATCH,
            SiteKind::Gelbooru | SiteKind::Dapi => 1,
        }
    }

    fn look_up(
        &self,
        pictures: &[Md5],
        now: &str,
        cancel: &Cancel,
    ) -> Result<Vec<Option<Media>>, Trouble> {
        let mut found = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(self.most_at_once()) {
            let answer = self.ask(batch, now, cancel)?;
            let known = self.known(answer, batch, now, cancel)?;
            found.extend(batch.iter().map(|md5| known.get(md5).cloned()));
        }
        Ok(found)
    }
}

impl Booru {
    /// The posts of these pictures, and maybe others.
    fn ask(&self, pictures: &[Md5], now: &str, cancel: &Cancel) -> Result<Answer, Trouble> {
        let md5s: Vec<String> = pictures.iter().map(Md5::to_string).collect();
        let wanted = format!("md5:{}", md5s.join(","));
        // Otherwise e621 keeps silent about what it has deleted.
        let any = format!("{wanted} status:any");
        match self.kind {
            SiteKind::Danbooru => self.get(
                "/posts.json",
                &[("tags", &wanted), ("limit", "200")],
                now,
                cancel,
            ),
            SiteKind::E621 => self.get(
                "/posts.json",
                &[("tags", &any), ("limit", "320")],
                now,
                cancel,
            ),
            SiteKind::Moebooru => self.get(
                "/post.json",
                &[
                    ("api_version", "2"),
                    ("include_tags", "1"),
                    ("tags", &wanted),
                    ("limit", "100"),
                ],
                now,
                cancel,
            ),
            SiteKind::Gelbooru => self.get_dapi("post", &[("tags", &wanted)], now, cancel),
            SiteKind::Dapi => self.get_dapi(
                "post",
                &[("fields", "tag_info"), ("tags", &wanted)],
                now,
                cancel,
            ),
        }
    }

    fn get_dapi(
        &self,
        what: &str,
        more: &[(&str, &str)],
        now: &str,
        cancel: &Cancel,
    ) -> Result<Answer, Trouble> {
        let mut query = vec![("page", "dapi"), ("s", what), ("q", "index"), ("json", "1")];
        query.extend(more);
        self.get("/index.php", &query, now, cancel)
    }

    fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        now: &str,
        cancel: &Cancel,
    ) -> Result<Answer, Trouble> {
        let body = self.client.get(path, query, now, cancel)?;
        // What this family says when it has nothing.
        if self.kind == SiteKind::Dapi && body.trim_ascii().is_empty() {
            return Ok(Answer::default());
        }
        answer::read(&body).map_err(|fault| match fault {
            Fault::Said(text) if is_about_keys(&text) => self.client.wants_key(&text),
            Fault::Said(text) => self.client.later(path, &text),
            Fault::Garbled(reason) => self.client.later(path, &reason),
        })
    }

    /// What an answer says of these pictures; the first post of each counts.
    fn known(
        &self,
        answer: Answer,
        pictures: &[Md5],
        now: &str,
        cancel: &Cancel,
    ) -> Result<HashMap<Md5, Media>, Trouble> {
        let mut known = HashMap::new();
        for post in answer.posts {
            // Posts that the site hides have no md5.
            let Some(md5) = answer::md5(&post).filter(|md5| pictures.contains(md5)) else {
                continue;
            };
            if known.contains_key(&md5) {
                continue;
            }
            let tags = match self.kind {
                SiteKind::Danbooru | SiteKind::E621 => {
                    tags(&post, Some(self.kind), &["tags", "tag_string"])
                }
                SiteKind::Moebooru => self.by_type(flat(&post), &answer.types),
                SiteKind::Gelbooru => self.asked_types(flat(&post), now, cancel)?,
                SiteKind::Dapi => {
                    let info = answer::tag_info(&post);
                    let mut names = flat(&post);
                    if names.is_empty() {
                        names = info.iter().map(|(name, _)| name.clone()).collect();
                    }
                    self.by_type(names, &info.into_iter().collect())
                }
            };
            known.insert(md5, self.media(post, &tags, now));
        }
        Ok(known)
    }

    /// A flat list of tags by category, as far as their types are known.
    fn by_type(&self, names: Vec<String>, types: &HashMap<String, String>) -> Grouped {
        let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for name in names {
            let group = types.get(&name).map_or(GENERAL, String::as_str);
            groups.entry(group).or_default().push(name);
        }
        grouped(groups, Some(self.kind))
    }

    /// As [`Self::by_type`], after asking for the types that are not known yet.
    fn asked_types(
        &self,
        names: Vec<String>,
        now: &str,
        cancel: &Cancel,
    ) -> Result<Grouped, Trouble> {
        let unknown: Vec<String> = {
            let types = lock(&self.types);
            let unknown = names.iter().filter(|name| !types.contains_key(*name));
            unknown.take(MAX_TYPED).cloned().collect()
        };
        let mut new = HashMap::new();
        for batch in batches(&unknown) {
            let query = [("limit", "100"), ("names", &batch.join(" "))];
            let types = self.get_dapi("tag", &query, now, cancel)?.types;
            new.extend(types.into_iter().filter(|(name, _)| batch.contains(name)));
        }
        let mut types = lock(&self.types);
        if types.len() + new.len() > MAX_REMEMBERED {
            types.retain(|name, _| names.contains(name));
        }
        types.extend(new);
        Ok(self.by_type(names, &types))
    }

    fn media(&self, mut post: Object, tags: &Grouped, now: &str) -> Media {
        let mut media = Media {
            rating: rating(text(&post, "rating"), Some(self.kind)),
            ..Media::default()
        };
        if media.rating.is_some() {
            media.rating_src = Some(self.name.clone());
        }
        if let Some(page) = self.page(&post) {
            add_urls(&mut media, &page);
            post.insert("post_url".to_owned(), page.into());
        }
        for key in ["source", "sources"] {
            if let Some(value) = post.get(key) {
                add_url_values(&mut media, value);
            }
        }
        add_tags(&mut media, tags, &self.name);
        let kept = kept(&post, media.rating, tags, now);
        media.sources.insert(self.name.clone(), kept);
        media
    }

    /// Where people look at the post.
    fn page(&self, post: &Object) -> Option<String> {
        let id = post.get("id").and_then(scalar)?;
        if !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let base = self.client.base();
        Some(match self.kind {
            SiteKind::Danbooru | SiteKind::E621 => format!("{base}/posts/{id}"),
            SiteKind::Moebooru => format!("{base}/post/show/{id}"),
            SiteKind::Gelbooru | SiteKind::Dapi => {
                // Programs and people may have different doors.
                let base = base.replacen("://api.", "://", 1);
                format!("{base}/index.php?page=post&s=view&id={id}")
            }
        })
    }
}

/// Names in parts that an address can hold.
fn batches(names: &[String]) -> Vec<&[String]> {
    let mut batches = Vec::new();
    let mut rest = names;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(BATCH).take_while(|name| {
            bytes += name.len() + 1;
            bytes <= MAX_NAMES_BYTES
        });
        let (batch, more) = rest.split_at(fits.count().max(1));
        batches.push(batch);
        rest = more;
    }
    batches
}

/// The tags of a post that has them in one text.
fn flat(post: &Object) -> Vec<String> {
    let tags = match post.get("tags") {
        Some(Value::String(tags)) => tags.as_str(),
        _ => "",
    };
    tags.split_whitespace()
        .filter(|tag| tag.len() <= MAX_TAG_BYTES)
        .take(MAX_TAGS)
        .map(unescape)
        .collect()
}

#[cfg(test)]
mod tests;
