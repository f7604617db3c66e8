//! Names: who serves them, who may not, where the files are.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, missing_docs, reason = "a failed test panics")]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Barrier;

use common::{Place, name, socket_file};
use pycrust_protocol::name::EndpointName;
use pycrust_transport::{Claim, ClaimError, ConnectError, Runtime, connect};

#[test]
fn a_name_that_nobody_serves_says_where_it_looked_and_who_lives_there() {
    let place = Place::new();
    let other = EndpointName::new("other").unwrap();
    let _claim = Claim::take(&place.runtime, &other, "book.ipynb").unwrap();
    let error = connect(&place.runtime, &name(), "test").unwrap_err();
    let text = error.to_string();
    let ConnectError::NotFound { looked_in, live, .. } = error else { panic!("{error}") };
    assert_eq!(looked_in, [place.path()]);
    assert_eq!(live.len(), 1);
    assert_eq!((live[0].endpoint.as_str(), live[0].notebook.as_str()), ("other", "book.ipynb"));
    assert!(text.contains(place.path().to_str().unwrap()) && text.contains("other (pid"), "{text}");
}

#[test]
fn of_many_claims_at_once_one_wins() {
    let place = Place::new();
    for _ in 0..20 {
        let (start, end) = (Barrier::new(6), Barrier::new(6));
        let winners: usize = std::thread::scope(|scope| {
            let claims: Vec<_> = (0..6)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        let claim = Claim::take(&place.runtime, &name(), "");
                        end.wait();
                        match claim {
                            Ok(_) => 1,
                            Err(ClaimError::Served(_)) => 0,
                            Err(error) => panic!("{error}"),
                        }
                    })
                })
                .collect();
            claims.into_iter().map(|claim| claim.join().unwrap()).sum()
        });
        assert_eq!(winners, 1);
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_name_that_a_socket_path_has_no_room_for_is_served_all_the_same() {
    let place = Place::new();
    let long = EndpointName::new(&"n".repeat(128)).unwrap();
    let claim = Claim::take(&place.runtime, &long, "").unwrap();
    assert!(matches!(Claim::take(&place.runtime, &long, ""), Err(ClaimError::Served(_))));
    assert_eq!(place.runtime.live_endpoints()[0].endpoint, long.as_str());
    assert_eq!(claim.owner().endpoint, long.as_str());
}

#[test]
fn a_directory_that_is_not_ours_alone_is_refused() {
    let place = Place::new();
    let dir = place.path().join("inner");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o750)).unwrap();
    assert!(Runtime::at(&dir).unwrap_err().to_string().contains("0750"));
    fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    Runtime::at(&dir).unwrap();
    let link = place.path().join("link");
    symlink(&dir, &link).unwrap();
    assert!(Runtime::at(&link).unwrap_err().to_string().contains("symbolic link"));
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(Runtime::at(&file).unwrap_err().to_string().contains("no directory"));
}

#[test]
fn iceoryx2_s_files_are_in_a_directory_of_ours_alone() {
    let place = Place::new();
    let (_worker, events) = place.serve();
    let first = place.connect();
    let directory = Path::new("/dev/shm").join(format!("{}iox2", events.link().welcome().prefix));
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o7777, 0o700);
    fs::set_permissions(&directory, Permissions::from_mode(0o750)).unwrap();
    let refused = connect(&place.runtime, &name(), "test").unwrap_err().to_string();
    assert!(refused.contains("0750") && refused.contains(directory.to_str().unwrap()), "{refused}");
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
    drop((place.connect(), first));
}

#[test]
fn a_lock_file_that_nobody_holds_is_nobody_s() {
    let place = Place::new();
    fs::write(place.path().join("tested.lock"), b"left by a crash").unwrap();
    fs::write(place.path().join(socket_file("tested")), b"left by a crash").unwrap();
    assert!(place.runtime.live_endpoints().is_empty());
    let claim = place.claim();
    assert_eq!(place.runtime.live_endpoints(), [claim.owner().clone()]);
}
