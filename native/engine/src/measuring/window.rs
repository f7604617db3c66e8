//! What was measured lately.

/// Two halves of a stretch of time, the older of which is forgotten whole: between one and two times a half's
/// length are remembered.
#[derive(Debug)]
pub(crate) struct Window<T> {
    /// The half that is being filled, then the one before it.
    halves: [T; 2],
    /// When the first half was begun.
    begun_ns: u64,
    /// The length of a half.
    half_ns: u64,
}

/// One half's content.
pub(crate) trait Half: Default {
    /// Forgets everything.
    fn clear(&mut self);
}

impl<T: Half> Window<T> {
    pub(crate) fn new(half_ns: u64, now_ns: u64) -> Self {
        Self { halves: [T::default(), T::default()], begun_ns: now_ns, half_ns }
    }

    /// Both halves as of now, the one to fill first.
    pub(crate) fn halves(&mut self, now_ns: u64) -> &mut [T; 2] {
        let age = now_ns.saturating_sub(self.begun_ns);
        if age >= self.half_ns {
            self.halves.swap(0, 1);
            self.halves[0].clear();
            if age >= 2 * self.half_ns {
                self.halves[1].clear();
            }
            self.begun_ns = now_ns;
        }
        &mut self.halves
    }

    /// The half to fill now.
    pub(crate) fn current(&mut self, now_ns: u64) -> &mut T {
        &mut self.halves(now_ns)[0]
    }
}
