//! Named searches, `filters` in `library.json`: changed one by one through the
//! journal; whatever else is in the file stays as it is.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    change::LOCK_TIMEOUT,
    desk::Desk,
    error::Error,
    files::{self, Replaced, Writes},
    journal::Part,
    library_file,
    md5_lock::Purpose,
    requests::Reverted,
};
use crate::model::{operation::Operation, tagdb::LineChange};

/// Attempts at a file that another program keeps changing.
const MAX_ATTEMPTS: u32 = 8;

impl Desk<'_> {
    /// Name to query.
    pub(super) fn searches(&self) -> Result<BTreeMap<String, String>, Error> {
        let (object, _) = library_file::read_for_change(&self.shelf.layout.library_file())?;
        let filters = object.get("filters").and_then(Value::as_object);
        let text =
            |(name, query): (&String, &Value)| Some((name.clone(), query.as_str()?.to_owned()));
        Ok(filters.into_iter().flatten().filter_map(text).collect())
    }

    /// Names a search, or forgets one, in the name of an operation that stays open.
    pub(super) fn name_search(
        &self,
        operation: &Operation,
        name: &str,
        query: Option<&str>,
        now: i64,
    ) -> Result<(), Error> {
        let change = LineChange {
            key: name.to_owned(),
            before: self.searches()?.remove(name),
            after: query.map(str::to_owned),
        };
        let mut reverted = Reverted::default();
        self.change_searches(Some(operation), &[change], now, &mut reverted)?;
        match reverted.left.pop() {
            Some(problem) => Err(Error::library(self.shelf.layout.root(), problem)),
            None => Ok(()),
        }
    }

    /// Makes changes where the searches still are as these found them; names the
    /// rest. Without an operation they are in the journal already.
    pub(super) fn change_searches(
        &self,
        operation: Option<&Operation>,
        changes: &[LineChange],
        now: i64,
        reverted: &mut Reverted,
    ) -> Result<(), Error> {
        let path = self.shelf.layout.library_file();
        let md5 = files::md5_of(b"library.json");
        let _lock = self.shelf.lock(Purpose::Sidecar, &md5, LOCK_TIMEOUT)?;
        for _ in 0..MAX_ATTEMPTS {
            let (mut object, md5) = library_file::read_for_change(&path)?;
            let filters = object
                .entry("filters")
                .or_insert_with(|| Value::Object(serde_json::Map::new()));
            let Some(filters) = filters.as_object_mut() else {
                return Err(Error::library(&path, "has \"filters\" that are no object"));
            };
            let mut made = Vec::new();
            let mut left = Vec::new();
            for change in changes {
                let current = filters.get(&change.key).and_then(Value::as_str);
                if current != change.before.as_deref() {
                    // After a crash it may be done already.
                    if operation.is_some() {
                        left.push(format!("the search {} was changed since", change.key));
                    }
                    continue;
                }
                match &change.after {
                    Some(query) => {
                        filters.insert(change.key.clone(), Value::String(query.clone()));
                    }
                    None => {
                        filters.shift_remove(&change.key);
                    }
                }
                made.push(change.clone());
            }
            if made.is_empty() {
                reverted.left.extend(left);
                return Ok(());
            }
            if let Some(operation) = operation {
                self.journal
                    .part(&[(operation, Part::Searches(made))], false, now)?;
            }
            let mut text = format!("{:#}", Value::Object(object));
            text.push('\n');
            let mut writes = Writes::default();
            let replaced = writes.replace_expected(&path, text.as_bytes(), Some(md5))?;
            writes.finish()?;
            if replaced == Replaced::Yes {
                reverted.left.extend(left);
                return Ok(());
            }
        }
        Err(Error::library(
            &path,
            "is changed by another program again and again; try again",
        ))
    }
}
