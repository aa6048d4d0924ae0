//! What the keys of the list do to the tags in it: each becomes edits of all targets.

use super::{Editor, EditorRow, rows::tag_name};
use crate::{
    app::{
        context::Context,
        dialog::{Dialog, Purpose},
    },
    model::{edit::Edit, tag::TagName},
};

impl Editor {
    pub(super) fn toggle_mark(&mut self) {
        let Some(name) = self.current().map(|row| row.name.clone()) else {
            return;
        };
        let is_marked = !self.marked.remove(&name);
        if is_marked {
            self.marked.insert(name);
        }
        if let Some(EditorRow::Tag(row)) = self.rows.get_mut(self.cursor) {
            row.is_marked = is_marked;
        }
        if self.cursor + 1 < self.rows.len() {
            self.cursor += 1;
        }
        self.land(true);
    }

    pub(super) fn edit(&mut self, label: &str, edits: Vec<Edit>, ctx: &mut Context<'_>) {
        if !edits.is_empty() {
            let targets = self.targets.clone();
            ctx.edit(label, &targets, edits);
            self.marked.clear();
        }
    }

    pub(super) fn remove(&mut self, ctx: &mut Context<'_>) {
        let names = self.chosen();
        let at = ctx.now_text();
        let edits = names
            .iter()
            .map(|name| Edit::RemoveTag {
                name: name.clone(),
                at: at.clone(),
            })
            .collect();
        self.edit(&format!("remove {}", print(&names)), edits, ctx);
    }

    pub(super) fn add_to_all(&mut self, ctx: &mut Context<'_>) {
        let names = self.chosen();
        let edits = names
            .iter()
            .map(|name| Edit::AddTag {
                tag: ctx.user_tag(name),
                position: None,
            })
            .collect();
        self.edit(&format!("add {}", print(&names)), edits, ctx);
    }

    pub(super) fn recategorize(&mut self, category: &str, ctx: &mut Context<'_>) {
        let names = self.chosen();
        let edits = names
            .iter()
            .filter(|name| name.category != category)
            .map(|name| Edit::RenameTag {
                from: name.clone(),
                to: ctx.user_tag(&TagName::new(category, &name.value)),
            })
            .collect();
        self.edit(&format!("{category}: {}", print(&names)), edits, ctx);
        if let [name] = &names[..] {
            self.refresh(ctx);
            if let Some(place) = self.place_of(&TagName::new(category, &name.value)) {
                self.cursor = place;
                self.land(true);
            }
        }
    }

    /// Moves a tag past its neighbor in the list, which gives it that one's place in
    /// the sidecar.
    pub(super) fn move_tag(&mut self, n: usize, down: bool, ctx: &mut Context<'_>) {
        let [key] = self.targets[..] else {
            ctx.warn("tags are moved in one picture at a time");
            return;
        };
        let (Some(row), Some(media)) = (self.current(), ctx.media(key)) else {
            return;
        };
        let name = row.name.clone();
        let mut neighbors: Vec<&TagName> = if down {
            self.rows[self.cursor + 1..]
                .iter()
                .map_while(tag_name)
                .take(n)
                .collect()
        } else {
            self.rows[..self.cursor]
                .iter()
                .rev()
                .map_while(tag_name)
                .take(n)
                .collect()
        };
        let Some(neighbor) = neighbors.pop() else {
            return;
        };
        if let Some(to) = media.tags.iter().position(|tag| tag.name() == *neighbor) {
            let label = format!("move {name}");
            self.edit(&label, vec![Edit::MoveTag { name, to }], ctx);
        }
    }

    pub(super) fn ask_rename(&mut self, ctx: &mut Context<'_>) {
        if let Some(row) = self.current() {
            ctx.dialogs.push(Dialog::prompt(
                &format!("Rename {}", row.name),
                Purpose::RenameTag {
                    targets: self.targets.clone(),
                    from: row.name.clone(),
                },
                row.name.to_string(),
            ));
        }
    }

    pub(super) fn find_next(&mut self, forward: bool) {
        let count = self.rows.len();
        let place = (1..=count)
            .map(|step| {
                if forward {
                    (self.cursor + step) % count
                } else {
                    (self.cursor + count - step % count) % count
                }
            })
            .find(|row| matches!(&self.rows[*row], EditorRow::Tag(row) if self.is_found(row)));
        if let Some(place) = place {
            self.cursor = place;
            self.land(true);
        }
    }
}

fn print(names: &[TagName]) -> String {
    match names {
        [] => String::new(),
        [name] => name.to_string(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}
