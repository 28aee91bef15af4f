//! The merged list of several upstreams.

use serde_json::{Value, json};

use super::*;

fn tag(name: &str, modified: &str, digest: &str) -> Value {
    json!({"name": name, "model": name, "modified_at": modified, "size": 5, "digest": digest, "details": {"family": "f"}})
}

fn running(name: &str, expires: &str, vram: u64) -> Value {
    json!({"name": name, "model": name, "size": 10, "size_vram": vram, "expires_at": expires, "context_length": 4096})
}

fn names(models: &[Value]) -> Vec<&str> {
    models.iter().map(|model| model["name"].as_str().unwrap()).collect()
}

#[test]
fn merged_list_has_each_name_once_with_newest_first() {
    // One second apart, in different time zones.
    let one =
        [tag("a:latest", "2026-07-01T12:00:00.5+02:00", "1"), tag("b:latest", "2026-07-01T09:00:00Z", "2")];
    let other = [
        tag("library/a", "2026-08-01T00:00:00Z", "3"),
        tag("c:1b", "2026-07-01T10:00:01Z", "4"),
        json!({"size": 3}),
    ];
    let merged = tags(&[&one, &other], &|_| true);
    assert_eq!(names(&merged), ["c:1b", "a:latest", "b:latest"]);
    assert_eq!(merged[1], one[0], "as it came");
    assert!(tags(&[&[], &[]], &|_| true).is_empty());
}

#[test]
fn merged_list_adds_memory_of_copies_in_memory() {
    let one =
        [running("a:latest", "2026-07-01T12:00:00Z", 10), running("b:latest", "2026-07-01T12:00:30Z", 3)];
    let other = [running("a:latest", "2026-07-01T12:01:00Z", 4)];
    let merged = ps(&[&one, &other], &|_| true);
    assert_eq!(names(&merged), ["a:latest", "b:latest"]);
    assert_eq!((&merged[0]["size"], &merged[0]["size_vram"]), (&json!(20), &json!(14)));
    assert_eq!(merged[0]["expires_at"], "2026-07-01T12:01:00Z");
    assert_eq!(merged[0]["context_length"], 4096);
}

#[test]
fn merged_openai_list_has_the_same_models() {
    let models = [
        tag("a:latest", "1970-01-01T00:01:40Z", "1"),
        tag("me/a:latest", "nonsense", "2"),
        tag("hf.co/u/r:q", "", "3"),
    ];
    let told = openai(&models);
    assert_eq!(told["object"], "list");
    assert_eq!(
        told["data"][0],
        json!({"id": "a:latest", "object": "model", "created": 100, "owned_by": "library"})
    );
    let owners: Vec<_> = told["data"].as_array().unwrap().iter().map(|model| &model["owned_by"]).collect();
    assert_eq!(owners, ["library", "me", "u"]);
    assert_eq!(openai(&[])["data"], Value::Null);
}

#[test]
fn merged_list_has_each_model_once_for_any_number() {
    let many: Vec<_> = (0..10_000).map(|number| tag(&format!("m{number}:latest"), "", "")).collect();
    assert_eq!(tags(&[&many, &many], &|_| true).len(), 10_000);
}

#[test]
fn merged_list_shows_only_models_that_are_kept() {
    let installed = [tag("a:latest", "", "1"), tag("library/b", "", "2"), tag("c:1b", "", "3")];
    let kept = tags(&[&installed], &|name| ["b:latest", "c:1b"].contains(&name));
    assert_eq!(names(&kept), ["library/b", "c:1b"]);
    let loaded = [running("a:latest", "", 1), running("c:1b", "", 2)];
    assert_eq!(names(&ps(&[&loaded, &loaded], &|name| name == "c:1b")), ["c:1b"]);
}

#[test]
fn merged_list_exists_for_each_list_route() {
    assert_eq!(List::of(Route::OpenaiModels, None), Some(List::OpenAi));
    assert_eq!(List::of(Route::OpenaiModels, Some("m")), None);
    assert_eq!(List::of(Route::Ps, None), Some(List::Ps));
    assert_eq!(List::of(Route::Version, None), None);
}
