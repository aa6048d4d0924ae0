//! The pictures of the demo library: drawn by the program itself, so that a first
//! try needs neither network nor pictures. The same on every machine of a kind.

mod encode;
mod gardens;
mod painter;
mod patterns;
mod scenes;

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Map, Value, json};

use self::{
    encode::{broken_png, gif, jpeg, jpeg_turned, png},
    painter::Painter,
};
use super::{decode::resize, job::lock};
use crate::model::media::Pixels;

/// One file of the demo library, as it is handed to an ingest.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// The file's name, with extension.
    pub name: String,
    pub bytes: Vec<u8>,
    /// The text of a sidecar that goes beside it: tags, caption, relations.
    pub sidecar: Option<String>,
    /// Whether it waits in the inbox instead of being filed at once.
    pub is_waiting: bool,
}

type Draw = fn(&mut Painter, u32);

/// One series: how it is drawn, what its files are called, its caption, its tags
/// (`category:value`, plain ones are general), the artist.
struct Series {
    draw: Draw,
    name: &'static str,
    caption: &'static str,
    tags: &'static str,
    artist: &'static str,
    /// The sizes of the pictures, one each.
    sizes: &'static [(u32, u32)],
    /// What each picture is called and adds: `title; tags`.
    titles: &'static [&'static str],
}

const SERIES: [Series; 17] = [
    Series {
        draw: scenes::mountains,
        name: "mountains",
        caption: "Ridge behind ridge, fading into the light.",
        tags: "mountains landscape sky scenery no_humans",
        artist: "ines_valdor",
        sizes: &[(840, 540), (720, 480), (840, 560), (540, 800)],
        titles: &[
            "Last light; sunset orange_sky dusk",
            "Cold morning; sunrise mist teal",
            "Blue hour; dusk star_(sky) purple",
            "Red evening; sunset red_sky portrait_format",
        ],
    },
    Series {
        draw: scenes::city,
        name: "city",
        caption: "A city at night, a window at a time.",
        tags: "city night cityscape building window_light scenery no_humans",
        artist: "okabe_ren",
        sizes: &[(840, 540), (540, 800), (880, 500)],
        titles: &[
            "Nobody sleeps; moon skyscraper",
            "Green town; moon skyscraper portrait_format teal",
            "Sodium sky; dusk orange_sky skyscraper",
        ],
    },
    Series {
        draw: scenes::sea,
        name: "sea",
        caption: "Light on water, and one boat on its way home.",
        tags: "sea water horizon boat reflection scenery no_humans",
        artist: "ines_valdor",
        sizes: &[(840, 560), (560, 800), (800, 520)],
        titles: &[
            "Moon road; moon night star_(sky) blue",
            "Sun road; sunset orange_sky portrait_format",
            "Green water; moon night teal",
        ],
    },
    Series {
        draw: scenes::aurora,
        name: "aurora",
        caption: "Curtains of light above the lake.",
        tags: "aurora night star_(sky) lake reflection forest scenery no_humans",
        artist: "sunniva_holt",
        sizes: &[(840, 560), (560, 800), (840, 500)],
        titles: &[
            "Curtain; green",
            "Blue veil; blue pink portrait_format",
            "Slow fire; green",
        ],
    },
    Series {
        draw: scenes::planet,
        name: "planet",
        caption: "A giant, its rings and two of its moons.",
        tags: "planet space planetary_ring star_(sky) moon science_fiction no_humans",
        artist: "okabe_ren",
        sizes: &[(800, 560), (640, 640), (560, 760)],
        titles: &[
            "Amber giant; orange",
            "Ice giant; blue",
            "Violet giant; purple portrait_format",
        ],
    },
    Series {
        draw: gardens::forest,
        name: "forest",
        caption: "The wood behind the wood is only a guess.",
        tags: "forest tree fog nature scenery no_humans",
        artist: "sunniva_holt",
        sizes: &[(800, 560), (560, 800), (840, 540)],
        titles: &[
            "Green fog; green mist",
            "Amber fog; orange autumn portrait_format",
            "Blue fog; blue winter",
        ],
    },
    Series {
        draw: gardens::rain,
        name: "rain",
        caption: "The city behind a wet window.",
        tags: "rain window night bokeh blurry city water_drop no_humans",
        artist: "okabe_ren",
        sizes: &[(840, 540), (560, 800)],
        titles: &[
            "Neon rain; neon_lights pink",
            "Warm rain; orange portrait_format",
        ],
    },
    Series {
        draw: gardens::flowers,
        name: "flowers",
        caption: "Cut paper, laid in layers.",
        tags: "flower papercraft leaf petals still_life traditional_media no_humans",
        artist: "mirei_tanaka",
        sizes: &[(640, 640), (560, 760), (760, 560)],
        titles: &[
            "Garden party; orange yellow",
            "Night bed; pink dark portrait_format",
            "Violets; purple",
        ],
    },
    Series {
        draw: gardens::fish,
        name: "fish",
        caption: "A school on its way through the light.",
        tags: "fish underwater sea animal bubble coral no_humans species:goldfish",
        artist: "mirei_tanaka",
        sizes: &[(840, 560), (800, 540)],
        titles: &["Goldfish; orange blue", "Lagoon; teal"],
    },
    Series {
        draw: patterns::flow,
        name: "flow",
        caption: "Fifteen hundred lines, each following the same wind.",
        tags: "abstract lines flow_field generative pattern",
        artist: "procedure_7",
        sizes: &[(720, 720), (560, 760), (840, 560), (640, 640)],
        titles: &[
            "Wind I; dark",
            "Wind II; light portrait_format",
            "Wind III; neon pink",
            "Wind IV; red blue light",
        ],
    },
    Series {
        draw: patterns::mosaic,
        name: "mosaic",
        caption: "Stained glass around a sun that is not there.",
        tags: "abstract mosaic stained_glass geometric generative pattern",
        artist: "procedure_7",
        sizes: &[(720, 540), (560, 760), (640, 640)],
        titles: &[
            "Harbor glass; blue red",
            "Evening glass; purple orange portrait_format",
            "Leaf glass; green",
        ],
    },
    Series {
        draw: patterns::ribbons,
        name: "ribbons",
        caption: "Two tiles, turned at random, and no end anywhere.",
        tags: "abstract truchet geometric generative pattern seamless",
        artist: "procedure_7",
        sizes: &[(720, 480), (640, 640), (800, 560)],
        titles: &[
            "Ribbons I; light",
            "Ribbons II; neon",
            "Ribbons III; light red",
        ],
    },
    Series {
        draw: patterns::spirograph,
        name: "curves",
        caption: "A wheel in a wheel in a wheel.",
        tags: "abstract spirograph curve symmetry generative lines",
        artist: "procedure_7",
        sizes: &[(640, 640), (640, 640), (560, 700), (640, 640)],
        titles: &[
            "Rose window; neon pink",
            "Clockwork; gold",
            "Fern wheel; green portrait_format",
            "Ember; orange",
        ],
    },
    Series {
        draw: patterns::julia,
        name: "julia",
        caption: "The edge has no end.",
        tags: "abstract fractal julia_set mathematics generative",
        artist: "gaston",
        sizes: &[(800, 540), (640, 640), (760, 560), (840, 500)],
        titles: &[
            "Dendrite; blue gold",
            "Spiral; pink",
            "Rabbit; teal",
            "Dragon; purple",
        ],
    },
    Series {
        draw: patterns::map,
        name: "map",
        caption: "An island that nobody has landed on.",
        tags: "map island topographic contour sea compass_rose no_humans",
        artist: "atlas_bureau",
        sizes: &[(760, 560), (560, 760), (840, 540)],
        titles: &[
            "Sheet 12; green",
            "Sheet 13; desert portrait_format",
            "Sheet 14; winter",
        ],
    },
    Series {
        draw: patterns::facets,
        name: "facets",
        caption: "Hills of folded light.",
        tags: "low_poly mountains landscape sun geometric scenery no_humans",
        artist: "atlas_bureau",
        sizes: &[(840, 540), (800, 540)],
        titles: &["Folded dusk; sunset pink", "Folded noon; green day"],
    },
    Series {
        draw: patterns::gradient,
        name: "gradient",
        caption: "Colors that have not decided yet.",
        tags: "abstract gradient blurry generative wallpaper",
        artist: "gaston",
        sizes: &[(840, 540), (540, 800), (640, 640)],
        titles: &[
            "Sorbet; pink blue",
            "Parrot; teal purple portrait_format",
            "Candy; pink",
        ],
    },
];

/// What is drawn for the inbox: the series, the variant, the size.
const WAITING: [(usize, u32, (u32, u32)); 9] = [
    (0, 5, (760, 500)),
    (1, 4, (600, 760)),
    (3, 4, (760, 500)),
    (5, 4, (640, 640)),
    (9, 5, (700, 520)),
    (13, 4, (640, 480)),
    (7, 4, (560, 700)),
    (14, 4, (700, 500)),
    (2, 4, (720, 480)),
];

/// Draws everything, on as many threads as there are processors; in order.
pub fn pictures() -> Vec<Drawing> {
    pictures_with(&|_, _| {})
}

/// The same; `on` hears (done, total) from any thread.
pub fn pictures_with(on: &(dyn Fn(usize, usize) + Sync)) -> Vec<Drawing> {
    draw_all(1, on)
}

/// Draws everything with its sides divided.
fn draw_all(divisor: u32, on: &(dyn Fn(usize, usize) + Sync)) -> Vec<Drawing> {
    let tasks = tasks(divisor);
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let drawn: Mutex<Vec<(usize, Vec<Drawing>)>> = Mutex::default();
    let threads = std::thread::available_parallelism()
        .map_or(2, usize::from)
        .min(8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let drawings = task.draw();
                    lock(&drawn).push((task.order, drawings));
                    on(done.fetch_add(1, Ordering::Relaxed) + 1, tasks.len());
                }
            });
        }
    });
    let mut drawn = std::mem::take(&mut *lock(&drawn));
    drawn.sort_by_key(|(order, _)| *order);
    drawn
        .into_iter()
        .flat_map(|(_, drawings)| drawings)
        .collect()
}

struct Task {
    order: usize,
    series: usize,
    variant: u32,
    size: (u32, u32),
    divisor: u32,
    is_waiting: bool,
}

fn tasks(divisor: u32) -> Vec<Task> {
    let filed = SERIES.iter().enumerate().flat_map(|(series, of)| {
        (0..)
            .zip(of.sizes)
            .map(move |(variant, size)| (series, variant, *size, false))
    });
    let waiting = WAITING
        .iter()
        .map(|(series, variant, size)| (*series, *variant, *size, true));
    filed
        .chain(waiting)
        .enumerate()
        .map(|(order, (series, variant, size, is_waiting))| Task {
            order,
            series,
            variant,
            size: (size.0 / divisor, size.1 / divisor),
            divisor,
            is_waiting,
        })
        .collect()
}

impl Task {
    fn draw(&self) -> Vec<Drawing> {
        let series = &SERIES[self.series];
        let mut painter = Painter::new(self.size.0, self.size.1);
        (series.draw)(&mut painter, self.variant);
        let pixels = painter.into_pixels();
        let name = format!("{}-{}", series.name, self.variant + 1);
        if self.is_waiting {
            return waiting(self, &name, &pixels);
        }
        let number = self.variant as usize;
        let (title, more) = series.titles[number].split_once("; ").unwrap_or(("", ""));
        let mut about = About {
            name: title.to_owned(),
            caption: series.caption.to_owned(),
            tags: tags(series, more),
            order: self.order,
            extra: Map::new(),
        };
        match (series.name, number) {
            // One picture in two files, and one that only looks like it.
            ("sea", 0) => {
                let small = jpeg(&resize(&pixels, pixels.width * 2 / 3), 62);
                let large = jpeg(&pixels, 90);
                about
                    .extra
                    .insert("related".into(), json!({"similar": [id(&small)]}));
                let mut copy = about.clone();
                copy.name = "Moon road (small)".into();
                copy.tags.push(("meta".into(), "low_quality".into()));
                copy.extra
                    .insert("related".into(), json!({"similar": [id(&large)]}));
                vec![
                    about.drawing(&name, "jpg", large),
                    copy.drawing("sea-1-small", "jpg", small),
                ]
            }
            // A picture and the mask of its planet.
            ("planet", 1) => {
                let picture = png(&pixels);
                let mask = png(&planet_mask(self.size));
                about
                    .extra
                    .insert("related".into(), json!({"masks": [id(&mask)]}));
                let of = About {
                    name: "Ice giant, mask".into(),
                    caption: String::new(),
                    tags: vec![("mask_type".into(), "planet".into())],
                    order: self.order,
                    extra: [
                        ("type".to_owned(), json!("mask")),
                        ("source_image".to_owned(), json!(id(&picture))),
                        ("mask_category".to_owned(), json!("planet")),
                    ]
                    .into_iter()
                    .collect(),
                };
                vec![
                    about.drawing(&name, "png", picture),
                    of.drawing("planet-2-mask", "png", mask),
                ]
            }
            // Turned on its side in the file, upright by its EXIF.
            ("forest", 1) => vec![about.drawing(&name, "jpg", jpeg_turned(&pixels))],
            // A disk cut out, with a soft edge.
            ("curves", 0) => vec![about.drawing(&name, "png", png(&cut_out(pixels)))],
            ("curves", 1) => {
                about.tags.push(("meta".into(), "animated".into()));
                let frames: Vec<Pixels> = (0..10).map(patterns::wheel).collect();
                vec![about.drawing(&name, "gif", gif(&frames))]
            }
            _ if series.name == "ribbons" || series.name == "flow" && number == 3 => {
                vec![about.drawing(&name, "png", png(&pixels))]
            }
            _ => vec![about.drawing(&name, "jpg", jpeg(&pixels, 88))],
        }
    }
}

/// Files of the inbox carry at most what a download would: the last ones are a
/// copy of what is there already, and a file that ends early.
fn waiting(task: &Task, name: &str, pixels: &Pixels) -> Vec<Drawing> {
    let file = |name: String, bytes: Vec<u8>| Drawing {
        name,
        bytes,
        sidecar: None,
        is_waiting: true,
    };
    let mut drawings = vec![file(format!("new-{name}.jpg"), jpeg(pixels, 88))];
    if task.series == 2 {
        let (width, height) = SERIES[3].sizes[0];
        let mut painter = Painter::new(width / task.divisor, height / task.divisor);
        (SERIES[3].draw)(&mut painter, 0);
        drawings.push(file(
            "new-copy-of-aurora-1.jpg".into(),
            jpeg(&painter.into_pixels(), 88),
        ));
        drawings.push(file("new-broken.png".into(), broken_png(pixels)));
    }
    drawings
}

/// What a sidecar says.
#[derive(Clone)]
struct About {
    name: String,
    caption: String,
    tags: Vec<(String, String)>,
    order: usize,
    extra: Map<String, Value>,
}

impl About {
    fn drawing(self, name: &str, extension: &str, bytes: Vec<u8>) -> Drawing {
        let tags: Vec<Value> = self
            .tags
            .iter()
            .enumerate()
            .map(|(position, (category, value))| {
                json!({"category": category, "value": value, "position": position})
            })
            .collect();
        let mut sidecar = Map::new();
        sidecar.insert("schema".into(), 1.into());
        let mut extra = self.extra;
        for key in ["type", "source_image", "mask_category"] {
            if let Some(value) = extra.shift_remove(key) {
                sidecar.insert(key.into(), value);
            }
        }
        sidecar.insert("name".into(), self.name.into());
        if !self.caption.is_empty() {
            sidecar.insert("caption".into(), self.caption.into());
        }
        sidecar.insert("tags".into(), tags.into());
        sidecar.insert(
            "related".into(),
            extra.shift_remove("related").unwrap_or_else(|| json!({})),
        );
        // Every seventh is left for the user to rate.
        if self.order % 7 != 6 {
            let rating = if self.order % 11 == 4 { "s" } else { "g" };
            sidecar.insert("rating".into(), rating.into());
        }
        let stars = [0, 3, 0, 4, 2, 5, 0, 3][self.order % 8];
        if stars > 0 {
            sidecar.insert("stars".into(), stars.into());
        }
        if stars == 5 || self.order % 13 == 1 {
            sidecar.insert("fav".into(), true.into());
        }
        sidecar.insert("metadata".into(), json!({}));
        Drawing {
            name: format!("{name}.{extension}"),
            bytes,
            sidecar: Some(Value::Object(sidecar).to_string()),
            is_waiting: false,
        }
    }
}

fn tags(series: &Series, more: &str) -> Vec<(String, String)> {
    let named = |category: &str, value: &str| (category.to_owned(), value.to_owned());
    let mut tags = vec![
        named("artist", series.artist),
        named("copyright", "tagloupe_demo"),
    ];
    for word in series.tags.split(' ').chain(more.split(' ')) {
        tags.push(match word.split_once(':') {
            Some((category, value)) => named(category, value),
            None => named("general", word),
        });
    }
    tags.push(named("meta", "procedural"));
    tags
}

/// The id a file gets: the md5 of its bytes.
fn id(bytes: &[u8]) -> String {
    format!("{:x}", md5::compute(bytes))
}

/// White where the planet is.
fn planet_mask((width, height): (u32, u32)) -> Pixels {
    let mut painter = Painter::new(width, height);
    let (w, h) = (painter.w, painter.h);
    let radius = scenes::planet_radius(w, h);
    painter.disk((w * 0.5, h * 0.52), radius, [1.0; 3], 1.0);
    painter.into_pixels()
}

/// Keeps a disk in the middle.
fn cut_out(mut pixels: Pixels) -> Pixels {
    let mut painter = Painter::new(pixels.width, pixels.height);
    let (w, h) = (painter.w, painter.h);
    painter.disk((w / 2.0, h / 2.0), w.min(h) * 0.485, [1.0; 3], 1.0);
    let mask = painter.into_pixels();
    for (pixel, mask) in pixels
        .rgba
        .chunks_exact_mut(4)
        .zip(mask.rgba.chunks_exact(4))
    {
        pixel[3] = mask[0];
    }
    pixels
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::engine::decode::{Limits, MemoryGate, decode};

    /// One test looks at everything, small: drawing is slow without optimization.
    #[test]
    fn the_demo_has_everything_it_should_show() {
        let drawings = draw_all(4, &|_, _| {});
        let named = |name: &str| {
            drawings
                .iter()
                .find(|drawing| drawing.name == name)
                .unwrap()
        };
        let names: HashSet<&str> = drawings
            .iter()
            .map(|drawing| drawing.name.as_str())
            .collect();
        assert_eq!(names.len(), drawings.len());
        assert!(
            drawings
                .iter()
                .filter(|drawing| !drawing.is_waiting)
                .count()
                >= 48
        );
        assert!((8..=12).contains(&drawings.iter().filter(|drawing| drawing.is_waiting).count()));
        assert_eq!(
            named("new-copy-of-aurora-1.jpg").bytes,
            named("aurora-1.jpg").bytes
        );

        let folder = tempfile::tempdir().unwrap();
        let memory = MemoryGate::default();
        for drawing in &drawings {
            let path = folder.path().join(&drawing.name);
            std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), &drawing.bytes)
                .unwrap();
            let decoded = decode(&path, &Limits::default(), &memory);
            if drawing.name == "new-broken.png" {
                assert!(decoded.is_err());
                continue;
            }
            let facts = decoded.unwrap_or_else(|error| panic!("{error}")).facts;
            match drawing.name.as_str() {
                "curves-2.gif" => assert_eq!(facts.frames, 10),
                "curves-1.png" => assert!(facts.alpha),
                "forest-2.jpg" => assert_eq!((facts.orientation, facts.width), (6, 140)),
                _ => assert!(!facts.alpha),
            }
            if let Some(sidecar) = &drawing.sidecar {
                let sidecar: Value = serde_json::from_str(sidecar).unwrap();
                for (_, ids) in sidecar["related"].as_object().unwrap() {
                    let ids = ids.as_array().unwrap();
                    assert!(ids.iter().all(|wanted| {
                        drawings.iter().any(|drawing| *wanted == id(&drawing.bytes))
                    }));
                }
            }
        }
    }
}
