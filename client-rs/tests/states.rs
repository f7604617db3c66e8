//! What a client tells of its connection, and of its worker's readiness.

use crate::support::Place;
use pycrust_client::{ConnectionState, StateChanges};

async fn next_where(
    changes: &mut StateChanges,
    wanted: impl Fn(&ConnectionState) -> bool,
) -> ConnectionState {
    loop {
        let state = changes.next().await.unwrap();
        if wanted(&state) {
            return state;
        }
    }
}

#[tokio::test]
async fn every_turn_of_a_connection_is_told() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let first = client.state();
    assert!(matches!(first, ConnectionState::Connected { pid, .. } if pid == std::process::id()));
    let mut changes = client.state_changes();
    tokio::task::spawn_blocking(move || drop(worker)).await.unwrap();
    let ended = next_where(&mut changes, |state| matches!(state, ConnectionState::Disconnected { .. })).await;
    assert!(
        matches!(&ended, ConnectionState::Disconnected { reason } if reason.contains("goodbye")),
        "{ended:?}"
    );
    assert!(!client.is_connected());

    client.call::<_, ()>("echo", &()).await.unwrap_err();
    assert!(
        matches!(client.state(), ConnectionState::Disconnected { reason } if reason.contains("tested")),
        "it says why there is none"
    );
    let _successor = place.worker();
    client.call::<_, ()>("echo", &()).await.unwrap();
    let second = next_where(&mut changes, |state| matches!(state, ConnectionState::Connected { .. })).await;
    assert_ne!(first, second, "another life, another connection");

    client.close().await;
    assert_eq!(next_where(&mut changes, |state| *state == ConnectionState::Closed).await, client.state());
    assert_eq!(changes.next().await, None, "though the client is still there");
    assert_eq!(client.state_changes().next().await, None);
}

#[tokio::test]
async fn readiness_asks_the_worker_for_a_method_s_answer() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    client.ready("add", &(1, 2)).await.unwrap();
    assert_eq!(worker.seen.ran("pycrust.ready"), 1);
}
