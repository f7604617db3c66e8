//! Threads of the crate's own, for what may take milliseconds.
//!
//! Copying large arguments, opening ports and taking connections down must not be done on a thread that runs
//! tasks, and must not wait behind what a program puts into its runtime's blocking pool. Nothing that is done here
//! waits for another process, so a few threads do for all clients. They are nobody's to wait for: a runtime, or the
//! program, ends without them.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pycrust_transport::PerProcess;
use pycrust_transport::sync::{Condvar, Mutex};
use tokio::sync::oneshot;

/// A thread with nothing to do for this long ends.
const IDLE: Duration = Duration::from_secs(10);

/// The threads of this process. A forked child, which has none of its parent's, makes its own, and does none of its
/// parent's work.
static HANDS: PerProcess<Hands> = PerProcess::new();

#[derive(Default)]
struct Hands {
    state: Mutex<State>,
    /// Told of each piece of work.
    wanted: Condvar,
}

#[derive(Default)]
struct State {
    /// Somebody waits for it.
    work: VecDeque<Work>,
    /// Nobody does: done when there is no other.
    leftovers: VecDeque<Work>,
    threads: usize,
    idle: usize,
}

type Work = Box<dyn FnOnce() + Send>;

thread_local! {
    static IS_HAND: AtomicBool = const { AtomicBool::new(false) };
}

/// Whether this is one of the threads: it need not give work to another one.
pub(crate) fn is_hand() -> bool {
    IS_HAND.try_with(|is| is.load(Ordering::Relaxed)).unwrap_or(false)
}

/// Work that was begun or is to be; its outcome, once awaited. Work that was not begun when this is dropped is not
/// done.
#[derive(Debug)]
pub(crate) struct Doing<T> {
    outcome: oneshot::Receiver<T>,
    /// Whether it was begun, or given up.
    taken: Arc<AtomicBool>,
}

impl<T> Doing<T> {
    /// The outcome; `None` if the work panicked.
    pub(crate) async fn outcome(&mut self) -> Option<T> {
        (&mut self.outcome).await.ok()
    }

    /// Gives it up; whether it was not begun, and never will be.
    pub(crate) fn give_up(&self) -> bool {
        !self.taken.swap(true, Ordering::AcqRel)
    }
}

impl<T> Drop for Doing<T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Has work done by a thread of ours.
///
/// # Errors
/// The system's, if it gives this process no thread for it.
pub(crate) fn start<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<Doing<T>> {
    let (told, outcome) = oneshot::channel();
    let taken = Arc::new(AtomicBool::new(false));
    let begun = Arc::clone(&taken);
    let work = move || {
        if !begun.swap(true, Ordering::AcqRel) {
            // Whoever wanted it may have gone.
            let _ = told.send(work());
        }
    };
    HANDS.get().put(Box::new(work), false).map_err(|(error, _)| error)?;
    Ok(Doing { outcome, taken })
}

/// Has work done at some time that nobody waits for; here if there is no thread for it.
pub(crate) fn later(work: impl FnOnce() + Send + 'static) {
    if let Err((_, work)) = HANDS.get().put(Box::new(work), true) {
        work();
    }
}

/// Drops something that takes its time.
pub(crate) fn drop_later<T: Send + 'static>(thing: T) {
    later(move || drop(thing));
}

impl Hands {
    fn put(&'static self, work: Work, leftover: bool) -> Result<(), (io::Error, Work)> {
        let mut state = self.state.lock();
        let waiting = state.work.len() + state.leftovers.len();
        if waiting >= state.idle && state.threads < limit() {
            let made = thread::Builder::new().name("pycrust-work".into()).spawn(move || self.run());
            match made {
                Ok(_) => state.threads += 1,
                // Those that there are get to it.
                Err(_) if state.threads > 0 => {}
                Err(error) => {
                    drop(state);
                    return Err((error, work));
                }
            }
        }
        let queue = if leftover { &mut state.leftovers } else { &mut state.work };
        queue.push_back(work);
        drop(state);
        self.wanted.notify_one();
        Ok(())
    }

    /// The life of a thread.
    fn run(&self) {
        IS_HAND.with(|is| is.store(true, Ordering::Relaxed));
        let mut state = self.state.lock();
        loop {
            let next = state.work.pop_front().or_else(|| state.leftovers.pop_front());
            if let Some(work) = next {
                drop(state);
                // Whoever waits for it is told by the outcome's being dropped.
                let _ = catch_unwind(AssertUnwindSafe(work));
                state = self.state.lock();
                continue;
            }
            state.idle += 1;
            let begun = Instant::now();
            state = self.wanted.wait_for(state, IDLE);
            state.idle -= 1;
            if begun.elapsed() >= IDLE && state.work.is_empty() && state.leftovers.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

/// Threads at most. The work is copying and system calls: more than cores would not be faster, but a machine with few
/// must not be held up by one large copy.
fn limit() -> usize {
    thread::available_parallelism().map_or(4, std::num::NonZero::get).clamp(4, 16)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_is_given_up_before_it_began_is_never_done() {
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        // Every thread is at work.
        let mut busy: Vec<_> = (0..limit())
            .map(|_| {
                let held = Arc::clone(&held);
                start(move || held.lock().recv()).expect("a thread")
            })
            .collect();
        let (told, done) = mpsc::channel();
        let (first, second) = (told.clone(), told);
        let given_up = start(move || first.send("given up")).expect("a place");
        let mut wanted = start(move || second.send("wanted")).expect("a place");
        assert!(given_up.give_up());
        for _ in &busy {
            release.send(()).expect("held");
        }
        wanted.outcome().await.expect("no panic").expect("heard");
        assert!(!wanted.give_up(), "it was begun");
        for doing in &mut busy {
            doing.outcome().await.expect("no panic").expect("released");
        }
        assert_eq!(done.try_iter().collect::<Vec<_>>(), ["wanted"]);
    }

    #[tokio::test]
    async fn a_panic_ends_the_work_and_no_thread() {
        for _ in 0..2 * limit() {
            let mut panics = start(|| std::panic::resume_unwind(Box::new("on purpose"))).expect("a place");
            assert_eq!(panics.outcome().await, None::<()>);
        }
        assert_eq!(start(|| 5).expect("a place").outcome().await, Some(5));
    }
}
