//! What is neither in files nor made from them: marks, when a picture was looked at
//! last, of which pictures sources are still to be asked, when a site was asked last, and
//! how far counters had come when they were last written back from the cache. A small
//! SQLite file of its own, beside the index, so that no rebuild touches it.
//!
//! Invariants: media are named by id and md5, never by the keys of an index; the file
//! comes with the first thing there is to note; what is lost with it is convenience.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Library,
    error::Error,
    files,
    index::{self, Index},
};
use crate::model::{
    id::{Md5, MediaId},
    mark::{Mark, MediaRef},
    operation::OperationId,
};

/// `tgls`: what makes an SQLite file one of these.
const APPLICATION_ID: i32 = 0x7467_6c73;
/// The version this program reads and writes.
const VERSION: i32 = 3;

/// Nobody puts a question off for longer than this many seconds: one that is due later
/// was noted by a clock that was wrong.
const LONGEST_DELAY_SECONDS: i64 = 86_400;

/// What each version added, from 1 on.
const TABLES: [&str; 3] = [
    "
CREATE TABLE mark (letter TEXT PRIMARY KEY, id TEXT NOT NULL, md5 BLOB) WITHOUT ROWID;
CREATE TABLE viewed (id TEXT PRIMARY KEY, md5 BLOB, at INTEGER NOT NULL) WITHOUT ROWID;
",
    "
CREATE TABLE question (
    id TEXT PRIMARY KEY, md5 BLOB NOT NULL, step TEXT, due INTEGER NOT NULL,
    tries INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX question_due ON question (due);
",
    "
CREATE TABLE counter (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE turn (name TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
",
];

/// The state of one library on this host.
#[derive(Debug)]
pub(super) struct State {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
}

impl State {
    /// That which goes with an index.
    pub(super) fn beside(index: &Index) -> Self {
        // In a folder of its own, or in one that all libraries share.
        let path = if index.is_alone() {
            index.folder().join("state.db")
        } else {
            index.companion("state")
        };
        Self {
            path,
            connection: Mutex::default(),
        }
    }

    /// Reads, or gives nothing where nothing was noted yet.
    fn read<T: Default>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        if self.path.exists() {
            self.on("look", |connection| read(connection))
        } else {
            Ok(T::default())
        }
    }

    fn on<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let mut open = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // What was taken away under our hands is begun anew.
        if !self.path.exists() {
            *open = None;
        }
        let failed = |error| index::cause(action, &self.path, &error);
        let connection = match open.as_mut() {
            Some(connection) => connection,
            None => open.insert(self.open()?),
        };
        work(connection).map_err(failed)
    }

    fn open(&self) -> Result<Connection, Error> {
        let failed = |error| index::cause("look", &self.path, &error);
        let mut connection = index::connect(&self.path).map_err(failed)?;
        let mut prepare = || {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let number = |name| transaction.pragma_query_value(None, name, |row| row.get(0));
            let (version, application): (i32, i32) =
                (number("user_version")?, number("application_id")?);
            let tables: i64 =
                transaction
                    .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            let is_older = application == APPLICATION_ID && (1..VERSION).contains(&version);
            if is_older || (version, application, tables) == (0, 0, 0) {
                for tables in TABLES.iter().skip(usize::try_from(version).unwrap_or(0)) {
                    transaction.execute_batch(tables)?;
                }
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
                transaction.commit()?;
                return Ok(None);
            }
            Ok(Some((version, application)))
        };
        let problem = match prepare().map_err(failed)? {
            None | Some((VERSION, APPLICATION_ID)) => return Ok(connection),
            Some((version, APPLICATION_ID)) => {
                format!("was made by a newer tagloupe (version {version})")
            }
            Some(_) => "is a database of another program".to_owned(),
        };
        Err(Error::library(
            &self.path,
            format!("{problem}; move it away to note marks and views anew"),
        ))
    }
}

impl Library {
    /// The marks, by letter.
    pub fn marks(&self) -> Result<Vec<Mark>, Error> {
        self.state.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT id, md5, letter FROM mark ORDER BY letter")?;
            let mut rows = statement.query([])?;
            let mut marks = Vec::new();
            while let Some(row) = rows.next()? {
                let letter: String = row.get(2)?;
                if let (Some(medium), Some(letter)) = (medium(row)?, letter.chars().next()) {
                    marks.push(Mark { letter, medium });
                }
            }
            Ok(marks)
        })
    }

    /// Puts marks on media, or takes them away: in order, all of them or none.
    pub fn set_marks(&self, marks: &[(char, Option<MediaRef>)]) -> Result<(), Error> {
        self.state.on("note", |connection| {
            let transaction = connection.transaction()?;
            for (letter, medium) in marks {
                match medium {
                    Some(medium) => transaction
                        .prepare_cached("INSERT OR REPLACE INTO mark VALUES (?1, ?2, ?3)")?
                        .execute(params![
                            letter.to_string(),
                            medium.id.as_str(),
                            medium.md5.map(|md5| md5.0)
                        ])?,
                    None => transaction
                        .prepare_cached("DELETE FROM mark WHERE letter = ?1")?
                        .execute([letter.to_string()])?,
                };
            }
            transaction.commit()
        })
    }

    /// What was looked at, each with the last time, in seconds since 1970.
    pub fn viewed(&self) -> Result<Vec<(MediaRef, i64)>, Error> {
        self.state.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id, md5, at FROM viewed")?;
            let mut rows = statement.query([])?;
            let mut viewed = Vec::new();
            while let Some(row) = rows.next()? {
                if let Some(medium) = medium(row)? {
                    viewed.push((medium, row.get(2)?));
                }
            }
            Ok(viewed)
        })
    }

    /// When a medium was looked at last.
    pub fn viewed_at(&self, id: &MediaId) -> Result<Option<i64>, Error> {
        self.state.read(|connection| {
            connection
                .prepare_cached("SELECT at FROM viewed WHERE id = ?1")?
                .query_row([id.as_str()], |row| row.get(0))
                .optional()
        })
    }

    /// Notes that media were looked at, in one transaction.
    pub fn note_viewed(&self, viewed: &[(MediaRef, i64)]) -> Result<(), Error> {
        self.state.on("note", |connection| {
            let transaction = connection.transaction()?;
            for (medium, at) in viewed {
                transaction
                    .prepare_cached(
                        "INSERT INTO viewed VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE
                         SET md5 = coalesce(excluded.md5, md5), at = max(at, excluded.at)",
                    )?
                    .execute(params![medium.id.as_str(), medium.md5.map(|md5| md5.0), at])?;
            }
            transaction.commit()
        })
    }

    /// What tells one state of marks and views from another; nothing where there is none.
    pub fn state_stamp(&self) -> Option<(u64, i64)> {
        let stat = files::stat(&self.state.path).ok()??;
        Some((stat.bytes, stat.modified_ns))
    }
}

impl Library {
    /// The counters as they were written back last, by name.
    pub fn counters(&self) -> Result<BTreeMap<String, u64>, Error> {
        self.state.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT name, number FROM counter")?;
            let counters = statement.query_map([], |row| {
                let number: i64 = row.get(1)?;
                Ok((row.get(0)?, u64::try_from(number).unwrap_or(0)))
            })?;
            counters.collect()
        })
    }

    /// Writes counters back, all of them or none. They only go up: of two processes that
    /// saw one at different times, the later sight holds whoever is first.
    pub fn write_back(&self, counters: &[(&str, u64)]) -> Result<(), Error> {
        self.state.on("note", |connection| {
            let transaction = connection.transaction()?;
            for (name, number) in counters {
                let number = i64::try_from(*number).unwrap_or(i64::MAX);
                transaction
                    .prepare_cached(
                        "INSERT INTO counter VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE
                         SET number = max(number, excluded.number)",
                    )?
                    .execute(params![name, number])?;
            }
            transaction.commit()
        })
    }
}

impl Library {
    /// Whether this process may do now (milliseconds since 1970) what the processes of
    /// this host do one after the other, no more often than once in an interval.
    pub fn take_turn(&self, name: &str, now_ms: i64, interval_ms: i64) -> Result<bool, Error> {
        self.state.on("note", |connection| {
            // What lies ahead was noted by a clock that was wrong.
            let taken = connection
                .prepare_cached(
                    "INSERT INTO turn VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE
                     SET at = excluded.at
                     WHERE at <= excluded.at - ?3 OR at > excluded.at",
                )?
                .execute(params![name, now_ms, interval_ms])?;
            Ok(taken > 0)
        })
    }
}

/// A picture of which sources are to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub id: MediaId,
    pub md5: Md5,
    /// The step of the user that what is learned belongs to: the ingest.
    pub step: Option<OperationId>,
    /// How often that was tried and failed.
    pub tries: u32,
}

impl Library {
    /// Notes pictures of which sources are to be asked, from now on.
    pub fn queue_questions(&self, questions: &[Question]) -> Result<(), Error> {
        self.put_questions(questions.iter().map(|question| (question, 0)))
    }

    /// Notes that these are to be asked again, each at a time (seconds since 1970).
    pub fn postpone_questions(&self, questions: &[(Question, i64)]) -> Result<(), Error> {
        self.put_questions(questions.iter().map(|(question, due)| (question, *due)))
    }

    fn put_questions<'l>(
        &self,
        questions: impl Iterator<Item = (&'l Question, i64)>,
    ) -> Result<(), Error> {
        self.state.on("note", |connection| {
            let transaction = connection.transaction()?;
            for (question, due) in questions {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO question VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute(params![
                        question.id.as_str(),
                        question.md5.0,
                        question.step.map(|step| step.to_string()),
                        due,
                        question.tries
                    ])?;
            }
            transaction.commit()
        })
    }

    /// The questions that are due, those that wait longest first, at most so many. Nobody
    /// else is given them before `until`; by then they have ended or are postponed. What
    /// a wrong clock put off for days is due now.
    pub fn take_questions(&self, now: i64, until: i64, most: u32) -> Result<Vec<Question>, Error> {
        if !self.state.path.exists() {
            return Ok(Vec::new());
        }
        self.state.on("look", |connection| {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let mut taken = Vec::new();
            {
                transaction
                    .prepare_cached("UPDATE question SET due = ?1 WHERE due > ?2")?
                    .execute([now, now + LONGEST_DELAY_SECONDS])?;
                let mut statement = transaction.prepare_cached(
                    "SELECT id, md5, step, tries FROM question WHERE due <= ?1
                     ORDER BY due, id LIMIT ?2",
                )?;
                let mut rows = statement.query(params![now, most])?;
                let mut broken = Vec::new();
                while let Some(row) = rows.next()? {
                    let id: String = row.get(0)?;
                    let step: Option<String> = row.get(2)?;
                    match (id.parse(), row.get(1)) {
                        (Ok(id), Ok(md5)) => taken.push(Question {
                            id,
                            md5: Md5(md5),
                            step: step.and_then(|step| step.parse().ok()),
                            tries: row.get(3)?,
                        }),
                        _ => broken.push(id),
                    }
                }
                for id in broken {
                    transaction.execute("DELETE FROM question WHERE id = ?1", [id])?;
                }
                let mut lease =
                    transaction.prepare_cached("UPDATE question SET due = ?2 WHERE id = ?1")?;
                for question in &taken {
                    lease.execute(params![question.id.as_str(), until])?;
                }
            }
            transaction.commit()?;
            Ok(taken)
        })
    }

    /// Forgets questions: they ended, or nobody wants them any more.
    pub fn end_questions(&self, ids: &[MediaId]) -> Result<(), Error> {
        self.state.on("note", |connection| {
            let transaction = connection.transaction()?;
            for id in ids {
                transaction
                    .prepare_cached("DELETE FROM question WHERE id = ?1")?
                    .execute([id.as_str()])?;
            }
            transaction.commit()
        })
    }

    /// How many questions there are.
    pub fn count_questions(&self) -> Result<u64, Error> {
        self.state.read(|connection| {
            connection
                .prepare_cached("SELECT count(*) FROM question")?
                .query_row([], |row| {
                    let count: i64 = row.get(0)?;
                    Ok(u64::try_from(count).unwrap_or(0))
                })
        })
    }

    /// When the next question is due; costs the same however many there are.
    pub fn next_question(&self, now: i64) -> Result<Option<i64>, Error> {
        self.state.read(|connection| {
            let due = |sql: &str| -> rusqlite::Result<Option<i64>> {
                connection
                    .prepare_cached(sql)?
                    .query_row([], |row| row.get(0))
            };
            let last = due("SELECT max(due) FROM question")?;
            if last.is_some_and(|last| last > now + LONGEST_DELAY_SECONDS) {
                return Ok(Some(now));
            }
            due("SELECT min(due) FROM question")
        })
    }
}

/// The medium of the first two columns; one that cannot be understood is none.
fn medium(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<MediaRef>> {
    let id: String = row.get(0)?;
    let md5: Option<[u8; 16]> = row.get(1).unwrap_or_default();
    let medium = |id| MediaRef {
        id,
        md5: md5.map(Md5),
    };
    Ok(id.parse().ok().map(medium))
}

/// Whether a file beside an index is the state.
pub(super) fn is_state(name: &str) -> bool {
    name.starts_with("state.db")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{LayoutKind, tests::NOW};

    fn medium(id: &str, md5: Option<u8>) -> MediaRef {
        MediaRef {
            id: id.parse().unwrap(),
            md5: md5.map(|byte| Md5([byte; 16])),
        }
    }

    #[test]
    fn marks_and_views_outlive_the_index() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("library");
        let library = Library::create(&root, LayoutKind::Bucketed, "Test").unwrap();
        assert_eq!(library.marks().unwrap(), []);
        assert_eq!(library.viewed().unwrap(), []);
        assert_eq!(library.state_stamp(), None, "looking writes nothing");
        let (a, b) = (medium("a", Some(1)), medium("b", None));
        library
            .set_marks(&[('x', Some(a.clone())), ('Y', Some(a.clone()))])
            .unwrap();
        library
            .set_marks(&[('x', Some(b.clone())), ('Y', None)])
            .unwrap();
        library
            .note_viewed(&[(a.clone(), NOW), (b.clone(), NOW), (a.clone(), NOW - 5)])
            .unwrap();
        drop(library);
        for name in ["library.db", "library.db-wal", "library.db-shm"] {
            let _ = std::fs::remove_file(root.join(name));
        }
        let library = Library::open(&root).unwrap();
        let mark = Mark {
            letter: 'x',
            medium: b.clone(),
        };
        assert_eq!(library.marks().unwrap(), [mark]);
        assert_eq!(library.viewed().unwrap(), [(a.clone(), NOW), (b, NOW)]);
        assert_eq!(library.viewed_at(&a.id).unwrap(), Some(NOW));
        assert!(library.state_stamp().is_some());
    }

    fn question(id: &str, md5: u8, tries: u32) -> Question {
        Question {
            id: id.parse().unwrap(),
            md5: Md5([md5; 16]),
            step: Some(OperationId(u128::from(md5))),
            tries,
        }
    }

    #[test]
    fn a_question_is_given_to_one_at_a_time_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("library");
        let library = Library::create(&root, LayoutKind::Bucketed, "Test").unwrap();
        assert_eq!(library.take_questions(NOW, NOW + 60, 10).unwrap(), []);
        assert_eq!(library.count_questions().unwrap(), 0);
        assert_eq!(library.next_question(NOW).unwrap(), None);
        assert!(!root.join("state.db").exists(), "looking writes nothing");

        let all = [
            question("a", 1, 0),
            question("b", 2, 0),
            question("c", 3, 0),
        ];
        library.queue_questions(&all).unwrap();
        let take = |now, most| library.take_questions(now, now + 60, most).unwrap();
        assert_eq!(take(NOW, 2), all[..2]);
        assert_eq!(take(NOW, 2), all[2..]);
        assert_eq!(take(NOW, 2), []);
        assert_eq!(library.count_questions().unwrap(), 3);
        assert_eq!(library.next_question(NOW).unwrap(), Some(NOW + 60));

        let later = (question("b", 2, 1), NOW + 600);
        library.postpone_questions(&[later]).unwrap();
        library.end_questions(&[all[0].id.clone()]).unwrap();
        // Whoever had the last one never came back.
        assert_eq!(take(NOW + 60, 10), all[2..]);
        assert_eq!(
            take(NOW + 600, 10),
            [question("c", 3, 0), question("b", 2, 1)]
        );
    }

    #[test]
    fn a_clock_that_was_wrong_puts_nothing_off_for_years() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("library");
        let library = Library::create(&root, LayoutKind::Bucketed, "Test").unwrap();
        let year = 366 * 86_400;
        let all = [question("a", 1, 0), question("b", 2, 0)];
        library
            .postpone_questions(&[(all[0].clone(), NOW + 60), (all[1].clone(), NOW + year)])
            .unwrap();
        assert_eq!(library.next_question(NOW).unwrap(), Some(NOW));
        assert_eq!(
            library.take_questions(NOW, NOW + 900, 10).unwrap(),
            all[1..]
        );
        assert_eq!(library.next_question(NOW).unwrap(), Some(NOW + 60));
    }

    #[test]
    fn counters_only_go_up() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("library");
        let library = Library::create(&root, LayoutKind::Bucketed, "Test").unwrap();
        assert_eq!(library.counters().unwrap(), BTreeMap::new());
        assert!(!root.join("state.db").exists(), "looking writes nothing");
        library.write_back(&[("hits", 7), ("misses", 2)]).unwrap();
        library.write_back(&[("hits", 5), ("misses", 3)]).unwrap();
        let known = [("hits", 7), ("misses", 3)].map(|(name, n)| (name.to_owned(), n));
        assert_eq!(library.counters().unwrap(), BTreeMap::from(known));
    }

    #[test]
    fn a_turn_comes_once_in_an_interval() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("library");
        let library = Library::create(&root, LayoutKind::Bucketed, "Test").unwrap();
        let other = Library::open(&root).unwrap();
        let turn = |library: &Library, name, at| library.take_turn(name, at, 500).unwrap();
        assert!(turn(&library, "site", 10_000));
        assert!(!turn(&other, "site", 10_000));
        assert!(turn(&other, "another", 10_000));
        assert!(!turn(&library, "site", 10_499));
        assert!(turn(&other, "site", 10_500));
        assert!(!turn(&library, "site", 10_501));
        // A clock that was ahead keeps nobody waiting.
        assert!(turn(&library, "site", 9_000));
        assert!(!turn(&library, "site", 9_001));
    }

    #[test]
    fn an_older_state_is_taken_on() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("library");
        let library = Library::create(&root, LayoutKind::Bucketed, "Test").unwrap();
        let older = Connection::open(root.join("state.db")).unwrap();
        older.execute_batch(TABLES[0]).unwrap();
        older
            .execute("INSERT INTO mark VALUES ('x', 'a', NULL)", [])
            .unwrap();
        older
            .pragma_update(None, "application_id", APPLICATION_ID)
            .unwrap();
        older.pragma_update(None, "user_version", 1).unwrap();
        drop(older);
        library.queue_questions(&[question("a", 1, 0)]).unwrap();
        assert_eq!(library.marks().unwrap().len(), 1);
        assert_eq!(library.next_question(NOW).unwrap(), Some(0));
        library.write_back(&[("hits", 7)]).unwrap();
        assert_eq!(library.counters().unwrap()["hits"], 7);
    }

    #[test]
    fn a_file_of_someone_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("library");
        let library = Library::create(&root, LayoutKind::Bucketed, "Test").unwrap();
        let path = root.join("state.db");
        let stranger = Connection::open(&path).unwrap();
        stranger.execute_batch("CREATE TABLE media (id)").unwrap();
        drop(stranger);
        let before = std::fs::read(&path).unwrap();
        let error = library
            .set_marks(&[('a', Some(medium("a", None)))])
            .unwrap_err();
        assert!(error.chain().contains("state.db is a database of another"));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        std::fs::remove_file(&path).unwrap();
        library
            .set_marks(&[('a', Some(medium("a", None)))])
            .unwrap();
        assert_eq!(library.marks().unwrap().len(), 1);
    }
}
