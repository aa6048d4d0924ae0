//! Tag dictionaries that other programs come with: the `selected_tags.csv` of a WD
//! tagger, and the lists for completion in A1111.

use super::{TagDb, TagRow};
use crate::model::tag::{GENERAL, TagName, normalize};

/// One tag of a dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DictionaryTag {
    pub name: TagName,
    pub count: u64,
    /// Normalised.
    pub aliases: Vec<String>,
}

/// What an import does, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Tags that nothing was known of.
    pub new: usize,
    /// Tags that are known already, and get a count or an alias.
    pub matched: usize,
    /// Aliases that are left out: they are tags, or stand for something else.
    pub conflicts: usize,
    /// Some of what was read, as `alias, alias → tag (count)`.
    pub sample: Vec<String>,
}

/// Lines of a report.
const SAMPLE: usize = 20;

/// What the numbers of categories mean.
const DANBOORU: [(&str, &str); 5] = [
    ("0", GENERAL),
    ("1", "artist"),
    ("3", "copyright"),
    ("4", "character"),
    ("5", "meta"),
];
const E621: [(&str, &str); 8] = [
    ("0", GENERAL),
    ("1", "artist"),
    ("3", "copyright"),
    ("4", "character"),
    ("5", "species"),
    ("6", "invalid"),
    ("7", "meta"),
    ("8", "lore"),
];

/// Reads a dictionary; the error says what it should look like.
pub fn parse(text: &str) -> Result<Vec<DictionaryTag>, String> {
    let rows: Vec<Vec<String>> = text.lines().map(fields).collect();
    let header = rows.first().map_or(&[][..], Vec::as_slice);
    let is_tagger = header
        .iter()
        .take(4)
        .eq(["tag_id", "name", "category", "count"].iter());
    let (start, name, category, count, aliases) = if is_tagger {
        (1, 1, 2, 3, usize::MAX)
    } else {
        (0, 0, 1, 2, 3)
    };
    // Only e621 has these numbers, and its 5 is another one.
    let is_e621 = !is_tagger
        && rows
            .iter()
            .any(|row| matches!(row.get(1).map(String::as_str), Some("6" | "7" | "8")));
    let categories: &[(&str, &str)] = if is_e621 { &E621 } else { &DANBOORU };
    let mut tags = Vec::new();
    for (number, row) in rows.iter().enumerate().skip(start) {
        let field = |at: usize| row.get(at).map_or("", |field| field.trim());
        if row.iter().all(|field| field.trim().is_empty()) || (number == 0 && field(0) == "name") {
            continue;
        }
        let Ok(uses) = field(count).parse::<u64>() else {
            return Err(format!(
                "line {}: expected \"tag,category number,count\" or the columns \
                 tag_id,name,category,count",
                number + 1
            ));
        };
        // 9 is the rating of a tagger, and no tag.
        let known = categories
            .iter()
            .find(|(known, _)| *known == field(category));
        let Some((_, category)) = known else {
            continue;
        };
        let name = TagName::new(category, field(name));
        if name.value.is_empty() {
            continue;
        }
        let mut aliases: Vec<String> = field(aliases).split(',').map(normalize).collect();
        aliases.retain(|alias| !alias.is_empty() && *alias != name.value);
        tags.push(DictionaryTag {
            name,
            count: uses,
            aliases,
        });
    }
    Ok(tags)
}

/// The fields of a line of CSV.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                if let Some(field) = fields.last_mut() {
                    field.push('"');
                }
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            c => {
                if let Some(field) = fields.last_mut() {
                    field.push(c);
                }
            }
        }
    }
    fields
}

impl TagDb {
    /// Takes a dictionary in: counts, and aliases that stand for nothing yet.
    /// `is_used` says of a normalised value whether pictures here have such a tag.
    pub fn import(
        &mut self,
        tags: &[DictionaryTag],
        is_used: impl Fn(&str) -> bool,
    ) -> ImportReport {
        let mut report = ImportReport::default();
        let names: std::collections::HashSet<&str> =
            tags.iter().map(|tag| tag.name.value.as_str()).collect();
        let mut taken = self.aliases.clone();
        for tag in tags {
            // A tag that is an alias here stays one.
            if taken.contains_key(&tag.name.value) {
                report.conflicts += 1;
                continue;
            }
            if self.rows.contains_key(&tag.name) {
                report.matched += 1;
            } else {
                report.new += 1;
            }
            let row: &mut TagRow = self.rows.entry(tag.name.clone()).or_default();
            row.count = Some(tag.count);
            for alias in &tag.aliases {
                if row.aliases.contains(alias) {
                    continue;
                }
                let is_free = !taken.contains_key(alias)
                    && !names.contains(alias.as_str())
                    && !self.by_value.contains_key(alias)
                    && !is_used(alias);
                if is_free {
                    taken.insert(alias.clone(), tag.name.clone());
                    row.aliases.push(alias.clone());
                } else {
                    report.conflicts += 1;
                }
            }
            row.aliases.sort_unstable();
            if report.sample.len() < SAMPLE {
                let arrow = if row.aliases.is_empty() { "" } else { " → " };
                report.sample.push(format!(
                    "{}{arrow}{} ({})",
                    row.aliases.join(", "),
                    tag.name,
                    tag.count
                ));
            }
        }
        self.index();
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_of_both_kinds_are_read() {
        let tagger =
            "tag_id,name,category,count\n9999,general,9,800\n470575,1girl,0,4225150\n1,holo,4,12\n";
        let names = |tags: &[DictionaryTag]| -> Vec<String> {
            tags.iter()
                .map(|tag| format!("{} {} {:?}", tag.name, tag.count, tag.aliases))
                .collect()
        };
        assert_eq!(
            names(&parse(tagger).unwrap()),
            ["1girl 4225150 []", "character:holo 12 []"]
        );
        let a1111 = "1girl,0,6008644,\"1girls,sole female\"\nholo,4,900,horo\nhighres,5,5256195,\n";
        assert_eq!(
            names(&parse(a1111).unwrap()),
            [
                "1girl 6008644 [\"1girls\", \"sole_female\"]",
                "character:holo 900 [\"horo\"]",
                "meta:highres 5256195 []"
            ]
        );
        let e621 = "mammal,5,100,\nhi_res,7,90,\n";
        assert_eq!(
            names(&parse(e621).unwrap()),
            ["species:mammal 100 []", "meta:hi_res 90 []"]
        );
        assert!(parse("a,b\n").unwrap_err().starts_with("line 1: "));
    }

    #[test]
    fn an_import_leaves_what_means_something_else() {
        let tags = parse("holo,4,900,\"horo,wolf,used\"\nwolf,0,5,\n").unwrap();
        let mut db = TagDb::default();
        let report = db.import(&tags, |value| value == "used");
        assert_eq!((report.new, report.matched, report.conflicts), (2, 0, 2));
        assert_eq!(db.alias("horo"), Some(&TagName::new("character", "holo")));
        assert_eq!(db.alias("used"), None);
        let again = db.import(&tags, |value| value == "used");
        assert_eq!((again.new, again.matched), (0, 2), "again changes nothing");
        assert!(TagDb::parse(&db.print()).unwrap() == db && db.problems().is_empty());
    }
}
