//! The program is killed at every call that changes a file.

use std::time::Instant;

use super::{
    scenario::{self, Scenario, every_scenario},
    scene::{Scene, has_recover, is_long, report},
    trace,
};

#[track_caller]
fn kill_everywhere(scenario: &'static Scenario) {
    if !trace::can_trace() || (scenario.needs_recovery && !has_recover()) {
        return;
    }
    let started = Instant::now();
    let scene = Scene::new(scenario);
    let (all, hidden) = trace::kill_points(&scene.calls, scene.home.path());
    let (count, limit) = (all.len(), scenario.sample);
    let points = if is_long() {
        all
    } else {
        trace::sample(all, limit)
    };
    let (mut kills, mut wrong) = (0, Vec::new());
    for point in &points {
        scene.reset();
        let ended = trace::inject(&scene.command(), &scene.log(), point, "signal=SIGKILL");
        kills += usize::from(ended.was_killed);
        let problems = scene.problems();
        if !problems.is_empty() {
            wrong.push(format!(
                "before {}-th {} ({}):\n  {}",
                point.nth,
                point.call,
                point.what,
                problems.join("\n  ")
            ));
        }
    }
    report(&format!(
        "killed {}: {} of {count} points ({hidden} hidden), {kills} kills, {} bad, {:.1} s",
        scenario.name,
        points.len(),
        wrong.len(),
        started.elapsed().as_secs_f64()
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A thread may be faster or slower than in the run that was recorded.
    assert!(
        kills * 10 >= points.len() * 8,
        "{kills} of {}",
        points.len()
    );
}

every_scenario! {
    kill_everywhere;
    tagging_fifty_pictures: TAG_FIFTY;
    making_the_index: REBUILD;
}
