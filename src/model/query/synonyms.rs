//! What other boorus call what has another name here, so that habits keep working:
//! `is:parent`, `is:gif`, `has:children`, `status:deleted`, `type:png`.

use std::borrow::Cow;

use super::key::{HAS, IS, Key, RATINGS, STATUSES, TYPES};
use crate::model::media::is_extension;

/// The key and the value that mean the same here; as they are where nothing has to
/// change or where nothing is known that would mean it.
pub fn of(key: Key, raw: &str) -> (Key, Cow<'_, str>) {
    let lower = raw.to_lowercase();
    let items: Vec<&str> = lower.split(',').map(str::trim).collect();
    // One term has one key, so all of its words have to be of the same.
    let all: Option<Vec<(Key, &str)>> = items.iter().map(|item| meaning(key, item)).collect();
    match all.as_deref() {
        Some(all @ [(first, _), ..])
            if all.iter().all(|(key, _)| key == first)
                && (*first != key || all.iter().zip(&items).any(|((_, to), from)| to != from)) =>
        {
            let words: Vec<&str> = all.iter().map(|(_, word)| *word).collect();
            (*first, words.join(",").into())
        }
        _ => (key, raw.into()),
    }
}

fn meaning(key: Key, item: &str) -> Option<(Key, &str)> {
    let here = Some((key, item));
    match key {
        Key::Status => match item {
            "deleted" => Some((key, "trash")),
            "active" => Some((key, "inbox,archived")),
            "all" => Some((key, "any")),
            _ if STATUSES.contains(&item) => here,
            _ => None,
        },
        Key::Has => match item {
            "children" => Some((key, "child")),
            _ if HAS.contains(&item) => here,
            _ => {
                let one = item.strip_suffix('s').filter(|one| HAS.contains(one))?;
                Some((key, one))
            }
        },
        Key::Is => match item {
            _ if IS.contains(&item) => here,
            "parent" => Some((Key::Has, "child")),
            "child" => Some((Key::Has, "parent")),
            "deleted" => Some((Key::Status, "trash")),
            _ if RATINGS.contains(&item) => Some((Key::Rating, item)),
            _ if TYPES.contains(&item) => Some((Key::Type, item)),
            _ => is_extension(item).then_some((Key::Ext, item)),
        },
        Key::Type => match item {
            _ if TYPES.contains(&item) => here,
            _ => is_extension(item).then_some((Key::Ext, item)),
        },
        Key::Fav if item == "me" => Some((key, "yes")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_boorus_mean_something_here() {
        for (key, raw, expected) in [
            (Key::Is, "parent", (Key::Has, "child")),
            (Key::Is, "Child", (Key::Has, "parent")),
            (Key::Is, "gif,PNG", (Key::Ext, "gif,png")),
            (Key::Is, "general", (Key::Rating, "general")),
            (Key::Is, "deleted", (Key::Status, "trash")),
            (Key::Is, "video", (Key::Type, "video")),
            (Key::Has, "children,notes", (Key::Has, "child,note")),
            (Key::Status, "deleted", (Key::Status, "trash")),
            (
                Key::Status,
                "active,trash",
                (Key::Status, "inbox,archived,trash"),
            ),
            (Key::Type, "png", (Key::Ext, "png")),
            (Key::Fav, "me", (Key::Fav, "yes")),
            // Nothing is changed that means something, or nothing.
            (Key::Is, "FAV", (Key::Is, "FAV")),
            (Key::Is, "fav,gif", (Key::Is, "fav,gif")),
            (Key::Is, "nonsense", (Key::Is, "nonsense")),
            (Key::Has, "mask:person", (Key::Has, "mask:person")),
            (Key::Type, "image,video", (Key::Type, "image,video")),
            (Key::Width, "5", (Key::Width, "5")),
        ] {
            let (to, value) = of(key, raw);
            assert_eq!((to, &*value), expected, "{raw}");
        }
    }
}
