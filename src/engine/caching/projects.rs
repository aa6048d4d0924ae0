//! What the files of the projects say, read once until one of them changes: the list
//! of them, a page of one, and the members of all as a search needs them.

use serde::{Deserialize, Serialize};

use crate::{
    engine::{
        Core, Engine,
        cache::{entry::Version, key::Key},
    },
    model::{fact::Album, id::MediaKey},
};

/// A project in the list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectSummary {
    pub name: String,
    pub description: String,
    /// How many pictures it lists.
    pub listed: usize,
    /// What a smart album finds besides.
    pub query: Option<String>,
}

/// A page of the pictures that a project lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectPage {
    pub items: Vec<ListedPicture>,
    /// On all pages.
    pub total: usize,
}

/// A picture as its project lists it, whether it is there or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPicture {
    /// Below the library.
    pub path: String,
    /// How often it counts in an exported dataset; 0 leaves it out.
    pub repeats: u32,
}

impl Engine {
    /// The projects of the library, by the names of their files; waits.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn projects_now(&self) -> Result<Vec<ProjectSummary>, String> {
        let core = &self.core;
        let list =
            core.cache
                .value_or_compute(&Key::projects(), core.projects_version()?, || {
                    let projects = core.library.projects().map_err(|error| error.chain())?;
                    let summaries = projects.into_iter().map(|project| ProjectSummary {
                        name: project.name,
                        description: project.description,
                        listed: project.items.len(),
                        query: project.query,
                    });
                    Ok(Some(summaries.collect::<Vec<_>>()))
                })?;
        Ok(list.unwrap_or_default())
    }

    /// A page of a project, the first being 0; `None` when there is no project of that
    /// name. Waits.
    ///
    /// # Errors
    /// When the projects cannot be read.
    pub fn project_page_now(
        &self,
        name: &str,
        size: usize,
        number: usize,
    ) -> Result<Option<ProjectPage>, String> {
        let core = &self.core;
        let key = Key::project_page(name, size, number);
        core.cache
            .value_or_compute(&key, core.projects_version()?, || {
                let projects = core.library.projects().map_err(|error| error.chain())?;
                let project = projects.into_iter().find(|project| project.name == name);
                Ok(project.map(|project| {
                    let items = project.items.iter();
                    let page = items.skip(size.saturating_mul(number)).take(size);
                    ProjectPage {
                        items: page
                            .map(|item| ListedPicture {
                                path: core.library.path_of_item(item),
                                repeats: item.repeats,
                            })
                            .collect(),
                        total: project.items.len(),
                    }
                }))
            })
    }
}

impl Core {
    /// Equal on all hosts as long as no project changes.
    pub(in crate::engine) fn projects_version(&self) -> Result<Version, String> {
        let stamp = self.library.projects_stamp();
        let stamp = stamp.map_err(|error| error.chain())?;
        Ok(Version::of_text(&stamp))
    }

    /// The projects with their members, as the index numbers them now.
    pub(in crate::engine) fn kept_albums(&self) -> Result<Vec<Album>, String> {
        type Members = Vec<(String, Vec<u32>, Option<String>)>;
        let sequence = self.library.sequence().map_err(|error| error.chain())?;
        let files = self.projects_version()?.0;
        let version = Version::of(&[files, self.catalog.load().version(), sequence]);
        let members: Option<Members> =
            self.cache.value_or_compute(&Key::members(), version, || {
                let albums = self.library.albums().map_err(|error| error.chain())?;
                let members = albums.into_iter().map(|album| {
                    let keys = album.media.iter().map(|key| key.0).collect();
                    (album.name, keys, album.query)
                });
                Ok(Some(members.collect()))
            })?;
        let albums = members.into_iter().flatten();
        Ok(albums
            .map(|(name, keys, query)| Album {
                name,
                media: keys.into_iter().map(MediaKey).collect(),
                query,
            })
            .collect())
    }
}
