//! Two real Ollamas behind one sidecar.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::Stdio,
    thread,
};

use serde_json::json;

use super::{
    answer::{curl, get, post},
    ollama::{MODEL, Ollama},
    sidecar::Sidecar,
    version::{Version, on_every_ollama},
};

fn names(url: &str, path: &str, place: &str, field: &str) -> BTreeSet<String> {
    let list = get(url, path).json();
    let all: Vec<_> = list[place]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model[field].as_str().unwrap().to_owned())
        .collect();
    let once: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!(once.len(), all.len(), "each once: {list}");
    once
}

fn two_ollamas_look_like_one_and_one_is_enough(version: Version) {
    let (first, second) = (Ollama::start(version, 1), Ollama::start(version, 1));
    let sidecar = Sidecar::of(
        &format!(
            "[[upstream]]\nname = \"first\"\nurl = \"{}\"\n[[upstream]]\nname = \"second\"\nurl = \"{}\"\n\
             [upstreams]\nchoose = \"least-busy\"\nprimary = \"second\"\nhealth_interval = \"1h\"\n",
            first.url, second.url
        ),
        [],
    );
    for name in ["first", "second"] {
        sidecar.until("upstream_up", &[&format!("upstream=\"{name}\"")], 1.0);
    }
    let url = &sidecar.url;

    // Model management goes to the primary, and later requests use the result.
    let create = json!({"model": "only", "from": MODEL, "stream": false});
    assert_eq!(post(url, "/api/create", &create).json()["status"], "success");
    let tags = |url: &str| names(url, "/api/tags", "models", "name");
    assert!(!tags(&first.url).contains("only:latest"));
    assert_eq!(tags(url), &tags(&first.url) | &tags(&second.url));
    assert_eq!(names(url, "/v1/models", "data", "id"), tags(url));
    let ask = |model: &str| json!({"model": model, "prompt": "Why is the sky blue?", "stream": false});
    assert_eq!(post(url, "/api/generate", &ask("only")).json()["done"], true);
    assert_eq!((first.answered("/api/generate", 200), second.answered("/api/generate", 200)), (1, 2));

    // Both upstreams serve models that both have.
    let mut longer = ask(MODEL);
    // Long enough to overlap.
    longer["options"] = json!({"num_predict": 80});
    thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| post(url, "/api/generate", &longer).json()));
        for asked in both {
            assert_eq!(asked.join().unwrap()["done"], true);
        }
    });
    assert_eq!((first.answered("/api/generate", 200), second.answered("/api/generate", 200)), (2, 3));

    let ps = |url: &str| names(url, "/api/ps", "models", "name");
    assert_eq!(ps(url), &ps(&first.url) | &ps(&second.url));

    // One Ollama ends in the middle of a stream: that stream is cut, and later requests are served.
    let long =
        json!({"model": MODEL, "prompt": "Tell a story.", "options": {"num_predict": 500}}).to_string();
    let target = format!("{url}/api/generate");
    let streams = [(); 2].map(|()| {
        let mut curl = curl(&["--data-binary", &long, &target]);
        let mut stream = curl.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut records = BufReader::new(stream.stdout.take().unwrap()).lines();
        assert!(records.next().unwrap().unwrap().contains("\"done\":false"));
        (stream, records)
    });
    drop(first);
    for _ in 0..3 {
        assert_eq!(post(url, "/api/generate", &ask("only")).json()["done"], true);
    }
    let whole = streams.map(|(mut stream, records)| {
        let done = records.last().is_some_and(|last| last.unwrap().contains("\"done\":true"));
        // curl reports whether its response is complete.
        (stream.wait().unwrap().success(), done)
    });
    assert!(whole == [(true, true), (false, false)] || whole == [(false, false), (true, true)], "{whole:?}");
    assert_eq!(sidecar.sum("requests_total", &[r#"outcome="upstream_error""#]), 1.0);
}

on_every_ollama! {
    two_ollamas_look_like_one_and_one_is_enough,
}
