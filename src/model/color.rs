//! Colors as people name them, and which of them a picture has, as far as its color hash
//! tells: sixteen classes of color, each with one of five shares.
//!
//! Three kinds of gray and six hues, each faint or strong, is coarse: red takes brown and
//! pink along, and yellow orange and beige.

/// The classes: black, dark gray, light gray, white, six faint hues from red on, the same
/// six hues strong.
pub const CLASSES: usize = 16;
/// The first class of a faint hue, and that of a strong one.
const FAINT: usize = 4;
const STRONG: usize = 10;

/// The colors that have a name, in the order of `order:color`.
pub const COLORS: [(&str, &[usize]); 9] = [
    ("red", &[10, 4]),
    ("yellow", &[11, 5]),
    ("green", &[12, 6]),
    ("cyan", &[13, 7]),
    ("blue", &[14, 8]),
    ("magenta", &[15, 9]),
    ("white", &[3]),
    ("gray", &[1, 2]),
    ("black", &[0]),
];
/// Other words for them.
const ALIASES: [(&str, &str); 3] = [("grey", "gray"), ("purple", "magenta"), ("aqua", "cyan")];

/// Percent of a picture that each level of a class stands for, at least and likely.
const LEAST: [u32; 5] = [0, 2, 8, 20, 45];
const LIKELY: [u32; 5] = [0, 5, 14, 32, 60];
/// What a percent counts for: strong colors catch the eye, gray and faint ones less.
const VIVID: u32 = 10;
const PALE: u32 = 4;
/// A color is one that people see in a picture from this weight on, and when it has so many
/// tenths of the weight of the one that has most.
const SEEN: u32 = 80;
const PROMINENT: u32 = 6;
/// More than any weight.
const BEHIND: u32 = 10_000;
/// Degrees from the border of two hues within which a color is of both.
const BORDER: f64 = 5.0;

/// What `color:` asks for: one color.
#[derive(Clone, Debug, PartialEq)]
pub struct ColorTest {
    /// Any of these, taken together.
    classes: Vec<usize>,
    /// Percent of the picture that must have it at least; `None`: enough to be seen.
    least: Option<u32>,
}

/// The class of a color.
pub fn class(r: u8, g: u8, b: u8) -> usize {
    let max = i32::from(r.max(g).max(b));
    let min = i32::from(r.min(g).min(b));
    let spread = max - min;
    if max < 32 {
        return 0;
    }
    // Saturation below an eighth has no hue worth telling.
    if spread * 8 < max {
        return match max {
            ..96 => 1,
            96..224 => 2,
            _ => 3,
        };
    }
    let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
    // In sixths of the circle, rounded to the nearest of six hues.
    let sixty = 60 * spread;
    let degrees = if max == r {
        60 * (g - b)
    } else if max == g {
        2 * sixty + 60 * (b - r)
    } else {
        4 * sixty + 60 * (r - g)
    };
    let hue = (degrees + sixty / 2).rem_euclid(6 * sixty) / sixty;
    let strong = spread * 5 >= max * 2 && max >= 64;
    (if strong { STRONG } else { FAINT }) + usize::try_from(hue).unwrap_or(0)
}

/// Reads colors, separated by commas: a name or `#rrggbb`, each with a number behind it or
/// none, which is the least percent of the picture.
pub fn parse(items: &[String]) -> Option<Vec<ColorTest>> {
    let mut tests: Vec<ColorTest> = Vec::new();
    for item in items {
        if let Some(classes) = classes(item) {
            tests.push(ColorTest {
                classes,
                least: None,
            });
            continue;
        }
        let percent: u32 = item.strip_suffix('%').unwrap_or(item).parse().ok()?;
        let test = tests.last_mut().filter(|test| test.least.is_none())?;
        test.least = Some(percent).filter(|percent| *percent <= 100);
        test.least?;
    }
    (!tests.is_empty()).then_some(tests)
}

/// The classes of a color that was written.
fn classes(word: &str) -> Option<Vec<usize>> {
    if let Some(digits) = word.strip_prefix('#') {
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        return Some(around(part(0)?, part(2)?, part(4)?));
    }
    let alias = ALIASES.iter().find(|(alias, _)| *alias == word);
    let name = alias.map_or(word, |(_, name)| name);
    let (_, classes) = COLORS.iter().find(|(known, _)| *known == name)?;
    Some(classes.to_vec())
}

/// The class of a color, and that of the hue beside it when it is near its border.
fn around(r: u8, g: u8, b: u8) -> Vec<usize> {
    let own = class(r, g, b);
    let mut classes = vec![own];
    if own >= FAINT {
        let (r, g, b) = (f64::from(r), f64::from(g), f64::from(b));
        let max = r.max(g).max(b);
        let spread = max - r.min(g).min(b);
        let sixths = if max <= r {
            (g - b) / spread
        } else if max <= g {
            2.0 + (b - r) / spread
        } else {
            4.0 + (r - g) / spread
        };
        let off = sixths - sixths.round();
        let first = if own >= STRONG { STRONG } else { FAINT };
        let beside = |step: usize| first + (own - first + step) % 6;
        if (0.5 - off.abs()) * 60.0 <= BORDER {
            classes.push(beside(if off > 0.0 { 1 } else { 5 }));
        }
    }
    classes
}

/// How much of each class a picture has, as levels from 0 to 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette([u8; CLASSES]);

impl Palette {
    /// That of a color hash in hexadecimal digits: one for each class, whose bits fill up
    /// from the right.
    pub fn parse(hash: &str) -> Option<Self> {
        let mut levels = [0; CLASSES];
        let digits = hash.as_bytes();
        if digits.len() != CLASSES {
            return None;
        }
        for (level, digit) in levels.iter_mut().zip(digits) {
            let bits = char::from(*digit).to_digit(16)?;
            *level = u8::try_from(bits.count_ones()).ok()?;
        }
        Some(Self(levels))
    }

    /// Whether the picture has that much of a color, or so much that it is seen.
    pub fn shows(&self, test: &ColorTest) -> bool {
        if let Some(least) = test.least {
            let share: u32 = test
                .classes
                .iter()
                .map(|class| self.of(*class, LEAST))
                .sum();
            return share >= least.max(1);
        }
        let most = COLORS.iter().map(|(_, classes)| self.weight(classes));
        let weight = self.weight(&test.classes);
        weight >= SEEN && weight * 10 >= most.max().unwrap_or(0) * PROMINENT
    }

    /// The place of the picture in `order:color`: hues from red to magenta, then white,
    /// gray and black; within each the strongest first.
    pub fn place(&self) -> u32 {
        let mut best = (0, 0);
        for (place, (_, classes)) in (0..).zip(COLORS) {
            let weight = self.weight(classes);
            if weight > best.0 {
                best = (weight, place);
            }
        }
        let (weight, place) = best;
        place * BEHIND + (BEHIND - weight)
    }

    fn weight(&self, classes: &[usize]) -> u32 {
        let weight = |class: &usize| {
            let vivid = if *class >= STRONG { VIVID } else { PALE };
            self.of(*class, LIKELY) * vivid
        };
        classes.iter().map(weight).sum()
    }

    fn of(&self, class: usize, shares: [u32; 5]) -> u32 {
        let level = self.0.get(class).copied().unwrap_or(0);
        shares.get(usize::from(level)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_color_has_its_class() {
        for (color, expected) in [
            ([0, 0, 0], 0),
            ([60, 60, 60], 1),
            ([128, 128, 130], 2),
            ([255, 255, 255], 3),
            ([255, 220, 220], 4),
            ([255, 0, 0], 10),
            ([255, 255, 0], 11),
            ([0, 255, 0], 12),
            ([0, 255, 255], 13),
            ([0, 0, 255], 14),
            ([255, 0, 255], 15),
            ([255, 0, 20], 10),
        ] {
            assert_eq!(class(color[0], color[1], color[2]), expected, "{color:?}");
        }
    }

    fn tests(raw: &str) -> Option<Vec<ColorTest>> {
        let items: Vec<String> = raw.split(',').map(str::to_owned).collect();
        parse(&items)
    }

    #[test]
    fn colors_are_named_or_given_in_digits() {
        for (raw, expected) in [
            ("red", vec![vec![10, 4]]),
            ("grey,black,10", vec![vec![1, 2], vec![0]]),
            ("#0000ff", vec![vec![14]]),
            ("#ff8000", vec![vec![11, 10]]),
            ("#ff7f00", vec![vec![10, 11]]),
            ("#ff007f", vec![vec![10, 15]]),
            ("#808080", vec![vec![2]]),
        ] {
            let found = tests(raw).unwrap();
            let classes: Vec<Vec<usize>> = found.into_iter().map(|test| test.classes).collect();
            assert_eq!(classes, expected, "{raw}");
        }
        for raw in [
            "",
            "reddish",
            "#ff00",
            "#ff00zz",
            "20",
            "red,20,30",
            "red,200",
            "#é1234",
        ] {
            assert_eq!(tests(raw), None, "{raw}");
        }
    }

    #[test]
    fn what_catches_the_eye_is_the_color_of_a_picture() {
        // Black, grays and white; faint hues; strong hues.
        for (hash, raw, expected) in [
            ("0000000000f00000", "red", true),
            ("0000000000f00000", "yellow", false),
            ("00000000007f0000", "yellow", true),
            ("000f000000700000", "red", true),
            ("000f000000100000", "red", false),
            ("f000000000000000", "black", true),
            ("f000000000000030", "black", true),
            ("f0000000000000f0", "black", false),
            ("0000000000300000", "red,20", false),
            ("0000000000300000", "red,8", true),
            ("000070000070f000", "red,40", true),
            ("0000000000000000", "red,0", false),
        ] {
            let palette = Palette::parse(hash).unwrap();
            let test = tests(raw).unwrap();
            assert_eq!(palette.shows(&test[0]), expected, "{hash} {raw}");
        }
        assert_eq!(Palette::parse("000000000000000"), None);
        assert_eq!(Palette::parse("é00000000000000"), None);
    }

    #[test]
    fn hues_stand_in_the_order_of_the_rainbow() {
        let place = |hash: &str| Palette::parse(hash).unwrap().place();
        let order = [
            "0000000000f00000",
            "0000000000700000",
            "0000f00000000000",
            "00000000000f0000",
            "000f000000000070",
            "000f000000000000",
            "0700000000000000",
            "f000000000000000",
        ];
        let places: Vec<u32> = order.into_iter().map(place).collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    }
}
