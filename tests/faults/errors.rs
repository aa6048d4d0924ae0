//! The disk refuses: each call that changes a file fails once, with no space, with
//! an I/O error, without permission. A command that says it is done is done, one
//! that fails says where and why, nothing is damaged, and the next try works.

use std::time::Instant;

use super::{
    scenario::{self, Scenario, every_scenario},
    scene::{Scene, has_recover, is_long, report},
    snapshot::differences,
    trace::{self, Effect, Ended, Point},
};

/// An error with the calls that may give it, and how it is told.
struct Cause {
    name: &'static str,
    effects: &'static [Effect],
    words: &'static [&'static str],
}

const CAUSES: [Cause; 3] = [
    Cause {
        name: "ENOSPC",
        effects: &[
            Effect::Open,
            Effect::Write,
            Effect::Sync,
            Effect::Rename,
            Effect::Link,
            Effect::MakeFolder,
        ],
        words: &["No space left", "disk is full"],
    },
    Cause {
        name: "EIO",
        effects: &[
            Effect::Open,
            Effect::Write,
            Effect::Sync,
            Effect::Rename,
            Effect::Unlink,
            Effect::Truncate,
        ],
        words: &["nput/output error", "I/O error"],
    },
    Cause {
        name: "EACCES",
        effects: &[
            Effect::Open,
            Effect::Rename,
            Effect::Link,
            Effect::Unlink,
            Effect::MakeFolder,
        ],
        words: &["ermission denied", "unable to open"],
    },
];

#[track_caller]
fn fail_everywhere(scenario: &'static Scenario) {
    if !trace::can_trace() || (scenario.needs_recovery && !has_recover()) {
        return;
    }
    let started = Instant::now();
    let scene = Scene::new(scenario);
    let (mut points, mut refused, mut count, mut wrong) = (0, 0, 0, Vec::new());
    for cause in &CAUSES {
        let all = trace::error_points(&scene.calls, scene.home.path(), cause.effects);
        count += all.len();
        let limit = scenario.sample.div_ceil(3);
        let sample = if is_long() {
            all
        } else {
            trace::sample(all, limit)
        };
        for point in &sample {
            scene.reset();
            let fault = format!("error={}", cause.name);
            let ended = trace::inject(&scene.command(), &scene.log(), point, &fault);
            points += 1;
            refused += usize::from(ended.code != Some(0));
            let problems = problems(&scene, cause, point, &ended);
            if !problems.is_empty() {
                wrong.push(format!(
                    "{} at {}-th {} ({}), exit {:?}, said {:?}:\n  {}",
                    cause.name,
                    point.nth,
                    point.call,
                    point.what,
                    ended.code,
                    ended.stderr,
                    problems.join("\n  ")
                ));
            }
        }
    }
    report(&format!(
        "failing {}: {points} of {count} points, {refused} refused, {} bad, {:.1} s",
        scenario.name,
        wrong.len(),
        started.elapsed().as_secs_f64()
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused > 0, "no error was noticed");
}

fn problems(scene: &Scene, cause: &Cause, point: &Point, ended: &Ended) -> Vec<String> {
    let now = scene.snapshot();
    let mut problems = Vec::new();
    if ended.was_killed || ended.code.is_none() || ended.stderr.contains("panicked") {
        problems.push("it did not end by itself".to_owned());
    }
    if ended.code == Some(0) {
        let wrong = differences(&now, &scene.after, &scene.after, true);
        problems.extend(wrong.into_iter().map(|wrong| format!("claimed: {wrong}")));
    } else if !ended.is_gagged {
        let home = scene.home.path().to_str().unwrap();
        let names_path = ended.stderr.contains(home)
            || ended.stderr.contains("library/")
            // The n-th write may be another one than in the run that was recorded.
            || ended.stderr.contains("standard output");
        if !names_path {
            problems.push("it names no path".to_owned());
        }
        // SQLite has its own words, and says less.
        let names_cause = cause.words.iter().any(|word| ended.stderr.contains(word));
        if !names_cause && !point.is_derived {
            problems.push("it names no cause".to_owned());
        }
    }
    if now.leftovers.len() > scene.scenario.leftovers {
        problems.push(format!("too much left over: {:?}", now.leftovers));
    }
    problems.extend(scene.problems());
    problems
}

every_scenario! {
    fail_everywhere;
    tagging_fifty_pictures: TAG_FIFTY;
    making_the_index: REBUILD;
}
