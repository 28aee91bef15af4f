//! Tests of the places of a listener.

use futures_util::FutureExt;

use super::*;

fn is_told(place: &WaitingPlace) -> bool {
    place.told().now_or_never().is_some()
}

#[tokio::test(start_paused = true)]
async fn longest_idle_connection_is_replaced_and_busy_one_is_not() {
    let mut places = Places::default();
    let asking = places.add(0);
    let request = asking.ask();
    let [first, second] = [places.add(1), places.add(2)];
    assert!(!places.make_room(1), "they have just come");
    tokio::time::advance(PATIENCE / 2).await;
    let third = places.add(3);
    drop(second.ask());
    tokio::time::advance(PATIENCE).await;
    assert!(places.make_room(1));
    assert_eq!([&asking, &first, &second, &third].map(|place| is_told(place)), [false, true, false, false]);
    // The connection is still open, so that this needs another one.
    assert!(places.make_room(2));
    drop(request);
    assert!(is_told(&second) || is_told(&third));
    assert!(!is_told(&asking));
}

#[tokio::test(start_paused = true)]
async fn request_that_arrives_first_keeps_its_connection() {
    let mut places = Places::default();
    let place = places.add(0);
    tokio::time::advance(2 * PATIENCE).await;
    assert!(places.make_room(1));
    let _request = place.ask();
    assert!(!is_told(&place));
    assert!(!places.make_room(1));
}

#[tokio::test(start_paused = true)]
async fn lingering_connection_is_replaced_at_once_and_before_idle_ones() {
    let mut places = Places::default();
    let waiting = places.add(0);
    tokio::time::advance(2 * PATIENCE).await;
    let lingering = places.add(1);
    drop(lingering.ask());
    lingering.linger();
    assert!(places.make_room(1));
    assert!(is_told(&lingering) && !is_told(&waiting));
    // Lingering does not undo that the connection was told to give way.
    lingering.linger();
    assert!(lingering.leaves());
}

#[tokio::test(start_paused = true)]
async fn request_runs_until_its_body_and_response_have_ended() {
    let place = Places::default().add(0);
    let (body, answer) = (place.ask(), place.ask());
    drop(answer);
    assert!(place.asks());
    let next = place.ask();
    drop(body);
    assert!(place.asks(), "the next one runs");
    drop(next);
    assert!(!place.asks());
}

#[tokio::test(start_paused = true)]
async fn closed_connections_are_forgotten() {
    let mut places = Places::default();
    for _ in 0..1000 {
        drop(places.add(1));
    }
    assert!(places.all.len() <= 3 + MOST, "{}", places.all.len());
    tokio::time::advance(2 * PATIENCE).await;
    assert!(!places.make_room(1));
}

#[tokio::test(start_paused = true)]
async fn running_request_is_notified_that_its_client_has_vanished() {
    let place = Places::default().add(0);
    let _asked = place.ask();
    let watched = place.clone();
    let told = tokio::spawn(async move { watched.told().await });
    tokio::task::yield_now().await;
    assert!(!told.is_finished());
    place.vanish();
    assert_eq!(told.await.unwrap(), Notice::Vanished);
}

/// `just miri` tries other interleavings, and would detect a lost wake-up as a deadlock.
#[test]
fn waiting_connection_is_woken_from_another_thread() {
    let place = Places::default().add(0);
    let since = place.state.load(Relaxed);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(place.told());
        });
        threads.spawn(|| assert!(place.tell(since)));
    });
    assert!(place.leaves());
}

#[tokio::test(start_paused = true)]
async fn drain_wakes_every_connection() {
    let mut places = Places::default();
    let [waiting, asking] = [places.add(0), places.add(1)];
    let _asked = asking.ask();
    let drained = [waiting.clone(), asking.clone()].map(|place| {
        tokio::spawn(poll_fn(move |cx| {
            assert!(place.poll_told(cx).is_pending());
            if place.is_draining() { Poll::Ready(()) } else { Poll::Pending }
        }))
    });
    tokio::task::yield_now().await;
    assert!(drained.iter().all(|drained| !drained.is_finished()));
    places.drain();
    for drained in drained {
        drained.await.unwrap();
    }
}
