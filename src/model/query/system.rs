//! hydrus `system:` predicates in our own words, so that its users can paste them.

mod time;

use time::time;

/// What is understood, for the error that lists it.
pub const SUPPORTED: &str = "understood are: everything, inbox, archive, untagged, has tags, \
     number of [NAMESPACE] tags, width, height, ratio, filesize, duration, framerate, \
     number of frames, number of pixels, number of notes, number of urls, filetype, hash, \
     import time, modified time, last viewed time, similar to files, limit, rating, has domain, has url, \
     has or no audio, transparency, exif, xmp, iptc, icc profile, embedded metadata, notes, urls, \
     caption, duration";

/// What `has X` and `no X` ask for.
const HAS: [(&str, &str); 16] = [
    ("audio", "has:audio"),
    ("transparency", "has:alpha"),
    ("exif", "has:exif"),
    ("xmp", "has:xmp"),
    ("iptc", "has:iptc"),
    ("icc profile", "has:icc"),
    ("notes", "has:note"),
    ("note", "has:note"),
    ("urls", "has:url"),
    ("url", "has:url"),
    ("caption", "has:caption"),
    ("tags", "tagcount:>0"),
    ("duration", "duration:>0"),
    ("rating", "stars:>0"),
    ("embedded metadata", "has:gen"),
    ("human-readable embedded metadata", "has:gen"),
];

/// What is compared with a number or a time, and the key it is here.
const SUBJECTS: [(&str, &str); 27] = [
    ("tags", "tagcount"),
    ("width", "width"),
    ("height", "height"),
    ("ratio", "ratio"),
    ("filesize", "filesize"),
    ("file size", "filesize"),
    ("duration", "duration"),
    ("frames", "frames"),
    ("framerate", "fps"),
    ("pages", "pages"),
    ("notes", "notecount"),
    ("urls", "urlcount"),
    ("limit", "limit"),
    ("import time", "imported"),
    ("time imported", "imported"),
    ("date imported", "imported"),
    ("import date", "imported"),
    ("imported time", "imported"),
    ("imported", "imported"),
    ("modified time", "modified"),
    ("modified date", "modified"),
    ("time modified", "modified"),
    ("date modified", "modified"),
    ("archived time", "modified"),
    ("last viewed time", "viewed"),
    ("last view time", "viewed"),
    ("last viewed date", "viewed"),
];

const SIGNS: [char; 11] = ['<', '>', '=', '≈', '~', '≠', '!', '≤', '≥', '±', ' '];

/// Words that compare, the longest first.
const WORDS: [(&str, &str); 15] = [
    ("is greater than", ">"),
    ("is less than", "<"),
    ("is wider than", ">"),
    ("is taller than", "<"),
    ("is about", "~="),
    ("is the same as", "="),
    ("is not", "!="),
    ("wider than", ">"),
    ("taller than", "<"),
    ("the day of", "="),
    ("the month of", "="),
    ("since", "since"),
    ("before", "before"),
    ("about", "~="),
    ("is", "="),
];

/// The query that means the same, or `None` when the predicate is not understood.
/// An empty query means everything.
pub fn translate(line: &str) -> Option<String> {
    let text = line.trim().to_lowercase().replace('_', " ");
    let text = text.strip_prefix("system:").unwrap_or(&text).trim();
    let plain = match text {
        "everything" => "",
        "inbox" => "status:inbox",
        "archive" | "archived" => "status:archived",
        "untagged" => "tagcount:0",
        "best quality of group" | "is the best quality file of its duplicate group" => "is:king",
        "is favourite" | "favourite" | "favorite" => "is:fav",
        _ => {
            return has(text)
                .or_else(|| url(text))
                .or_else(|| similar(text))
                .or_else(|| rating(text))
                .or_else(|| compared(text));
        }
    };
    Some(plain.to_owned())
}

/// `has X`, `no X`, `does not have X`.
fn has(text: &str) -> Option<String> {
    let (is_wanted, what) = presence(text)?;
    let what = what.strip_prefix("an ").or(what.strip_prefix("a "));
    let what = what.unwrap_or(presence(text)?.1);
    let (_, term) = HAS.iter().find(|(name, _)| *name == what)?;
    Some(match (is_wanted, *term) {
        (true, term) => term.to_owned(),
        (false, "tagcount:>0") => "tagcount:0".to_owned(),
        (false, term) => format!("-{term}"),
    })
}

fn presence(text: &str) -> Option<(bool, &str)> {
    for (start, is_wanted) in [
        ("has no ", false),
        ("does not have ", false),
        ("doesn't have ", false),
        ("no ", false),
        ("has ", true),
    ] {
        if let Some(what) = text.strip_prefix(start) {
            return Some((is_wanted, what.trim()));
        }
    }
    None
}

/// `has domain D`, `has url U`.
fn url(text: &str) -> Option<String> {
    let (is_wanted, what) = match presence(text) {
        Some((is_wanted, what)) => (is_wanted, what.strip_prefix("a ").unwrap_or(what)),
        None => (true, text),
    };
    let domain = ["domain is ", "domain ", "url with domain "];
    let pattern = match domain.iter().find_map(|start| what.strip_prefix(start)) {
        Some(domain) => format!("*{}*", one_word(domain)?),
        None => one_word(what.strip_prefix("url ")?)?.to_owned(),
    };
    let sign = if is_wanted { "" } else { "-" };
    Some(format!("{sign}url:{pattern}"))
}

fn similar(text: &str) -> Option<String> {
    let rest = text.strip_prefix("similar to ")?.trim_start();
    let rest = rest
        .strip_prefix("files")
        .unwrap_or(rest)
        .trim()
        .trim_start_matches("= ");
    let (hash, distance) = rest
        .split_once(" with distance ")
        .or_else(|| rest.split_once(" distance "))
        .unwrap_or((rest, "4"));
    let distance: u32 = distance.trim().trim_start_matches("of ").parse().ok()?;
    Some(format!("similar:{},d<={distance}", one_word(hash)?))
}

/// `rating for SERVICE is like`, `rating for SERVICE > 3/5`.
fn rating(text: &str) -> Option<String> {
    let rest = text.strip_prefix("rating")?.trim();
    let rest = rest.strip_prefix("for ").unwrap_or(rest);
    for (end, term) in [
        ("is like", "fav:yes"),
        ("= like", "fav:yes"),
        ("is dislike", "fav:no"),
        ("= dislike", "fav:no"),
    ] {
        if rest.ends_with(end) {
            return Some(term.to_owned());
        }
    }
    let (_, operator, value) = comparison(rest)?;
    let stars: u8 = value.split('/').next()?.trim().parse().ok()?;
    Some(format!("stars:{}{stars}", plain(operator)))
}

/// `SUBJECT OPERATOR VALUE`.
fn compared(text: &str) -> Option<String> {
    let (subject, operator, value) = comparison(text)?;
    let subject = subject
        .strip_prefix("number of ")
        .or_else(|| subject.strip_prefix("num "))
        .unwrap_or(subject);
    match subject {
        "pixels" => return Some(format!("mpixels:{}{}", plain(operator), megapixels(value)?)),
        "filetype" | "file type" => return filetype(operator, value),
        "hash" | "md5" | "sha256" => return hash(operator, value),
        "ratio" if operator == "=" && matches!(value, "square" | "portrait" | "landscape") => {
            return Some(format!("orient:{value}"));
        }
        _ => {}
    }
    if let Some((_, key)) = SUBJECTS.iter().find(|(name, _)| *name == subject) {
        return match *key {
            "imported" | "modified" | "viewed" => time(key, operator, value),
            _ if matches!(operator, "since" | "before") => None,
            "filesize" => Some(format!("filesize:{}{}", plain(operator), size(value)?)),
            "duration" => Some(format!("duration:{}{}", plain(operator), duration(value)?)),
            key => {
                let value = one_word(value.trim_end_matches("px").trim_end_matches("fps"))?;
                Some(format!("{key}:{}{value}", plain(operator)))
            }
        };
    }
    // Anything else would be read as further terms.
    let category = subject.strip_suffix(" tags").and_then(one_word)?;
    if category.contains([':', '(', ')', '"', '\'']) {
        return None;
    }
    let number: u64 = value.trim().parse().ok()?;
    Some(format!("count.{category}:{operator}{number}"))
}

/// The subject, the operator in our notation, and the value.
fn comparison(text: &str) -> Option<(&str, &'static str, &str)> {
    let sign = text.find(|c: char| c != ' ' && SIGNS.contains(&c));
    if let Some(start) = sign {
        let (subject, rest) = text.split_at(start);
        let end = rest.find(|c: char| !SIGNS.contains(&c))?;
        let (operator, value) = rest.split_at(end);
        let operator = match operator.trim() {
            "≈" | "~=" | "~" => "~=",
            "≠" | "!=" => "!=",
            "=" | "==" => "=",
            "<" => "<",
            ">" => ">",
            "<=" | "≤" => "<=",
            ">=" | "≥" => ">=",
            _ => return None,
        };
        let subject = subject.trim().trim_end_matches(" is");
        return Some((subject, operator, value.trim()));
    }
    WORDS.iter().find_map(|(word, operator)| {
        let (subject, value) = text.split_once(&format!(" {word} "))?;
        let subject = subject.trim().trim_end_matches(':').trim();
        let subject = subject.strip_suffix(" is").unwrap_or(subject);
        Some((subject, *operator, value.trim()))
    })
}

/// Equality is what a key means without an operator.
fn plain(operator: &str) -> &str {
    if operator == "=" { "" } else { operator }
}

/// A value without blanks inside.
fn one_word(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty() && !text.contains(char::is_whitespace)).then_some(text)
}

/// `image/jpeg, image/png`, `image`, `png`.
fn filetype(operator: &str, value: &str) -> Option<String> {
    let sign = match operator {
        "=" => "",
        "!=" => "-",
        _ => return None,
    };
    let mut types = Vec::new();
    let mut extensions = Vec::new();
    for item in value.split([',', ' ']).filter(|item| !item.is_empty()) {
        match item {
            "image" | "images" => types.push("image"),
            "animation" | "animations" => types.push("animation"),
            "video" | "videos" => types.push("video"),
            item => extensions.push(item.rsplit('/').next().unwrap_or(item)),
        }
    }
    let terms = [("type", types), ("ext", extensions)];
    let terms: Vec<String> = terms
        .into_iter()
        .filter(|(_, words)| !words.is_empty())
        .map(|(key, words)| format!("{key}:{}", words.join(",")))
        .collect();
    match terms.as_slice() {
        [] => None,
        [one] => Some(format!("{sign}{one}")),
        many => Some(format!("{sign}({})", many.join(" or "))),
    }
}

/// Hashes of either kind, with or without the name of it.
fn hash(operator: &str, value: &str) -> Option<String> {
    let sign = match operator {
        "=" => "",
        "!=" => "-",
        _ => return None,
    };
    let hashes: Vec<&str> = value
        .split([',', ' '])
        .filter(|word| word.len() >= 16 && word.bytes().all(|b| b.is_ascii_hexdigit()))
        .collect();
    let key = match hashes.first()?.len() {
        64 => "sha256",
        _ => "md5",
    };
    Some(format!("{sign}{key}:{}", hashes.join(",")))
}

fn size(value: &str) -> Option<String> {
    let (number, unit) = number_and_unit(value)?;
    let unit = match unit {
        "" | "b" | "byte" | "bytes" => "b",
        "kb" | "kilobyte" | "kilobytes" => "kb",
        "mb" | "megabyte" | "megabytes" => "mb",
        "gb" | "gigabyte" | "gigabytes" => "gb",
        _ => return None,
    };
    Some(format!("{number}{unit}"))
}

fn duration(value: &str) -> Option<String> {
    let (number, unit) = number_and_unit(value)?;
    let unit = match unit {
        "ms" | "millisecond" | "milliseconds" => "ms",
        "" | "s" | "second" | "seconds" => "s",
        "m" | "minute" | "minutes" => "m",
        "h" | "hour" | "hours" => "h",
        _ => return None,
    };
    Some(format!("{number}{unit}"))
}

fn number_and_unit(value: &str) -> Option<(f64, &str)> {
    let end = value
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}

fn megapixels(value: &str) -> Option<f64> {
    let (number, unit) = number_and_unit(value)?;
    let factor = match unit {
        "" | "px" | "pixels" => 1e-6,
        "kp" | "kilopixels" => 1e-3,
        "mp" | "megapixels" => 1.0,
        _ => return None,
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicates_are_translated() {
        for (line, expected) in [
            ("everything", ""),
            ("archive", "status:archived"),
            ("no tags", "tagcount:0"),
            ("has transparency", "has:alpha"),
            ("no exif", "-has:exif"),
            ("doesn't have notes", "-has:note"),
            ("has a note", "has:note"),
            ("num tags > 4", "tagcount:>4"),
            ("number of tags ≥ 4", "tagcount:>=4"),
            ("number of character tags is not 2", "count.character:!=2"),
            ("width is 1920", "width:1920"),
            ("height ≈ 1080", "height:~=1080"),
            ("ratio is wider than 16:9", "ratio:>16:9"),
            ("ratio wider than 16:9", "ratio:>16:9"),
            ("ratio is square", "orient:square"),
            ("filesize > 50 kilobytes", "filesize:>50kb"),
            ("filesize is about 1.5 MB", "filesize:~=1.5mb"),
            ("duration < 5 seconds", "duration:<5s"),
            ("duration > 500 milliseconds", "duration:>500ms"),
            ("framerate > 30fps", "fps:>30"),
            ("num pixels > 2 megapixels", "mpixels:>2"),
            ("filetype is image/jpeg, image/png", "ext:jpeg,png"),
            ("filetype is not video", "-type:video"),
            ("filetype = image, png", "(type:image or ext:png)"),
            (
                "hash is 0123456789abcdef0123456789abcdef md5",
                "md5:0123456789abcdef0123456789abcdef",
            ),
            ("import time < 7 days", "age:<7d"),
            ("import time: since 1 year 2 months ago", "age:<=1y2mo"),
            ("import time: before 7 days ago", "age:>7d"),
            ("import time > 7 years 45 days 7h", "age:>7y45d7h"),
            (
                "modified date < 2 years 1 month",
                "modified:>=25_months_ago",
            ),
            ("modified time: before 7 days ago", "modified:<7_days_ago"),
            ("last viewed time < 1 week, 2 days", "viewed:>=9_days_ago"),
            ("imported time since 2024-01-01", "imported:>=2024-01-01"),
            ("import time since 2023-01-05", "imported:>=2023-01-05"),
            (
                "modified time: the day of 2023-01-05",
                "modified:2023-01-05",
            ),
            ("has domain pixiv.net", "url:*pixiv.net*"),
            ("no domain pixiv.net", "-url:*pixiv.net*"),
            ("domain is pixiv.net", "url:*pixiv.net*"),
            ("has a url with domain pixiv.net", "url:*pixiv.net*"),
            (
                "does not have url https://a.example/1",
                "-url:https://a.example/1",
            ),
            ("similar to 0123abcd distance 3", "similar:0123abcd,d<=3"),
            (
                "similar to files 0123abcd with distance of 3",
                "similar:0123abcd,d<=3",
            ),
            ("limit is 100", "limit:100"),
            ("rating for my stars ≥ 3/5", "stars:>=3"),
            ("rating for favourites is like", "fav:yes"),
        ] {
            assert_eq!(translate(line).as_deref(), Some(expected), "{line}");
        }
        for line in [
            "nonsense",
            "tag as number page > 5",
            "modified time < 7 fortnights",
            "modified time < 7",
            "width since 5",
            "has a vision",
            "width is",
            "number of a b tags > 1",
            "filesize > many",
        ] {
            assert_eq!(translate(line), None, "{line}");
        }
    }
}
