//! What a file says about itself: dimensions, time, camera, place, and how a
//! picture was generated.

use serde_json::{Map, Number, Value};

use super::format::Format;
use crate::model::media::MediaKind;

/// What is known of a file without asking anybody, from its headers and pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub format: Format,
    /// Of the file.
    pub bytes: u64,
    /// Pixels after orientation; 0 when not known.
    pub width: u32,
    pub height: u32,
    /// 1 for stills.
    pub frames: u32,
    /// One pass of an animation or video.
    pub duration_ms: Option<u64>,
    /// Whether any pixel is not opaque.
    pub alpha: bool,
    /// As EXIF counts: 1 is upright. Already applied to pixels and sides.
    pub orientation: u8,
    /// RFC 3339 in UTC; a camera that names no time zone is taken to be there.
    pub taken: Option<String>,
    pub camera: Option<String>,
    pub lens: Option<String>,
    pub gps: Option<Place>,
    /// What image generators write down: `parameters`, `prompt`, `workflow`, ….
    pub generation: Map<String, Value>,
    /// Pixels came out, but the file ends early.
    pub damaged: bool,
}

/// A place on earth, in degrees and meters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub latitude: f64,
    pub longitude: f64,
    pub altitude: Option<f64>,
}

impl Facts {
    pub fn new(format: Format, bytes: u64) -> Self {
        Self {
            format,
            bytes,
            width: 0,
            height: 0,
            frames: 1,
            duration_ms: None,
            alpha: false,
            orientation: 1,
            taken: None,
            camera: None,
            lens: None,
            gps: None,
            generation: Map::new(),
            damaged: false,
        }
    }

    /// The kind of medium: a format that may move is an animation only with more
    /// than one frame.
    pub fn kind(&self) -> MediaKind {
        match self.format.kind() {
            MediaKind::Video => MediaKind::Video,
            _ if self.frames > 1 => MediaKind::Animation,
            _ => MediaKind::Image,
        }
    }

    /// Writes what is known under the names sidecars use. What was measured
    /// replaces what stood there; what somebody may have corrected (time, camera,
    /// place, generation) is only added.
    pub fn into_metadata(self, metadata: &mut Map<String, Value>) {
        let mut measured = |key: &str, value: Option<Value>| match value {
            Some(value) => {
                metadata.insert(key.to_owned(), value);
            }
            None => {
                metadata.shift_remove(key);
            }
        };
        if self.width > 0 && self.height > 0 {
            measured("width", Some(self.width.into()));
            measured("height", Some(self.height.into()));
        }
        measured("bytes", Some(self.bytes.into()));
        measured("mime", Some(self.format.mime().into()));
        if self.format.is_decodable() {
            let moving = self.frames > 1;
            measured("frames", moving.then(|| self.frames.into()));
            measured(
                "duration",
                self.duration_ms
                    .filter(|_| moving)
                    .and_then(|ms| number(milliseconds(ms), 3)),
            );
            measured(
                "fps",
                self.duration_ms
                    .filter(|ms| moving && *ms > 0)
                    .and_then(|ms| number(f64::from(self.frames) / milliseconds(ms), 2)),
            );
            measured("alpha", self.alpha.then_some(true.into()));
            measured("damaged", self.damaged.then_some(true.into()));
        } else if let Some(ms) = self.duration_ms {
            measured("duration", number(milliseconds(ms), 3));
        }
        measured(
            "orientation",
            (self.orientation > 1).then(|| self.orientation.into()),
        );
        let mut added = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                metadata.entry(key).or_insert(value);
            }
        };
        added("taken", self.taken.map(Value::from));
        added("camera", self.camera.map(Value::from));
        added("lens", self.lens.map(Value::from));
        added("gps", self.gps.map(Place::into_value));
        added(
            "gen",
            (!self.generation.is_empty()).then_some(Value::Object(self.generation)),
        );
    }
}

impl Place {
    fn into_value(self) -> Value {
        let mut place = Map::new();
        for (key, value, decimals) in [
            ("lat", Some(self.latitude), 6),
            ("lon", Some(self.longitude), 6),
            ("alt", self.altitude, 1),
        ] {
            if let Some(value) = value.and_then(|value| number(value, decimals)) {
                place.insert(key.to_owned(), value);
            }
        }
        Value::Object(place)
    }
}

fn milliseconds(ms: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a duration, in seconds")]
    let seconds = ms as f64 / 1000.0;
    seconds
}

/// A number with at most so many decimals and no superfluous zeros.
fn number(value: f64, decimals: usize) -> Option<Value> {
    if !value.is_finite() {
        return None;
    }
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    text.parse::<Number>().ok().map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_become_metadata() {
        let mut facts = Facts::new(Format::Gif, 1234);
        facts.width = 20;
        facts.height = 10;
        facts.frames = 3;
        facts.duration_ms = Some(250);
        facts.camera = Some("Box".into());
        facts.taken = Some("2024-01-02T03:04:05Z".into());
        facts.gps = Some(Place {
            latitude: -1.5,
            longitude: 48.123_456_7,
            altitude: None,
        });
        assert_eq!(facts.kind(), MediaKind::Animation);
        let mut metadata: Map<String, Value> =
            serde_json::from_str(r#"{"taken": "2001-01-01T00:00:00Z", "width": 1, "x": 1}"#)
                .unwrap();
        facts.into_metadata(&mut metadata);
        assert_eq!(
            serde_json::to_string(&metadata).unwrap(),
            r#"{"taken":"2001-01-01T00:00:00Z","width":20,"x":1,"height":10,"bytes":1234,"mime":"image/gif","frames":3,"duration":0.25,"fps":12,"camera":"Box","gps":{"lat":-1.5,"lon":48.123457}}"#
        );
    }

    #[test]
    fn a_still_has_no_frames() {
        let mut metadata = Map::new();
        metadata.insert("frames".into(), 4.into());
        Facts::new(Format::Png, 1).into_metadata(&mut metadata);
        assert_eq!(metadata.keys().collect::<Vec<_>>(), ["bytes", "mime"]);
    }
}
