//! A client's rhythm: when its next call is to be expected.
//!
//! A loop calls at a steady pace, in bursts perhaps: its tick is told from what follows within the tick by the pause before
//! it. The next one is expected where the last few say that it will be, or where the caller has said so itself; how far
//! the last ones were off decides whether it is worth being awake for it.

/// Pauses shorter than this are no ticks': whoever calls that fast is polled for as it is.
const SHORTEST_NS: u64 = 100_000;
/// Pauses longer than this are forgotten at once: nobody can tell a rhythm of them.
const LONGEST_NS: u64 = 4_000_000_000;
/// Periods of which the mean is the period.
const PERIODS: usize = 8;
/// Ticks from which the next one is foretold.
const TICKS: usize = 5;
/// How far off this many foretold ticks were decides about the next one.
const ERRORS: usize = 16;
/// Foretold ticks after which their errors are believed.
const FEWEST_ERRORS: usize = 6;
/// Waits in vain in a row after which a rhythm rests.
const PATIENCE: u32 = 3;
/// Ticks that it rests for the first time; twice as many each time after.
const FIRST_REST: u32 = 8;
/// Times that the rest doubles, at most.
const LONGEST_REST: u32 = 4;
/// Answered waits that make up for one rest.
const STEADY: u32 = 16;
/// How much later than said a caller's tick may be, before any has come.
const ANNOUNCED_LATE_NS: i64 = 60_000;
/// The most that is waited for one, once some have come.
const MOST_ANNOUNCED_LATE_NS: i64 = 500_000;
/// What a window is wider than what has been seen, to either side.
const MARGIN_NS: i64 = 10_000;

/// When a call is expected, on `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Not before this.
    pub(crate) from_ns: u64,
    /// Not after this.
    pub(crate) until_ns: u64,
    /// Whether the call was rehearsed.
    pub(crate) rehearsed: bool,
}

/// What the next tick is expected to be.
#[derive(Debug, Clone, Copy, Default)]
struct Expected {
    at_ns: u64,
    /// Whether the caller said so itself.
    announced: bool,
    /// Whether somebody is, or was, awake for it.
    awaited: bool,
    /// Whether it was rehearsed.
    rehearsed: bool,
}

/// The last few numbers of a row.
#[derive(Debug, Clone, Copy)]
struct Last<T, const N: usize> {
    values: [T; N],
    /// How many there ever were.
    count: usize,
}

impl<T: Copy + Default + Ord, const N: usize> Last<T, N> {
    fn new() -> Self {
        Self { values: [T::default(); N], count: 0 }
    }

    fn push(&mut self, value: T) {
        self.values[self.count % N] = value;
        self.count += 1;
    }

    fn len(&self) -> usize {
        self.count.min(N)
    }

    /// Them, the smallest first.
    fn sorted(&self) -> ([T; N], usize) {
        let (mut sorted, len) = (self.values, self.len());
        sorted[..len].sort_unstable();
        (sorted, len)
    }

    /// The one that was pushed so many ago; the last one is 0.
    fn ago(&self, steps: usize) -> T {
        self.values[(self.count + N - 1 - steps) % N]
    }
}

/// What became of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The call came.
    Hit,
    /// It came only later, or did not.
    Miss,
}

/// One client's rhythm.
#[derive(Debug)]
pub(crate) struct Rhythm {
    /// When it last sent a call.
    last_ns: u64,
    /// Its last pauses.
    pauses: Last<u32, 16>,
    /// Its last ticks.
    ticks: Last<u64, { PERIODS + 1 }>,
    expected: Option<Expected>,
    /// The tick before that, which has not come in its window: it may be late.
    lapsed_ns: Option<u64>,
    /// Ticks in a row that have not come, whether or not somebody was awake for them.
    lapses: u32,
    /// By how much foretold ticks came later than that; sooner is less than 0.
    errors: Last<i32, ERRORS>,
    /// Whether the errors are of ticks that it announced.
    of_announced: bool,
    /// Waits in vain in a row.
    missed: u32,
    /// Answered waits in a row.
    hit: u32,
    /// Ticks to let pass.
    rests: u32,
    /// How often it had to rest since it was last steady.
    rested: u32,
}

impl Rhythm {
    pub(crate) fn new() -> Self {
        Self {
            last_ns: 0,
            pauses: Last::new(),
            ticks: Last::new(),
            expected: None,
            lapsed_ns: None,
            lapses: 0,
            errors: Last::new(),
            of_announced: false,
            missed: 0,
            hit: 0,
            rests: 0,
            rested: 0,
        }
    }

    /// A call was sent, and its caller means to make the next one so much later; 0 does not say. What became of the
    /// wait for it, if somebody was awake for this tick.
    pub(crate) fn arrived(&mut self, sent_ns: u64, next_ns: u64) -> Option<Waited> {
        let pause_ns = sent_ns.saturating_sub(self.last_ns);
        self.last_ns = self.last_ns.max(sent_ns);
        let announced = next_ns > 0;
        if announced != self.of_announced {
            *self = Self { last_ns: self.last_ns, of_announced: announced, ..Self::new() };
        }
        let ticks = if announced {
            // Whoever says a later time has come to the one that was said before.
            let next_ns = sent_ns.saturating_add(next_ns);
            self.expected.is_none_or(|expected| next_ns > expected.at_ns.saturating_add(SHORTEST_NS))
        } else {
            self.ticks_after(pause_ns)
        };
        let waited = if ticks { self.tick(sent_ns) } else { None };
        if announced && (SHORTEST_NS..=LONGEST_NS).contains(&next_ns) {
            self.announce(sent_ns.saturating_add(next_ns));
        }
        waited
    }

    /// Whether a call after this pause is a tick's first.
    fn ticks_after(&mut self, pause_ns: u64) -> bool {
        if pause_ns < SHORTEST_NS {
            return false;
        }
        if pause_ns > LONGEST_NS {
            *self = Self { last_ns: self.last_ns, rests: self.rests, rested: self.rested, ..Self::new() };
            return true;
        }
        self.pauses.push(pause_ns as u32);
        // The longest may be a stumble's.
        let (sorted, len) = self.pauses.sorted();
        u64::from(sorted[len.saturating_sub(2)]) <= 2 * pause_ns
    }

    /// A tick has come.
    fn tick(&mut self, at_ns: u64) -> Option<Waited> {
        let mut waited = None;
        self.lapses = 0;
        let (expected, lapsed_ns) = (self.expected.take(), self.lapsed_ns.take());
        let nearer = |lapsed: u64, next: u64| at_ns.abs_diff(lapsed) < at_ns.abs_diff(next);
        match (expected, lapsed_ns) {
            (Some(expected), lapsed_ns) if lapsed_ns.is_none_or(|lapsed| !nearer(lapsed, expected.at_ns)) => {
                self.erred(at_ns, expected.at_ns);
                if expected.awaited {
                    self.missed = 0;
                    self.hit += 1;
                    if self.hit >= STEADY {
                        self.hit = 0;
                        self.rested = self.rested.saturating_sub(1);
                    }
                    waited = Some(Waited::Hit);
                }
            }
            (_, Some(lapsed_ns)) => self.erred(at_ns, lapsed_ns),
            _ => {}
        }
        self.rests = self.rests.saturating_sub(1);
        self.ticks.push(at_ns);
        if !self.of_announced {
            self.foretell();
        }
        waited
    }

    /// A tick that was foretold for one time has come at another.
    fn erred(&mut self, at_ns: u64, foretold_ns: u64) {
        let late = at_ns.cast_signed().saturating_sub(foretold_ns.cast_signed());
        self.errors.push(late.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32);
    }

    /// Foretells the next tick from the last ones.
    fn foretell(&mut self) {
        let Some(period_ns) = self.period_ns() else { return };
        let mut next = [0; TICKS];
        for (steps, next) in next.iter_mut().enumerate() {
            *next = self.ticks.ago(steps).saturating_add((steps as u64 + 1).saturating_mul(period_ns));
        }
        next.sort_unstable();
        let at_ns = next[TICKS / 2];
        self.expected = Some(Expected { at_ns, announced: false, awaited: false, rehearsed: false });
    }

    /// The time between two ticks, once it can be told.
    pub(crate) fn period_ns(&self) -> Option<u64> {
        if self.ticks.len() <= PERIODS {
            return None;
        }
        let mut periods = [0; PERIODS];
        for (steps, period) in periods.iter_mut().enumerate() {
            *period = self.ticks.ago(steps).saturating_sub(self.ticks.ago(steps + 1));
        }
        periods.sort_unstable();
        // Without stumbles, and ticks that were left out.
        let median = periods[PERIODS / 2];
        let like = periods.iter().filter(|period| period.abs_diff(median) <= median / 4);
        let (sum, count) =
            like.fold((0_u64, 0), |(sum, count), period| (sum.saturating_add(*period), count + 1));
        Some(sum / count)
    }

    /// Whether there is one.
    pub(crate) fn is_known(&self) -> bool {
        self.of_announced || self.ticks.len() > PERIODS
    }

    /// When the next call is expected, if that is known well enough for somebody to be awake then.
    pub(crate) fn window(&self) -> Option<Window> {
        let expected = self.expected.filter(|_| self.rests == 0)?;
        let (errors, len) = self.errors.sorted();
        // One of eight to either side is a stumble.
        let stumbles = len / 8;
        let (early, late) = match expected.announced {
            true if len < FEWEST_ERRORS => (0, ANNOUNCED_LATE_NS),
            // It comes after the time that it said itself, never before.
            true => {
                let late = i64::from(errors[len - 1 - stumbles]) + MARGIN_NS;
                (0, late.clamp(MARGIN_NS, MOST_ANNOUNCED_LATE_NS))
            }
            false if len < FEWEST_ERRORS => return None,
            false => {
                (i64::from(errors[stumbles]) - MARGIN_NS, i64::from(errors[len - 1 - stumbles]) + MARGIN_NS)
            }
        };
        let from_ns = expected.at_ns.saturating_add_signed(early);
        let until_ns = expected.at_ns.saturating_add_signed(late.max(early));
        Some(Window { from_ns, until_ns, rehearsed: expected.rehearsed })
    }

    /// Its caller says when it calls next.
    fn announce(&mut self, at_ns: u64) {
        let Expected { awaited, rehearsed, .. } = self.expected.unwrap_or_default();
        self.expected = Some(Expected { at_ns, announced: true, awaited, rehearsed });
    }

    /// The call that is expected was rehearsed.
    pub(crate) fn rehearsed(&mut self) {
        if let Some(expected) = &mut self.expected {
            expected.rehearsed = true;
        }
    }

    /// Somebody is awake for the call that is expected.
    pub(crate) fn awaits(&mut self) {
        if let Some(expected) = &mut self.expected {
            expected.awaited = true;
        }
    }

    /// The window is over, and the call has not come. Whether somebody was awake for it.
    pub(crate) fn lapsed(&mut self) -> Option<Waited> {
        let expected = self.expected.take()?;
        self.lapsed_ns = Some(expected.at_ns);
        self.lapses += 1;
        if !expected.announced
            && let Some(period_ns) = self.period_ns()
            && self.lapses < PATIENCE
        {
            // A tick that was left out.
            let at_ns = expected.at_ns.saturating_add(period_ns);
            self.expected = Some(Expected { at_ns, ..Expected::default() });
        }
        if !expected.awaited {
            return None;
        }
        self.missed += 1;
        if self.missed >= PATIENCE {
            self.missed = 0;
            self.rests = FIRST_REST << self.rested.min(LONGEST_REST);
            self.rested += 1;
        }
        Some(Waited::Miss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Ticks at these times; the windows that were there before each.
    fn windows(rhythm: &mut Rhythm, ticks: impl IntoIterator<Item = u64>) -> Vec<Option<Window>> {
        ticks
            .into_iter()
            .map(|at_ns| {
                let window = rhythm.window();
                rhythm.arrived(at_ns, 0);
                window
            })
            .collect()
    }

    /// Numbers by chance, below `most`.
    fn by_chance(most: u64) -> impl FnMut() -> u64 {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % most
        }
    }

    #[test]
    fn a_steady_pace_is_foretold_within_its_jitter() {
        for period_ns in [MS, 10 * MS, 1_000 * MS] {
            let mut rhythm = Rhythm::new();
            let mut jitter = by_chance(40_000);
            let ticks: Vec<_> = (1..200).map(|tick| tick * period_ns + jitter()).collect();
            let found = windows(&mut rhythm, ticks.iter().copied());
            assert!(found[..PERIODS + FEWEST_ERRORS].iter().all(Option::is_none), "nothing is known yet");
            let hits = found.iter().zip(&ticks).filter(|(window, at)| {
                window.is_some_and(|window| {
                    assert!(window.until_ns - window.from_ns < 120_000);
                    (window.from_ns..=window.until_ns).contains(at)
                })
            });
            assert!(hits.count() > 130, "at {period_ns} ns");
            assert!(rhythm.period_ns().expect("a period").abs_diff(period_ns) < 40_000);
        }
    }

    #[test]
    fn a_loop_that_drifts_is_followed() {
        // It sleeps for 10 ms after its work, which takes 0 to 100 µs: each tick moves those after it.
        let (mut rhythm, mut work, mut at_ns) = (Rhythm::new(), by_chance(100_000), 0);
        let ticks: Vec<_> = std::iter::repeat_with(|| {
            at_ns += 10 * MS + work();
            at_ns
        })
        .take(300)
        .collect();
        let found = windows(&mut rhythm, ticks.iter().copied());
        let hits = found.iter().zip(&ticks).filter(|(window, at)| {
            window.is_some_and(|window| (window.from_ns..=window.until_ns).contains(at))
        });
        assert!(hits.count() > 200);
    }

    #[test]
    fn a_burst_in_each_tick_is_one_tick() {
        // Three calls a tick: at once, 0.3 ms later and another 0.3 ms later.
        let mut rhythm = Rhythm::new();
        for tick in 1..60 {
            for after_ns in [0, 300_000, 600_000] {
                rhythm.arrived(tick * 2 * MS + after_ns, 0);
            }
        }
        assert_eq!(rhythm.period_ns(), Some(2 * MS));
        let window = rhythm.window().expect("known");
        assert_eq!((window.from_ns, window.until_ns), (120 * MS - 10_000, 120 * MS + 10_000));
    }

    #[test]
    fn chance_and_polling_are_no_rhythm() {
        let (mut rhythm, mut pause, mut at_ns) = (Rhythm::new(), by_chance(20 * MS), 0);
        for _ in 0..500 {
            at_ns += pause();
            rhythm.arrived(at_ns, 0);
            if let Some(window) = rhythm.window() {
                assert!(window.until_ns - window.from_ns > MS, "nobody would be awake for so long");
            }
        }
        let mut rhythm = Rhythm::new();
        for call in 0..500 {
            rhythm.arrived(call * 20_000, 0);
        }
        assert_eq!(rhythm.window(), None);
    }

    #[test]
    fn a_rhythm_that_stops_is_waited_for_three_times() {
        let mut rhythm = Rhythm::new();
        windows(&mut rhythm, (1..50).map(|tick| tick * MS));
        for tick in 50..53 {
            let window = rhythm.window().expect("still expected");
            assert!((window.from_ns..=window.until_ns).contains(&(tick * MS)));
            rhythm.awaits();
            assert_eq!(rhythm.lapsed(), Some(Waited::Miss));
        }
        assert_eq!(rhythm.window(), None);
        assert_eq!(rhythm.lapsed(), None);
    }

    #[test]
    fn waits_in_vain_become_rare_and_answered_ones_are_trusted_again() {
        let mut rhythm = Rhythm::new();
        windows(&mut rhythm, (1..30).map(|tick| tick * MS));
        let (mut tick, mut rests) = (30, Vec::new());
        for _ in 0..4 {
            while rhythm.window().is_some() {
                rhythm.awaits();
                rhythm.lapsed();
            }
            let before = tick;
            while rhythm.window().is_none() {
                rhythm.arrived(tick * MS, 0);
                tick += 1;
            }
            rests.push(tick - before);
        }
        assert_eq!(rests, [8, 16, 32, 64]);
        for _ in 0..4 * STEADY {
            rhythm.awaits();
            assert_eq!(rhythm.arrived(tick * MS, 0), Some(Waited::Hit));
            tick += 1;
        }
        assert_eq!(rhythm.rested, 0);
    }

    #[test]
    fn a_caller_that_says_when_it_calls_next_is_believed_at_once() {
        let mut rhythm = Rhythm::new();
        rhythm.arrived(10 * MS, 5 * MS);
        let window = rhythm.window().expect("it said so");
        assert_eq!(window.from_ns, 15 * MS);
        // A second call of the same tick says the same, and is no tick.
        rhythm.awaits();
        assert_eq!(rhythm.arrived(11 * MS, 4 * MS), None);
        assert_eq!(rhythm.window(), Some(window));
        assert_eq!(rhythm.arrived(15 * MS + 4_000, 5 * MS), Some(Waited::Hit));
        // It does not come, and says nothing more.
        rhythm.awaits();
        assert_eq!(rhythm.lapsed(), Some(Waited::Miss));
        assert_eq!(rhythm.window(), None);
    }

    #[test]
    fn ticks_that_come_after_their_window_widen_it() {
        let mut rhythm = Rhythm::new();
        let (mut said_ns, mut hits) = (10 * MS, 0);
        for _ in 0..40 {
            // It calls 90 µs after the time that it says.
            hits += u32::from(rhythm.arrived(said_ns + 90_000, 10 * MS - 90_000) == Some(Waited::Hit));
            said_ns += 10 * MS;
            if let Some(window) = rhythm.window() {
                assert_eq!(window.from_ns, said_ns);
                rhythm.awaits();
                if window.until_ns < said_ns + 90_000 {
                    rhythm.lapsed();
                }
            }
        }
        assert!(hits > 25, "{hits}");
    }

    #[test]
    fn a_rhythm_that_nobody_looked_at_for_long_is_caught_up_with_at_once() {
        let mut rhythm = Rhythm::new();
        windows(&mut rhythm, (1..50).map(|tick| tick * MS));
        // Nobody was awake, as with a budget that is spent or a cell that holds the interpreter.
        let lapses =
            std::iter::from_fn(|| rhythm.window().map(|_| rhythm.lapsed())).take(1000).collect::<Vec<_>>();
        assert_eq!(lapses, [None; PATIENCE as usize]);
        windows(&mut rhythm, (60..80).map(|tick| tick * MS));
        assert!(rhythm.window().is_some(), "it goes on with its next ticks");
    }

    #[test]
    fn numbers_of_any_size_do_no_harm() {
        let mut rhythm = Rhythm::new();
        let numbers = [0, 1, SHORTEST_NS, u64::from(u32::MAX), u64::MAX / 2, u64::MAX - 1, u64::MAX];
        for _ in 0..50 {
            for sent_ns in numbers {
                for next_ns in numbers {
                    rhythm.arrived(sent_ns, next_ns);
                    rhythm.awaits();
                    if let Some(window) = rhythm.window() {
                        assert!(window.from_ns <= window.until_ns);
                    }
                    rhythm.lapsed();
                    rhythm.arrived(sent_ns, 0);
                    rhythm.window();
                }
            }
        }
    }
}
