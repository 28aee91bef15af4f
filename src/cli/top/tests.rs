//! The panel as a user sees it, drawn into memory.

use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    style::Modifier,
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    feed::{Feed, FeedState, Trouble},
    overview::Overview,
    panel::Panel,
    view::{Request, Tab},
};

fn overview() -> Overview {
    serde_json::from_value(json!({
        "version": "0.1.0",
        "began": 1_795_830_024_200_u64,
        "last": 2,
        "columns": ["seconds", "streams", "queued", "tokens", "first_token_p50", "first_token_p99", "gap_p99",
            "hidden_p50", "failed"],
        "points": [
            [0.0, 1, 0, 40.0, 0.2, 0.4, 0.03, 0.01, 0.0],
            [2.0, 2, 1, 80.0, 0.25, 0.5, 0.04, 0.02, 0.125],
        ],
        "upstreams": [
            {"name": "gpu0", "address": "10.0.0.1:11434", "alive": true, "version": "0.34.3", "loaded": ["gemma3:4b"],
             "found_limit": 4, "found_limit_reason": "hidden_queue"},
            {"name": "gpu1", "address": "10.0.0.2:11434", "alive": false, "why": "Connection refused", "version": null, "loaded": null},
        ],
        "streams": {"running": 81, "decoding": 1, "by_model": {"gemma3:4b": 80}, "by_upstream": {"gpu0": 81}, "shown": [
            {"route": "chat", "model": "gemma3:4b", "upstream": "gpu0", "age_seconds": 3.25,
             "decoding": true, "tokens": 120, "time_to_first_token_seconds": 0.25, "gap_p99_seconds": 0.031},
            {"route": "openai_chat", "model": "qwen3:8b", "upstream": "gpu0", "age_seconds": 12.0,
             "decoding": false, "overlong_prompt": true, "tokens": 0, "time_to_first_token_seconds": null, "gap_p99_seconds": null},
        ]},
        "totals": {
            "models": [
                {"name": "gemma3:4b", "requests": 90, "failed": 2, "prompt_tokens": 12000, "output_tokens": 34567890.0},
                {"name": "qwen3:8b", "requests": 7, "failed": 0, "prompt_tokens": 900, "output_tokens": 1200},
            ],
            "upstreams": [{"name": "gpu0", "requests": 97, "failed": 2}],
            "callers": [{"name": "alice", "requests": 60, "failed": 1, "refused": 5}],
        },
        "requests": [{"ago_seconds": 75.0, "id": "7f3c2a1e00000003", "route": "chat", "model": "gemma3:4b",
            "upstream": "gpu0", "outcome": "truncated", "reason": "the stream ended without its last record",
            "status": 200}],
    }))
    .unwrap()
}

fn panel(state: FeedState) -> Panel {
    Panel::new(Feed::fixed(state))
}

fn drawn(panel: &mut Panel, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| panel.draw(frame)).unwrap();
    terminal.backend().to_string()
}

fn press(panel: &mut Panel, keys: &str) {
    for key in keys.chars() {
        let code = if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) };
        assert_eq!(panel.view().key(KeyEvent::new(code, KeyModifiers::NONE), 8), Request::Draw);
    }
}

fn running() -> Panel {
    panel(FeedState { overview: Some(overview()), away: None })
}

#[test]
fn panel_fits_80_columns_and_24_lines_and_shows_the_totals() {
    let picture = drawn(&mut running(), 80, 24);
    for part in [
        "streamgauge 0.1.0  http://127.0.0.1:9464  gpu1 (10.0.0.2:11434) is DOWN",
        "│81 run, 1 decode ",
        "│1 queued ",
        "openai_chat ",
        "│80",
        "│250 ms",
        "p99 500 ms",
        "│12.5 %",
        "│queue 20 ms ",
        " 1 Streams ",
        "gemma3:4b",
        "waiting",
        "q quit",
    ] {
        assert!(picture.contains(part), "{part:?} is not in\n{picture}");
    }
}

#[test]
fn table_is_selected_by_its_number() {
    let mut panel = running();
    for (key, part) in [
        ("2", "34.6M"),
        ("3", "Connection refused"),
        ("3", "at most 4 (hidden queue); gemma3:4b"),
        ("4", "alice"),
        ("5", "the stream ended without its last record"),
        ("1", "openai_chat"),
    ] {
        press(&mut panel, key);
        let picture = drawn(&mut panel, 100, 24);
        assert!(picture.contains(part), "{key}: {picture}");
        // The number of all streams, not only of those that are listed.
        let running = match key {
            "2" => " 80 ",
            "3" => " 81 ",
            _ => "",
        };
        assert!(picture.contains(running), "{key}: {picture}");
    }
    panel.view().key(KeyEvent::new(KeyCode::BackTab, KeyModifiers::NONE), 8);
    assert_eq!(panel.view().tab, Tab::Requests);
}

/// Whether `first` stands before `second` in the picture.
fn stands_before(picture: &str, first: &str, second: &str) -> bool {
    picture.find(first).unwrap() < picture.find(second).unwrap()
}

#[test]
fn table_rows_are_sorted_by_chosen_column_and_reversed_on_demand() {
    let mut panel = running();
    // The oldest stream first.
    assert!(stands_before(&drawn(&mut panel, 80, 24), "qwen3:8b", "gemma3:4b"));
    press(&mut panel, "r");
    assert!(stands_before(&drawn(&mut panel, 80, 24), "gemma3:4b", "qwen3:8b"));
    press(&mut panel, "rs");
    let picture = drawn(&mut panel, 80, 24);
    assert!(picture.contains("MODEL▾") && stands_before(&picture, "gemma3:4b", "qwen3:8b"), "{picture}");
}

#[test]
fn filter_keeps_matching_rows_and_escape_removes_it() {
    let mut panel = running();
    press(&mut panel, "/QWEN\n");
    let picture = drawn(&mut panel, 80, 24);
    assert!(picture.contains("qwen3:8b") && !picture.contains("gemma3:4b"), "{picture}");
    assert!(picture.contains("filter: QWEN, 1 row hidden"), "{picture}");
    press(&mut panel, "/nothing\n");
    assert!(drawn(&mut panel, 80, 24).contains("No row contains the filter."));
    panel.view().key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE), 8);
    assert!(drawn(&mut panel, 80, 24).contains("gemma3:4b"));
}

const ADDRESS: &str = "http://127.0.0.1:9464";

fn lost(overview: Option<Overview>) -> Panel {
    let trouble = Trouble::silent(ADDRESS, "Connection refused (os error 111)");
    panel(FeedState { overview, away: Some((trouble, Instant::now())) })
}

#[test]
fn lost_sidecar_is_named_and_its_last_figures_stay_and_are_dim() {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let mut panel = lost(Some(overview()));
    terminal.draw(|frame| panel.draw(frame)).unwrap();
    let picture = terminal.backend().to_string();
    // The text needs two rows.
    for part in [
        "http://127.0.0.1:9464 does not answer: Connection refused (os error 111). Trying",
        "again (",
        "gemma3:4b",
    ] {
        assert!(picture.contains(part), "{part:?} is not in\n{picture}");
    }
    let is_dim = |row| terminal.backend().buffer()[(2, row)].modifier.contains(Modifier::DIM);
    // The head, a card, and the first row of the table.
    assert_eq!([0, 3, 10].map(is_dim), [false, true, true]);
}

#[test]
fn sidecar_that_never_answered_has_no_figures_and_the_next_step_is_named() {
    for (width, height) in [(60, 16), (80, 24), (200, 50)] {
        let picture = drawn(&mut lost(None), width, height);
        assert!(picture.contains("│- queued ") && picture.contains("│p99 - "), "{picture}");
        assert!(!picture.contains("No stream") && !picture.contains("decod"), "{picture}");
        let words: Vec<_> = picture.split(|sign: char| sign.is_whitespace() || sign == '"').collect();
        let text = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        assert!(
            text.contains(
                "No sidecar has answered at http://127.0.0.1:9464. Start one with `streamgauge serve`, or name its \
                 admin address: `streamgauge top HOST:PORT`."
            ),
            "{text}"
        );
    }
}

#[test]
fn head_that_is_too_long_ends_with_an_ellipsis() {
    let trouble = Trouble::silent(ADDRESS, "word ".repeat(60));
    let state = FeedState { overview: None, away: Some((trouble, Instant::now())) };
    let picture = drawn(&mut panel(state), 80, 24);
    let second = picture.lines().nth(1).unwrap();
    assert!(second.trim_end_matches('"').ends_with('…') && second.contains("word"), "{picture}");
}

#[test]
fn unit_in_a_card_is_never_cut() {
    let long = |seconds: f64| {
        let overview: Overview = serde_json::from_value(json!({
            "columns": ["queued", "first_token_p50", "first_token_p99", "gap_p99", "hidden_p50"],
            "points": [[1, seconds, seconds, seconds, seconds]],
            "streams": {"running": 1234, "decoding": 1234},
        }))
        .unwrap();
        panel(FeedState { overview: Some(overview), away: None })
    };
    for (seconds, text) in [(0.000_594, "594 µs"), (0.0078, "7.8 ms"), (0.594, "594 ms"), (1234.0, "21 min")]
    {
        for (width, hidden) in [(60, "queue"), (80, "queue"), (100, "hidden queue"), (200, "hidden queue")] {
            let picture = drawn(&mut long(seconds), width, 24);
            assert!(picture.contains(&format!("│{hidden} {text}")), "{picture}");
            // Three values of the cards, and the value of the card of the first token.
            assert_eq!(picture.matches(&format!(" {text}")).count(), 3, "{picture}");
            assert!(picture.contains(&format!("│{text}")), "{picture}");
        }
    }
    assert!(drawn(&mut long(1.0), 60, 24).contains("│1234 running "));
    assert!(drawn(&mut long(1.0), 120, 24).contains("│1234 running, 1234 decoding "));
}

#[test]
fn reason_of_a_noted_request_takes_the_spare_width_and_one_upstream_is_not_repeated() {
    let reason = "the stream ended without its last record";
    let mut one = overview();
    one.upstreams.truncate(1);
    for (overview, names_upstream) in [(overview(), true), (one, false)] {
        let mut panel = panel(FeedState { overview: Some(overview), away: None });
        press(&mut panel, "5");
        for width in [80, 120, 200] {
            let picture = drawn(&mut panel, width, 24);
            assert!(picture.contains(reason), "{picture}");
            assert_eq!(picture.contains("UPSTREAM"), names_upstream, "{picture}");
        }
    }
}

#[test]
fn noted_request_shows_its_finish_and_a_cut_prompt_and_stream_an_overlong_one() {
    let mut overview = overview();
    overview.requests[0].finish = Some("length".to_owned());
    overview.requests[0].prompt_cut = true;
    let mut panel = panel(FeedState { overview: Some(overview), away: None });
    let picture = drawn(&mut panel, 200, 24);
    assert!(picture.contains("waiting, prompt too long"), "{picture}");
    press(&mut panel, "5");
    let picture = drawn(&mut panel, 200, 24);
    assert!(picture.contains("last record; finish length; the prompt was probably cut"), "{picture}");
}

#[test]
fn row_of_a_wide_terminal_stays_together_and_a_cut_name_is_marked() {
    let mut panel = running();
    press(&mut panel, "2");
    let picture = drawn(&mut panel, 200, 50);
    let row = picture.lines().find(|line| line.contains("qwen3:8b")).unwrap();
    assert!(row.trim_matches('"').trim_end().len() < 110, "{picture}");
    let mut overview = overview();
    overview.streams.shown[0].model = Some("hf.co/someone/a-long-name:q4".to_owned());
    let picture = drawn(&mut self::panel(FeedState { overview: Some(overview), away: None }), 80, 24);
    assert!(picture.contains("hf.co/someo… gpu0") || picture.contains("hf.co/someon… gpu0"), "{picture}");
}

#[test]
fn panel_without_traffic_or_too_small_says_so() {
    let mut idle = panel(FeedState { overview: Some(Overview::default()), away: None });
    assert!(drawn(&mut idle, 80, 24).contains("No stream is running."));
    assert!(drawn(&mut idle, 50, 24).contains("The terminal is too small: 60 x 16 are needed."));
    assert!(drawn(&mut panel(FeedState::default()), 80, 24).contains("Asking http://127.0.0.1:9464"));
}

#[test]
fn quit_is_q_or_control_c() {
    let mut panel = running();
    let mut key = |code, modifiers| panel.view().key(KeyEvent::new(code, modifiers), 8);
    assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Request::Quit);
    assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Request::Quit);
    // While the user types a filter, q is a letter.
    key(KeyCode::Char('/'), KeyModifiers::NONE);
    assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Request::Draw);
}

#[test]
fn panel_continues_figures_of_one_process_and_restarts_for_another() {
    let first = overview();
    assert_eq!(first.query().unwrap(), "began=1795830024200&after=2");
    let mut next = overview();
    next.last = 4;
    let continued = next.follow(Some(first.clone()));
    assert_eq!(continued.column("streams"), [1.0, 2.0, 1.0, 2.0]);
    assert_eq!(overview().follow(Some(first.clone())).column("streams"), [1.0, 2.0], "points that are known");
    let mut restarted = overview();
    restarted.began = Some(9);
    assert_eq!(restarted.follow(Some(first)).column("streams"), [1.0, 2.0]);
    assert_eq!(overview().newest("tokens"), Some(80.0));
}
