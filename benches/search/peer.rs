//! The same questions as SQL: Image Tagger's tables, and its FTS5 table of tags.

use rusqlite::Connection;

use crate::synthetic::{Vocabulary, entry};

const TABLES: &str = "
PRAGMA journal_mode = off; PRAGMA synchronous = off; PRAGMA cache_size = -262144;
CREATE TABLE media (hash TEXT PRIMARY KEY, type TEXT NOT NULL, source_media TEXT, name TEXT,
    caption TEXT, created DATETIME, modified DATETIME, metadata_json TEXT);
CREATE TABLE tags (id INTEGER PRIMARY KEY, media_hash TEXT NOT NULL, category TEXT NOT NULL,
    value TEXT NOT NULL, position INTEGER NOT NULL);
CREATE VIRTUAL TABLE tags_fts USING fts5(category, value, media_hash UNINDEXED);
";

/// A question of tags to have and tags not to have.
pub struct Question {
    pub wanted: Vec<String>,
    pub unwanted: Vec<String>,
}

impl Question {
    /// As a person types it.
    pub fn text(&self) -> String {
        let unwanted = self.unwanted.iter().map(|tag| format!("-{tag}"));
        let words: Vec<String> = self.wanted.iter().cloned().chain(unwanted).collect();
        words.join(" ")
    }

    fn sql(&self, one: &dyn Fn(&str) -> String) -> String {
        let mut sql = String::new();
        for tag in &self.wanted {
            if !sql.is_empty() {
                sql.push_str(" INTERSECT ");
            }
            sql.push_str(&one(tag));
        }
        for tag in &self.unwanted {
            sql.push_str(" EXCEPT ");
            sql.push_str(&one(tag));
        }
        format!("SELECT count(*) FROM ({sql})")
    }
}

pub struct Peer(Connection);

impl Peer {
    /// The same media in a database of its own.
    pub fn new(path: &std::path::Path, media: u32, vocabulary: &Vocabulary) -> Self {
        let mut connection = Connection::open(path).expect("a new database");
        connection.execute_batch(TABLES).expect("tables");
        let transaction = connection.transaction().expect("a transaction");
        {
            let mut medium = transaction
                .prepare("INSERT INTO media (hash, type, name) VALUES (?1, 'image', '')")
                .expect("sql");
            let mut tag = transaction
                .prepare("INSERT INTO tags (media_hash, category, value, position) VALUES (?1, ?2, ?3, ?4)")
                .expect("sql");
            let mut text = transaction
                .prepare("INSERT INTO tags_fts VALUES (?1, ?2, ?3)")
                .expect("sql");
            for key in 1..=media {
                let entry = entry(key, vocabulary);
                let id = entry.id.as_str();
                medium.execute([id]).expect("a row");
                for (position, name) in (0_i64..).zip(&entry.tags) {
                    tag.execute((id, &name.category, &name.value, position))
                        .expect("a row");
                    text.execute([&name.category, &name.value, id])
                        .expect("a row");
                }
            }
        }
        transaction
            .execute_batch(
                "CREATE INDEX idx_tags_value ON tags(value);
                 CREATE INDEX idx_tags_media ON tags(media_hash);",
            )
            .expect("indexes");
        transaction.commit().expect("a commit");
        Self(connection)
    }

    pub fn by_tables(&self, question: &Question) -> u64 {
        self.count(
            &question.sql(&|tag| format!("SELECT media_hash FROM tags WHERE value = '{tag}'")),
        )
    }

    pub fn by_text(&self, question: &Question) -> u64 {
        self.count(&question.sql(&|tag| {
            format!("SELECT media_hash FROM tags_fts WHERE tags_fts MATCH 'value : \"{tag}\"' AND value = '{tag}'")
        }))
    }

    fn count(&self, sql: &str) -> u64 {
        let count: i64 = self
            .0
            .query_row(sql, [], |row| row.get(0))
            .expect("an answer");
        count.unsigned_abs()
    }
}
