//! The names of everything in a span. docs/how-to/traces.md has the same table, which a test compares.
//!
//! The names that begin with `gen_ai` are those of the OpenTelemetry semantic conventions for generative AI, 0.1.0, and
//! those that begin with `error` and `http` are older and stable: the general conventions define them. Names of our own
//! begin with `streamgauge`.

use crate::protocol::Route;

/// The name of an attribute.
pub(super) type Name = &'static str;

pub(super) const ERROR_TYPE: Name = "error.type";
pub(super) const HTTP_METHOD: Name = "http.request.method";
pub(super) const HTTP_ROUTE: Name = "http.route";
pub(super) const HTTP_STATUS: Name = "http.response.status_code";

pub(super) const OPERATION: Name = "gen_ai.operation.name";
pub(super) const PROVIDER: Name = "gen_ai.provider.name";
pub(super) const REQUEST_MODEL: Name = "gen_ai.request.model";
pub(super) const REQUEST_STREAM: Name = "gen_ai.request.stream";
pub(super) const RESPONSE_MODEL: Name = "gen_ai.response.model";
pub(super) const FINISH_REASONS: Name = "gen_ai.response.finish_reasons";
pub(super) const FIRST_CHUNK: Name = "gen_ai.response.time_to_first_chunk";
pub(super) const INPUT_TOKENS: Name = "gen_ai.usage.input_tokens";
pub(super) const CACHED_TOKENS: Name = "gen_ai.usage.cache_read.input_tokens";
pub(super) const OUTPUT_TOKENS: Name = "gen_ai.usage.output_tokens";

pub(super) const REQUEST_ID: Name = "streamgauge.request.id";
pub(super) const ROUTE: Name = "streamgauge.route";
pub(super) const CALLER: Name = "streamgauge.caller";
pub(super) const UPSTREAM: Name = "streamgauge.upstream";
pub(super) const OUTCOME: Name = "streamgauge.outcome";
pub(super) const CONTEXT: Name = "streamgauge.context";
pub(super) const PROMPT_CUT: Name = "streamgauge.prompt.truncation_suspected";
pub(super) const LOAD_CAUSE: Name = "streamgauge.load.cause";
pub(super) const HIDDEN_QUEUE: Name = "streamgauge.hidden_queue.duration";
pub(super) const LOAD: Name = "streamgauge.load.duration";
pub(super) const PROMPT_EVAL: Name = "streamgauge.prompt_eval.duration";
pub(super) const EVAL: Name = "streamgauge.eval.duration";
/// Of the events `streamgauge.dispatched` and `streamgauge.retried`.
pub(super) const REASON: Name = "streamgauge.reason";

pub(super) const ADMITTED: Name = "streamgauge.admitted";
pub(super) const QUEUED: Name = "streamgauge.queued";
pub(super) const DISPATCHED: Name = "streamgauge.dispatched";
pub(super) const RETRIED: Name = "streamgauge.retried";
pub(super) const SENT: Name = "streamgauge.sent";
pub(super) const STARTED: Name = "streamgauge.started";
pub(super) const LOADED: Name = "streamgauge.loaded";
pub(super) const EVALUATED: Name = "streamgauge.prompt_evaluated";
pub(super) const FIRST_RECORD: Name = "streamgauge.first_record";
pub(super) const FIRST_TOKEN: Name = "streamgauge.first_token";
pub(super) const LAST_TOKEN: Name = "streamgauge.last_token";

/// The value of [`PROVIDER`].
pub(super) const OLLAMA: &str = "ollama";

/// The value of [`OPERATION`]. `None`: the request is no operation of a model.
pub(super) const fn operation(route: Route) -> Option<&'static str> {
    match route {
        Route::Chat
        | Route::OpenaiChat
        | Route::OpenaiResponses
        | Route::OpenaiResponsesCompact
        | Route::AnthropicMessages => Some("chat"),
        Route::Generate | Route::OpenaiCompletions => Some("text_completion"),
        Route::Embed | Route::Embeddings | Route::OpenaiEmbeddings => Some("embeddings"),
        Route::OpenaiTranscriptions
        | Route::OpenaiImagesGenerations
        | Route::OpenaiImagesEdits
        | Route::V1Other => Some("generate_content"),
        _ => None,
    }
}

/// The value of [`HTTP_ROUTE`]. `None`: the path is not one of a few.
pub(super) const fn path(route: Route) -> Option<&'static str> {
    Some(match route {
        Route::Generate => "/api/generate",
        Route::Chat => "/api/chat",
        Route::Embed => "/api/embed",
        Route::Embeddings => "/api/embeddings",
        Route::OpenaiChat => "/v1/chat/completions",
        Route::OpenaiCompletions => "/v1/completions",
        Route::OpenaiResponses => "/v1/responses",
        Route::OpenaiEmbeddings => "/v1/embeddings",
        Route::OpenaiModels => "/v1/models",
        Route::OpenaiTranscriptions => "/v1/audio/transcriptions",
        Route::OpenaiResponsesCompact => "/v1/responses/compact",
        Route::OpenaiImagesGenerations => "/v1/images/generations",
        Route::OpenaiImagesEdits => "/v1/images/edits",
        Route::AnthropicMessages => "/v1/messages",
        Route::Tags => "/api/tags",
        Route::Ps => "/api/ps",
        Route::Version => "/api/version",
        Route::Show => "/api/show",
        Route::Pull => "/api/pull",
        Route::Push => "/api/push",
        Route::Create => "/api/create",
        Route::Blobs => "/api/blobs/{digest}",
        Route::Copy => "/api/copy",
        Route::Delete => "/api/delete",
        Route::Status => "/api/status",
        Route::Me => "/api/me",
        Route::Signout => "/api/signout",
        Route::UserKeys => "/api/user/keys/{key}",
        Route::Root => "/",
        Route::V1Other | Route::Experimental | Route::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_those_of_the_documentation() {
        const PAGE: &str = include_str!("../../docs/how-to/traces.md");
        let lines = include_str!("attribute.rs").lines();
        let names = lines.filter_map(|line| line.split_once(": Name = \"")?.1.split('"').next());
        let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        let words = rows.flat_map(|cell| cell.split('`')).filter(|word| word.contains('.'));
        // Settings are in other tables of the page.
        let told: BTreeSet<_> = words.filter(|word| !word.starts_with("traces.")).collect();
        assert_eq!(names.collect::<BTreeSet<_>>(), told);
    }

    #[test]
    fn path_of_each_route_leads_to_that_route() {
        for route in Route::ALL {
            let Some(path) = path(route) else { continue };
            let path = path.replace("{digest}", "sha256:1").replace("{key}", "k");
            let leads =
                ["GET", "POST", "DELETE"].iter().any(|method| Route::classify(method, &path) == route);
            assert!(leads, "{path}");
        }
    }

    /// The routes of each operation, from the recording rules for dashboards that use the same names.
    #[test]
    fn operations_are_those_of_the_recording_rules() {
        let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/prometheus/rules/gen_ai.yml");
        let rules = std::fs::read_to_string(rules).unwrap();
        let mut rows = 0;
        for line in rules.lines() {
            let Some((_, rest)) = line.split_once("{route=~\"") else { continue };
            let (routes, rest) = rest.split_once('"').unwrap();
            let stated = rest.split('"').nth(3).unwrap();
            let of = |route: &Route| operation(*route) == Some(stated);
            let all: BTreeSet<_> = Route::ALL.into_iter().filter(of).map(Route::label).collect();
            assert_eq!(routes.split('|').collect::<BTreeSet<_>>(), all, "{stated}");
            rows += 1;
        }
        assert_eq!(rows, 4 * 3 + 3 * 4, "four rules of three operations, and three rules of four");
    }

    #[test]
    fn every_route_that_takes_a_slot_is_an_operation() {
        for route in Route::ALL {
            assert_eq!(operation(route).is_some(), route.takes_slot(), "{route:?}");
        }
    }
}
