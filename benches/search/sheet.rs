//! What was measured, as lines of a table.

use std::time::{Duration, Instant};

/// Times of one kind of question.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Runs something once for each item and notes how long it took: the best of
    /// some runs, for the machine does something else, too.
    pub fn of<T, R>(items: &[T], mut run: impl FnMut(&T) -> R) -> Self {
        const RUNS: usize = 7;
        let mut times = Self::default();
        for item in items {
            let best = (0..RUNS).map(|_| {
                let start = Instant::now();
                std::hint::black_box(run(item));
                start.elapsed()
            });
            times.0.push(best.min().unwrap_or_default());
        }
        times.0.sort_unstable();
        times
    }

    /// As [`Times::of`], for what is slow: once.
    pub fn once<T, R>(items: &[T], mut run: impl FnMut(&T) -> R) -> Self {
        let mut times = Self::default();
        for item in items {
            let start = Instant::now();
            std::hint::black_box(run(item));
            times.0.push(start.elapsed());
        }
        times.0.sort_unstable();
        times
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
        self.0.sort_unstable();
    }

    pub fn part(&self, hundredth: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let place = (self.0.len() * hundredth / 100).min(last);
        self.0.get(place).copied().unwrap_or_default()
    }

    pub fn median(&self) -> Duration {
        self.part(50)
    }

    pub fn print(&self, what: &str, goal: &str) {
        println!(
            "{what:<58} {:>10} {:>10} {:>10}   {goal}",
            show(self.median()),
            show(self.part(99)),
            show(self.part(100)),
        );
    }
}

pub fn head(title: &str) {
    println!(
        "\n{title:<58} {:>10} {:>10} {:>10}   goal",
        "median", "p99", "worst"
    );
}

pub fn show(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 1_000.0 {
        format!("{micros:.1} µs")
    } else if micros < 1e6 {
        format!("{:.2} ms", micros / 1e3)
    } else {
        format!("{:.2} s", micros / 1e6)
    }
}

/// How many times longer the second took.
pub fn ratio(ours: Duration, theirs: Duration) -> String {
    format!("{:.0}", theirs.as_secs_f64() / ours.as_secs_f64().max(1e-9))
}

/// The resident memory of this process at rest, in MB: waits until the allocator has
/// given back what is free.
pub fn resident() -> u64 {
    const STEP: Duration = Duration::from_secs(1);
    let mut least = (resident_now(), 0);
    for _ in 0..40 {
        std::thread::sleep(STEP);
        let now = resident_now();
        least = if now < least.0 {
            (now, 0)
        } else {
            (least.0, least.1 + 1)
        };
        // It gives back over ten seconds, in steps.
        if least.1 == 5 {
            break;
        }
    }
    least.0
}

fn resident_now() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}
