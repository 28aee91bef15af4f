//! Records as Ollama sends them.

use std::time::Duration;

use super::{FinishReason, Kind, Record, Unscanned, read};
use crate::protocol::{Dialect, Usage};

fn one(dialect: Dialect, text: &str) -> Record {
    read(text.as_bytes(), dialect, false).unwrap().unwrap()
}

fn whole(dialect: Dialect, text: &str) -> Record {
    read(text.as_bytes(), dialect, true).unwrap().unwrap()
}

fn record(kind: Kind, has_content: bool) -> Record {
    Record {
        kind,
        has_content,
        has_tool_call: kind == Kind::ToolCall,
        created_at: None,
        finish: None,
        usage: None,
    }
}

fn counts(prompt: u64, output: u64) -> Option<Usage> {
    Some(Usage { prompt_tokens: Some(prompt), output_tokens: Some(output), ..Usage::default() })
}

const CREATED: &str = r#""model":"llama3.2:1b","created_at":"2025-11-24T09:15:30.123456789Z""#;
const CREATED_NANOS: i64 = 1_763_975_730_123_456_789;

#[test]
fn ollama_chunk_is_content() {
    for (fields, kind, has_content) in [
        (r#""response":" the","done":false"#, Kind::Content, true),
        (r#""response":"\"","done":false"#, Kind::Content, true),
        (r#""response":"","done":false"#, Kind::Other, false),
        (r#""response":"","thinking":"hm","done":false"#, Kind::Thinking, true),
        (r#""response":"so","thinking":"hm","done":false"#, Kind::Content, true),
        (r#""message":{"role":"assistant","content":"Hi"},"done":false"#, Kind::Content, true),
        (r#""message":{"role":"assistant","content":""},"done":false"#, Kind::Other, false),
        (r#""message":{"role":"assistant","content":"","thinking":"hm"},"done":false"#, Kind::Thinking, true),
        (
            r#""message":{"role":"assistant","content":"x","tool_calls":[{"function":{"name":"f","arguments":{"a":"}"}}}]}"#,
            Kind::ToolCall,
            true,
        ),
        (r#""message":{"role":"assistant","content":"","tool_calls":[]}"#, Kind::Other, false),
        (r#""response":"x","done":"true""#, Kind::Content, true),
    ] {
        let expected = Record { created_at: Some(CREATED_NANOS), ..record(kind, has_content) };
        assert_eq!(one(Dialect::Ollama, &format!("{{{CREATED},{fields}}}")), expected, "{fields}");
    }
}

#[test]
fn record_with_escapes_in_keys_and_words_is_read_the_same() {
    let created = Record { created_at: Some(CREATED_NANOS), ..record(Kind::Terminal, false) };
    let escaped = r#"{"cr\u0065ated_at":"2025-11-24T10:15:30.123456789\u002B01:00","d\u006fne":true}"#;
    assert_eq!(one(Dialect::Ollama, escaped), created);
    let message = r#"{"m\u0065ssage":{"cont\u0065nt":"\u0061"},"done":false}"#;
    assert_eq!(one(Dialect::Ollama, message), record(Kind::Content, true));
    assert_eq!(one(Dialect::Ollama, r#"{"status":"succ\u0065ss"}"#), record(Kind::Terminal, false));
    let loaded = r#"{"done":true,"done_reason":"lo\u0061d","eval_count":3}"#;
    let finish = Some(FinishReason::Load);
    assert_eq!(one(Dialect::Ollama, loaded), Record { finish, ..record(Kind::Terminal, false) });
    let delta = r#"{"type":"response.output\u005ftext.delta","d\u0065lta":"a"}"#;
    assert_eq!(one(Dialect::OpenAi, delta), record(Kind::Content, true));
    let usage = r#"{"choices":[],"us\u0061ge":{"prompt_t\u006fkens":2,"completion_tokens":3}}"#;
    assert_eq!(one(Dialect::OpenAi, usage).usage, counts(2, 3));
    assert_eq!(
        one(Dialect::Anthropic, r#"{"typ\u0065":"message\u005fstop"}"#),
        record(Kind::Terminal, false)
    );
    let tool = r#"{"type":"content_block_start","content_block":{"type":"tool\u005fuse"}}"#;
    assert_eq!(one(Dialect::Anthropic, tool), record(Kind::ToolCall, true));
}

const FINAL: &str = r#""done":true,"done_reason":"stop","context":[1,2,3],"total_duration":5043500667,"load_duration":5025959,"prompt_eval_count":26,"prompt_eval_cached_count":20,"prompt_eval_duration":325953000,"eval_count":290,"eval_duration":4709213000}"#;

fn final_usage() -> Usage {
    Usage {
        prompt_tokens: Some(26),
        prompt_cached_tokens: Some(20),
        output_tokens: Some(290),
        total: Some(Duration::from_nanos(5_043_500_667)),
        load: Some(Duration::from_nanos(5_025_959)),
        prompt_eval: Some(Duration::from_nanos(325_953_000)),
        eval: Some(Duration::from_nanos(4_709_213_000)),
        has_invalid_duration: false,
    }
}

#[test]
fn ollama_last_record_has_reason_and_counts() {
    let last = one(Dialect::Ollama, &format!(r#"{{{CREATED},"response":"",{FINAL}"#));
    assert_eq!((last.kind, last.has_content, last.usage), (Kind::Terminal, false, Some(final_usage())));
    // A response with `stream` set to false.
    let answer = format!(r#"{{{CREATED},"message":{{"role":"assistant","content":"Hi"}},{FINAL}"#);
    let answer = whole(Dialect::Ollama, &answer);
    assert_eq!((answer.kind, answer.has_content, answer.usage), (Kind::Terminal, true, Some(final_usage())));
}

#[test]
fn ollama_last_record_with_tool_calls_carries_a_call() {
    let call = r#"{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f"}}]},"done":true}"#;
    assert_eq!(one(Dialect::Ollama, call), Record { has_tool_call: true, ..record(Kind::Terminal, true) });
}

#[test]
fn ollama_counts_that_are_invalid_are_absent() {
    let odd = r#"{"done":true,"eval_count":-1,"prompt_eval_count":1.5,"total_duration":1e9,"load_duration":"1","eval_duration":99999999999999999999,"prompt_eval_duration":7}"#;
    let told =
        Usage { prompt_eval: Some(Duration::from_nanos(7)), has_invalid_duration: true, ..Usage::default() };
    assert_eq!(one(Dialect::Ollama, odd).usage, Some(told));
    assert_eq!(one(Dialect::Ollama, r#"{"done":true}"#), record(Kind::Terminal, false));
    // Counts before the end do not count.
    assert_eq!(one(Dialect::Ollama, r#"{"response":"x","eval_count":3,"done":false}"#).usage, None);
}

#[test]
fn ollama_load_and_unload_records_are_recognized() {
    for reason in ["load", "unload"] {
        let text =
            format!(r#"{{{CREATED},"response":"","done":true,"done_reason":"{reason}","eval_count":3}}"#);
        for record in [one(Dialect::Ollama, &text), whole(Dialect::Ollama, &text)] {
            assert_eq!((record.kind, record.has_content, record.usage), (Kind::Terminal, false, None));
        }
    }
}

#[test]
fn ollama_progress_and_errors_are_recognized() {
    let one = |text: &str| one(Dialect::Ollama, text);
    let progress =
        r#"{"status":"pulling 74701a8c35f6","digest":"sha256:74","total":1321082688,"completed":4}"#;
    assert_eq!(one(progress), record(Kind::Other, false));
    assert_eq!(one(r#"{"status":"success"}"#), record(Kind::Terminal, false));
    assert_eq!(one(r#"{"error":"pull model manifest: file does not exist"}"#), record(Kind::Error, false));
    assert_eq!(one(r#"{"error":null,"response":"x"}"#), record(Kind::Content, true));
    assert_eq!(one(r#"{"error":{},"done":true,"response":"x"}"#), record(Kind::Error, true));
}

#[test]
fn ollama_embed_response_has_counts_and_lists_have_none() {
    let embed = r#"{"model":"all-minilm","embeddings":[[0.010071029,-0.0017594862],[1e-3]],"total_duration":14143917,"load_duration":1019500,"prompt_eval_count":8}"#;
    let told = Usage {
        prompt_tokens: Some(8),
        total: Some(Duration::from_nanos(14_143_917)),
        load: Some(Duration::from_nanos(1_019_500)),
        ..Usage::default()
    };
    assert_eq!(whole(Dialect::Ollama, embed), Record { usage: Some(told), ..record(Kind::Terminal, false) });
    let tags = r#"{"models":[{"name":"a:latest","size":1,"details":{"families":null}}]}"#;
    assert_eq!(whole(Dialect::Ollama, tags), record(Kind::Other, false));
    assert_eq!(whole(Dialect::Ollama, r#"{"version":"0.12.11"}"#), record(Kind::Other, false));
}

fn chat_chunk(choices: &str, rest: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1763975730,"model":"m","system_fingerprint":"fp_ollama","choices":[{choices}]{rest}}}"#
    )
}

#[test]
fn openai_chunk_is_content() {
    let chunk = |delta: &str| {
        one(
            Dialect::OpenAi,
            &chat_chunk(&format!(r#"{{"index":0,"delta":{delta},"finish_reason":null}}"#), ""),
        )
    };
    assert_eq!(chunk(r#"{"role":"assistant","content":"Hi"}"#), record(Kind::Content, true));
    assert_eq!(chunk(r#"{"role":"assistant","content":""}"#), record(Kind::Other, false));
    assert_eq!(chunk(r#"{"role":"assistant","content":"","reasoning":"hm"}"#), record(Kind::Thinking, true));
    assert_eq!(chunk(r#"{"reasoning_content":"hm"}"#), record(Kind::Thinking, true));
    let call = r#"{"role":"assistant","content":"","tool_calls":[{"id":"call_1","index":0,"type":"function","function":{"name":"f","arguments":"{}"}}]}"#;
    assert_eq!(chunk(call), record(Kind::ToolCall, true));
    let text = r#"{"id":"cmpl-1","object":"text_completion","choices":[{"text":"x","index":0,"finish_reason":null}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#;
    assert_eq!(one(Dialect::OpenAi, text), record(Kind::Content, true), "zeros report nothing");
    assert_eq!(one(Dialect::OpenAi, "[DONE]"), record(Kind::Terminal, false));
    assert_eq!(one(Dialect::OpenAi, " [DONE] "), record(Kind::Terminal, false));
    let error = r#"{"error":{"message":"m","type":"api_error","param":null,"code":null}}"#;
    assert_eq!(one(Dialect::OpenAi, error), record(Kind::Error, false));
}

#[test]
fn openai_usage_is_read() {
    let usage = r#","usage":{"prompt_tokens":31,"completion_tokens":8,"total_tokens":39,"prompt_tokens_details":{"cached_tokens":30}}"#;
    let told = Usage { prompt_cached_tokens: Some(30), ..counts(31, 8).unwrap() };
    let last = one(Dialect::OpenAi, &chat_chunk("", usage));
    assert_eq!(last, Record { usage: Some(told), ..record(Kind::Other, false) });
    let answer = chat_chunk(
        r#"{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}"#,
        usage,
    );
    let answer = whole(Dialect::OpenAi, &answer);
    let finish = Some(FinishReason::Stop);
    assert_eq!(answer, Record { finish, usage: Some(told), ..record(Kind::Terminal, true) });
    for none in [r#","usage":null"#, r#","usage":{}"#, r#","usage":{"prompt_tokens":-1}"#] {
        assert_eq!(one(Dialect::OpenAi, &chat_chunk("", none)).usage, None, "{none}");
    }
    let embedding = r#"{"object":"list","data":[{"object":"embedding","embedding":[0.1,-0.2],"index":0}],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    let told = Usage { prompt_tokens: Some(8), ..Usage::default() };
    assert_eq!(
        whole(Dialect::OpenAi, embedding),
        Record { usage: Some(told), ..record(Kind::Terminal, false) }
    );
    let models = r#"{"object":"list","data":[{"id":"m","object":"model"}]}"#;
    assert_eq!(whole(Dialect::OpenAi, models), record(Kind::Other, false));
}

#[test]
fn openai_responses_events_are_recognized() {
    let one = |text: &str| one(Dialect::OpenAi, text);
    let text = r#"{"type":"response.output_text.delta","sequence_number":5,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"Hi","logprobs":[]}"#;
    assert_eq!(one(text), record(Kind::Content, true));
    assert_eq!(one(r#"{"delta":"","type":"response.output_text.delta"}"#), record(Kind::Other, false));
    for thinking in ["response.reasoning_summary_text.delta", "response.reasoning_text.delta"] {
        let text = format!(r#"{{"delta":"hm","type":"{thinking}"}}"#);
        assert_eq!(one(&text), record(Kind::Thinking, true));
    }
    let call = r#"{"type":"response.function_call_arguments.delta","delta":""}"#;
    assert_eq!(one(call), record(Kind::ToolCall, true));
    assert_eq!(
        one(r#"{"type":"response.output_text.done","text":"Hi"}"#),
        record(Kind::Other, false),
        "reported before"
    );
    for end in ["completed", "incomplete", "failed"] {
        // The type may come after the field that it explains.
        let text = format!(
            r#"{{"sequence_number":9,"response":{{"id":"resp_1","error":null,"output":[{{"usage":1}}],"usage":{{"input_tokens":31,"input_tokens_details":{{"cached_tokens":0}},"output_tokens":8,"output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":39}}}},"type":"response.{end}"}}"#
        );
        let told = Usage { prompt_cached_tokens: Some(0), ..counts(31, 8).unwrap() };
        assert_eq!(one(&text), Record { usage: Some(told), ..record(Kind::Terminal, false) });
    }
    assert_eq!(one(r#"{"type":"response.completed"}"#), record(Kind::Terminal, false));
    assert_eq!(one(r#"{"type":"error","message":"m","code":null}"#), record(Kind::Error, false));
    let created = r#"{"type":"response.created","response":{"status":"in_progress","usage":null}}"#;
    assert_eq!(one(created), record(Kind::Other, false));
    let answer = r#"{"id":"resp_1","object":"response","status":"completed","error":null,"output":[{"type":"message","content":[{"type":"output_text","text":"Hi"}]}],"usage":{"input_tokens":31,"output_tokens":8}}"#;
    assert_eq!(
        whole(Dialect::OpenAi, answer),
        Record { usage: counts(31, 8), finish: Some(FinishReason::Stop), ..record(Kind::Terminal, true) }
    );
}

#[test]
fn openai_transcription_and_image_responses_are_content() {
    for (answer, has_content) in [
        (r#"{"text":"Hello"}"#, true),
        (r#"{"text":""}"#, false),
        (r#"{"created":1,"data":[{"b64_json":"iVBORw0KGgo="}]}"#, true),
        (r#"{"created":1,"data":[{"url":"http://127.0.0.1/1.png"}]}"#, true),
        (r#"{"created":1,"data":[]}"#, false),
        (r#"{"object":"list","data":[{"object":"embedding","embedding":[0.1,0.2],"index":0}]}"#, false),
    ] {
        let kind = if has_content { Kind::Terminal } else { Kind::Other };
        assert_eq!(whole(Dialect::OpenAi, answer), record(kind, has_content), "{answer}");
    }
    let done = r#"{"type":"response.output_text.done","text":"Hello"}"#;
    assert_eq!(one(Dialect::OpenAi, done), record(Kind::Other, false), "its deltas carried the text");
    let compact = r#"{"id":"resp_1","object":"response.compaction","output":[{"type":"compaction","encrypted_content":"x"}],"usage":{"input_tokens":40,"output_tokens":9}}"#;
    assert_eq!(
        whole(Dialect::OpenAi, compact),
        Record { usage: counts(40, 9), ..record(Kind::Terminal, true) }
    );
}

#[test]
fn anthropic_stream_events_are_recognized() {
    let one = |text: &str| one(Dialect::Anthropic, text);
    let start = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"stop_reason":null,"usage":{"input_tokens":25,"output_tokens":0}}}"#;
    assert_eq!(one(start), record(Kind::Other, false), "an estimate is no count");
    let block =
        |inside: &str| format!(r#"{{"type":"content_block_start","index":0,"content_block":{inside}}}"#);
    assert_eq!(one(&block(r#"{"type":"text","text":""}"#)), record(Kind::Other, false));
    assert_eq!(
        one(&block(r#"{"type":"tool_use","id":"toolu_1","name":"f","input":{}}"#)),
        record(Kind::ToolCall, true)
    );
    let delta = |inside: &str| format!(r#"{{"type":"content_block_delta","index":0,"delta":{inside}}}"#);
    assert_eq!(one(&delta(r#"{"type":"text_delta","text":"Hi"}"#)), record(Kind::Content, true));
    assert_eq!(one(&delta(r#"{"type":"text_delta","text":""}"#)), record(Kind::Other, false));
    assert_eq!(one(&delta(r#"{"type":"thinking_delta","thinking":"hm"}"#)), record(Kind::Thinking, true));
    assert_eq!(
        one(&delta(r#"{"type":"input_json_delta","partial_json":"{\"a\""}"#)),
        record(Kind::Other, false),
        "the call was counted at its start"
    );
    assert_eq!(one(r#"{"type":"content_block_stop","index":0}"#), record(Kind::Other, false));
    assert_eq!(one(r#"{"type":"ping"}"#), record(Kind::Other, false));
    let last = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":26,"output_tokens":8}}"#;
    let finish = Some(FinishReason::Stop);
    assert_eq!(one(last), Record { finish, usage: counts(26, 8), ..record(Kind::Other, false) });
    assert_eq!(one(r#"{"type":"message_stop"}"#), record(Kind::Terminal, false));
    assert_eq!(
        one(r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#),
        record(Kind::Error, false)
    );
}

#[test]
fn anthropic_whole_response_has_content_and_counts() {
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":5,"cache_read_input_tokens":20,"cache_creation_input_tokens":1,"output_tokens":8}}"#;
    let told = Usage { prompt_cached_tokens: Some(20), ..counts(26, 8).unwrap() };
    assert_eq!(
        whole(Dialect::Anthropic, answer),
        Record { usage: Some(told), finish: Some(FinishReason::Stop), ..record(Kind::Terminal, true) }
    );
}

#[test]
fn white_space_is_no_record_and_other_text_is_malformed() {
    for dialect in [Dialect::Ollama, Dialect::OpenAi, Dialect::Anthropic] {
        for blank in ["", " ", "\r", "\t \r\n"] {
            assert_eq!(read(blank.as_bytes(), dialect, false), None);
        }
        for text in [
            "x",
            "[]",
            "1",
            "\"a\"",
            "{",
            r#"{"done":true"#,
            r#"{"done":true}}"#,
            r#"{"done":true} x"#,
            r#"{"done":tru}"#,
            r#"{"message":{"content":"x"}"#,
            r#"{"response":"x}"#,
            "\u{feff}{}",
            "\0",
        ] {
            assert_eq!(read(text.as_bytes(), dialect, false), Some(Err(Unscanned::Malformed)), "{text}");
        }
    }
    assert_eq!(read(b"[DONE]", Dialect::Ollama, false), Some(Err(Unscanned::Malformed)));
    assert_eq!(read(b"[DONE]", Dialect::OpenAi, true), Some(Err(Unscanned::Malformed)));
}

#[test]
fn finish_reason_of_each_dialect_is_read() {
    use FinishReason::*;
    let native = |reason: &str| format!(r#"{{"response":"","done":true,"done_reason":{reason}}}"#);
    for (reason, expected) in [
        (r#""stop""#, Some(Stop)),
        (r#""length""#, Some(Length)),
        (r#""load""#, Some(Load)),
        (r#""unload""#, Some(Unload)),
        (r#""st\u006fp""#, Some(Stop)),
        (r#""a new word""#, Some(Other)),
        (r#""""#, None),
        ("null", None),
        ("7", None),
    ] {
        for read in [one, whole] {
            assert_eq!(read(Dialect::Ollama, &native(reason)).finish, expected, "{reason}");
        }
        let choice = chat_chunk(&format!(r#"{{"index":0,"delta":{{}},"finish_reason":{reason}}}"#), "");
        assert_eq!(one(Dialect::OpenAi, &choice).finish, expected, "{reason}");
    }
    let unfinished = r#"{"response":"a","done":false,"done_reason":"stop"}"#;
    assert_eq!(one(Dialect::Ollama, unfinished).finish, None, "only the last record has one");
    for (reason, expected) in [
        ("end_turn", Stop),
        ("stop_sequence", Stop),
        ("max_tokens", Length),
        ("model_context_window_exceeded", Context),
        ("tool_use", ToolCalls),
        ("refusal", ContentFilter),
        ("pause_turn", Other),
    ] {
        let delta = format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}"}}}}"#);
        assert_eq!(one(Dialect::Anthropic, &delta).finish, Some(expected), "{reason}");
        let answer = format!(r#"{{"type":"message","content":[{{}}],"stop_reason":"{reason}"}}"#);
        assert_eq!(whole(Dialect::Anthropic, &answer).finish, Some(expected), "{reason}");
    }
    for (response, expected) in [
        (r#"{"status":"completed","incomplete_details":null}"#, Stop),
        (r#"{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}"#, Length),
        (r#"{"incomplete_details":{"reason":"content_filter"},"status":"incomplete"}"#, ContentFilter),
        (r#"{"status":"failed"}"#, Error),
    ] {
        let last = format!(r#"{{"type":"response.completed","response":{response}}}"#);
        assert_eq!(one(Dialect::OpenAi, &last).finish, Some(expected), "{response}");
        assert_eq!(whole(Dialect::OpenAi, response).finish, Some(expected), "{response}");
    }
    let created = r#"{"type":"response.created","response":{"status":"in_progress"}}"#;
    assert_eq!(one(Dialect::OpenAi, created).finish, None);
}

#[test]
fn openai_response_with_a_function_call_carries_a_call() {
    let answer = |kind: &str| {
        let answer = format!(r#"{{"status":"completed","output":[{{"type":"{kind}"}}]}}"#);
        let record = whole(Dialect::OpenAi, &answer);
        (record.has_content, record.has_tool_call)
    };
    assert_eq!(answer("function_call"), (true, true));
    assert_eq!(answer("message"), (true, false));
}
