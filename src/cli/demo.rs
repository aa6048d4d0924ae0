//! `demo`: a small library made on the spot, with a few files waiting to be filed,
//! and opened. Works offline and touches nothing outside its own folder.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{Next, ScreenRequest, Status, command::DemoArgs, context::Context};
use crate::engine::{
    Engine, EngineSettings, LayoutKind, Library, Transfer,
    demo::{self, Drawing},
    event::{self, IngestOutcome},
    job::lock,
};

/// A folder with this file was made by the demo, so the demo may remove it. It says
/// whether the making came to its end.
const MARK: &str = ".tagloupe-demo";
const COMPLETE: &str = "complete\n";

/// Folders where desktops keep pictures that look good in a gallery.
const PICTURE_FOLDERS: [&str; 4] = [
    "/usr/share/backgrounds",
    "/usr/share/wallpapers",
    "/usr/share/images/desktop-base",
    "/Library/Desktop Pictures",
];
const MAX_PICTURES: usize = 6;
const PICTURE_BYTES: std::ops::RangeInclusive<u64> = 20_000..=6_000_000;

pub fn demo(context: &Context, arguments: &DemoArgs) -> Result<Next> {
    let root = match &arguments.dir {
        Some(folder) => std::path::absolute(folder)?,
        None => default_folder()?,
    };
    if arguments.fresh || !is_complete(&root) {
        remove(&root)?;
        make(context, &root)
            .with_context(|| format!("cannot make the demo in {}", root.display()))?;
    }
    let shown = root.display();
    if arguments.no_screen {
        context
            .output
            .line(&format!("the demo library is in {shown}"))?;
        return Ok(Next::Exit(Status::Done));
    }
    let install = match env::var_os("CARGO") {
        // Run by cargo from the source, so the program is not installed.
        Some(_) => "cargo install --path . && ",
        None => "",
    };
    Ok(Next::OpenScreen(ScreenRequest {
        root: root.clone(),
        offer: None,
        verbose: context.options.verbose,
        log: Some(root.clone()),
        graphics: context.options.graphics,
        theme: context.options.theme.clone(),
        farewell: Some(format!(
            "Your own pictures: {install}tagloupe init ~/Pictures && tagloupe ~/Pictures   \
             (the demo stays in {shown})"
        )),
    }))
}

/// `$XDG_DATA_HOME/tagloupe/demo`.
fn default_folder() -> Result<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("tagloupe/demo"))
        .context("HOME is not set; name a folder with --dir")
}

fn is_complete(root: &Path) -> bool {
    fs::read_to_string(root.join(MARK)).is_ok_and(|text| text == COMPLETE)
}

/// Removes an earlier demo; refuses a folder that holds anything else.
fn remove(root: &Path) -> Result<()> {
    let is_ours = root.join(MARK).is_file();
    match fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot use {}", root.display())),
        Ok(_) if is_ours => {
            fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))
        }
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => bail!(
                "{} is not empty and was not made by the demo; name another folder with --dir",
                root.display()
            ),
        },
    }
}

fn make(context: &Context, root: &Path) -> Result<()> {
    let bar = context.output.bar("drawing pictures", None);
    fs::create_dir_all(root)?;
    Context::create(root, LayoutKind::Bucketed, Some("Demo"))?;
    write(&root.join(MARK), b"being made\n")?;
    let inbox = root.join("ingest");
    fs::create_dir_all(&inbox)?;
    // In the inbox, because a file elsewhere below a library counts as being in it.
    let folder = tempfile::Builder::new()
        .prefix(".making.")
        .tempdir_in(&inbox)?;
    let mut paths = Vec::new();
    let drawings = demo::pictures();
    for drawing in &drawings {
        bar.message(&drawing.name);
        if drawing.is_waiting {
            continue;
        }
        paths.push(put(folder.path(), drawing)?);
    }
    for (number, picture) in (1..).zip(pictures_of_this_machine()) {
        bar.message("pictures of this machine");
        paths.push(borrow(folder.path(), &picture, number)?);
    }
    drop(bar);
    store(context, root, paths)?;
    drop(folder);
    for drawing in drawings.iter().filter(|drawing| drawing.is_waiting) {
        put(&inbox, drawing)?;
    }
    write(&root.join(MARK), COMPLETE.as_bytes())
}

/// Writes a drawing and, beside it, what is known of it.
fn put(folder: &Path, drawing: &Drawing) -> Result<PathBuf> {
    let path = folder.join(&drawing.name);
    write(&path, &drawing.bytes)?;
    if let Some(sidecar) = &drawing.sidecar {
        write(&path.with_extension("json"), sidecar.as_bytes())?;
    }
    Ok(path)
}

/// Copies a picture of this machine, with a tag that says where it is from.
fn borrow(folder: &Path, picture: &Path, number: usize) -> Result<PathBuf> {
    let extension = picture.extension().unwrap_or_default().to_string_lossy();
    let path = folder.join(format!("desktop-{number}.{extension}"));
    fs::copy(picture, &path).with_context(|| format!("cannot copy {}", picture.display()))?;
    let name = picture.file_stem().unwrap_or_default().to_string_lossy();
    let sidecar = serde_json::json!({
        "schema": 1,
        "name": name,
        "tags": [
            {"category": "meta", "value": "from_this_machine"},
            {"category": "general", "value": "wallpaper"},
        ],
        "related": {},
        "metadata": {},
    });
    write(&path.with_extension("json"), sidecar.to_string().as_bytes())?;
    Ok(path)
}

/// Ingests the files the way any file is.
fn store(context: &Context, root: &Path, paths: Vec<PathBuf>) -> Result<()> {
    let bar = context.output.bar("filing them", Some(paths.len() as u64));
    let (events, _) = event::channel();
    let settings = EngineSettings {
        // Nobody else writes these files.
        settle: Duration::ZERO,
        ..EngineSettings::default()
    };
    let engine = Engine::start(Library::open(root)?, settings, events)?;
    engine.rebuild_now(&mut |_| context.flow())?;
    let troubles: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = {
        let troubles = Arc::clone(&troubles);
        move |path: &Path, outcome: &IngestOutcome| {
            if let IngestOutcome::Quarantined { reason } | IngestOutcome::Failed { reason } =
                outcome
            {
                lock(&troubles).push(format!("{}: {reason}", path.display()));
            }
        }
    };
    engine.ingest_now(
        paths,
        Some(Transfer::Move),
        Box::new(listener),
        &context.cancel,
        &mut |progress| bar.set(progress.done, progress.total),
    );
    engine.shutdown();
    drop(bar);
    // A picture of this machine that we cannot read is no reason to do without a demo.
    for trouble in lock(&troubles).iter() {
        context.output.note(trouble);
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A few pictures of moderate size that the system brought along.
fn pictures_of_this_machine() -> Vec<PathBuf> {
    let mut pictures = Vec::new();
    for folder in PICTURE_FOLDERS {
        collect(Path::new(folder), 3, &mut pictures);
    }
    pictures.sort();
    pictures.truncate(MAX_PICTURES);
    pictures
}

fn collect(folder: &Path, depth: usize, pictures: &mut Vec<PathBuf>) {
    // A folder that is not there or not ours to read has no pictures for us.
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() && depth > 0 {
            collect(&path, depth - 1, pictures);
        } else if kind.is_file() && is_picture(&path) {
            pictures.push(path);
        }
    }
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    ["jpg", "jpeg", "png", "webp"].contains(&extension)
        && fs::metadata(path).is_ok_and(|metadata| PICTURE_BYTES.contains(&metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_demo_is_ever_removed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("demo");
        remove(&root).unwrap();
        fs::create_dir(&root).unwrap();
        remove(&root).unwrap();
        let mine = root.join("mine.txt");
        write(&mine, b"mine").unwrap();
        assert!(remove(&root).is_err());
        assert!(mine.is_file());
        write(&root.join(MARK), b"being made\n").unwrap();
        assert!(!is_complete(&root));
        remove(&root).unwrap();
        assert!(!root.exists());
    }

    #[test]
    fn pictures_are_taken_by_name_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: u64| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            File::create(&path).unwrap().set_len(bytes).unwrap();
        };
        file("a.jpg", 50_000);
        file("icon.png", 500);
        file("huge.png", 50_000_000);
        file("deep/b.webp", 50_000);
        file("notes.txt", 50_000);
        let mut pictures = Vec::new();
        collect(folder.path(), 1, &mut pictures);
        pictures.sort();
        let names: Vec<_> = pictures
            .iter()
            .map(|path| path.file_name().unwrap())
            .collect();
        assert_eq!(names, ["a.jpg", "b.webp"]);
    }
}
