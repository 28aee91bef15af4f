//! The JSON of a report matches docs/reference/report-format.md exactly.

use std::collections::BTreeMap;

use serde_json::Value;

use streamgauge_lab::report::Report;

use super::made_up::{SETTINGS, recorded, report};

#[derive(Clone, Debug)]
struct Field {
    name: String,
    shape: String,
    list: bool,
    map: bool,
    nullable: bool,
}

#[derive(Clone, Debug, Default)]
struct Shape {
    fields: Vec<Field>,
    or_text: bool,
}

fn shapes() -> BTreeMap<String, Shape> {
    let text = std::fs::read_to_string("../../docs/reference/report-format.md").unwrap();
    let block = text.split_once("```shapes\n").unwrap().1.split_once("```").unwrap().0;
    let mut shapes: BTreeMap<String, Shape> = BTreeMap::new();
    let mut current = String::new();
    for line in block.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(head) = line.strip_suffix(':').filter(|line| !line.starts_with(' ')) {
            current = head.trim_end_matches(" or text").to_owned();
            let shape = Shape { or_text: head.ends_with(" or text"), ..Shape::default() };
            assert!(shapes.insert(current.clone(), shape).is_none(), "{current} occurs twice");
            continue;
        }
        let (name, rest) = line.trim().split_once(": ").unwrap();
        let shape = rest.split_whitespace().next().unwrap();
        let (list, map) = (name.ends_with("[]"), name.ends_with("{}"));
        shapes.get_mut(&current).unwrap().fields.push(Field {
            name: name.trim_end_matches("[]").trim_end_matches("{}").to_owned(),
            shape: shape.trim_end_matches('?').to_owned(),
            list,
            map,
            nullable: shape.ends_with('?'),
        });
    }
    shapes
}

fn check(shapes: &BTreeMap<String, Shape>, name: &str, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let fits = match name {
        "any" => true,
        "text" => value.is_string(),
        "number" => value.is_number(),
        "flag" => value.is_boolean(),
        _ => {
            let shape = shapes.get(name).unwrap_or_else(|| panic!("no shape is called {name}"));
            let Some(object) = value.as_object() else {
                if !(shape.or_text && value.is_string()) {
                    wrong.push(format!("{path} is no {name}"));
                }
                return;
            };
            for key in object.keys().filter(|key| shape.fields.iter().all(|field| field.name != **key)) {
                wrong.push(format!("{path}.{key} is not in the docs"));
            }
            for field in &shape.fields {
                let path = format!("{path}.{}", field.name);
                match object.get(&field.name) {
                    None if shape.or_text => {}
                    None => wrong.push(format!("{path} is missing")),
                    Some(Value::Null) if field.nullable => {}
                    Some(Value::Array(values)) if field.list => {
                        values.iter().for_each(|value| check(shapes, &field.shape, value, &path, wrong));
                    }
                    Some(Value::Object(values)) if field.map => {
                        values.values().for_each(|value| check(shapes, &field.shape, value, &path, wrong));
                    }
                    Some(value) if !field.list && !field.map => {
                        check(shapes, &field.shape, value, &path, wrong)
                    }
                    Some(_) => wrong.push(format!("{path} is no list")),
                }
            }
            return;
        }
    };
    if !fits {
        wrong.push(format!("{path} is no {name}"));
    }
}

/// Asserts that a report matches the documentation.
pub(super) fn verify(json: &Value) {
    let mut wrong = Vec::new();
    check(&shapes(), "report", json, "report", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn report_json_paths_match_documentation() {
    let shapes = shapes();
    let json: Value = serde_json::from_str(&report().json()).unwrap();
    let mut wrong = Vec::new();
    check(&shapes, "report", &json, "report", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Shows that the check can fail.
    let mut odd = json.clone();
    odd["runs"][0]["wall"] = Value::Null;
    odd["more"] = Value::Null;
    check(&shapes, "report", &odd, "report", &mut wrong);
    assert_eq!(wrong, ["report.more is not in the docs", "report.runs.wall is no number"]);
}

#[test]
fn report_of_made_up_recording_has_a_value_of_every_shape() {
    let json: Value = serde_json::from_str(&report().json()).unwrap();
    let some = |pointer: &str| json.pointer(pointer).is_some_and(|value| !value.is_null());
    for pointer in [
        "/model/fit/residuals/durbin_watson",
        "/series/0/scaling/peak/streams",
        "/comparisons/0/permutation/p",
        "/conditions/4/measures/throughput/bootstrap/interval/low",
        "/advice/remedies/0/gain/difference",
        "/pcie_peak",
        "/claims/0/numbers/0/value",
        "/windows/0/lag/p99",
        "/matrix/rows/0/0",
        "/open/0/holds",
        "/open/0/first",
        "/open/0/rates/0/goodput/value",
        "/open/0/rates/1/missed/ttft",
        "/open/0/rates/0/met/interval/low",
        "/open/0/rates/0/lateness/p99",
        "/relations/0/pearson/interval/low",
        "/conditions/0/energy/joules/value",
        "/conditions/0/energy/watts/interval/low",
        "/conditions/0/energy/joules_per_token/interval/high",
        "/open/0/rates/1/energy/joules_per_token/value",
    ] {
        assert!(some(pointer), "{pointer}");
    }
    let few = |found: &Value| found["evidence"]["too_few"]["need"] == 4;
    assert!(json["comparisons"].as_array().unwrap().iter().any(few));
    assert_eq!(json["sources"][0]["problems"][0]["line"], 7);
    // 10 requests of 20 tokens in each of four runs, and 501.5 J in the mean.
    let energy = &json["open"][0]["rates"][0]["energy"];
    assert_eq!((&energy["runs"], &energy["joules"]["value"]), (&4.into(), &501.5.into()));
    let per_token = energy["joules_per_token"]["value"].as_f64().unwrap();
    assert!((per_token - 2.5075).abs() < 1e-9, "{per_token}");
}

#[test]
fn report_of_same_recording_is_the_same() {
    let again = Report::of(vec![recorded()], &SETTINGS);
    assert_eq!(again.json(), report().json());
    assert_eq!(again.html(), report().html());
}
