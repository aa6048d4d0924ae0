//! The second opinion: what each term and each order means, in as few words as
//! there are.

use std::cmp::{Ordering, Reverse};

use super::{DAY, MARKS, NOW, Sample, in_best_of, viewed};
use crate::model::media::{MediaKind, Rating, Status};

pub(super) type Test = fn(&Sample, &[Sample]) -> bool;

/// Terms, and what they mean in as few words as there are.
pub(super) const TERMS: &[(&str, Test)] = &[
    ("aa", |s, _| s.has("aa")),
    ("AB", |s, _| s.has("ab")),
    ("artist:b", |s, _| {
        s.media
            .tags
            .iter()
            .any(|t| t.category == "artist" && t.value == "b")
    }),
    ("char:c_(d)", |s, _| s.has("c_(d)")),
    ("a*", |s, _| s.has("aa") || s.has("ab")),
    ("*b*", |s, _| s.has("b") || s.has("ab")),
    ("artist:*", |s, _| {
        s.media.tags.iter().any(|t| t.category == "artist")
    }),
    ("*", |s, _| !s.media.tags.is_empty()),
    ("zzz", |_, _| false),
    ("\"c (d)\"", |s, _| s.has("c_(d)")),
    ("tag:b", |s, _| s.has("b")),
    ("tag:/^a.$/", |s, _| s.has("aa") || s.has("ab")),
    ("direct:aa", |s, _| s.has("aa")),
    ("direct:a*", |s, _| s.has("aa") || s.has("ab")),
    ("text:snow", |s, _| s.media.caption.contains("snow")),
    ("caption:ed", |s, _| s.media.caption.contains("Red")),
    ("caption:Red", |s, _| s.media.caption.contains("Red")),
    ("caption:rED", |_, _| false),
    ("caption:\"red fox\"", |s, _| {
        s.media.caption.contains("Red fox")
    }),
    ("caption:a*snow", |s, _| s.media.caption.contains("snow")),
    ("caption:/\\bfox\\b.+SNOW/i", |s, _| {
        s.media.caption.contains("snow")
    }),
    ("caption:any", |s, _| !s.media.caption.is_empty()),
    ("caption:", |s, _| s.media.caption.is_empty()),
    ("note:translat", |s, _| !s.media.notes.is_empty()),
    ("name:9", |s, _| s.media.name.contains('9')),
    ("filename:\"file 2\"", |s, _| {
        s.facts.path.contains("file 2")
    }),
    ("filename:*.jpg", |s, _| {
        s.facts.path.to_lowercase().ends_with(".jpg")
    }),
    ("path:images/x/*", |s, _| {
        s.facts.path.starts_with("images/x/")
    }),
    ("path:old/pl", |s, _| !s.text("original_path").is_empty()),
    ("folder:images/y", |s, _| {
        s.facts.path.starts_with("images/y/")
    }),
    (".png", |s, _| s.facts.path.to_lowercase().ends_with(".png")),
    ("ext:jpeg,webp", |s, _| {
        s.facts.path.to_lowercase().ends_with(".jpg")
    }),
    ("url:*pixiv*", |s, _| !s.media.urls.is_empty()),
    ("source:pixiv.net", |s, _| !s.media.urls.is_empty()),
    ("source:danbooru", |s, _| !s.media.sources.is_empty()),
    ("site:danbooru,e621", |s, _| !s.media.sources.is_empty()),
    ("post:danbooru:6059", |s, _| !s.media.sources.is_empty()),
    ("danbooru:6059", |s, _| !s.media.sources.is_empty()),
    ("src:tagger:*", |s, _| {
        s.media
            .tags
            .iter()
            .any(|t| t.src.as_deref() == Some("tagger:x"))
    }),
    ("src:user", |s, _| {
        s.media.tags.iter().any(|t| t.src.is_none())
    }),
    ("conf:<0.5", |s, _| {
        s.media.tags.iter().any(|t| t.conf.is_some_and(|c| c < 0.5))
    }),
    ("removed:aa", |s, _| !s.media.tags_removed.is_empty()),
    ("removed:general:a*", |s, _| {
        !s.media.tags_removed.is_empty()
    }),
    ("removed:none", |s, _| s.media.tags_removed.is_empty()),
    ("tagcount:>1", |s, _| s.media.tags.len() > 1),
    ("tags:..2", |s, _| s.media.tags.len() <= 2),
    ("arttags:1", |s, _| {
        s.media
            .tags
            .iter()
            .filter(|t| t.category == "artist")
            .count()
            == 1
    }),
    ("count.general:>=2", |s, _| {
        s.media
            .tags
            .iter()
            .filter(|t| t.category == "general")
            .count()
            >= 2
    }),
    ("chars:22", |s, _| s.media.caption.chars().count() == 22),
    ("words:0", |s, _| s.media.caption.is_empty()),
    ("tokens:2", |s, _| !s.media.caption.is_empty()),
    ("notecount:>1", |s, _| s.media.notes.len() > 1),
    ("urlcount:0", |s, _| s.media.urls.is_empty()),
    ("sitecount:1", |s, _| !s.media.sources.is_empty()),
    ("childcount:>=1", |s, all| {
        !s.media.related("children").is_empty()
            || all.iter().any(|o| {
                o.media
                    .related("parent")
                    .first()
                    .is_some_and(|p| p == s.entry.id.as_str())
            })
    }),
    ("simcount:1", |s, _| s.media.related("similar").len() == 1),
    ("projectcount:2", |s, _| {
        in_best_of(s) && s.has("aa") && !s.has("b")
    }),
    ("type:animation", |s, _| {
        s.media.kind == MediaKind::Animation
    }),
    ("width:>=200", |s, _| {
        s.media.dimensions().is_some_and(|(w, _)| w >= 200)
    }),
    ("height:100..200", |s, _| {
        s.media.dimensions().is_some_and(|(_, h)| h <= 200)
    }),
    ("mp:<0.03", |s, _| {
        s.media.dimensions().is_some_and(|(w, h)| w * h < 30_000)
    }),
    ("ratio:2:1", |s, _| {
        s.media.dimensions().is_some_and(|(w, h)| w == 2 * h)
    }),
    ("filesize:>1000b", |s, _| s.facts.bytes > 1000),
    ("duration:2s", |s, _| s.media.number("duration") == Some(2)),
    ("frames:>1", |s, _| {
        s.media.number("frames").unwrap_or(1) > 1
    }),
    ("fps:12.5", |s, _| s.media.metadata.contains_key("fps")),
    ("pages:>2", |s, _| s.media.metadata.contains_key("pages")),
    ("orient:portrait", |s, _| {
        s.media.dimensions().is_some_and(|(w, h)| w < h)
    }),
    ("date:2024-07", |s, _| {
        s.entry.created >= 1_719_792_000 && s.entry.created < 1_722_470_400
    }),
    ("taken:2024", |s, _| !s.text("taken").is_empty()),
    ("created:<2024", |s, _| !s.text("created").is_empty()),
    ("filemod:>=2024", |s, _| s.facts.modified >= 1_704_067_200),
    ("modified:any", |_, _| true),
    ("imported:2025-03-14", |s, _| {
        !s.text("imported").is_empty()
            || (s.facts.modified >= 1_741_910_400 && s.facts.modified < 1_741_996_800)
    }),
    ("age:<2d", |s, _| NOW - s.entry.imported < 2 * DAY),
    ("imported:>=48_hours_ago", |s, _| {
        NOW - s.entry.imported <= 2 * DAY
    }),
    // Before the day a week ago began.
    ("imported:<1_week_ago", |s, _| {
        s.entry.imported < 1_741_392_000
    }),
    ("rating:sfw", |s, _| {
        matches!(s.media.rating, Some(Rating::General | Rating::Sensitive))
    }),
    ("rating:none", |s, _| s.media.rating.is_none()),
    ("stars:>=3", |s, _| s.media.stars >= 3),
    ("score:7", |s, _| !s.media.sources.is_empty()),
    ("favcount:>1", |s, _| {
        s.entry.favcount.is_some_and(|n| n > 1)
    }),
    ("fav:yes", |s, _| s.media.fav),
    ("status:inbox", |s, _| s.media.status == Some(Status::Inbox)),
    ("status:missing", |s, _| s.facts.is_missing),
    ("status:broken", |s, _| {
        s.media.metadata.contains_key("undecodable")
    }),
    ("project:best_of", |s, _| in_best_of(s)),
    ("search:good", |s, _| s.media.stars >= 3),
    ("search:good_fox", |s, _| s.media.stars >= 3 && s.has("aa")),
    ("search:any", |s, _| s.media.stars >= 3),
    ("search:none", |s, _| s.media.stars < 3),
    ("project:*mar*", |s, _| s.has("aa") && !s.has("b")),
    ("project:none", |s, _| {
        !in_best_of(s) && (!s.has("aa") || s.has("b"))
    }),
    ("is:fav", |s, _| s.media.fav),
    ("is:untagged", |s, _| s.media.tags.is_empty()),
    ("is:square", |s, _| {
        s.media.dimensions().is_some_and(|(w, h)| w == h)
    }),
    ("is:animated", |s, _| s.media.kind == MediaKind::Animation),
    ("is:locked", |s, _| !s.media.locked.is_empty()),
    ("has:parent", |s, _| !s.media.related("parent").is_empty()),
    ("is:child", |s, _| !s.media.related("parent").is_empty()),
    ("is:webp,jpg", |s, _| {
        s.facts.path.to_lowercase().ends_with(".jpg")
    }),
    ("fav:somebody", |_, _| false),
    ("has:exif", |s, _| {
        s.media.metadata.contains_key("exif") || s.media.metadata.contains_key("taken")
    }),
    ("has:audio", |s, _| s.media.metadata.contains_key("audio")),
    ("has:alpha", |s, _| s.media.metadata.contains_key("alpha")),
    ("has:note", |s, _| !s.media.notes.is_empty()),
    ("has:similar", |s, _| !s.media.related("similar").is_empty()),
    ("has:alternate", |s, _| {
        !s.media.related("variants").is_empty()
    }),
    ("has:sidecar", |s, _| s.facts.has_sidecar),
    ("has:phash", |s, _| s.media.hashes.phash.is_some()),
    ("has:project", |s, _| {
        in_best_of(s) || (s.has("aa") && !s.has("b"))
    }),
    ("needs:tags", |s, _| s.media.tags.is_empty()),
    ("needs:hash", |s, _| s.media.hashes.md5.is_none()),
    ("metadata:missing", |s, _| s.media.sources.is_empty()),
    ("needs:review", |s, _| {
        let open = |id: &String| {
            ["duplicates", "not_duplicate", "variants"]
                .iter()
                .all(|kind| !s.media.related(kind).contains(id))
        };
        s.media.related("similar").iter().any(open)
    }),
    ("id:id0002,id0004", |s, _| {
        matches!(s.entry.id.as_str(), "id0002" | "id0004")
    }),
    ("id:id000", |s, _| s.entry.key.0 < 10),
    ("md5:0000", |s, _| s.media.hashes.md5.is_some()),
    ("sha256:none", |s, _| s.media.hashes.sha256.is_none()),
    ("pixel:0000", |s, _| s.media.hashes.pixel.is_some()),
    ("phash:0000000000000001", |s, _| {
        s.media.hashes.phash.as_deref() == Some("0000000000000001")
    }),
    ("parent:id0004", |s, _| {
        s.entry.id.as_str() == "id0004"
            || s.media
                .related("parent")
                .first()
                .is_some_and(|p| p == "id0004")
    }),
    ("related:variants", |s, _| {
        !s.media.related("variants").is_empty()
    }),
    ("related:similar:id0006", |s, _| {
        s.media.related("similar").iter().any(|id| id == "id0006")
    }),
    ("dup:exact", |s, all| {
        s.media.hashes.md5.is_some()
            && all
                .iter()
                .filter(|o| o.media.hashes.md5 == s.media.hashes.md5)
                .count()
                > 1
    }),
    ("dup:pixel", |s, all| {
        s.media.hashes.pixel.is_some()
            && all
                .iter()
                .filter(|o| o.media.hashes.pixel == s.media.hashes.pixel)
                .count()
                > 1
    }),
    ("dup:near", |s, _| {
        !s.media.related("similar").is_empty() || !s.media.related("duplicates").is_empty()
    }),
    ("dup:reviewed", |s, _| {
        ["duplicates", "not_duplicate", "variants"]
            .iter()
            .any(|kind| !s.media.related(kind).is_empty())
    }),
    ("mark:a", |s, _| is_marked(s, "a")),
    ("mark:b,B", |s, _| is_marked(s, "bB")),
    ("mark:any", |s, _| is_marked(s, "abB")),
    ("mark:none", |s, _| !is_marked(s, "abB")),
    ("color:red", |s, _| stands_out(s, "red")),
    ("colour:black,#00ff00", |s, _| {
        stands_out(s, "black") || stands_out(s, "strong green")
    }),
    ("color:gray,20", |s, _| {
        colors(s).is_some_and(|levels| least(levels[1]) + least(levels[2]) >= 20)
    }),
    ("color:any", |s, _| colors(s).is_some()),
    ("color:none", |s, _| colors(s).is_none()),
    ("viewed:any", |s, _| viewed(s).is_some()),
    ("viewed:", |s, _| viewed(s).is_none()),
    ("viewed:>=2025-03-14", |s, _| {
        viewed(s).is_some_and(|at| at >= 1_741_910_400)
    }),
    ("viewed:<2025-03-13,today", |s, _| {
        viewed(s).is_some_and(|at| !(1_741_824_000..1_741_996_800).contains(&at))
    }),
    ("system:last viewed time > 2025-03-14\n", |s, _| {
        viewed(s).is_some_and(|at| at >= 1_741_996_800)
    }),
    ("system:everything\n", |_, _| true),
    ("system:num tags > 2\n", |s, _| s.media.tags.len() > 2),
];

/// Orders, and which of two comes first; ties go by id.
pub(super) type Before = fn(&Sample, &Sample) -> Ordering;

fn missing_last<T: PartialOrd>(a: Option<T>, b: Option<T>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => b.partial_cmp(&a).unwrap(),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn in_category(sample: &Sample, category: &str) -> usize {
    sample
        .media
        .tags
        .iter()
        .filter(|tag| tag.category == category)
        .count()
}

/// How many quarters each class of the color hash has, from black on.
fn colors(sample: &Sample) -> Option<Vec<usize>> {
    let hash = sample.media.hashes.colorhash.as_deref()?;
    let quarter = |digit: char| "0137f".find(digit);
    hash.chars().map(quarter).collect()
}

fn least(quarters: usize) -> usize {
    [0, 2, 8, 20, 45][quarters]
}

/// Tenths of a percent that a color counts for.
fn weight(levels: &[usize], name: &str) -> usize {
    let likely = |class: usize| [0, 5, 14, 32, 60][levels[class]];
    let hue = |n: usize| 10 * likely(10 + n) + 4 * likely(4 + n);
    match name {
        "black" => 4 * likely(0),
        "gray" => 4 * (likely(1) + likely(2)),
        "white" => 4 * likely(3),
        "strong green" => 10 * likely(12),
        name => hue(HUES.iter().position(|hue| *hue == name).unwrap()),
    }
}

const HUES: [&str; 6] = ["red", "yellow", "green", "cyan", "blue", "magenta"];

/// The color that a picture has most of, and its weight.
fn most(levels: &[usize]) -> (usize, usize) {
    let names = HUES.into_iter().chain(["white", "gray", "black"]);
    let weights = (0..).zip(names.map(|name| weight(levels, name)));
    let first = |(place, weight): &(usize, usize)| (*weight, Reverse(*place));
    let (place, weight) = weights.max_by_key(first).unwrap();
    (if weight == 0 { 0 } else { place }, weight)
}

fn stands_out(sample: &Sample, name: &str) -> bool {
    colors(sample).is_some_and(|levels| {
        let weight = weight(&levels, name);
        weight >= 80 && 10 * weight >= 6 * most(&levels).1
    })
}

/// The place of the color of a picture, and how little it has of it.
fn hue(sample: &Sample) -> Option<(usize, Reverse<usize>)> {
    let (place, weight) = most(&colors(sample)?);
    Some((place, Reverse(weight)))
}

fn is_marked(sample: &Sample, letters: &str) -> bool {
    MARKS
        .iter()
        .any(|(letter, key)| *key == sample.entry.key.0 && letters.contains(*letter))
}

pub(super) const ORDERS: &[(&str, Before)] = &[
    ("new", |a, b| b.entry.imported.cmp(&a.entry.imported)),
    ("oldest", |a, b| a.entry.imported.cmp(&b.entry.imported)),
    ("id", |_, _| Ordering::Equal),
    ("id_desc", |a, b| b.entry.id.cmp(&a.entry.id)),
    ("date", |a, b| b.entry.created.cmp(&a.entry.created)),
    ("taken_asc", |a, b| a.entry.created.cmp(&b.entry.created)),
    ("edited", |a, b| b.entry.modified.cmp(&a.entry.modified)),
    ("color", |a, b| {
        missing_last(hue(a).map(Reverse), hue(b).map(Reverse))
    }),
    ("viewed", |a, b| missing_last(viewed(a), viewed(b))),
    ("viewed_asc", |a, b| missing_last(viewed(b), viewed(a))),
    ("path", |a, b| {
        (&a.facts.path[..8], a.entry.key).cmp(&(&b.facts.path[..8], b.entry.key))
    }),
    ("filesize", |a, b| b.facts.bytes.cmp(&a.facts.bytes)),
    ("width", |a, b| {
        missing_last(
            a.media.dimensions().map(|d| d.0),
            b.media.dimensions().map(|d| d.0),
        )
    }),
    ("height_desc", |a, b| {
        missing_last(
            a.media.dimensions().map(|d| d.1),
            b.media.dimensions().map(|d| d.1),
        )
    }),
    ("mpixels", |a, b| {
        missing_last(
            a.media.dimensions().map(|d| d.0 * d.1),
            b.media.dimensions().map(|d| d.0 * d.1),
        )
    }),
    ("landscape", |a, b| {
        let ratio = |s: &Sample| {
            s.media
                .dimensions()
                .map(|(w, h)| f64::from(w) / f64::from(h))
        };
        missing_last(ratio(a), ratio(b))
    }),
    ("portrait", |a, b| {
        let ratio = |s: &Sample| {
            s.media
                .dimensions()
                .map(|(w, h)| -f64::from(w) / f64::from(h))
        };
        missing_last(ratio(a), ratio(b))
    }),
    ("duration", |a, b| {
        missing_last(a.media.number("duration"), b.media.number("duration"))
    }),
    ("frames_asc", |a, b| {
        a.media
            .number("frames")
            .unwrap_or(1)
            .cmp(&b.media.number("frames").unwrap_or(1))
    }),
    ("tagcount", |a, b| {
        b.media.tags.len().cmp(&a.media.tags.len())
    }),
    ("arttags", |a, b| {
        in_category(b, "artist").cmp(&in_category(a, "artist"))
    }),
    ("gentags_asc", |a, b| {
        in_category(a, "general").cmp(&in_category(b, "general"))
    }),
    ("stars", |a, b| b.media.stars.cmp(&a.media.stars)),
    ("score", |a, b| missing_last(a.entry.score, b.entry.score)),
    ("fav", |a, b| {
        missing_last(a.entry.favcount, b.entry.favcount).then(b.media.fav.cmp(&a.media.fav))
    }),
    ("rating", |a, b| {
        missing_last(
            a.media.rating.map(|r| r as u8),
            b.media.rating.map(|r| r as u8),
        )
    }),
    ("none", |a, b| a.entry.key.cmp(&b.entry.key)),
    ("modified_asc", |a, b| {
        a.entry.modified.cmp(&b.entry.modified)
    }),
    ("filesize_asc", |a, b| a.facts.bytes.cmp(&b.facts.bytes)),
    ("width_asc", |a, b| {
        missing_last(
            a.media.dimensions().map(|d| Reverse(d.0)),
            b.media.dimensions().map(|d| Reverse(d.0)),
        )
    }),
    ("duration_asc", |a, b| {
        missing_last(
            a.media.number("duration").map(Reverse),
            b.media.number("duration").map(Reverse),
        )
    }),
    ("frames", |a, b| {
        b.media
            .number("frames")
            .unwrap_or(1)
            .cmp(&a.media.number("frames").unwrap_or(1))
    }),
    ("tagcount_asc", |a, b| {
        a.media.tags.len().cmp(&b.media.tags.len())
    }),
    ("chartags", |a, b| {
        in_category(b, "character").cmp(&in_category(a, "character"))
    }),
    ("copytags_asc", |a, b| {
        in_category(a, "copyright").cmp(&in_category(b, "copyright"))
    }),
    ("stars_asc", |a, b| a.media.stars.cmp(&b.media.stars)),
    ("score_asc", |a, b| {
        missing_last(a.entry.score.map(Reverse), b.entry.score.map(Reverse))
    }),
    ("favcount_asc", |a, b| {
        missing_last(a.entry.favcount.map(Reverse), b.entry.favcount.map(Reverse))
            .then(b.media.fav.cmp(&a.media.fav))
    }),
    ("rating_asc", |a, b| {
        missing_last(
            a.media.rating.map(|r| Reverse(r as u8)),
            b.media.rating.map(|r| Reverse(r as u8)),
        )
    }),
    // Nothing here was asked for that has a place or a distance.
    ("project", |_, _| Ordering::Equal),
    ("custom_desc", |_, _| Ordering::Equal),
    ("similarity", |_, _| Ordering::Equal),
];
