//! `doctor`: what the program finds around it, and what to do where that is wrong.

mod cache;
mod disk;

use std::{
    env, fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use serde_json::{Value, json};

use super::{Status, Surroundings, context::Context, settings::variable};
use crate::{
    app::config::Config,
    engine::{IndexState, LayoutKind, Library, Recognised, source::booru},
};

/// Folders that inotify must be able to watch for a library of usual depth: two
/// levels of 256 buckets are never watched, an ingest folder with subfolders is.
const ENOUGH_WATCHES: u64 = 8192;
/// Files that a library with its index, locks and workers may have open at once.
const ENOUGH_FILES: u64 = 512;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// Worth knowing, but nothing is wrong.
    Note,
    Wrong,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Wrong => "wrong",
        }
    }
}

/// One line of the report.
struct Check {
    area: &'static str,
    name: String,
    state: State,
    value: String,
    fix: Option<String>,
}

#[derive(Default)]
struct Report(Vec<Check>);

impl Report {
    fn add(&mut self, area: &'static str, name: &str, state: State, value: impl Into<String>) {
        self.0.push(Check {
            area,
            name: name.to_owned(),
            state,
            value: value.into(),
            fix: None,
        });
    }

    fn add_with_fix(
        &mut self,
        area: &'static str,
        name: &str,
        state: State,
        value: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(area, name, state, value);
        if let Some(check) = self.0.last_mut() {
            check.fix = Some(fix.into());
        }
    }
}

pub fn doctor(context: &Context, surroundings: &Surroundings) -> Result<Status> {
    let mut report = Report::default();
    check_terminal(&mut report, context, surroundings);
    let library = check_library(&mut report, context);
    cache::check(&mut report, library.as_deref());
    check_limits(&mut report);
    check_sources(&mut report);
    check_programs(&mut report);
    if context.options.json {
        let list = report.0.iter().map(|check| {
            json!({
                "area": check.area,
                "name": check.name,
                "state": check.state.word(),
                "value": check.value,
                "fix": check.fix,
            })
        });
        context.output.json(&Value::Array(list.collect()))?;
    } else {
        let mut area = "";
        for check in &report.0 {
            if check.area != area {
                area = check.area;
                context.output.line(area)?;
            }
            let line = format!("  {:5} {}: {}", check.state.word(), check.name, check.value);
            context.output.line(&line)?;
            if let Some(fix) = &check.fix {
                context.output.line(&format!("        → {fix}"))?;
            }
        }
    }
    let is_wrong = report.0.iter().any(|check| check.state == State::Wrong);
    Ok(if is_wrong {
        Status::Nothing
    } else {
        Status::Done
    })
}

fn check_terminal(report: &mut Report, context: &Context, surroundings: &Surroundings) {
    const AREA: &str = "terminal";
    let term = env::var("TERM").unwrap_or_default();
    let on_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let fix = "set TERM to what the terminal is, such as xterm-256color";
    match term.as_str() {
        "" if on_terminal => report.add_with_fix(AREA, "TERM", State::Wrong, "not set", fix),
        "" => report.add(AREA, "TERM", State::Note, "not set"),
        "dumb" if on_terminal => {
            report.add_with_fix(
                AREA,
                "TERM",
                State::Wrong,
                "dumb: no text can be placed",
                fix,
            );
        }
        _ => report.add(AREA, "TERM", State::Good, &term),
    }
    if !on_terminal {
        let value = "standard input and output are none; the screen needs one";
        report.add(AREA, "terminal", State::Note, value);
        return;
    }
    match (surroundings.describe_terminal)(context.options.graphics) {
        Ok(lines) => {
            for (name, value) in lines {
                report.add(AREA, name, State::Good, value);
            }
        }
        Err(error) => report.add_with_fix(
            AREA,
            "terminal",
            State::Wrong,
            error,
            "choose how pictures are drawn yourself: --graphics halfblocks",
        ),
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_default();
    let is_utf8 = locale.to_lowercase().replace('-', "").contains("utf8");
    if is_utf8 {
        report.add(AREA, "locale", State::Good, locale);
    } else {
        report.add_with_fix(
            AREA,
            "locale",
            State::Note,
            format!("'{locale}' does not say UTF-8, which is assumed"),
            "export LANG=C.UTF-8",
        );
    }
}

/// Returns the id of the library, if there is one.
fn check_library(report: &mut Report, context: &Context) -> Option<String> {
    const AREA: &str = "library";
    let Ok(root) = context.root() else {
        let value = "none around the current folder and none named";
        let fix = "tagloupe init DIR makes one";
        report.add_with_fix(AREA, "library", State::Note, value, fix);
        return None;
    };
    let shown = root.display().to_string();
    if Library::recognise(&root) != Recognised::Library {
        let fix = format!("tagloupe init {shown} makes it one");
        report.add_with_fix(
            AREA,
            "library",
            State::Wrong,
            format!("{shown} is none"),
            fix,
        );
        return None;
    }
    let library = match Library::open(&root) {
        Ok(library) => library,
        Err(error) => {
            let fix = "look at that file; originals and sidecars are not concerned";
            report.add_with_fix(AREA, "library", State::Wrong, error.chain(), fix);
            return None;
        }
    };
    report.add(AREA, "library", State::Good, shown);
    report.add(AREA, "layout", State::Good, library.kind().as_str());
    let fix = "tagloupe rebuild";
    match library.index_state() {
        IndexState::Ready => report.add(AREA, "index", State::Good, "ready"),
        IndexState::Missing => {
            report.add_with_fix(AREA, "index", State::Wrong, "missing or unfinished", fix);
        }
        IndexState::Stale => {
            report.add_with_fix(AREA, "index", State::Wrong, "behind the files", fix);
        }
        IndexState::Unusable(reason) => {
            report.add_with_fix(AREA, "index", State::Wrong, reason, fix);
        }
    }
    if let Ok(count) = library.count() {
        let sidecars = count_sidecars(&library.layout().images());
        let value = format!("{count} in the index, {sidecars} sidecars");
        report.add(AREA, "media", State::Good, value);
    }
    if let Some(kind) = file_system(&root) {
        let is_remote = ["nfs", "cifs", "smb", "9p", "sshfs", "fuse"]
            .iter()
            .any(|remote| kind.starts_with(remote));
        if is_remote {
            let value = format!("{kind}: the index is kept in your cache folder");
            report.add(AREA, "file system", State::Note, value);
        } else {
            report.add(AREA, "file system", State::Good, kind);
        }
    }
    disk::check(report, &library.layout().home());
    match library.journal_survey() {
        Ok(survey) => disk::check_journals(report, &survey),
        Err(error) => {
            let fix = "look at that folder; until it can be read nothing can be undone";
            report.add_with_fix("disk", "journal", State::Wrong, error.chain(), fix);
        }
    }
    check_git(report, &library);
    Some(library.id().to_owned())
}

/// Whether git, where it keeps a library, merges its sidecars by our driver.
fn check_git(report: &mut Report, library: &Library) {
    const AREA: &str = "git";
    let root = library.layout().root();
    if !root.ancestors().any(|folder| folder.join(".git").exists()) {
        return;
    }
    let ask = |arguments: &[&str]| {
        let mut git = Command::new("git");
        let output = git.arg("-C").arg(root).args(arguments).output();
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let rule = match library.kind() {
        LayoutKind::InPlace => "*.json merge=tagloupe",
        LayoutKind::Bucketed | LayoutKind::Flat => "images/**/*.json merge=tagloupe",
    };
    let sidecar = library.layout().images().join("ab/cd/abcd.json");
    let sidecar = sidecar.to_string_lossy();
    let Some(attribute) = ask(&["check-attr", "merge", "--", &sidecar]) else {
        report.add(AREA, "merges", State::Note, "git does not answer");
        return;
    };
    if !attribute.ends_with(": tagloupe") {
        let fix = format!("add a line to .gitattributes: {rule}");
        let value = "two machines that change one sidecar get a conflict";
        report.add_with_fix(AREA, "merges", State::Note, value, fix);
        return;
    }
    match ask(&["config", "--get", "merge.tagloupe.driver"]) {
        Some(driver) => report.add(AREA, "merges", State::Good, driver),
        None => report.add_with_fix(
            AREA,
            "merges",
            State::Note,
            "git does not know the merge driver on this machine",
            "git config --global merge.tagloupe.driver 'tagloupe merge-driver %O %A %B %P'",
        ),
    }
}

/// The JSON files below a folder, hidden folders left out.
fn count_sidecars(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => count_sidecars(&entry.path()),
            Ok(kind) if kind.is_file() => {
                usize::from(entry.path().extension().is_some_and(|end| end == "json"))
            }
            _ => 0,
        })
        .sum()
}

/// The type of the file system that holds a path, by the kernel's table of mounts.
fn file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let folder = words.next()?.replace("\\040", " ");
        let kind = words.next()?.to_owned();
        path.starts_with(&folder).then_some((folder.len(), kind))
    };
    let (_, kind) = mounts
        .lines()
        .filter_map(mount)
        .max_by_key(|(length, _)| *length)?;
    Some(kind)
}

fn check_limits(report: &mut Report) {
    const AREA: &str = "limits";
    let watches = fs::read_to_string("/proc/sys/fs/inotify/max_user_watches")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    match watches {
        Some(watches) if watches < ENOUGH_WATCHES => report.add_with_fix(
            AREA,
            "watched folders",
            State::Wrong,
            format!("{watches} for all programs together; folders beyond that are polled"),
            "as root: sysctl fs.inotify.max_user_watches=524288",
        ),
        Some(watches) => {
            report.add(
                AREA,
                "watched folders",
                State::Good,
                format!("up to {watches}"),
            );
        }
        None => report.add(
            AREA,
            "watched folders",
            State::Note,
            "no inotify: folders are polled",
        ),
    }
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match files {
        Some(files) if files < ENOUGH_FILES => report.add_with_fix(
            AREA,
            "open files",
            State::Wrong,
            files.to_string(),
            "ulimit -n 4096",
        ),
        Some(files) => report.add(AREA, "open files", State::Good, format!("up to {files}")),
        None => report.add(AREA, "open files", State::Good, "no limit"),
    }
}

/// What the configuration says of them; nobody is asked.
fn check_sources(report: &mut Report) {
    const AREA: &str = "sources";
    let (config, _) = Config::load(&variable);
    let sources = config.sources.settings();
    if sources.is_empty() {
        let text = "none is switched on: no site is asked what it knows of a picture";
        report.add(AREA, "sites", State::Note, text);
    }
    for source in sources {
        if let Err(problem) = booru::open(&source) {
            report.add(AREA, &source.name, State::Wrong, problem);
            continue;
        }
        let key = match (&source.login, &source.api_key) {
            (Some(login), Some(_)) => format!("with the key of {login}"),
            _ => "without a key".to_owned(),
        };
        let value = format!("{} ({}), {key}", source.url, source.kind.name());
        report.add(AREA, &source.name, State::Good, value);
    }
}

fn check_programs(report: &mut Report) {
    const AREA: &str = "programs";
    match find_program("ffmpeg") {
        Some(path) => report.add(AREA, "ffmpeg", State::Good, path.display().to_string()),
        None => report.add_with_fix(
            AREA,
            "ffmpeg",
            State::Note,
            "not found: videos are filed and tagged, but not drawn",
            "install the package ffmpeg",
        ),
    }
}

fn find_program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sidecars_are_counted_below_visible_folders() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.json", "a.png", "ab/cd/b.json", ".hidden/c.json"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap();
        }
        assert_eq!(count_sidecars(folder.path()), 2);
    }
}
