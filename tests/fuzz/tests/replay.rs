//! Every input that fuzzing has found, those that failed once, and a fixed batch of inputs made of them, through its
//! target.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pycrust_fuzz::{TARGETS, target};

/// Inputs that are made of a corpus, at most; of the slow targets so many as there is time for.
const MUTATED: usize = 4000;

/// Time for them.
const TIME: Duration = Duration::from_millis(1500);

/// A generator of fixed numbers: `SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    /// An input made of two others.
    fn mutated(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut made = inputs[self.below(inputs.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(made.len() + 1);
            match self.below(6) {
                0 if at < made.len() => made[at] = self.next() as u8,
                1 if at < made.len() => made[at] ^= 1 << self.below(8),
                2 => made.insert(at, self.next() as u8),
                3 => made.truncate(at),
                4 => {
                    let end = (at + self.below(8)).min(made.len());
                    drop(made.drain(at..end));
                }
                _ => {
                    let other = &inputs[self.below(inputs.len())];
                    let from = self.below(other.len());
                    let to = (from + self.below(32)).min(other.len());
                    made.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
        made.truncate(4096);
        made
    }
}

/// A folder's files, in the order of their names; none, where there is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

/// Replays one corpus, and what failed once, if anything did.
fn replay(name: &str) {
    let run = target(name).expect("a target of this name");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = files(&root.join("corpora").join(name));
    assert!(!files.is_empty(), "an empty corpus tests nothing");
    files.extend(self::files(&root.join("regressions").join(name)));
    let inputs: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).expect("an input")).collect();
    for (path, input) in files.iter().zip(&inputs) {
        told(&path.display().to_string(), run, input);
    }
    let mut chance = Chance(1);
    let begun = Instant::now();
    for _ in 0..MUTATED {
        if begun.elapsed() > TIME {
            break;
        }
        let input = chance.mutated(&inputs);
        told("an input made of them", run, &input);
    }
}

/// Runs an input, and says which it was if it fails.
fn told(what: &str, run: fn(&[u8]), input: &[u8]) {
    /// Speaks while a panic unwinds.
    struct Last<'a>(&'a str, &'a [u8]);
    impl Drop for Last<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                #[expect(clippy::print_stderr, reason = "a test's words")]
                {
                    eprintln!("{}: {:02x?}", self.0, self.1);
                }
            }
        }
    }
    let last = Last(what, input);
    run(input);
    drop(last);
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            assert_eq!(TARGETS.map(|(name, _)| name), [$(stringify!($name)),*]);
        }
    };
}

replays! {
    header sample layout reports request response handshake payload metadata error tensor integer names order worker
    connection client codec
}
