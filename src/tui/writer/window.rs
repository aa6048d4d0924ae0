//! How much may be on its way: 1.25 times what the link carries in one round trip,
//! so that it never runs dry and a key never waits behind a megabyte. Both are
//! measured from the terminal's own answers to `CSI 5n`, asked behind each piece.
//! A terminal that does not answer is sent pictures at a fixed rate.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The question that every terminal answers with `CSI 0n`.
pub const STATUS: &[u8] = b"\x1b[5n";
/// The same, handed on by tmux, which would answer it itself.
pub const STATUS_THROUGH_TMUX: &[u8] = b"\x1bPtmux;\x1b\x1b[5n\x1b\\";

/// The same for one tmux inside another.
pub const STATUS_THROUGH_TWO_TMUX: &[u8] =
    b"\x1bPtmux;\x1b\x1bPtmux;\x1b\x1b\x1b\x1b[5n\x1b\x1b\\\x1b\\";

pub const MIN_WINDOW: usize = 16 << 10;
const MAX_WINDOW: usize = 256 << 10;
/// Before anything is measured.
const FIRST_WINDOW: usize = 32 << 10;
/// Samples older than this say nothing about the link of now.
const RATE_MEMORY: Duration = Duration::from_secs(3);
/// Long: while pictures stream, every answer waits a little behind our own bytes, and
/// a window that believed that would grow for ever.
const TRIP_MEMORY: Duration = Duration::from_mins(1);
/// An answer that takes longer than this, and than eight round trips, is lost.
const LOST: Duration = Duration::from_secs(2);
/// Text this short need not be asked about more often than this.
const SHORT_TEXT: usize = 1 << 10;
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// A bucket without answers holds what goes in this time.
const BUCKET: Duration = Duration::from_millis(60);

/// How pictures are kept from flooding the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the terminal reads.
    Unlimited,
    /// Within a window, measured by the answers to this question.
    Acknowledged(&'static [u8]),
    /// So many bytes a second.
    Fixed(u32),
}

/// What is known of the link.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Link {
    /// Bytes a second.
    pub rate: Option<u64>,
    pub round_trip: Option<Duration>,
    /// Pictures are being sent or wait.
    pub is_busy: bool,
}

impl Link {
    /// `⇣ 1.2 MB/s, 40 ms`, as wide for every rate and time.
    pub fn mark(&self, arrow: &str) -> Option<String> {
        let rate = self.rate? / 1000;
        let trip = self.round_trip?.as_millis();
        Some(if rate < 1000 {
            format!("{arrow} {rate:>3} KB/s, {trip:>3} ms")
        } else {
            let (mega, tenth) = (rate / 1000, rate / 100 % 10);
            format!("{arrow} {mega}.{tenth} MB/s, {trip:>3} ms")
        })
    }
}

/// The window of one link.
#[derive(Debug)]
pub struct Window {
    pace: Pace,
    sent: u64,
    sent_text: u64,
    answered: u64,
    answered_text: u64,
    /// When the last answer came, or the first question went after a silence.
    answered_at: Instant,
    asked: VecDeque<Question>,
    rates: VecDeque<(Instant, f64)>,
    trips: VecDeque<(Instant, Duration)>,
    /// Of the bucket; it may be in debt.
    tokens: f64,
    filled_at: Instant,
    losses: u32,
}

/// A question on its way.
#[derive(Clone, Copy, Debug)]
struct Question {
    at: Instant,
    /// All that was sent before it.
    sent: u64,
    sent_text: u64,
    /// What had been answered when it went, and when.
    answered: u64,
    answered_at: Instant,
}

impl Window {
    pub fn new(pace: Pace, now: Instant) -> Self {
        Self {
            pace,
            sent: 0,
            sent_text: 0,
            answered: 0,
            answered_text: 0,
            answered_at: now,
            asked: VecDeque::new(),
            rates: VecDeque::new(),
            trips: VecDeque::new(),
            tokens: 0.0,
            filled_at: now,
            losses: 0,
        }
    }

    /// Whether a piece of a picture may go.
    pub fn has_room(&mut self, now: Instant) -> bool {
        match self.pace {
            Pace::Unlimited => true,
            Pace::Acknowledged(_) => {
                self.give_up_lost(now);
                // With no question out, nothing is known to be on its way.
                self.asked.is_empty() || self.sent - self.answered < self.size() as u64
            }
            Pace::Fixed(_) => {
                self.fill(now);
                self.tokens >= 0.0
            }
        }
    }

    /// Whether a frame of text may go; pictures do not count.
    pub fn has_room_for_text(&mut self, now: Instant) -> bool {
        match self.pace {
            Pace::Unlimited => true,
            Pace::Acknowledged(_) => {
                self.give_up_lost(now);
                let limit = self.size().max(FIRST_WINDOW) as u64;
                self.asked.is_empty() || self.sent_text - self.answered_text < limit
            }
            Pace::Fixed(rate) => {
                self.fill(now);
                // In debt for what a fifth of a second carries at most.
                self.tokens > -f64::from(rate) / 5.0
            }
        }
    }

    /// How long until there may be room without an answer.
    pub fn next_chance(&self, now: Instant) -> Option<Duration> {
        match self.pace {
            Pace::Unlimited => None,
            Pace::Acknowledged(_) => {
                let oldest = self.asked.front()?;
                let due = oldest.at + self.patience();
                Some(due.saturating_duration_since(now) + Duration::from_millis(1))
            }
            Pace::Fixed(_) => Some(Duration::from_millis(4)),
        }
    }

    /// Notes what is being sent, and gives the question that belongs behind it.
    pub fn sending(&mut self, bytes: usize, is_text: bool, now: Instant) -> &'static [u8] {
        self.sent += bytes as u64;
        if is_text {
            self.sent_text += bytes as u64;
        }
        match self.pace {
            Pace::Unlimited => b"",
            Pace::Fixed(_) => {
                self.fill(now);
                #[expect(clippy::cast_precision_loss, reason = "a few megabytes at most")]
                let bytes = bytes as f64;
                self.tokens -= bytes;
                b""
            }
            Pace::Acknowledged(question) => {
                let is_idle = self.asked.is_empty();
                let since = now.saturating_duration_since(self.answered_at);
                if is_text && bytes < SHORT_TEXT && (!is_idle || since < ASK_AGAIN) {
                    return b"";
                }
                if is_idle {
                    // What was sent before without a question has long arrived.
                    self.answered = self.sent - bytes as u64;
                    self.answered_at = now;
                }
                self.asked.push_back(Question {
                    at: now,
                    sent: self.sent,
                    sent_text: self.sent_text,
                    answered: self.answered,
                    answered_at: self.answered_at,
                });
                question
            }
        }
    }

    /// An answer came.
    pub fn acknowledge(&mut self, now: Instant) {
        let Some(question) = self.asked.pop_front() else {
            return;
        };
        self.losses = 0;
        self.answered = self.answered.max(question.sent);
        self.answered_text = self.answered_text.max(question.sent_text);
        self.answered_at = now;
        let trip = now.saturating_duration_since(question.at);
        remember(&mut self.trips, (now, trip), TRIP_MEMORY, |a, b| a < b);
        let took = now.saturating_duration_since(question.answered_at);
        #[expect(clippy::cast_precision_loss, reason = "a few megabytes at most")]
        let bytes = (question.sent - question.answered) as f64;
        if bytes >= 2048.0 && !took.is_zero() {
            let rate = bytes / took.as_secs_f64();
            remember(&mut self.rates, (now, rate), RATE_MEMORY, |a, b| a > b);
        }
    }

    /// Forgets what is on its way: the terminal was away.
    pub fn forget(&mut self, now: Instant) {
        self.asked.clear();
        (self.answered, self.answered_text) = (self.sent, self.sent_text);
        self.answered_at = now;
    }

    pub fn link(&self, is_busy: bool) -> Link {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is positive and below the speed of memory"
        )]
        let rate = self.rate().map(|rate| rate as u64);
        Link {
            rate,
            round_trip: self.round_trip(),
            is_busy,
        }
    }

    /// Bytes that may be on their way.
    fn size(&self) -> usize {
        let (Some(rate), Some(trip)) = (self.rate(), self.round_trip()) else {
            return FIRST_WINDOW;
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped right after"
        )]
        let size = (1.25 * rate * trip.as_secs_f64()) as usize;
        size.clamp(MIN_WINDOW, MAX_WINDOW)
    }

    /// The best of late: a sample is low when there was nothing to send.
    fn rate(&self) -> Option<f64> {
        self.rates.front().map(|(_, rate)| *rate)
    }

    /// The shortest of late: the others waited behind our own bytes.
    fn round_trip(&self) -> Option<Duration> {
        self.trips.front().map(|(_, trip)| *trip)
    }

    fn patience(&self) -> Duration {
        LOST.max(self.round_trip().unwrap_or_default() * 8)
    }

    /// A terminal may lose a question, as one that is replaced by another does.
    fn give_up_lost(&mut self, now: Instant) {
        let patience = self.patience();
        let is_lost = self
            .asked
            .front()
            .is_some_and(|oldest| now.saturating_duration_since(oldest.at) > patience);
        if is_lost {
            self.forget(now);
            self.losses += 1;
            if self.losses >= 3 {
                // It will not answer any more.
                self.pace = Pace::Fixed(DEFAULT_RATE);
            }
        }
    }

    fn fill(&mut self, now: Instant) {
        let Pace::Fixed(rate) = self.pace else { return };
        let rate = f64::from(rate);
        let since = now.saturating_duration_since(self.filled_at);
        self.tokens = (self.tokens + rate * since.as_secs_f64()).min(rate * BUCKET.as_secs_f64());
        self.filled_at = now;
    }
}

/// Bytes a second where nothing can be measured.
pub const DEFAULT_RATE: u32 = 500_000;

/// Keeps a sample, and of the earlier ones those that are young and still better
/// than all that came after: the best one stands in front.
fn remember<T>(
    samples: &mut VecDeque<(Instant, T)>,
    sample: (Instant, T),
    memory: Duration,
    is_better: impl Fn(&T, &T) -> bool,
) {
    let now = sample.0;
    while samples
        .back()
        .is_some_and(|(_, last)| !is_better(last, &sample.1))
    {
        samples.pop_back();
    }
    samples.push_back(sample);
    while samples.len() > 1
        && samples
            .front()
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) > memory)
    {
        samples.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends pieces over a link of that rate and delay for five seconds of model
    /// time; gives the window at the end, how long the last bytes waited in the
    /// link's queue, and the share of the rate that was used.
    fn simulate(rate: f64, trip: Duration) -> (usize, Duration, f64) {
        let start = Instant::now();
        let mut window = Window::new(Pace::Acknowledged(STATUS), start);
        let mut answers: VecDeque<Instant> = VecDeque::new();
        let mut link_free = start;
        let mut waited = Duration::ZERO;
        let mut bytes = 0.0;
        let step = Duration::from_micros(250);
        let mut now = start;
        while now < start + Duration::from_secs(5) {
            while answers.front().is_some_and(|at| *at <= now) {
                answers.pop_front();
                window.acknowledge(now);
            }
            while window.has_room(now) {
                waited = link_free.saturating_duration_since(now);
                link_free = link_free.max(now) + Duration::from_secs_f64(4096.0 / rate);
                bytes += 4096.0;
                if !window.sending(4096, false, now).is_empty() {
                    answers.push_back(link_free + trip);
                }
            }
            now += step;
        }
        (window.size(), waited, bytes / (rate * 5.0))
    }

    #[test]
    fn the_window_follows_the_link_and_keeps_its_queue_short() {
        let [least, most] = [MIN_WINDOW, MAX_WINDOW].map(|size| u32::try_from(size).unwrap());
        for (mbit, trip_ms) in [(2.0, 100), (10.0, 40), (100.0, 10), (50.0, 150)] {
            let rate = mbit * 125_000.0;
            let trip = Duration::from_millis(trip_ms);
            let (size, waited, used) = simulate(rate, trip);
            let size = f64::from(u32::try_from(size).unwrap());
            let product = rate * trip.as_secs_f64();
            let ideal = (1.25 * product).clamp(least.into(), most.into());
            assert!(size < 1.5 * ideal, "{mbit} {trip_ms}: {size}");
            // Nothing waits longer in front of a key than the window is deep.
            let depth = Duration::from_secs_f64((0.6 * ideal + 4096.0) / rate);
            assert!(waited <= depth, "{mbit} {trip_ms}: {waited:?}");
            let possible = (f64::from(most) / product).min(1.0);
            assert!(used > 0.8 * possible, "{mbit} {trip_ms}: {used}");
        }
    }

    #[test]
    fn a_terminal_that_stops_answering_does_not_stop_the_pictures() {
        let mut now = Instant::now();
        let mut window = Window::new(Pace::Acknowledged(STATUS), now);
        for _ in 0..3 {
            while window.has_room(now) {
                window.sending(4096, false, now);
            }
            now += window.next_chance(now).unwrap() + Duration::from_millis(1);
            assert!(window.has_room(now));
        }
        assert_eq!(window.pace, Pace::Fixed(DEFAULT_RATE));
    }

    #[test]
    fn without_answers_the_rate_is_kept() {
        let start = Instant::now();
        let mut window = Window::new(Pace::Fixed(100_000), start);
        let mut bytes = 0;
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            while window.has_room(now) {
                bytes += 4096;
                window.sending(4096, false, now);
            }
        }
        assert!((95_000..115_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn the_mark_keeps_its_width() {
        let mark = |rate, ms| {
            let link = Link {
                rate: Some(rate),
                round_trip: Some(Duration::from_millis(ms)),
                is_busy: true,
            };
            link.mark("⇣").unwrap()
        };
        assert_eq!(mark(1_234_567, 40), "⇣ 1.2 MB/s,  40 ms");
        assert_eq!(mark(87_000, 140), "⇣  87 KB/s, 140 ms");
        assert_eq!(Link::default().mark("⇣"), None);
    }

    #[test]
    fn short_texts_are_not_asked_about_all_the_time() {
        let start = Instant::now();
        let mut window = Window::new(Pace::Acknowledged(STATUS), start);
        let asks = |window: &mut Window, ms| {
            let now = start + Duration::from_millis(ms);
            !window.sending(100, true, now).is_empty()
        };
        assert!(!asks(&mut window, 10));
        assert!(asks(&mut window, 600));
        window.acknowledge(start + Duration::from_millis(640));
        assert!(!asks(&mut window, 700));
        // However many there are, they do not keep pictures waiting.
        for _ in 0..1000 {
            assert!(!asks(&mut window, 701));
        }
        assert!(window.has_room(start + Duration::from_millis(702)));
        assert!(window.link(false).round_trip.is_some());
    }
}
