//! Random steps against a model that is as simple as can be: what the user has is a
//! map from names to tags and captions, and a set of what is in the trash. Steps are
//! edits, moves, undo and redo, work of a second process and of another program, and
//! each of ours may be cut off by a crash.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::*;

const NAMES: [&str; 5] = ["a.png", "b.png", "c.png", "d.png", "e.png"];
const TAGS: [&str; 4] = ["fox", "snow", "red", "old"];

#[derive(Clone, Debug)]
enum Deed {
    Tag(usize, usize),
    Untag(usize, usize),
    Caption(usize, u8),
    Trash(usize),
    Restore(usize),
    Undo,
    Redo,
}

#[derive(Clone, Debug)]
enum Step {
    Ours(Deed),
    /// After so many changes of files the machine dies.
    Crash(usize, Deed),
    /// A second handle on the library, as another process has one.
    Another(Deed),
    /// An editor adds a tag to the sidecar of a medium.
    Editor(usize, usize),
    /// An index that is lost.
    Rebuild,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Medium {
    tags: BTreeSet<String>,
    caption: String,
    is_trashed: bool,
}

type Model = BTreeMap<&'static str, Medium>;

fn deed() -> impl Strategy<Value = Deed> {
    let medium = 0..NAMES.len();
    let tag = 0..TAGS.len();
    prop_oneof![
        4 => (medium.clone(), tag.clone()).prop_map(|(medium, tag)| Deed::Tag(medium, tag)),
        2 => (medium.clone(), tag).prop_map(|(medium, tag)| Deed::Untag(medium, tag)),
        2 => (medium.clone(), 0..4_u8).prop_map(|(medium, n)| Deed::Caption(medium, n)),
        1 => medium.clone().prop_map(Deed::Trash),
        1 => medium.prop_map(Deed::Restore),
        2 => Just(Deed::Undo),
        1 => Just(Deed::Redo),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => deed().prop_map(Step::Ours),
        3 => (0..30_usize, deed()).prop_map(|(steps, deed)| Step::Crash(steps, deed)),
        2 => deed().prop_map(Step::Another),
        2 => (0..NAMES.len(), 0..TAGS.len()).prop_map(|(medium, tag)| Step::Editor(medium, tag)),
        1 => Just(Step::Rebuild),
    ]
}

/// What the user has, as the files say.
fn seen(library: &Library) -> Model {
    let mut model = Model::new();
    for (path, tags, caption) in state(library) {
        let (path, is_trashed) = match path.strip_prefix("trash ") {
            Some(path) => (path, true),
            None => (path.as_str(), false),
        };
        let name = NAMES.iter().find(|name| path.ends_with(**name)).unwrap();
        let tags = tags.iter().map(|tag| tag.value.clone()).collect();
        let medium = Medium {
            tags,
            caption,
            is_trashed,
        };
        assert!(
            model.insert(name, medium).is_none(),
            "{name} is there twice"
        );
    }
    model
}

/// What a deed makes of the model, but for undo and redo, which have a memory of
/// their own.
fn expected(model: &Model, deed: &Deed) -> Model {
    let mut model = model.clone();
    let mut change = |medium: &usize, is_trashed: bool, change: &dyn Fn(&mut Medium)| {
        if let Some(medium) = model.get_mut(NAMES[*medium])
            && medium.is_trashed == is_trashed
        {
            change(medium);
        }
    };
    match deed {
        Deed::Tag(medium, tag) => change(medium, false, &|medium| {
            medium.tags.insert(TAGS[*tag].to_owned());
        }),
        Deed::Untag(medium, tag) => change(medium, false, &|medium| {
            medium.tags.remove(TAGS[*tag]);
        }),
        Deed::Caption(medium, n) => change(medium, false, &|medium| medium.caption = words(*n)),
        Deed::Trash(medium) => change(medium, false, &|medium| medium.is_trashed = true),
        Deed::Restore(medium) => change(medium, true, &|medium| medium.is_trashed = false),
        Deed::Undo | Deed::Redo => {}
    }
    model
}

fn words(n: u8) -> String {
    match n {
        0 => String::new(),
        n => format!("caption {n}"),
    }
}

/// Does a deed; whether it was acknowledged.
fn perform(library: &Library, deed: &Deed) -> bool {
    match deed {
        Deed::Tag(medium, tag) => edit(library, &[NAMES[*medium]], &[add(TAGS[*tag])]),
        Deed::Untag(medium, tag) => {
            let name = TagName::new("", TAGS[*tag]);
            let at = String::new();
            edit(library, &[NAMES[*medium]], &[Edit::RemoveTag { name, at }])
        }
        Deed::Caption(medium, n) => {
            let caption = Edit::SetCaption(words(*n).as_str().into());
            edit(library, &[NAMES[*medium]], &[caption])
        }
        Deed::Trash(medium) => trash(library, &[NAMES[*medium]]),
        Deed::Restore(medium) => {
            let Ok(mut items) = library.trashed() else {
                return false;
            };
            items.retain(|item| item.path.ends_with(NAMES[*medium]));
            let operation = library.operation("restore");
            let results = library.restore(&operation, &items, NOW);
            library.finish(&operation);
            results.iter().all(Result::is_ok)
        }
        Deed::Undo => library
            .undo(Which::Newest, NOW, &mut |_, _| go_on(()))
            .is_ok(),
        Deed::Redo => library
            .redo(Which::Newest, NOW, &mut |_, _| go_on(()))
            .is_ok(),
    }
}

/// Another program adds a tag by rewriting the sidecar as text.
fn edit_outside(library: &Library, medium: usize, tag: usize) -> bool {
    let path = library
        .root()
        .join("images")
        .join(NAMES[medium])
        .with_extension("json");
    let Ok(text) = fs::read_to_string(&path) else {
        return false;
    };
    let mut sidecar: serde_json::Value = serde_json::from_str(&text).unwrap();
    let Some(tags) = sidecar["tags"].as_array_mut() else {
        return false;
    };
    if tags.iter().any(|known| known["value"] == TAGS[tag]) {
        return false;
    }
    tags.push(serde_json::json!({"category": "general", "value": TAGS[tag]}));
    let mut writes = files::Writes::default();
    let text = format!("{sidecar:#}\n");
    writes.replace(&path, text.as_bytes()).unwrap()
}

fn check(steps: &[Step]) {
    let (_dir, library) = library(LayoutKind::Flat);
    let root = library.root().to_owned();
    let mut library = library;
    let mut model = seen(&library);
    for (number, step) in steps.iter().enumerate() {
        let what = format!("step {number}, {step:?}");
        match step {
            Step::Ours(deed) => {
                assert!(perform(&library, deed), "{what}: refused");
                model = follow(&library, &model, deed, &what);
            }
            Step::Another(deed) => {
                let another = Library::open(&root).unwrap();
                assert!(perform(&another, deed), "{what}: refused");
                model = follow(&another, &model, deed, &what);
            }
            Step::Editor(medium, tag) => {
                if edit_outside(&library, *medium, *tag) {
                    let medium = model.get_mut(NAMES[*medium]).unwrap();
                    medium.tags.insert(TAGS[*tag].to_owned());
                }
                library.refresh(&mut go_on).unwrap();
            }
            Step::Rebuild => {
                library.rebuild(&mut go_on).unwrap();
            }
            Step::Crash(steps, deed) => {
                let (acknowledged, _) = dying_after(*steps, || perform(&library, deed));
                drop(library);
                library = Library::open(&root).unwrap();
                library.recover(NOW).unwrap();
                library.refresh(&mut go_on).unwrap();
                let after = expected(&model, deed);
                let now = seen(&library);
                match deed {
                    Deed::Undo | Deed::Redo => assert_same_media(&now, &model, &what),
                    _ if acknowledged => assert_eq!(now, after, "{what}: acknowledged and lost"),
                    _ => assert!(now == model || now == after, "{what}: half done: {now:#?}"),
                }
                model = now;
            }
        }
        assert_eq!(seen(&library), model, "{what}");
    }
    check_sound(&library, "at the end");
}

/// The model after a deed that was acknowledged. What an undo gives depends on what
/// was done since by others; it has to keep every medium, and a redo to take it back.
fn follow(library: &Library, model: &Model, deed: &Deed, what: &str) -> Model {
    let now = seen(library);
    match deed {
        Deed::Undo => {
            assert_same_media(&now, model, what);
            if now != *model {
                let redone = library
                    .redo(Which::Newest, NOW, &mut |_, _| go_on(()))
                    .unwrap();
                let is_whole = redone.is_some_and(|redone| redone.left.is_empty());
                if is_whole {
                    assert_eq!(seen(library), *model, "{what}: an undo that is undone");
                }
                let _ = perform(library, &Deed::Undo);
            }
            seen(library)
        }
        Deed::Redo => {
            assert_same_media(&now, model, what);
            now
        }
        _ => {
            assert_eq!(now, expected(model, deed), "{what}");
            now
        }
    }
}

#[track_caller]
fn assert_same_media(now: &Model, before: &Model, what: &str) {
    assert!(now.keys().eq(before.keys()), "{what}: a medium is lost");
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn random_steps_do_what_the_model_does(steps in vec(step(), 1..14)) {
        check(&steps);
    }
}

/// `PROPTEST_CASES` says how many; without it, what a change can wait for.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(48)
}
