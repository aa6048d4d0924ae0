//! Projects (albums): an ordered choice of media with a name, as `projects/<name>.json` stores it.

use serde_json::{Map, Value};

/// One medium of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectItem {
    /// Path below `images/`, as stored.
    pub path: String,
    /// How often it counts in an exported dataset; 0 leaves it out.
    pub repeats: u32,
}

/// A project as read; everything not named here stays in `document`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Project {
    pub name: String,
    pub description: String,
    pub items: Vec<ProjectItem>,
    /// A smart album: the media are those that match.
    pub query: Option<String>,
    pub document: Map<String, Value>,
}

impl Project {
    /// Reads a project file; `None` when the text is not a JSON object.
    pub fn parse(text: &str) -> Option<Self> {
        let Ok(Value::Object(document)) = serde_json::from_str(text) else {
            return None;
        };
        let word = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
        let items = document
            .get("images")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(item)
            .collect();
        Some(Self {
            name: word("project_name").unwrap_or_default(),
            description: word("description").unwrap_or_default(),
            items,
            query: word("query").filter(|query| !query.is_empty()),
            document,
        })
    }
}

fn item(value: &Value) -> Option<ProjectItem> {
    let path = value
        .as_str()
        .or_else(|| value.get("path").and_then(Value::as_str))?;
    let repeats = value.get("repeats").and_then(Value::as_u64);
    Some(ProjectItem {
        path: path.to_owned(),
        repeats: repeats.map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_objects_or_plain_paths() {
        let project = Project::parse(
            r#"{"project_name": "foxes", "images": [{"path": "a.png", "repeats": 0}, "b.png", 7], "x": 1}"#,
        )
        .unwrap();
        assert_eq!(project.name, "foxes");
        let items: Vec<_> = project
            .items
            .iter()
            .map(|item| (item.path.as_str(), item.repeats))
            .collect();
        assert_eq!(items, [("a.png", 0), ("b.png", 1)]);
        assert!(Project::parse("[]").is_none());
    }
}
