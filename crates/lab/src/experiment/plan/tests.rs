//! Tests plans that are read, resolved, recorded and refused.

use super::*;
use crate::analysis::{Language, Remedy};

const PLAN: &str = r#"
name = "try"
[upstreams]
one = "http://user:secret@127.0.0.1:1"
[[agent]]
name = "writer"
model = "m"
prompt = "the text nobody keeps"
tokens = 8
options = { temperature = 0.5 }
[[condition]]
name = "rust"
counts = [1, 3]
[[condition]]
name = "python"
language = "python"
count = 3
baseline = "rust-3"
solo = false
uvloop = true
batch = "50ms"
sidecar = { coalesce = "20ms", merge = true }
"#;

fn mistakes(change: impl Fn(String) -> String) -> Vec<String> {
    match change(PLAN.to_owned()).parse::<Plan>() {
        Err(PlanError::Mistakes(mistakes)) => mistakes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn plan_with_counts_becomes_a_series_with_shared_solo_runs() {
    let plan: Plan = PLAN.parse().unwrap();
    let [one, three, python] = &plan.conditions[..] else { panic!("{plan:?}") };
    assert_eq!((one.name.as_str(), one.team.len(), one.solo), ("rust-1", 1, true));
    assert_eq!((three.name.as_str(), three.team.len(), three.solo), ("rust-3", 3, false));
    assert_eq!((three.baseline.as_deref(), three.series.as_deref()), (Some("rust-1"), Some("rust")));
    assert_eq!(python.distinct(), ["writer"]);
    let condition = python.condition();
    assert_eq!(condition.language, Language::Python);
    let coalesce = Remedy::SidecarCoalesce(0.02);
    let remedies = [Remedy::Uvloop, Remedy::Batch(0.05), coalesce, Remedy::SidecarMerge];
    assert_eq!(condition.remedies, remedies);
}

#[test]
fn resolved_plan_round_trips_through_text() {
    for text in BUNDLED.iter().map(|bundled| bundled.text).chain([PLAN]) {
        let plan: Plan = text.parse().unwrap();
        assert_eq!(plan.to_toml().parse::<Plan>().unwrap(), plan);
    }
}

#[test]
fn bundled_plan_is_valid_and_has_its_name() {
    for bundled in BUNDLED {
        let plan: Plan = bundled.text.parse().unwrap();
        assert_eq!(plan.name, bundled.name);
        assert_eq!(Bundled::named(bundled.name).unwrap().text, bundled.text);
    }
}

#[test]
fn plan_in_recording_has_no_prompts_and_no_passwords() {
    let mut plan: Plan = PLAN.parse().unwrap();
    let kept = plan.for_recording();
    let text = kept.to_toml();
    assert!(!text.contains("nobody keeps") && !text.contains("secret") && !text.contains("user"), "{text}");
    // `printf 'the text nobody keeps' | sha256sum`
    assert!(text.contains("f616ff04a4eda3bd"), "{text}");
    assert_eq!(text.parse::<Plan>().unwrap(), kept);
    plan.keep_text = true;
    let text = plan.for_recording().to_toml();
    assert!(text.contains("nobody keeps") && !text.contains("secret"), "{text}");
}

#[test]
fn plan_errors_are_all_reported_with_what_to_do() {
    let found = mistakes(|plan| {
        plan.replace("tokens = 8", "tokens = 0\nupstream = \"two\"")
            .replace("language = \"python\"", "language = \"rust\"")
            .replace("baseline = \"rust-3\"", "baseline = \"rust\"\npace = -1.0")
    });
    let expected = [
        "agent \"writer\": no upstream is called \"two\"; there are one",
        "agent \"writer\": tokens must be 1 or more",
        "condition \"python\": its baseline \"rust\" does not exist",
        "condition \"python\": uvloop is for Python agents: write language = \"python\"",
        "condition \"python\": pace must be above 0, in tokens per second",
    ];
    assert_eq!(found, expected);
}

#[test]
fn plan_with_unknown_key_is_an_error_with_its_line() {
    let error = PLAN.replace("count = 3", "cuont = 3").parse::<Plan>().unwrap_err().to_string();
    assert!(error.contains("line 17") && error.contains("cuont"), "{error}");
    let error = PLAN.replace("\"50ms\"", "\"50\"").parse::<Plan>().unwrap_err().to_string();
    assert!(error.contains("is not a duration"), "{error}");
    let error = PLAN.replace("temperature = 0.5", "seed = 1979-05-27").parse::<Plan>().unwrap_err();
    assert!(error.to_string().contains("contain a date"), "{error}");
}

#[test]
fn flags_override_the_plan() {
    let plan: Plan = PLAN.parse().unwrap();
    let overrides = Overrides {
        seed: Some(9),
        repetitions: Some(2),
        model: Some("other".into()),
        tokens: Some(3),
        upstreams: vec![(None, "http://127.0.0.1:2".into())],
        skip: None,
    };
    let changed = plan.clone().overridden(&overrides).unwrap();
    assert_eq!((changed.seed, changed.repetitions), (9, 2));
    assert_eq!((changed.roles[0].model.as_str(), changed.roles[0].tokens), ("other", 3));
    assert_eq!(changed.upstreams["one"], "http://127.0.0.1:2");
    let wrong = Overrides { upstreams: vec![(Some("two".into()), "x".into())], ..Overrides::default() };
    assert!(plan.overridden(&wrong).unwrap_err().to_string().contains("no upstream is called \"two\""));
}

#[test]
fn request_is_built_as_the_plan_says() {
    let mut plan: Plan = PLAN.parse().unwrap();
    let role = &mut plan.roles[0];
    let body = role.body();
    assert_eq!(body["options"]["num_predict"], 8);
    assert_eq!(body["options"]["temperature"], 0.5);
    assert_eq!(body["stream"], true);
    role.route = Route::Chat;
    assert_eq!(role.body()["messages"][0]["content"], "the text nobody keeps");
}

#[test]
fn skipped_language_leaves_a_plan_without_its_conditions_and_baselines() {
    let overrides = Overrides { skip: Some(Language::Python), ..Overrides::default() };
    for bundled in BUNDLED {
        let plan: Plan = bundled.text.parse().unwrap();
        let rust = plan.conditions.iter().filter(|condition| condition.language == Language::Rust).count();
        match plan.overridden(&overrides) {
            Ok(left) => {
                assert_eq!(left.conditions.len(), rust, "{}", bundled.name);
                assert!(left.conditions.iter().all(|condition| condition.language == Language::Rust));
            }
            Err(error) => {
                assert_eq!(rust, 0, "{}: {error}", bundled.name);
                assert!(error.to_string().contains("every condition of the plan is in the skipped language"));
            }
        }
    }
}

#[test]
fn name_with_a_line_break_is_refused_with_its_reason() {
    let error =
        PLAN.replace("name = \"rust\"", "name = \"ru\\nst\"").parse::<Plan>().unwrap_err().to_string();
    assert!(error.contains("the name \"ru\\nst-1\" of one of the conditions has a line break"), "{error}");
}

#[test]
fn quick_plan_takes_about_a_minute_of_one_ollama_and_needs_no_python() {
    let plan: Plan = Bundled::named("quick").unwrap().text.parse().unwrap();
    assert_eq!(plan.upstreams.len(), 1);
    assert!(plan.conditions.iter().all(|condition| condition.language == Language::Rust));
    let expected: f64 =
        crate::experiment::schedule(&plan).iter().map(|entry| entry.expected(&plan).as_secs_f64()).sum();
    assert!((30.0..90.0).contains(&expected), "{expected} s");
}

#[test]
fn load_with_rates_becomes_one_condition_for_each_rate_in_ascending_order() {
    let load = "[[condition]]\nname = \"load\"\nload = { rates = [4, 0.5], for = \"30s\", slo = { ttft = \"1s\" } }\n";
    let plan: Plan = format!("{PLAN}{load}").parse().unwrap();
    let [.., slow, fast] = &plan.conditions[..] else { panic!("{plan:?}") };
    assert_eq!((slow.name.as_str(), fast.name.as_str()), ("load-0.5", "load-4"));
    assert_eq!((slow.series.as_deref(), slow.solo, slow.team.len()), (Some("load"), false, 1));
    let load = fast.load.as_ref().unwrap().load("load-4", Some("load"));
    assert_eq!((load.rate, load.seconds, load.slo.ttft, load.slo.share), (4.0, 30.0, Some(1.0), 0.99));
    assert_eq!(plan.to_toml().parse::<Plan>().unwrap(), plan);
}
