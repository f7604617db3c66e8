//! How long something takes here, as it lately did: a timed sleep to end, a call to be rehearsed.

/// Bounds of the estimate, and where it begins, in nanoseconds.
const BOUNDS_NS: std::ops::RangeInclusive<u64> = 3_000..=500_000;
const FIRST_NS: u64 = 60_000;
/// The estimate moves by this part of itself: nine times as much up as down, so that nine of ten come within it.
const STEP: u64 = 64;

/// What is known of it.
#[derive(Debug, Clone)]
pub struct Lately {
    most_ns: u64,
    usual_ns: u64,
    /// Whether it was ever measured.
    known: bool,
}

impl Lately {
    /// Before the first time.
    pub fn new() -> Self {
        Self { most_ns: FIRST_NS, usual_ns: FIRST_NS / 2, known: false }
    }

    /// Nine of ten times it takes at most this, in nanoseconds.
    pub fn most_ns(&self) -> u64 {
        self.most_ns
    }

    /// What it takes on the average, in nanoseconds.
    pub fn usual_ns(&self) -> u64 {
        self.usual_ns
    }

    /// It has taken so long.
    pub fn took(&mut self, ns: u64) {
        let ns = ns.min(*BOUNDS_NS.end());
        if !std::mem::replace(&mut self.known, true) {
            (self.most_ns, self.usual_ns) = (ns.max(*BOUNDS_NS.start()), ns);
            return;
        }
        let step = self.most_ns / STEP;
        let moved = if ns > self.most_ns { self.most_ns + 9 * step } else { self.most_ns - step };
        self.most_ns = moved.clamp(*BOUNDS_NS.start(), *BOUNDS_NS.end());
        self.usual_ns = self.usual_ns - self.usual_ns / 8 + ns / 8;
    }
}

impl Default for Lately {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_things_lately_took() {
        let mut lately = Lately::new();
        let mut follow = |took_ns: u64| {
            (0..1000).for_each(|_| lately.took(took_ns));
            (lately.usual_ns(), lately.most_ns())
        };
        for took_ns in [9_000, 90_000, 20_000] {
            let (usual_ns, most_ns) = follow(took_ns);
            assert!(usual_ns.abs_diff(took_ns) < 1_000, "{usual_ns}");
            assert!((took_ns - took_ns / 32..took_ns + took_ns / 4).contains(&most_ns), "{most_ns}");
        }
        assert!(follow(u64::MAX / 2).1 <= *BOUNDS_NS.end());
        assert!(follow(0).1 >= *BOUNDS_NS.start());
    }

    #[test]
    fn one_of_ten_may_take_longer() {
        let mut lately = Lately::new();
        for time in 0..10_000 {
            let took_ns = if time % 20 == 0 { 250_000 } else { 10_000 + time % 7 * 1_000 };
            lately.took(took_ns);
        }
        assert!((10_000..30_000).contains(&lately.most_ns()), "{}", lately.most_ns());
    }
}
