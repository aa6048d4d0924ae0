//! The tables of the index, as numbered migrations.
//!
//! | table | holds |
//! |---|---|
//! | `medium` | one row per medium: everything the grid, the search and the door need |
//! | `tag`, `tagging` | category and value once, and the list of tags of each medium |
//! | `relation`, `hash`, `post`, `caption` | what belongs to a medium, by its key |
//! | `fact` | what is rarely asked for: see [`Fact`](crate::model::fact::Fact) |
//! | `full_text` | FTS5, one row per medium, but for those of `unworded` |
//! | `unworded` | media whose words nobody asked for since a rebuild: see [`words`](super::words) |
//! | `base` | the last known text of the sidecar, packed; size and md5 its original had |
//! | `merged` | media whose sidecar another program wrote too, until the next save |
//! | `departed` | ids that went, with path and md5, for relations that name them |
//! | `removed` | keys that went, by sequence, for processes that have to catch up |
//! | `stamp` | a random number for each of the last sequence numbers |
//! | `library_metadata` | `schema_version`, `sequence`, `complete`, `rebuild_cursor` |
//!
//! `medium_tag` is a view of `tagging`, one row for each tag of a medium. `media`,
//! `tags`, `relationships` and `perceptual_hashes` are views with the names and columns that tools for Image Tagger's database ask for.
//!
//! Rules: a migration that was released is never changed, only followed by
//! another; all of it can be thrown away and built again from the files.

use rusqlite::Connection;

/// `tglp`: what makes an SQLite file an index of ours.
pub(super) const APPLICATION_ID: i32 = 0x7467_6c70;

/// `MIGRATIONS[n]` leads from version `n` to `n + 1`.
const MIGRATIONS: [&str; 10] = [V1, V2, V3, V4, V5, V6, V7, V8, V9, V10];

/// The version this program reads and writes.
pub(super) fn version() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

const V1: &str = "
CREATE TABLE library_metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE medium (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    derived INTEGER NOT NULL,
    name TEXT NOT NULL,
    md5 BLOB,
    phash BLOB,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    duration_ms INTEGER,
    frames INTEGER NOT NULL,
    imported INTEGER NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    rating TEXT,
    stars INTEGER NOT NULL,
    fav INTEGER NOT NULL,
    status TEXT,
    origin TEXT,
    parent TEXT,
    score INTEGER,
    favcount INTEGER,
    has INTEGER NOT NULL,
    file_modified INTEGER NOT NULL,
    sidecar TEXT,
    sidecar_bytes INTEGER,
    sidecar_modified_ns INTEGER,
    sidecar_md5 BLOB,
    sequence INTEGER NOT NULL
);
CREATE INDEX medium_shown ON medium (imported DESC, id) WHERE derived = 0;
CREATE INDEX medium_md5 ON medium (md5) WHERE md5 IS NOT NULL;
CREATE INDEX medium_size ON medium (bytes) WHERE md5 IS NULL;
CREATE INDEX medium_sequence ON medium (sequence);
CREATE TABLE tag (
    id INTEGER PRIMARY KEY,
    category TEXT NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (value, category)
);
CREATE TABLE medium_tag (
    medium INTEGER NOT NULL,
    position INTEGER NOT NULL,
    tag INTEGER NOT NULL,
    PRIMARY KEY (medium, position)
) WITHOUT ROWID;
CREATE TABLE relation (
    medium INTEGER NOT NULL,
    kind TEXT NOT NULL,
    position INTEGER NOT NULL,
    other TEXT NOT NULL,
    score REAL,
    PRIMARY KEY (medium, kind, position)
) WITHOUT ROWID;
CREATE TABLE hash (
    medium INTEGER NOT NULL,
    algorithm TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (medium, algorithm)
) WITHOUT ROWID;
CREATE TABLE post (
    medium INTEGER NOT NULL,
    position INTEGER NOT NULL,
    site TEXT NOT NULL,
    post TEXT NOT NULL,
    PRIMARY KEY (medium, position)
) WITHOUT ROWID;
CREATE TABLE caption (medium INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE removed (key INTEGER PRIMARY KEY, sequence INTEGER NOT NULL);
CREATE INDEX removed_sequence ON removed (sequence);
CREATE VIRTUAL TABLE full_text USING fts5 (
    caption, name, notes, file_name, tags,
    content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
CREATE VIEW media AS
    SELECT medium.id AS id, medium.kind AS type, medium.name AS name,
        coalesce(caption.text, '') AS caption, medium.path AS path,
        medium.width AS width, medium.height AS height, medium.bytes AS file_size,
        datetime(medium.created, 'unixepoch') AS created,
        datetime(medium.modified, 'unixepoch') AS modified
    FROM medium LEFT JOIN caption ON caption.medium = medium.key;
CREATE VIEW tags AS
    SELECT medium.id AS media_id, tag.category AS category, tag.value AS value,
        medium_tag.position AS position
    FROM medium_tag JOIN medium ON medium.key = medium_tag.medium
        JOIN tag ON tag.id = medium_tag.tag;
CREATE VIEW relationships AS
    SELECT medium.id AS source_id, relation.other AS target_id,
        relation.kind AS relationship_type, relation.score AS strength
    FROM relation JOIN medium ON medium.key = relation.medium;
CREATE VIEW perceptual_hashes AS
    SELECT medium.id AS media_id, hash.algorithm AS algorithm, hash.value AS hash_value
    FROM hash JOIN medium ON medium.key = hash.medium
    WHERE hash.algorithm IN ('phash', 'dhash', 'ahash', 'whash', 'colorhash');
INSERT INTO library_metadata VALUES ('schema_version', '1'), ('sequence', '0'), ('complete', '0');
";

/// `file_md5` is that of the original's bytes while `bytes` and `file_modified` are
/// as they were: for media whose sidecar names none. `md5` is either of them.
const V2: &str = "ALTER TABLE medium ADD COLUMN file_md5 BLOB";

/// Facts are read from the sidecars, so those of an older index are read again.
const V3: &str = "
CREATE TABLE fact (
    kind INTEGER NOT NULL,
    medium INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (kind, medium)
) WITHOUT ROWID;
UPDATE medium SET sidecar_md5 = NULL;
UPDATE library_metadata SET value = '0' WHERE key = 'complete';
DELETE FROM library_metadata WHERE key = 'rebuild_cursor';
";

/// What merges start from; it is read from the sidecars as well.
const V4: &str = "
CREATE TABLE base (medium INTEGER PRIMARY KEY, text BLOB NOT NULL);
CREATE TABLE merged (medium INTEGER PRIMARY KEY, is_owed INTEGER NOT NULL);
UPDATE medium SET sidecar_md5 = NULL;
UPDATE library_metadata SET value = '0' WHERE key = 'complete';
DELETE FROM library_metadata WHERE key = 'rebuild_cursor';
";

/// What the original was when it was seen last: one that is renamed is known by it.
const V5: &str = "
ALTER TABLE base ADD COLUMN bytes INTEGER;
ALTER TABLE base ADD COLUMN md5 BLOB;
UPDATE base SET (bytes, md5) = (SELECT bytes, md5 FROM medium WHERE key = base.medium);
CREATE INDEX medium_without_sidecar ON medium (bytes) WHERE sidecar IS NULL;
";

/// What tells one state of an index from any other, that of a copy that went its own
/// way included: see [`Moment`](super::Moment).
const V6: &str = "
CREATE TABLE stamp (sequence INTEGER PRIMARY KEY, stamp BLOB NOT NULL);
INSERT INTO stamp SELECT CAST(value AS INTEGER), randomblob(16)
    FROM library_metadata WHERE key = 'sequence';
";

/// The tags of a medium in one row, a list of numbers as JSON: thirty rows a medium
/// took a tenth of the time of a rebuild and most of the size of the index.
const V7: &str = "
CREATE TABLE tagging (medium INTEGER PRIMARY KEY, tags TEXT NOT NULL);
INSERT INTO tagging
    SELECT medium, json_group_array(tag ORDER BY position) FROM medium_tag GROUP BY medium;
DROP TABLE medium_tag;
CREATE VIEW medium_tag AS
    SELECT medium, each.key AS position, each.value AS tag
    FROM tagging JOIN json_each(tagging.tags) AS each;
INSERT INTO full_text (full_text, rank) VALUES ('hashsize', 33554432);
";

/// What a medium was called before: see [`departed`](super::departed).
const V8: &str = "CREATE TABLE departed (id TEXT PRIMARY KEY, path TEXT NOT NULL, md5 BLOB);";

/// What a sidecar was known by was its md5, and is a digest that costs less.
const V9: &str = "
CREATE TABLE unworded (medium INTEGER PRIMARY KEY);
ALTER TABLE medium RENAME COLUMN sidecar_md5 TO sidecar_digest;
UPDATE medium SET sidecar_digest = NULL;
UPDATE library_metadata SET value = '0' WHERE key = 'complete';
DELETE FROM library_metadata WHERE key = 'rebuild_cursor';
";

/// Facts of a new kind: the parents of posts.
const V10: &str = "
UPDATE medium SET sidecar_digest = NULL;
UPDATE library_metadata SET value = '0' WHERE key = 'complete';
DELETE FROM library_metadata WHERE key = 'rebuild_cursor';
";

/// The index of the first page, which a rebuild does without meanwhile: see
/// [`Index::in_bulk`](super::Index::in_bulk).
pub(super) const SHOWN: &str = "
CREATE INDEX IF NOT EXISTS medium_shown ON medium (imported DESC, id) WHERE derived = 0;
";

/// Brings a database of ours, or a new one, to today's version in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let from: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    for migration in MIGRATIONS.iter().skip(from) {
        transaction.execute_batch(migration)?;
    }
    transaction.execute_batch(SHOWN)?;
    if from < MIGRATIONS.len() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version())?;
        transaction.execute(
            "UPDATE library_metadata SET value = ?1 WHERE key = 'schema_version'",
            [version().to_string()],
        )?;
    }
    transaction.commit()
}

/// Whether the tables, views and triggers are exactly those the migrations make.
/// A view or trigger of a stranger would otherwise run inside our statements.
pub(super) fn is_as_expected(connection: &Connection) -> rusqlite::Result<bool> {
    let mut expected = Connection::open_in_memory()?;
    migrate(&mut expected)?;
    Ok(objects(&expected)? == objects(connection)?)
}

fn objects(connection: &Connection) -> rusqlite::Result<Vec<(String, String, String)>> {
    let mut statement = connection.prepare(
        "SELECT type, name, coalesce(sql, '') FROM sqlite_schema
         WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name",
    )?;
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect()
}
