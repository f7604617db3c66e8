//! Workers that stop, die and come back under a client that stays.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{ENDPOINT, HANG, Place, Process, eventually, poll_once};
use pycrust_client::{Code, ConnectionState, Error, RpcClient};

/// Calls until the successor answers; what the calls before that said.
async fn until_answered(client: &RpcClient) -> Vec<Error> {
    let mut errors = Vec::new();
    loop {
        match client.call::<_, i64>("add", &(1, 2)).await {
            Ok(sum) => {
                assert_eq!(sum, 3);
                return errors;
            }
            Err(error) => errors.push(error),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn survives_kills(client: RpcClient, place: &Place, mut process: Process) {
    for _ in 0..3 {
        let mut hanging: Vec<_> = (0..10).map(|_| Box::pin(client.call::<_, ()>("hang", &()))).collect();
        for call in &mut hanging {
            assert!(poll_once(call.as_mut()).is_pending());
        }
        process.kill();
        for call in hanging {
            let error = call.await.unwrap_err();
            assert_eq!((error.code(), error.may_have_run()), (Code::Unavailable, true), "{error}");
            assert!(error.message().contains(&format!("pid {}", process.pid())), "{error}");
        }
        let gone = client.call::<_, ()>("echo", &()).await.unwrap_err();
        assert_eq!((gone.code(), gone.may_have_run()), (Code::Unavailable, false), "{gone}");
        assert!(gone.message().contains(&place.path().display().to_string()), "{gone}");
        process = Process::start(&place.path());
        let errors = until_answered(&client).await;
        assert!(errors.iter().all(|error| error.code() == Code::Unavailable), "{errors:?}");
        assert!(errors.iter().all(|error| !error.may_have_run()), "{errors:?}");
    }
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_survives_killed_workers_on_many_threads() {
    let place = Place::new();
    let process = Process::start(&place.path());
    let client = place.client().connect().await.unwrap();
    survives_kills(client, &place, process).await;
}

#[tokio::test]
async fn a_client_survives_killed_workers_on_one_thread() {
    let place = Place::new();
    let process = Process::start(&place.path());
    let client = place.client().connect().await.unwrap();
    survives_kills(client, &place, process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_go_on_after_a_kill_and_states_do_not_flap() {
    let place = Place::new();
    let mut process = Process::start(&place.path());
    let client = place.client().wait_for_ready(true).connect().await.unwrap();
    for round in 0..3 {
        let mut changes = client.state_changes();
        process.kill();
        let calls: Vec<_> = (0..20_i64)
            .map(|value| {
                let client = client.clone();
                tokio::spawn(async move { client.call::<_, i64>("add", &(value, round)).await })
            })
            .collect();
        // Others ask again and again meanwhile, and are told at once.
        for _ in 0..20 {
            let request = client.request("add").wait_for_ready(false);
            let error = request.send::<_, i64>(&(1, 2)).await.unwrap_err();
            assert_eq!(error.code(), Code::Unavailable, "{error}");
        }
        process = Process::start(&place.path());
        for (value, call) in (0..).zip(calls) {
            match call.await.unwrap() {
                Ok(sum) => assert_eq!(sum, value + round),
                // Sent before the end was known.
                Err(error) => assert!(error.may_have_run(), "{error}"),
            }
        }
        // All of them may have been sent before; the next call connects.
        assert_eq!(client.call::<_, i64>("add", &(1, 2)).await.unwrap(), 3);
        let mut told = Vec::new();
        while !matches!(told.last(), Some(ConnectionState::Connected { .. })) {
            told.push(changes.next().await.unwrap());
        }
        assert!(told.len() <= 4, "an end, an attempt, why it failed, success: {told:?}");
    }
}

#[tokio::test]
async fn a_worker_that_stops_says_why() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let clone = client.clone();
    let hanging = tokio::spawn(async move { clone.call::<_, ()>("hang", &()).await });
    eventually("the call", || worker.seen.headers.lock().unwrap().len() == 2).await;
    tokio::task::spawn_blocking(move || drop(worker)).await.unwrap();
    let error = hanging.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.may_have_run()), (Code::Unavailable, true));
    assert!(error.message().contains("goodbye"), "{error}");
    let _successor = place.worker();
    until_answered(&client).await;
}

#[tokio::test]
async fn an_idempotent_call_is_made_again_and_another_is_not() {
    let place = Place::new();
    let mut first = Process::start(&place.path());
    let client = place.client().connect().await.unwrap();
    let (once, again) = (client.clone(), client.clone());
    let once = tokio::spawn(async move { once.call::<_, i64>("delay", &(300_u64, 7)).await });
    let again = tokio::spawn(async move {
        let request = again.request("delay").idempotent(true).timeout(HANG);
        request.send::<_, i64>(&(300_u64, 7)).await.map(pycrust_client::Reply::into_value)
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    client.call::<_, ()>("echo", &()).await.unwrap();
    first.kill();
    assert_eq!(once.await.unwrap().unwrap_err().code(), Code::Unavailable);
    let second = place.worker();
    assert_eq!(again.await.unwrap().unwrap(), 7);
    assert_eq!(second.seen.ran("delay"), 1);
}

#[tokio::test]
async fn connecting_waits_for_a_worker_if_asked_to() {
    let place = Place::new();
    let nobody = place.client().connect().await.unwrap_err();
    assert_eq!((nobody.code(), nobody.may_have_run()), (Code::Unavailable, false));
    assert!(nobody.message().contains(ENDPOINT), "{nobody}");
    let waiting = tokio::spawn(place.client().wait_for_worker(HANG).connect());
    tokio::time::sleep(Duration::from_millis(20)).await;
    let _worker = place.worker();
    let client = waiting.await.unwrap().unwrap();
    client.call::<_, ()>("echo", &()).await.unwrap();
}

#[tokio::test]
async fn callers_without_a_connection_share_one_attempt() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    tokio::task::spawn_blocking(move || drop(worker)).await.unwrap();
    eventually("the end", || !client.is_connected()).await;
    let successor = place.worker();
    let calls: Vec<_> = (0..100_i64)
        .map(|value| {
            let client = client.clone();
            tokio::spawn(async move { client.call::<_, i64>("echo", &value).await })
        })
        .collect();
    for (value, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap().unwrap(), value);
    }
    assert_eq!(successor.seen.connected.load(Ordering::Acquire), 1);
}

#[tokio::test]
async fn a_worker_that_sends_garbage_loses_its_connection() {
    let place = Place::new();
    let worker = place.worker();
    let client = place.client().connect().await.unwrap();
    let clone = client.clone();
    let bystander = tokio::spawn(async move { clone.call::<_, ()>("hang", &()).await });
    eventually("the call", || worker.seen.headers.lock().unwrap().len() == 2).await;
    for error in
        [client.call::<_, ()>("garbage", &()).await.unwrap_err(), bystander.await.unwrap().unwrap_err()]
    {
        assert_eq!((error.code(), error.may_have_run()), (Code::Internal, true));
        assert!(error.message().contains("malformed frame at byte 0"), "{error}");
    }
    client.call::<_, ()>("echo", &()).await.unwrap();
    assert_eq!(worker.seen.connected.load(Ordering::Acquire), 2);
}
