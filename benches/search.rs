//! What a search, a completion and an edit cost on a library of a million media, with
//! peers in the same run: the same questions as SQL, and a fuzzy matcher over all.
//!
//! ```text
//! cargo bench --bench search                 a million media; SQL at a hundred thousand
//! cargo bench --bench search -- quick        all at a hundred thousand
//! cargo bench --bench search -- completion   only sections with that word
//! ```

#![expect(clippy::print_stdout, reason = "a table is what it is for")]

#[path = "search/completion.rs"]
mod completion;
#[path = "search/peer.rs"]
mod peer;
#[path = "search/sheet.rs"]
mod sheet;
#[path = "search/synthetic.rs"]
mod synthetic;

use std::time::Instant;

use tagloupe::{
    app::changes::Changes,
    engine::{
        job::Cancel,
        search::{NoLookup, first_page, search},
        tag_counts::tag_counts,
    },
    model::{
        catalog::{Catalog, Change, Restoring},
        column::Column,
        entry::Entry,
        id::MediaKey,
        query::Query,
        tag::TagName,
        tagdb::TagDb,
    },
};

use peer::{Peer, Question};
use sheet::{Times, head, ratio, resident, show};
use synthetic::{Dice, Vocabulary};

/// The allocator of the program.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const TAGS: usize = 50_000;
/// Media of one page.
const PAGE: usize = 600;
const NOW: i64 = 1_700_000_000;

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let is_quick = words.iter().any(|word| word == "quick");
    let sections: Vec<&String> = words.iter().filter(|word| *word != "quick").collect();
    let wants = |section: &str| {
        sections.is_empty() || sections.iter().any(|word| section.contains(word.as_str()))
    };
    let media = if is_quick { 100_000 } else { 1_000_000 };

    if wants("completion") {
        completion::run();
    }
    let vocabulary = Vocabulary::new(TAGS);
    if wants("search order facets edits stored sql") {
        let before = resident();
        let catalog = synthetic::catalog(media, &vocabulary);
        println!(
            "\n{media} media, {} tags, records of {} bytes; memory +{} MB",
            catalog.vocabulary().1,
            catalog.record_bytes() / media as usize,
            resident() - before,
        );
        let catalog = if wants("stored") {
            stored(catalog)
        } else {
            catalog
        };
        if wants("order") {
            orders(&catalog);
        }
        if wants("search") {
            searches(&catalog, &vocabulary);
        }
        println!("memory with all of these orders: {} MB", resident());
        if wants("facets") {
            facets(&catalog);
        }
        if wants("edits") {
            edits(&catalog, &vocabulary);
        }
    }
    if wants("sql") {
        peers(&vocabulary);
    }
}

fn page(catalog: &Catalog, text: &str) -> u64 {
    let query = Query::parse(text, catalog).expect("a query");
    let found = first_page(&query, catalog, &NoLookup, NOW, &Cancel::default(), PAGE);
    found.expect("nobody cancels").total
}

fn list(catalog: &Catalog, text: &str) -> usize {
    let query = Query::parse(text, catalog).expect("a query");
    let found = search(&query, catalog, &NoLookup, NOW, &Cancel::default());
    found.expect("nobody cancels").keys.len()
}

/// Writes the catalog as frames and reads it back.
fn stored(catalog: Catalog) -> Catalog {
    head("the stored catalog");
    let mut frames: Vec<Vec<u8>> = Vec::new();
    let make = Instant::now();
    for column in Column::KEPT {
        catalog.ordered(column);
    }
    let make = make.elapsed();
    let write = Instant::now();
    catalog.frames(&mut |frame| frames.push(frame.to_vec()));
    let write = write.elapsed();
    drop(catalog);
    let bytes: usize = frames.iter().map(Vec::len).sum();
    let read = || {
        let mut restoring = Restoring::default();
        for frame in &frames {
            restoring.take(frame).expect("a frame of ours");
        }
        restoring.finish().expect("all frames")
    };
    Times::of(&[()], |()| read()).print("read back", "");
    println!(
        "its orders are made in {}, it is written in {}, {} MB",
        show(make),
        show(write),
        bytes >> 20,
    );
    let before = resident();
    let catalog = read();
    println!("memory of the catalog: +{} MB", resident() - before);
    catalog
}

/// Tags by how common they are, drawn as they are on media: what a person who clicks
/// tags asks for.
fn question(dice: &mut Dice, vocabulary: &Vocabulary, terms: usize) -> Question {
    let mut ranks: Vec<usize> = Vec::new();
    while ranks.len() < terms {
        let rank = vocabulary.draw(dice);
        if !ranks.contains(&rank) {
            ranks.push(rank);
        }
    }
    let unwanted = if terms > 1 { dice.below(terms) } else { 0 };
    let value = |rank: &usize| vocabulary.names[*rank].value.clone();
    let (without, with) = ranks.split_at(unwanted);
    Question {
        wanted: with.iter().map(value).collect(),
        unwanted: without.iter().map(value).collect(),
    }
}

fn searches(catalog: &Catalog, vocabulary: &Vocabulary) {
    head("first page in order and exact count");
    let mut dice = Dice::new(1);
    let boolean: Vec<String> = (0..1_000)
        .map(|n| question(&mut dice, vocabulary, 2 + n % 5).text())
        .collect();
    let run = |text: &String| page(catalog, text);
    Times::of(&boolean, run).print("2 to 6 tags, some excluded (1000)", "p99 ≤ 1 ms");
    let either: Vec<String> = (0..300)
        .map(|n| {
            let any = question(&mut dice, vocabulary, 2 + n % 3)
                .wanted
                .join(" or ");
            let and = question(&mut dice, vocabulary, 1).text();
            format!("{and} ({any})")
        })
        .collect();
    Times::of(&either, run).print("a tag and one of several (300)", "p99 ≤ 1 ms");
    Times::of(&[String::new()], run).print("everything", "");
    let part = |dice: &mut Dice, end: usize| {
        let name = &vocabulary.names[vocabulary.draw(dice)].value;
        let end = name.floor_char_boundary(end.min(name.len()));
        name[..end].to_owned()
    };
    let wildcards: Vec<String> = (0..200)
        .map(|n| match n % 3 {
            0 => format!("{}*", part(&mut dice, 4)),
            1 => format!("*{}*", part(&mut dice, 4)),
            _ => format!("{}*{}", part(&mut dice, 2), "e"),
        })
        .collect();
    Times::of(&wildcards, run).print("a wildcard (200)", "≤ 10 ms");
    let ranges = [
        "filesize:>4mb",
        "width:>=2000",
        "height:..500",
        "mpixels:>8",
        "ratio:16:9",
        "score:>400",
        "favcount:<10",
        "date:2016..2018",
        "imported:<2015-01-01",
        "modified:>2016-06-01",
        "stars:3..4",
        "tagcount:>35",
        "count.artist:>3",
        "duration:>1",
        "frames:>2",
        "chars:>2",
    ]
    .map(str::to_owned);
    let ranges: Vec<String> = ranges
        .into_iter()
        .filter(|text| Query::parse(text, catalog).is_ok())
        .collect();
    Times::of(&ranges, run).print(&format!("a range ({})", ranges.len()), "≤ 10 ms");
    let mixed: Vec<String> = (0..1_000)
        .map(|n| {
            let text = question(&mut dice, vocabulary, 1 + n % 4).text();
            match n % 5 {
                0 => format!("{text} {}*", part(&mut dice, 3)),
                1 => format!("{text} {}", ranges[dice.below(ranges.len())]),
                2 => format!("{text} rating:g,s -fav:true"),
                3 => format!("{text} order:filesize"),
                _ => format!("-({text})"),
            }
        })
        .collect();
    let times = Times::of(&mixed, run);
    times.print("anything mixed (1000)", "worst ≤ 50 ms");
    let implied = with_implications(catalog, vocabulary);
    let asked: Vec<String> = (0..200)
        .map(|n| vocabulary.names[n].value.clone())
        .collect();
    Times::of(&asked, |text| page(&implied, text))
        .print("a tag that others imply (200)", "≤ 10 ms");
    let all = |text: &String| list(catalog, text);
    Times::of(&boolean, all).print("2 to 6 tags, the whole list (1000)", "");
}

/// Every tag past the two hundredth implies one of the first.
fn with_implications(catalog: &Catalog, vocabulary: &Vocabulary) -> Catalog {
    let mut lines = String::new();
    for (n, name) in vocabulary.names.iter().enumerate().skip(200).take(5_000) {
        let target = &vocabulary.names[n % 200];
        let line = serde_json::json!({
            "category": name.category, "tag": name.value, "implies": [target.to_string()],
        });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    let tags = TagDb::parse(&lines).expect("a tag database");
    catalog.clone().with_tag_database(std::sync::Arc::new(tags))
}

/// Every order that a query can ask for and that the data has something for; those that go
/// the other way where that is found another way.
const ORDERS: &[&str] = &[
    "imported",
    "imported_asc",
    "id",
    "id_desc",
    "date",
    "date_asc",
    "modified",
    "modified_asc",
    "name",
    "name_desc",
    "path",
    "path_desc",
    "filesize",
    "filesize_asc",
    "width",
    "width_asc",
    "height",
    "mpixels",
    "mpixels_asc",
    "landscape",
    "portrait",
    "duration",
    "duration_asc",
    "frames",
    "frames_asc",
    "tagcount",
    "tagcount_asc",
    "gentags",
    "gentags_asc",
    "arttags",
    "copytags",
    "chartags",
    "spectags",
    "metatags",
    "stars",
    "stars_asc",
    "score",
    "score_asc",
    "favcount",
    "favcount_asc",
    "rating",
    "rating_asc",
    "similarity",
    "dupsize",
    "dupsize_asc",
    "project",
    "random",
    "none",
];

fn orders(catalog: &Catalog) {
    const ROUNDS: usize = 3;
    head("the first page of everything, before its order is made");
    let texts: Vec<String> = ORDERS.iter().map(|by| format!("order:{by}")).collect();
    // To look for a beginning makes no order, and what was asked meanwhile has taken the
    // place of this one in the caches of the processor.
    let mut times: Vec<Times> = texts.iter().map(|_| Times::default()).collect();
    for _ in 0..ROUNDS {
        for (text, times) in texts.iter().zip(&mut times) {
            times.extend(Times::once(&[()], |()| page(catalog, text)));
        }
    }
    for (text, times) in texts.iter().zip(&times) {
        times.print(text, "≤ 20 ms");
    }
    head("the whole of it, which makes the order that is kept, and then a page");
    for text in &texts {
        let whole = Times::once(&[()], |()| list(catalog, text));
        whole.print(&format!("{text}, the whole list"), "");
        Times::of(std::slice::from_ref(text), |text| page(catalog, text)).print(text, "≤ 20 ms");
    }
}

fn facets(catalog: &Catalog) {
    head("tags of a result");
    for count in [10_000, 100_000] {
        let keys: Vec<MediaKey> = catalog
            .default_order()
            .iter()
            .take(count)
            .copied()
            .collect();
        let count = |keys: &Vec<MediaKey>| {
            tagloupe::app::facets::count(catalog, keys, &Changes::default(), |keys| {
                tag_counts(catalog, keys, &|| false)
            })
            .map(|rows| rows.len())
        };
        let what = format!("of {} media", keys.len());
        Times::of(&[keys], count).print(&what, "≤ 20 ms");
    }
}

fn edits(catalog: &Catalog, vocabulary: &Vocabulary) {
    head("edits, until a search sees them");
    let mut dice = Dice::new(3);
    let mut change = |key: u32| {
        let mut entry = synthetic::entry(key, vocabulary);
        entry.tags.truncate(15);
        entry
            .tags
            .push(TagName::new("", &format!("edited_{}", dice.below(10))));
        Change::Upsert(entry)
    };
    let media = u32::try_from(catalog.len()).unwrap_or(u32::MAX);
    let one: Vec<Change> = (0..500).map(|n| change(1 + n * (media / 500))).collect();
    let edited = (0..10)
        .map(|n| TagName::new("", &format!("edited_{n}")))
        .collect();
    // On one that no edit takes them from: a tag that nothing has is not found, but looked
    // for among all that are written nearly alike.
    let known = Change::Upsert(Entry {
        tags: edited,
        ..synthetic::entry(2, vocabulary)
    });
    let mut current = catalog.apply(&[known]);
    page(&current, "edited_1");
    Times::once(&one, |change| {
        current = current.apply(std::slice::from_ref(change));
        page(&current, "edited_1")
    })
    .print("one edit (500)", "≤ 1 ms");
    let many: Vec<Vec<Change>> = (0..5)
        .map(|n| {
            (0..10_000)
                .map(|at| change(1 + n + at * (media / 10_000)))
                .collect()
        })
        .collect();
    Times::once(&many, |changes| {
        current = current.apply(changes);
        page(&current, "edited_1")
    })
    .print("10 000 edits at once (5)", "≤ 200 ms");
}

/// The same questions as SQL, at a size at which SQL ends some day.
fn peers(vocabulary: &Vocabulary) {
    const MEDIA: u32 = 100_000;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let catalog = synthetic::catalog(MEDIA, vocabulary);
    catalog.default_order();
    let peer = Peer::new(&folder.path().join("peer.db"), MEDIA, vocabulary);
    let mut dice = Dice::new(7);
    let questions: Vec<Question> = (0..60)
        .map(|n| question(&mut dice, vocabulary, 2 + n % 5))
        .collect();
    for question in &questions {
        let (ours, theirs) = (page(&catalog, &question.text()), peer.by_tables(question));
        assert_eq!(ours, theirs, "{}", question.text());
    }
    head(&format!(
        "{MEDIA} media, 2 to 6 tags, and the same as SQL (60)"
    ));
    let ours = Times::of(&questions, |question| page(&catalog, &question.text()));
    ours.print("first page in order and exact count", "");
    let tables = Times::once(&questions, |question| peer.by_tables(question));
    tables.print("Image Tagger's tables, count alone", "");
    let text = Times::once(&questions, |question| peer.by_text(question));
    text.print("its FTS5 table, count alone", "");
    println!(
        "at the median tables take {} times as long, FTS5 {} times   (≥ 1 000)",
        ratio(ours.median(), tables.median()),
        ratio(ours.median(), text.median()),
    );
}
