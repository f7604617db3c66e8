//! What a thread is given for its rhythm, as the kernel shows it; what it is told where it can't be had.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod support;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pycrust_client::{Code, RealTime, RealTimeError};
use support::Place;

/// Another user of the machine, who has no rights.
const OTHER: u32 = 4711;
/// Set where a test runs as that one.
const AS_OTHER: &str = "PYCRUST_TEST_AS_OTHER";
/// `CAP_IPC_LOCK` and `CAP_SYS_NICE`.
const MAY_LOCK: u32 = 14;
const MAY_COME_FIRST: u32 = 23;
/// `SCHED_OTHER` and `SCHED_FIFO`.
const USUAL: u64 = 0;
const FIFO: u64 = 1;

/// Memory is locked for the whole process, and the cores of its main thread are everybody's: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a file in `/proc` says under a name.
fn said(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap().trim().to_owned()
}

fn cores() -> String {
    said("/proc/thread-self/status", "Cpus_allowed_list")
}

fn locked_kib() -> u64 {
    said("/proc/self/status", "VmLck").trim_end_matches(" kB").parse().unwrap()
}

/// The calling thread's policy and its priority of real time.
fn scheduled() -> (u64, u64) {
    let text = fs::read_to_string("/proc/thread-self/stat").unwrap();
    // From the third field on: the second one may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[41 - 3].parse().unwrap(), fields[40 - 3].parse().unwrap())
}

fn may(capability: u32) -> bool {
    let held = u64::from_str_radix(&said("/proc/self/status", "CapEff"), 16).unwrap();
    held >> capability & 1 == 1
}

/// The last of the cores that this process may use.
fn last_core() -> usize {
    cores().rsplit([',', '-']).next().unwrap().parse().unwrap()
}

#[test]
fn a_thread_has_it_until_it_lets_go() {
    let _alone = alone();
    let (before, core) = ((cores(), scheduled(), locked_kib()), last_core());
    let applied = RealTime::new().cores([core]).priority(7).lock_memory(true).apply().unwrap();
    assert_eq!((cores(), applied.cores()), (core.to_string(), vec![core]));
    if may(MAY_COME_FIRST) {
        assert_eq!((scheduled(), applied.priority()), ((FIFO, 7), Some(7)));
    } else {
        assert_eq!((scheduled(), applied.priority()), (before.1, None));
    }
    if may(MAY_LOCK) {
        assert!(applied.memory_locked());
        // What comes later is locked, too, once it is touched.
        let locked = locked_kib();
        let later = std::hint::black_box(vec![1_u8; 32 << 20]);
        assert!(locked_kib() >= locked + (32 << 10), "{} KiB, then {}", locked, locked_kib());
        drop(later);
    }
    assert_eq!(
        applied.missing().len(),
        [MAY_COME_FIRST, MAY_LOCK].iter().filter(|right| !may(**right)).count()
    );
    drop(applied);
    assert_eq!((cores(), scheduled(), locked_kib()), before);
}

#[test]
fn memory_is_locked_until_the_last_one_lets_go() {
    let _alone = alone();
    if !may(MAY_LOCK) {
        return;
    }
    let realtime = RealTime::new().lock_memory(true);
    let (first, second) = (realtime.apply().unwrap(), realtime.apply().unwrap());
    drop(first);
    assert!(locked_kib() > 0);
    drop(second);
    assert_eq!(locked_kib(), 0);
}

#[test]
fn threads_that_it_makes_are_scheduled_as_usual() {
    let _alone = alone();
    let applied = RealTime::new().priority(7).apply().unwrap();
    assert_eq!(applied.priority().is_some(), may(MAY_COME_FIRST));
    assert_eq!(std::thread::spawn(scheduled).join().unwrap(), (USUAL, 0));
}

#[test]
fn a_forked_child_runs_where_its_parent_did_before() {
    let _alone = alone();
    let (before, core) = (cores(), last_core());
    let applied = RealTime::new().cores([core]).priority(7).lock_memory(true).apply().unwrap();
    assert_eq!(cores(), core.to_string());
    let mut child = Command::new("cat");
    child.args(["/proc/thread-self/status", "/proc/thread-self/stat"]);
    // SAFETY: it does nothing; with it, the child is forked, and the handlers of forks run.
    unsafe { child.pre_exec(|| Ok(())) };
    let said = String::from_utf8(child.output().unwrap().stdout).unwrap();
    let line = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!((line("Cpus_allowed_list:"), line("VmLck:")), (before, "0 kB".into()));
    let fields: Vec<&str> = said.rsplit_once(')').unwrap().1.split_whitespace().collect();
    assert_eq!((fields[41 - 3], fields[40 - 3]), ("0", "0"));
    drop(applied);
}

#[test]
fn what_no_process_can_have_is_refused_by_name() {
    let _alone = alone();
    let core = last_core() + 1;
    let refused = RealTime::new().cores([core]).apply().unwrap_err();
    let RealTimeError::Core { core: named, allowed } = &refused else { panic!("{refused}") };
    assert_eq!((*named, allowed.last().copied()), (core, Some(core - 1)));
    let message = refused.to_string();
    assert!(
        message.starts_with(&format!("core {core} is none that this process may use: those are ")),
        "{message}"
    );
    for priority in [0, 100] {
        let refused = RealTime::new().priority(priority).apply().unwrap_err();
        assert_eq!(refused, RealTimeError::Priority(priority));
    }
    // A pinned thread says nothing of where the process may run.
    let pinned = RealTime::new().cores([last_core()]).apply().unwrap();
    let first = allowed[0];
    std::thread::spawn(move || RealTime::new().cores([first]).apply().map(drop)).join().unwrap().unwrap();
    drop(pinned);
}

#[test]
fn a_client_that_blocks_gives_it_to_its_thread() {
    let _alone = alone();
    let (before, core) = ((cores(), scheduled()), last_core());
    let place = Place::new();
    let _worker = place.worker();
    let connect = || {
        let realtime = RealTime::new().cores([core]).priority(7);
        let mut client = place.client().realtime(realtime).connect_blocking().unwrap();
        assert_eq!(client.call::<_, i64>("add", &(1, 2)).unwrap(), 3);
        assert_eq!(cores(), core.to_string());
        assert_eq!(scheduled().0, if may(MAY_COME_FIRST) { FIFO } else { USUAL });
        assert_eq!(client.realtime().unwrap().cores(), [core]);
        client
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drop(connect());
            assert_eq!((cores(), scheduled()), before);
        });
        scope.spawn(|| {
            let client = connect();
            // The thread that it is dropped on was given nothing.
            std::thread::spawn(move || drop(client)).join().unwrap();
            assert_eq!(cores(), core.to_string());
        });
    });
    let mut client = place.client().realtime(RealTime::new().cores([5000])).connect_lazy_blocking();
    let refused = client.call::<_, i64>("add", &(1, 2)).unwrap_err();
    assert_eq!((refused.code(), client.realtime().is_none()), (Code::InvalidArgument, true));
    assert!(refused.message().contains("realtime: core 5000 is none"), "{refused}");
}

#[tokio::test]
async fn tokio_threads_are_given_nothing_by_a_client() {
    let place = Place::new();
    let _worker = place.worker();
    let refused = place.client().realtime(RealTime::new().priority(7)).connect().await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("on_thread_start"), "{refused}");
}

#[test]
fn who_has_no_right_is_told_how_to_get_it() {
    if std::env::var_os(AS_OTHER).is_none() {
        // Once more, without rights.
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "who_has_no_right_is_told_how_to_get_it", "--nocapture"]).env(AS_OTHER, "1");
        if rustix::process::getuid().is_root() {
            again.uid(OTHER).gid(OTHER).current_dir("/");
        }
        let outcome = again.output().unwrap();
        let said = String::from_utf8_lossy(&outcome.stdout);
        assert!(outcome.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Rtprio, none).unwrap();
    rustix::process::setrlimit(rustix::process::Resource::Memlock, none).unwrap();
    let core = last_core();
    let applied = RealTime::new().cores([core]).priority(50).lock_memory(true).apply().unwrap();
    assert_eq!((cores(), scheduled(), locked_kib()), (core.to_string(), (USUAL, 0), 0));
    assert_eq!((applied.priority(), applied.memory_locked()), (None, false));
    let [priority, memory] = applied.missing() else { panic!("{applied:?}") };
    assert!(
        priority.starts_with("priority 50 was not given: this user may ask for 0 at most (`ulimit -r`)"),
        "{priority}"
    );
    assert!(memory.starts_with("memory is not locked: this user may lock 0 KiB (`ulimit -l`)"), "{memory}");
    for (line, ways) in [
        (priority, ["- rtprio 50", "LimitRTPRIO=50", "--ulimit rtprio=50"]),
        (memory, ["- memlock unlimited", "LimitMEMLOCK=infinity", "--ulimit memlock=-1"]),
    ] {
        assert!(!line.contains('\n') && ways.iter().all(|way| line.contains(way)), "{line}");
    }
}
