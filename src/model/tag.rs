//! Tags: category and value, how they compare, and who put them there.

mod json;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub(super) use json::rounded;

/// The category of a tag that names none.
pub const GENERAL: &str = "general";

/// The categories every library has, in the order they are shown.
pub const BUILT_IN_CATEGORIES: [&str; 7] = [
    "artist",
    "copyright",
    "character",
    "species",
    "general",
    "meta",
    "lore",
];

/// Aliases of category names (QUERY: `char:holo`), lower-case.
const CATEGORY_ALIASES: [(&str, &str); 10] = [
    ("gen", "general"),
    ("art", "artist"),
    ("creator", "artist"),
    ("co", "copyright"),
    ("copy", "copyright"),
    ("series", "copyright"),
    ("studio", "copyright"),
    ("ch", "character"),
    ("char", "character"),
    ("spec", "species"),
];

/// The provenance of a tag that a person typed.
pub const USER: &str = "user";

/// The name under which two tags are the same: category and value, normalised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TagName {
    pub category: String,
    pub value: String,
}

impl TagName {
    /// Normalises both parts; an empty category means `general`.
    pub fn new(category: &str, value: &str) -> Self {
        Self {
            category: normalize_category(category),
            value: normalize(value),
        }
    }
}

/// Whether category and value are surely as [`TagName::new`] would make them.
pub fn is_plain_name(category: &str, value: &str) -> bool {
    let is_plain = BUILT_IN_CATEGORIES.contains(&category)
        || !category.is_empty()
            && is_normal(category)
            && CATEGORY_ALIASES.iter().all(|(alias, _)| *alias != category);
    is_plain && is_normal(value)
}

/// A number by which a name is found among others; two names may have the same.
pub fn name_hash(category: &str, value: &str) -> u64 {
    xxh3_64_with_seed(value.as_bytes(), xxh3_64(category.as_bytes()))
}

/// Prints `character:holo`, and a general tag without its category.
impl std::fmt::Display for TagName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.category == GENERAL {
            f.write_str(&self.value)
        } else {
            write!(f, "{}:{}", self.category, self.value)
        }
    }
}

/// One tag as a sidecar stores it. The stored spelling is kept for display;
/// [`Tag::name`] is what is compared.
#[derive(Clone, Debug)]
pub struct Tag {
    pub category: String,
    pub value: String,
    /// Provenance: `user`, a site, `tagger:<model>`, `import:<format>`.
    pub src: Option<String>,
    /// Confidence of a tagger, 0 to 1.
    pub conf: Option<f64>,
    /// When it was added, RFC 3339.
    pub at: Option<String>,
    /// The JSON object this tag was read from, so that unknown keys keep their place.
    /// In a comparison only those count.
    pub raw: Map<String, Value>,
}

impl Tag {
    /// A tag without provenance; the spelling is kept, surrounding white space is not.
    pub fn new(category: &str, value: &str) -> Self {
        Self {
            category: if category.is_empty() {
                GENERAL.to_owned()
            } else {
                category.to_owned()
            },
            value: value.trim().to_owned(),
            src: None,
            conf: None,
            at: None,
            raw: Map::new(),
        }
    }

    pub fn name(&self) -> TagName {
        TagName::new(&self.category, &self.value)
    }

    /// Whether a person put it there: an absent provenance counts as one.
    pub fn is_by_user(&self) -> bool {
        self.src.as_deref().is_none_or(|src| src == USER)
    }
}

/// A tombstone: this tag was removed and no automatic process may add it again.
#[derive(Clone, Debug)]
pub struct RemovedTag {
    pub category: String,
    pub value: String,
    pub src: Option<String>,
    pub at: Option<String>,
    /// The JSON object it was read from.
    pub raw: Map<String, Value>,
}

impl RemovedTag {
    pub fn name(&self) -> TagName {
        TagName::new(&self.category, &self.value)
    }
}

/// The form in which tag values compare: NFKC, trimmed, lower case, and each run
/// of white space or `_` as one `_`.
pub fn normalize(value: &str) -> String {
    if is_normal(value) {
        return value.to_owned();
    }
    let is_gap = |c: char| c.is_whitespace() || c == '_';
    let mut normal = String::with_capacity(value.len());
    let mut gap = false;
    for c in value.trim().nfkc().flat_map(char::to_lowercase) {
        if is_gap(c) {
            gap = true;
            continue;
        }
        if gap {
            normal.push('_');
            gap = false;
        }
        normal.push(c);
    }
    if gap {
        normal.push('_');
    }
    normal
}

/// Whether a value is surely in the form that [`normalize`] gives it: what is ASCII
/// composes to itself. Nearly all are.
pub(super) fn is_normal(value: &str) -> bool {
    let mut before = 0;
    value.bytes().all(|byte| {
        let is_double = byte == b'_' && before == b'_';
        before = byte;
        // White space and control characters lie below, letters that need more above.
        (b'!'..=b'~').contains(&byte) && !byte.is_ascii_uppercase() && !is_double
    })
}

/// The full name of a category given by name or alias, lower case; empty means `general`.
pub fn normalize_category(category: &str) -> String {
    if BUILT_IN_CATEGORIES.contains(&category) {
        return category.to_owned();
    }
    let lower = normalize(category);
    if lower.is_empty() {
        return GENERAL.to_owned();
    }
    CATEGORY_ALIASES
        .iter()
        .find(|(alias, _)| *alias == lower)
        .map_or(lower, |(_, name)| (*name).to_owned())
}

/// Where a category stands on the screen; categories that are not built in come
/// after those that are, by name.
pub fn category_order(category: &str) -> (usize, &str) {
    let place = BUILT_IN_CATEGORIES
        .iter()
        .position(|built_in| *built_in == category);
    (place.unwrap_or(BUILT_IN_CATEGORIES.len()), category)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_taken_for_normal_is_so(value in "[a-cA_ \\t!~:é]{0,6}") {
            use unicode_normalization::UnicodeNormalization as _;
            if is_normal(&value) {
                let composed: String = value.nfkc().flat_map(char::to_lowercase).collect();
                proptest::prop_assert_eq!(&composed, &value);
                proptest::prop_assert_eq!(value.trim(), value.as_str());
                let is_gap = |c: char| c.is_whitespace() || c == '_';
                let parts: Vec<&str> = value.split(is_gap).collect();
                proptest::prop_assert!(parts.len() < 3 || parts[1..parts.len() - 1].iter().all(|part| !part.is_empty()));
            }
        }
    }

    #[test]
    fn values_compare_normalised() {
        for (input, expected) in [
            ("Blue Hair", "blue_hair"),
            ("  blue \t_ hair ", "blue_hair"),
            ("ｆｕｌｌ", "full"),
            ("holo_(spice_and_wolf)", "holo_(spice_and_wolf)"),
            ("_leading", "_leading"),
            ("trailing_", "trailing_"),
            ("ÉTÉ", "été"),
            ("", ""),
        ] {
            assert_eq!(normalize(input), expected, "{input:?}");
        }
    }

    #[test]
    fn categories_have_aliases_and_a_default() {
        assert_eq!(normalize_category("Char"), "character");
        assert_eq!(normalize_category(""), "general");
        assert_eq!(normalize_category("mask_type"), "mask_type");
        assert_eq!(
            TagName::new("copy", "Spice and Wolf").to_string(),
            "copyright:spice_and_wolf"
        );
        assert_eq!(TagName::new("", "fox").to_string(), "fox");
    }
}
