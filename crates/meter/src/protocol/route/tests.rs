//! Maps requests to routes, and tests the properties of each route.

use super::{Dialect, Route};

#[test]
fn route_of_each_table_entry_is_recognized() {
    for (method, path, label) in [
        ("POST", "/api/generate", "generate"),
        ("POST", "/api/chat", "chat"),
        ("POST", "/api/embed", "embed"),
        ("POST", "/api/embeddings", "embeddings"),
        ("POST", "/v1/chat/completions", "openai_chat"),
        ("POST", "/v1/completions", "openai_completions"),
        ("POST", "/v1/responses", "openai_responses"),
        ("POST", "/v1/embeddings", "openai_embeddings"),
        ("GET", "/v1/models", "openai_models"),
        ("GET", "/v1/models/llama3.2:1b", "openai_models"),
        ("POST", "/v1/audio/transcriptions", "openai_transcriptions"),
        ("POST", "/v1/responses/compact", "openai_responses_compact"),
        ("POST", "/v1/images/generations", "openai_images_generations"),
        ("POST", "/v1/images/edits", "openai_images_edits"),
        ("POST", "/v1/messages", "anthropic_messages"),
        ("POST", "/v1/audio/speech", "v1_other"),
        ("GET", "/api/tags", "tags"),
        ("HEAD", "/api/tags", "tags"),
        ("GET", "/api/ps", "ps"),
        ("GET", "/api/version", "version"),
        ("HEAD", "/api/version", "version"),
        ("POST", "/api/show", "show"),
        ("POST", "/api/pull", "pull"),
        ("POST", "/api/push", "push"),
        ("POST", "/api/create", "create"),
        ("HEAD", "/api/blobs/sha256:0", "blobs"),
        ("POST", "/api/blobs/sha256:0", "blobs"),
        ("POST", "/api/copy", "copy"),
        ("DELETE", "/api/delete", "delete"),
        ("GET", "/api/status", "status"),
        ("POST", "/api/me", "me"),
        ("POST", "/api/signout", "signout"),
        ("DELETE", "/api/user/keys/c3NoLWVkMjU1MTk", "user_keys"),
        ("POST", "/api/experimental/web_search", "experimental"),
        ("POST", "/api/experimental/web_fetch", "experimental"),
        ("GET", "/api/experimental/model-recommendations", "experimental"),
        ("GET", "/", "root"),
        ("HEAD", "/", "root"),
    ] {
        let route = Route::classify(method, path);
        assert_eq!(route.label(), label, "{method} {path}");
        assert_eq!(Dialect::of(path), route.dialect(), "{method} {path}");
    }
}

#[test]
fn route_is_matched_on_decoded_path() {
    for (method, path, label) in [
        ("GET", "/%61pi/ps", "ps"),
        ("GET", "/v1%2fmodels", "openai_models"),
        ("DELETE", "/api%2Fdelete", "delete"),
        ("POST", "/api/blobs/sha256%3A0", "blobs"),
        // Go decodes a path once.
        ("GET", "/%2561pi/ps", "other"),
        // The decoded slash makes it two segments.
        ("GET", "/v1/models/a%2Fb", "other"),
        ("GET", "/api/ps%2F", "other"),
        ("GET", "/api/%2e%2e/ps", "other"),
        ("GET", "/api/ps%", "other"),
        ("GET", "/api/ps%0", "other"),
        ("GET", "/%61pi/ps%zz", "other"),
        ("GET", "/api/ps%00", "other"),
        ("GET", "/api/ps%ff", "other"),
    ] {
        assert_eq!(Route::classify(method, path).label(), label, "{method} {path}");
    }
}

#[test]
fn route_that_ollama_redirects_or_refuses_is_other() {
    for (method, path) in [
        ("GET", "//api/ps"),
        ("GET", "/api//ps"),
        ("GET", "/api/../api/ps"),
        ("GET", "/api/./ps"),
        ("GET", "/api/ps/"),
        ("GET", "/API/ps"),
        ("GET", "/v1/models/"),
        ("GET", "/v1/models/.."),
        ("GET", "/v1/models/a/b"),
        ("POST", "/api/blobs/"),
        ("GET", "/api/blobs/sha256:0"),
        ("HEAD", "/api/ps"),
        ("HEAD", "/v1/models"),
        ("POST", "/api/ps"),
        ("GET", "/api/generate"),
        ("get", "/api/ps"),
        ("POST", "/api/delete"),
        ("POST", "/"),
        ("GET", ""),
        ("GET", "/metrics"),
        ("POST", "/v1"),
        ("POST", "/v1/"),
        ("POST", "/v1/audio/speech/"),
        ("POST", "/v1//audio"),
        ("POST", "/v1/../api/delete"),
        ("POST", "/v1/x%2F..%2F..%2Fapi%2Fpull"),
        ("POST", "/v1/x%"),
        ("GET", "/v1/audio/speech"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/api/status"),
        ("GET", "/api/me"),
        ("DELETE", "/api/user/keys/"),
        ("DELETE", "/api/user/keys/a/b"),
        ("POST", "/api/experimental/"),
        ("POST", "/api/experimental/../pull"),
        ("POST", "/api/codex"),
        ("GET", "/api/codex/v1/models"),
    ] {
        assert_eq!(Route::classify(method, path), Route::Other, "{method} {path}");
    }
}

#[test]
fn unknown_post_under_v1_may_generate() {
    for (path, dialect) in [
        ("/v1/audio/speech", Dialect::OpenAi),
        ("/v1/rerank", Dialect::OpenAi),
        ("/%76%31/rerank", Dialect::OpenAi),
        ("/v1%2Frerank", Dialect::OpenAi),
        ("/v1/responses/resp_1/cancel", Dialect::OpenAi),
        ("/v1/models", Dialect::OpenAi),
        ("/v1/messages/count_tokens", Dialect::Anthropic),
        // Ollama 0.34 passes these on to its own `/v1`.
        ("/api/codex/v1/responses", Dialect::OpenAi),
    ] {
        assert_eq!(Route::classify("POST", path), Route::V1Other, "{path}");
        assert_eq!(Dialect::of(path), dialect, "{path}");
    }
    assert!(Route::V1Other.takes_slot() && !Route::V1Other.has_terminal_record());
}

#[test]
fn form_query_names_the_model_before_the_form_does() {
    for (query, model) in [
        ("model=a", Some("a")),
        ("x=y&model=a%3Ab&model=c", Some("a:b")),
        ("m%6fdel=a+b", Some("a b")),
        ("model", Some("")),
        ("model=%ff", Some("")),
        ("models=a", None),
        ("", None),
    ] {
        assert_eq!(super::model_of_query(query).as_deref(), model, "{query}");
    }
}

#[test]
fn unknown_path_has_dialect_of_its_prefix() {
    for (path, dialect) in [
        ("/v1/audio/speech", Dialect::OpenAi),
        ("/%761/audio", Dialect::OpenAi),
        ("/v1/messages/count_tokens", Dialect::Anthropic),
        ("/v1/messages_of_mine", Dialect::OpenAi),
        ("/v1", Dialect::Ollama),
        ("/v1/x%", Dialect::OpenAi),
        ("/api/me", Dialect::Ollama),
        ("/", Dialect::Ollama),
    ] {
        assert_eq!(Dialect::of(path), dialect, "{path}");
    }
}

#[test]
fn route_labels_and_indices_are_unique() {
    for (place, route) in Route::ALL.into_iter().enumerate() {
        assert_eq!(route.index(), place);
        assert_eq!(Route::from_label(route.label()), Some(route));
    }
    assert_eq!(Route::from_label("nothing"), None);
}

#[test]
fn route_properties_match_the_table() {
    let labels = |is: fn(Route) -> bool| {
        Route::ALL.into_iter().filter(|route| is(*route)).map(Route::label).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        labels(Route::generates),
        "generate chat openai_chat openai_completions openai_responses openai_transcriptions \
         openai_responses_compact openai_images_generations openai_images_edits anthropic_messages v1_other"
    );
    assert_eq!(
        labels(Route::takes_slot),
        "generate chat embed embeddings openai_chat openai_completions openai_responses \
         openai_embeddings openai_transcriptions openai_responses_compact openai_images_generations \
         openai_images_edits anthropic_messages v1_other"
    );
    assert_eq!(
        labels(Route::has_model),
        "generate chat embed embeddings openai_chat openai_completions openai_responses \
         openai_embeddings openai_transcriptions openai_responses_compact openai_images_generations \
         openai_images_edits anthropic_messages v1_other show pull push create copy delete"
    );
    assert_eq!(labels(Route::is_account), "status me signout user_keys experimental");
    assert_eq!(labels(Route::asks_cloud), "me signout user_keys experimental");
    assert_eq!(
        labels(Route::may_ask_cloud),
        "generate chat embed embeddings openai_chat openai_completions openai_responses \
         openai_embeddings openai_models openai_transcriptions openai_responses_compact \
         openai_images_generations openai_images_edits anthropic_messages show"
    );
    assert_eq!(labels(Route::reads_body_ahead), labels(Route::has_model));
}
