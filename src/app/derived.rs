//! What was made of the picture that is looked at and is laid over it: masks, and the
//! rectangles of its crops.

use serde_json::Value;

use super::{message::Effect, session::App};
use crate::model::{
    id::{MediaId, MediaKey},
    media::Media,
    text::display_text,
};

/// Crops that are shown at once.
const MAX_CROPS: usize = 24;

/// Where in a picture a crop was cut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CropOutline {
    /// Left, top, width and height in pixels of the original.
    pub area: [u32; 4],
    /// Its name, or what shape it has; safe to draw.
    pub label: String,
}

impl CropOutline {
    /// What the sidecar of a crop says; `None` when it does not say where.
    fn of(media: &Media) -> Option<Self> {
        let numbers = match media.derived.get("crop_rect")? {
            Value::Array(numbers) => numbers.iter().map(Value::as_f64).collect(),
            Value::Object(object) => [["x", "left"], ["y", "top"], ["w", "width"], ["h", "height"]]
                .map(|names| names.iter().find_map(|name| object.get(*name)?.as_f64()))
                .to_vec(),
            _ => return None,
        };
        let numbers: Option<Vec<f64>> = numbers.into_iter().collect();
        let &[x, y, width, height] = numbers?.as_slice() else {
            return None;
        };
        let area = [pixels(x)?, pixels(y)?, pixels(width)?, pixels(height)?];
        let [_, _, width, height] = area;
        if width == 0 || height == 0 {
            return None;
        }
        let shape = media.derived.get("aspect_ratio").and_then(Value::as_str);
        let label = match (media.name.trim(), shape) {
            ("", None | Some("" | "auto")) => format!("{width}x{height}"),
            ("", Some(shape)) => shape.to_owned(),
            (name, _) => name.to_owned(),
        };
        Some(Self {
            area,
            label: display_text(&label).into_owned(),
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked"
)]
fn pixels(number: f64) -> Option<u32> {
    (0.0..=1e6).contains(&number).then_some(number as u32)
}

impl App {
    /// Finds what is to be laid over the picture in the viewer, and asks for the
    /// sidecars of crops that are not read.
    pub(super) fn find_derived(&mut self) {
        self.viewer.masks.clear();
        self.viewer.crops.clear();
        if !self.panes.viewer {
            return;
        }
        if self.viewer.shown_mask > 0 {
            self.viewer.masks = self.derived("masks");
        }
        if self.viewer.shows_crops {
            for key in self.derived("crops").into_iter().take(MAX_CROPS) {
                if self.loaded.ask(key) {
                    self.effects.push(Effect::LoadMedia(key));
                }
                let outline = self.loaded.media(key).and_then(CropOutline::of);
                self.viewer.crops.extend(outline);
            }
        }
    }

    /// What the sidecar of the picture under the cursor names under a relation.
    fn derived(&self, relation: &str) -> Vec<MediaKey> {
        let current = self.gallery.current();
        let media = current.and_then(|key| self.loaded.media(key));
        let ids = media.map_or(&[][..], |media| media.related(relation));
        ids.iter()
            .filter_map(|id| self.catalog.key_of(&id.parse::<MediaId>().ok()?))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outline(rect: &Value, name: &str, shape: &str) -> Option<CropOutline> {
        let mut media = Media {
            name: name.to_owned(),
            ..Media::default()
        };
        media.derived.insert("crop_rect".to_owned(), rect.clone());
        media
            .derived
            .insert("aspect_ratio".to_owned(), json!(shape));
        CropOutline::of(&media)
    }

    #[test]
    fn crops_are_read_from_either_form() {
        let array = outline(&json!([10, 20.0, 300, 400]), "face", "3:4").unwrap();
        assert_eq!(
            (array.area, array.label.as_str()),
            ([10, 20, 300, 400], "face")
        );
        let object = json!({"x": 1, "y": 2, "width": 3, "height": 4});
        assert_eq!(outline(&object, "", "1:1").unwrap().label, "1:1");
        assert_eq!(outline(&object, "", "auto").unwrap().label, "3x4");
        for nonsense in [
            json!([1, 2, 3]),
            json!([0, 0, 0, 9]),
            json!([-1, 0, 1, 1]),
            json!("x"),
        ] {
            assert_eq!(outline(&nonsense, "", "auto"), None, "{nonsense}");
        }
    }
}
