//! Containers: other PID, user and mount namespaces, other views of /dev/shm, system calls that are forbidden.
#![cfg(not(loom))]
#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_docs,
    reason = "a failed test panics, and one that can't run says why"
)]

mod common;

use std::process::Command;

use common::{Other, Place, body, driven, echo, name, receive_one, request, response, role, say, wait_until};
use pycrust_transport::{Claim, ClaimError, Connection, ControlEvent, Link, Runtime, connect};

const PID: &[&str] = &["--map-root-user", "--pid", "--fork", "--kill-child"];
const MOUNT: &[&str] = &["--map-root-user", "--mount"];

/// Runs a role in namespaces of its own, once they are set up; `None` where the sandbox forbids that.
fn isolated(place: &Place, role: &str, namespaces: &[&str], set_up: &str) -> Option<Other> {
    let may = Command::new("unshare").args(namespaces).args(["sh", "-c", set_up]).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("not tested: this sandbox forbids {namespaces:?}");
        return None;
    }
    let mut command = Command::new("unshare");
    // Opened first: what is set up may hide the folder that it lies in, from those that are started in there, too.
    let binary = std::env::current_exe().ok().filter(|path| path.exists());
    let binary = binary.unwrap_or_else(|| "/proc/self/fd/9".into());
    command.args(namespaces).args(["sh", "-c"]);
    command.arg(format!("exec 9<\"$0\" && {{ {set_up}; }} && exec /proc/self/fd/9 \"$@\""));
    command.arg(binary);
    // Under AddressSanitizer: it looks for threads in `/proc`, which shows another namespace's, and takes what they hold for
    // lost.
    command.env("ASAN_OPTIONS", "detect_leaks=0");
    Some(Other::run(command, place, role))
}

/// Small and large frames come back from a worker that echoes.
fn echoes(client: &Connection) {
    driven(client, || {
        for len in [3, 1 << 20] {
            client.send(&request(len), &[&body(len)]).unwrap();
            assert!(receive_one(client) == body(len));
        }
    });
}

/// Not a test of its own: what the tests below run in other processes.
#[test]
fn other_process() {
    let Some((runtime, role)) = role() else { return };
    match role.as_str() {
        "worker" => {
            let (_acceptor, events) = common::serve(&runtime);
            say("ready", "");
            echo(&events);
        }
        "client" | "waiting client" => {
            if role == "waiting client" {
                say("ready", "");
            }
            let client = connect(&runtime, &name(), "isolated").unwrap();
            echoes(&client);
            say("ready", "");
            say("peer", client.peer().pid);
            wait_until("the hang-up", || client.on_control() == ControlEvent::HungUp);
            // A process that ends closes its files first.
            wait_until("the worker's end", || client.peer_exited());
            say("exited", true);
        }
        "refused" => refused(&runtime),
        "without pidfd_open" => {
            seccomp::forbid(&seccomp::PIDFD_OPEN);
            drop(connect(&runtime, &name(), "isolated").unwrap());
            say("ready", "");
        }
        "without pidfds" => {
            seccomp::forbid(&seccomp::PIDFD_OPEN);
            seccomp::forbid(&seccomp::PEER_PIDFD);
            refused(&runtime);
        }
        "claims" => {
            say("ready", "");
            say("error", Claim::take(&runtime, &name(), "").unwrap_err());
        }
        "default worker" => {
            let runtime = Runtime::discover().unwrap();
            let (_acceptor, events) = common::serve(&runtime);
            say("ready", "");
            say("dirs", runtime.dirs().len());
            echo(&events);
        }
        "default client" => {
            let runtime = Runtime::discover().unwrap();
            echoes(&connect(&runtime, &name(), "isolated").unwrap());
            assert_eq!(runtime.live_endpoints().len(), 1);
            assert!(matches!(Claim::take(&runtime, &name(), ""), Err(ClaimError::Served(_))));
            say("ready", "");
            say("dirs", runtime.dirs().len());
        }
        "places" => places(),
        other => panic!("{other}"),
    }
}

/// Tells why it could not connect.
fn refused(runtime: &Runtime) {
    say("ready", "");
    say("error", connect(runtime, &name(), "isolated").unwrap_err());
}

#[test]
fn a_client_in_another_pid_namespace_is_served_and_its_death_noticed() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let answers = || {
        wait_until("a client", || !events.links().is_empty());
        let link = events.link();
        for len in [3, 1 << 20] {
            assert!(receive_one(&link) == body(len));
            link.send(&response(len), &[&body(len)]).unwrap();
        }
        link.id()
    };
    let Some(mut client) = isolated(&place, "waiting client", PID, "true") else { return };
    let id = answers();
    assert_eq!(client.hear("peer"), "0", "the worker has no number there");
    client.kill();
    wait_until("the departure", || !events.gone().is_empty());
    assert_eq!(events.gone(), [(id, "its process ended".to_owned())]);
    acceptor.stop();
}

#[test]
fn two_containers_connect_and_a_worker_s_death_is_noticed() {
    let place = Place::new();
    let Some(mut worker) = isolated(&place, "worker", PID, "true") else { return };
    // A process of a third namespace looks: it removes nothing of the living.
    let own = place.connect();
    let prefix = common::prefix(&own);
    assert_eq!(place.runtime.live_endpoints().len(), 1);
    let mut client = isolated(&place, "client", PID, "true").unwrap();
    assert_eq!(client.hear("peer"), "0");
    echoes(&own);
    worker.kill();
    assert_eq!(client.hear("exited"), "true");
    wait_until("the hang-up", || own.on_control() == ControlEvent::HungUp);
    drop(own);
    assert!(client.ended_well());
    place.runtime.live_endpoints();
    wait_until("everything to be removed", || place.is_clean(&prefix));
}

#[test]
fn another_shared_memory_is_said_to_be_the_trouble_on_both_sides() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    let first = place.connect();
    for (set_up, word) in [
        ("mount -t tmpfs tmpfs /dev/shm", "different /dev/shm"),
        ("mount --bind /dev/shm /dev/shm && mount -o remount,bind,ro /dev/shm", "/dev/shm is read-only here"),
    ] {
        let Some(mut client) = isolated(&place, "refused", MOUNT, set_up) else { return };
        let error = client.hear("error");
        assert!(error.contains(word), "{error}");
        events.told(&["was not connected", word]);
        assert!(client.ended_well());
    }
    drop((place.connect(), first));
    acceptor.stop();
}

#[test]
fn a_worker_says_that_shared_memory_is_read_only() {
    let place = Place::new();
    let set_up = "mount --bind /dev/shm /dev/shm && mount -o remount,bind,ro /dev/shm";
    let Some(mut worker) = isolated(&place, "claims", MOUNT, set_up) else { return };
    let error = worker.hear("error");
    assert!(error.contains("/dev/shm") && error.contains("read-only"), "{error}");
}

#[test]
fn the_same_directory_under_another_path_is_the_same() {
    let place = Place::new();
    let Some(_worker) = isolated(&place, "worker", MOUNT, "true") else { return };
    let other = tempfile::tempdir().unwrap();
    let (here, there) = (place.path().display(), other.path().display());
    let set_up = format!("mount --bind {here} {there} && export PYCRUST_TEST_DIR={there}");
    let mut client = isolated(&place, "client", MOUNT, &set_up).unwrap();
    client.hear("peer");
    client.kill();
}

#[test]
fn a_user_of_another_number_is_the_same_user() {
    let place = Place::new();
    let Some(_worker) = isolated(&place, "worker", MOUNT, "true") else { return };
    let Some(mut client) = isolated(&place, "client", &["--user", "--map-user=1234"], "true") else { return };
    client.hear("peer");
    client.kill();
}

#[test]
fn a_user_whom_the_namespace_does_not_know_is_told_so() {
    let place = Place::new();
    let mut command = Command::new("unshare");
    command.arg("--user").arg(std::env::current_exe().unwrap()).args(["other_process", "--exact"]);
    command.env("PYCRUST_TEST_DIR", place.path()).env("PYCRUST_TEST_ROLE", "client");
    let output = command.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if said.contains("unshare failed") {
        eprintln!("not tested: this sandbox forbids user namespaces");
        return;
    }
    assert!(said.contains("not mapped in its user namespace"), "{said}");
}

#[test]
fn a_kernel_or_a_container_that_forbids_pidfds_is_said_to_on_both_sides() {
    let place = Place::new();
    let (acceptor, events) = place.serve();
    assert!(Other::start(&place, "without pidfd_open").ended_well(), "the socket has one");
    let mut client = Other::start(&place, "without pidfds");
    let error = client.hear("error");
    assert!(error.contains("pidfd_open") && error.contains("seccomp"), "{error}");
    events.told(&["was not connected", "pidfd_open"]);
    acceptor.stop();
}

/// In mount namespaces of their own: one process has a session's directory, the other one does not.
fn places() {
    say("ready", "");
    let place = Place::new();
    let without = "true";
    let with = "mount -t tmpfs tmpfs /run/user && mkdir -m 700 /run/user/$(id -u)";
    for (served, looked) in [(without, with), (with, without), (with, with)] {
        let dirs = |set_up: &str| if set_up == with { "2" } else { "1" };
        let mut worker = isolated(&place, "default worker", &["--mount"], served).unwrap();
        let mut client = isolated(&place, "default client", &["--mount"], looked).unwrap();
        assert_eq!(
            (worker.hear("dirs").as_str(), client.hear("dirs").as_str()),
            (dirs(served), dirs(looked))
        );
        worker.kill();
        assert!(client.ended_well());
    }
    say("worked", "");
}

#[test]
fn worker_and_client_find_each_other_whichever_default_places_they_see() {
    let place = Place::new();
    let own = "for dir in /tmp /dev/shm /run/user; do mount -t tmpfs tmpfs $dir || exit 1; done; \
               export PYCRUST_TEST_DIR=/tmp/own; unset PYCRUST_RUNTIME_DIR";
    let Some(mut other) = isolated(&place, "places", MOUNT, own) else { return };
    other.hear("worked");
    assert!(other.ended_well());
}

/// System calls that are refused to this thread, as a container's profile does.
mod seccomp {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter, sock_fprog};

    /// `pidfd_open` is forbidden.
    pub const PIDFD_OPEN: [sock_filter; 4] = refusal(libc::SYS_pidfd_open, libc::EPERM);
    /// `SO_PEERPIDFD` is not known.
    pub const PEER_PIDFD: [sock_filter; 6] = {
        let [load, call, answer, _] = refusal(libc::SYS_getsockopt, libc::ENOPROTOOPT);
        // The third argument's lower half.
        let argument = statement(BPF_LD | BPF_W | BPF_ABS, 32);
        let pass = statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW);
        [load, jump(call.k, 3), argument, jump(77, 1), answer, pass]
    };

    /// Whoever makes this system call is given this error.
    const fn refusal(call: libc::c_long, error: i32) -> [sock_filter; 4] {
        let answer = libc::SECCOMP_RET_ERRNO | error.cast_unsigned();
        [
            statement(BPF_LD | BPF_W | BPF_ABS, 0),
            jump(call.cast_unsigned() as u32, 1),
            statement(BPF_RET | BPF_K, answer),
            statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW),
        ]
    }

    const fn statement(code: u32, k: u32) -> sock_filter {
        sock_filter { code: code as u16, jt: 0, jf: 0, k }
    }

    /// Goes on if what was loaded is `k`, else skips so many.
    const fn jump(k: u32, skipped: u8) -> sock_filter {
        sock_filter { code: (BPF_JMP | BPF_JEQ | BPF_K) as u16, jt: 0, jf: skipped, k }
    }

    /// From now on, for this thread.
    pub fn forbid(filter: &[sock_filter]) {
        let program = sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
        // SAFETY: the kernel copies the filter, which lives until then.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
                | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
        };
        assert_eq!(done, 0);
    }
}
