//! A scenario made ready: its home before the command, kept to be put back as
//! often as needed, and the home after the command.

use std::{
    env, fs,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

use super::{scenario::Scenario, snapshot::Snapshot, trace};
use crate::support::{Home, Run, program};

/// Whether the whole matrix is wanted and not a sample of it.
pub fn is_long() -> bool {
    env::var_os("TAGLOUPE_LONG_TESTS").is_some()
}

/// One line of figures for whoever reads the log, and for the report.
pub fn report(line: &str) {
    println!("{line}");
    if let Some(path) = env::var_os("TAGLOUPE_FAULTS_REPORT") {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// A point in the past, so that the door does not wait for a file to come to rest.
pub fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 50)
}

/// Where homes are made: in memory where there is such a folder, because a sync of
/// a disk costs milliseconds and says nothing to a test that never cuts the power.
pub fn scratch() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if tempfile::tempfile_in(&memory).is_ok() {
        memory
    } else {
        env::temp_dir()
    }
}

pub struct Scene {
    pub scenario: &'static Scenario,
    pub home: Home,
    template: TempDir,
    pub before: Snapshot,
    pub after: Snapshot,
    /// The calls of the command.
    pub calls: Vec<trace::Call>,
}

impl Scene {
    /// Sets the scenario up and runs its command once, undisturbed.
    pub fn new(scenario: &'static Scenario) -> Self {
        let home = Home::new_in(&scratch());
        (scenario.setup)(&home);
        let template = tempfile::Builder::new()
            .prefix("tagloupe-template.")
            .tempdir_in(scratch())
            .unwrap();
        let kept = template.path().join("home");
        fs::create_dir(&kept).unwrap();
        copy(home.path(), &kept);
        let mut scene = Self {
            scenario,
            home,
            template,
            before: Snapshot::default(),
            after: Snapshot::default(),
            calls: Vec::new(),
        };
        scene.before = scene.snapshot();
        // Lengths of texts do not matter here, and the log stays small.
        let (ended, calls) = trace::record(&scene.command(), &scene.log(), &["-s", "32"]);
        assert_eq!(ended.code, Some(0), "{}: {}", scenario.name, ended.stderr);
        scene.calls = calls;
        scene.after = scene.snapshot();
        assert_ne!(
            (scenario.changes_files, &scene.before),
            (true, &scene.after),
            "{} changes nothing",
            scenario.name
        );
        scene
    }

    /// Puts the home back to what it was before the command.
    pub fn reset(&self) {
        for entry in fs::read_dir(self.home.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        copy(&self.template.path().join("home"), self.home.path());
    }

    /// The scenario's command, not started.
    pub fn command(&self) -> Command {
        self.of(self.scenario.command)
    }

    fn of(&self, arguments: &[&str]) -> Command {
        let library = self.home.library();
        let mut all: Vec<String> = Vec::new();
        if arguments.first() != Some(&"init") {
            all.extend(["--library".to_owned(), library.to_str().unwrap().to_owned()]);
        }
        let path = library.to_str().unwrap();
        all.extend(
            arguments
                .iter()
                .map(|argument| argument.replace("{library}", path)),
        );
        self.home.command(&all)
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        let output = self.of(arguments).output().unwrap();
        Run {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Where strace writes to: outside the home, which is compared.
    pub fn log(&self) -> PathBuf {
        self.template.path().join("strace.log")
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(self.home.path())
    }

    /// The home as it was before the command.
    pub fn template(&self) -> PathBuf {
        self.template.path().join("home")
    }

    /// What is wrong in the home after a command came to an untimely end, and after
    /// it was run again; nothing is what should be found.
    pub fn problems(&self) -> Vec<String> {
        self.problems_of(&self.before, self.scenario.leftovers, &[])
    }

    /// The same after the power was cut. The index may have lost what it was told
    /// last, which a look at the files brings back.
    pub fn problems_after_power_cut(&self, was_acknowledged: bool) -> Vec<String> {
        let before = if was_acknowledged {
            &self.after
        } else {
            &self.before
        };
        self.problems_of(before, usize::MAX, &["rebuild"])
    }

    fn problems_of(&self, before: &Snapshot, leftovers: usize, refresh: &[&str]) -> Vec<String> {
        let mut problems = Vec::new();
        let now = self.snapshot();
        if !self.is_library() {
            // An interrupted `init` left no library yet.
            if before == &self.after {
                problems.push("there is no library".to_owned());
            }
            self.run_again(&mut problems);
            return problems;
        }
        self.settle(&mut problems);
        let recovered = self.snapshot();
        // What is in between is for the recovery to complete.
        for (what, snapshot, before, together) in [
            ("left behind", &now, &self.before, false),
            ("recovered", &recovered, before, has_recover()),
        ] {
            let wrong = super::snapshot::differences(snapshot, before, &self.after, together);
            problems.extend(wrong.into_iter().map(|wrong| format!("{what}: {wrong}")));
        }
        if recovered.leftovers.len() > leftovers {
            problems.push(format!("too much left over: {:?}", recovered.leftovers));
        }
        self.sweep(&mut problems, &recovered);
        if !refresh.is_empty() {
            self.expect(&mut problems, refresh, &[0]);
        }
        self.expect(&mut problems, &["verify"], &[0]);
        self.run_again(&mut problems);
        problems
    }

    /// What the program does about an interruption when it is started again.
    fn settle(&self, problems: &mut Vec<String>) {
        let command = if has_recover() { "recover" } else { "rebuild" };
        self.expect(problems, &[command], &[0]);
    }

    /// Whether temporary files that were left go with the next refresh, once they
    /// are old enough to be nobody's work.
    fn sweep(&self, problems: &mut Vec<String>, now: &Snapshot) {
        if now.leftovers.is_empty() {
            return;
        }
        for path in &now.leftovers {
            File::options()
                .append(true)
                .open(path)
                .and_then(|file| file.set_modified(long_ago()))
                .unwrap();
        }
        self.expect(problems, &["rebuild"], &[0]);
        let rest = self.snapshot().leftovers;
        if !rest.is_empty() {
            problems.push(format!("never swept: {rest:?}"));
        }
    }

    /// Runs the command once more: the outcome has to be that of an undisturbed run.
    pub fn run_again(&self, problems: &mut Vec<String>) {
        self.expect(problems, self.scenario.command, self.scenario.again);
        let now = self.snapshot();
        let wrong = super::snapshot::differences(&now, &self.after, &self.after, true);
        problems.extend(wrong.into_iter().map(|wrong| format!("run again: {wrong}")));
        self.expect(problems, &["verify"], &[0]);
        let index = self.everything();
        for name in ["library.db", "library.db-wal", "library.db-shm"] {
            // Only the first of them is always there.
            let _ = fs::remove_file(self.home.library().join(name));
        }
        let rebuilt = self.everything();
        if index != rebuilt {
            problems.push(format!("the index said {index}, the files say {rebuilt}"));
        }
    }

    /// All media as the index has them.
    fn everything(&self) -> String {
        self.run(&["search", "--json"]).text()
    }

    fn is_library(&self) -> bool {
        self.home.library().join("library.json").exists()
            || self.home.library().join(".tagloupe/library.json").exists()
    }

    fn expect(&self, problems: &mut Vec<String>, arguments: &[&str], codes: &[i32]) {
        let run = self.run(arguments);
        if !run.code.is_some_and(|code| codes.contains(&code)) {
            let said: String = format!("{} {}", run.text(), run.stderr)
                .chars()
                .take(1_000)
                .collect();
            problems.push(format!("{arguments:?} ended with {:?}: {said}", run.code));
        }
    }
}

/// Whether this version knows how to recover.
pub fn has_recover() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let help = Command::new(program()).arg("--help").output().unwrap();
        String::from_utf8_lossy(&help.stdout).contains("recover")
    })
}

/// Copies all that is in a folder, times and all.
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg("-a")
        .arg(from.join("."))
        .arg(to)
        .status()
        .unwrap();
    assert!(
        status.success(),
        "cp -a {} {}",
        from.display(),
        to.display()
    );
}
