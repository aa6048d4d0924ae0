//! hydrus `system:` predicates in our own words, so that its users can paste them.

/// What is understood, for the error that lists it.
pub const SUPPORTED: &str = "everything, inbox, archive, untagged, has tags, number of tags, \
     number of NAMESPACE tags, width, height, ratio, filesize, duration, number of frames, \
     number of pixels, filetype, hash, import time, modified time, similar to files, limit, \
     has or no caption, notes, urls, transparency, exif, icc profile, embedded metadata, audio";

/// The query that means the same, or `None` when the predicate is not understood.
/// An empty query means everything.
pub fn translate(line: &str) -> Option<String> {
    let text = line.trim().to_lowercase().replace('_', " ");
    let text = text.strip_prefix("system:").unwrap_or(&text).trim();
    let plain = match text {
        "everything" => "",
        "inbox" => "status:inbox",
        "archive" | "archived" => "status:archived",
        "untagged" | "no tags" => "tagcount:0",
        "has tags" => "tagcount:>0",
        "has audio" => "has:audio",
        "no audio" => "-has:audio",
        "has transparency" => "has:alpha",
        "no transparency" => "-has:alpha",
        "has exif" => "has:exif",
        "no exif" => "-has:exif",
        "has notes" | "has a note" => "has:note",
        "no notes" => "-has:note",
        "has urls" | "has a url" => "has:url",
        "no urls" | "no url" => "-has:url",
        "has duration" => "duration:>0",
        "no duration" => "-duration:>0",
        "has icc profile" => "has:icc",
        "no icc profile" => "-has:icc",
        "has embedded metadata" | "has human-readable embedded metadata" => "has:gen",
        _ => return compared(text),
    };
    Some(plain.to_owned())
}

/// `SUBJECT OPERATOR VALUE`.
fn compared(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix("similar to files") {
        let rest = rest.trim();
        let (hash, distance) = rest
            .split_once(" with distance ")
            .or_else(|| rest.split_once(" distance "))
            .unwrap_or((rest, "4"));
        let distance = distance.trim().trim_start_matches("of ");
        return Some(format!("similar:{},d<={distance}", hash.trim()));
    }
    let start = text.find(|c: char| "<>=≈~≠!".contains(c));
    let words = [
        (" is about ", "~="),
        (" is not ", "!="),
        (" wider than ", ">"),
        (" taller than ", "<"),
        (" is wider than ", ">"),
        (" is taller than ", "<"),
        (" is ", "="),
        (" has ", "="),
    ];
    let (subject, operator, value) = match start {
        Some(start) => {
            let (subject, rest) = text.split_at(start);
            let end = rest
                .find(|c: char| !"<>=≈~≠!".contains(c))
                .unwrap_or(rest.len());
            let (operator, value) = rest.split_at(end);
            let operator = match operator {
                "≈" | "~=" => "~=",
                "≠" | "!=" => "!=",
                "=" | "==" => "=",
                "<" => "<",
                ">" => ">",
                "<=" => "<=",
                ">=" => ">=",
                _ => return None,
            };
            (subject, operator, value)
        }
        None => words.iter().find_map(|(word, operator)| {
            let (subject, value) = text.split_once(word)?;
            Some((subject, *operator, value))
        })?,
    };
    let value = value.trim().replace(' ', "");
    if value.is_empty() {
        return None;
    }
    let subject = subject.trim();
    let subject = subject
        .strip_prefix("number of ")
        .or_else(|| subject.strip_prefix("num "))
        .unwrap_or(subject);
    let key = match subject {
        "tags" => "tagcount",
        "width" => "width",
        "height" => "height",
        "ratio" => "ratio",
        "filesize" => "filesize",
        "duration" => "duration",
        "frames" => "frames",
        "framerate" => "fps",
        "pixels" => {
            let operator = if operator == "=" { "" } else { operator };
            return Some(format!("mpixels:{operator}{}", megapixels(&value)?));
        }
        "limit" => return Some(format!("limit:{value}")),
        "filetype" => {
            return Some(match value.as_str() {
                "image" | "animation" | "video" => format!("type:{value}"),
                _ => format!("ext:{value}"),
            });
        }
        "hash" if value.len() == 64 => return Some(format!("sha256:{value}")),
        "hash" => return Some(format!("md5:{}", value.trim_end_matches("md5"))),
        "import time" | "time imported" => "imported",
        "modified time" | "modified date" => "modified",
        _ => {
            let category = subject.strip_suffix(" tags")?;
            // Anything else would be read as further terms.
            if category.contains(|c: char| c.is_whitespace() || ":()\"'".contains(c)) {
                return None;
            }
            return Some(format!("count.{category}:{operator}{value}"));
        }
    };
    let operator = if operator == "=" { "" } else { operator };
    Some(format!("{key}:{operator}{value}"))
}

fn megapixels(value: &str) -> Option<f64> {
    let (digits, factor) = match value {
        _ if value.ends_with("mp") || value.ends_with("megapixels") => (
            value
                .trim_end_matches("egapixels")
                .trim_end_matches(['m', 'p']),
            1.0,
        ),
        _ => (value.trim_end_matches("px"), 1e-6),
    };
    digits.parse::<f64>().ok().map(|number| number * factor)
}
