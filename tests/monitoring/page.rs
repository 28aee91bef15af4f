//! The committed files, as the tests read them.

use std::{
    fs,
    path::{self, PathBuf},
};

use serde_json::Value;

pub(crate) fn root(path: &str) -> PathBuf {
    // Cargo runs tests in the package's folder. Programs that run elsewhere need the absolute path.
    path::absolute(path).unwrap()
}

pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of a folder by name.
pub(crate) fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root(folder)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap())).collect();
    names.sort();
    names
}

/// A dashboard and its path.
pub(crate) struct Dashboard {
    pub(crate) path: String,
    pub(crate) json: Value,
}

/// One query of one panel.
pub(crate) struct Query {
    /// `Dashboard / Panel, A`, for messages.
    pub(crate) place: String,
    pub(crate) expr: String,
}

pub(crate) fn dashboards() -> Vec<Dashboard> {
    let read = |path: String| Dashboard { json: serde_json::from_str(&text(&path)).unwrap(), path };
    files("grafana/dashboards").into_iter().map(read).collect()
}

impl Dashboard {
    pub(crate) fn title(&self) -> &str {
        self.json["title"].as_str().unwrap()
    }

    /// Rows and panels, those of closed rows included.
    pub(crate) fn panels(&self) -> Vec<&Value> {
        let mut panels = Vec::new();
        for panel in self.json["panels"].as_array().unwrap() {
            panels.push(panel);
            panels.extend(panel["panels"].as_array().into_iter().flatten());
        }
        panels
    }

    /// Panels that are not rows.
    pub(crate) fn boxes(&self) -> Vec<&Value> {
        self.panels().into_iter().filter(|panel| panel["type"] != "row").collect()
    }

    pub(crate) fn variables(&self) -> &Vec<Value> {
        self.json["templating"]["list"].as_array().unwrap()
    }

    /// A query as Grafana completes it, with every variable set to all. `interval` is `$__rate_interval`.
    pub(crate) fn filled(&self, expr: &str, instance: &str, interval: &str, range: &str) -> String {
        let mut expr = expr.replace("$__rate_interval", interval).replace("$__range", range);
        for variable in self.variables() {
            let name = format!("${}", variable["name"].as_str().unwrap());
            let value = match variable["type"].as_str().unwrap() {
                "query" if name == "$job" => "streamgauge",
                "query" if name == "$instance" => instance,
                "custom" => variable["current"]["value"].as_str().unwrap(),
                "textbox" => variable["query"].as_str().unwrap(),
                "query" => ".*",
                _ => continue,
            };
            expr = expr.replace(&name, value);
        }
        assert!(!expr.contains('$'), "{expr}");
        expr
    }

    pub(crate) fn queries(&self) -> Vec<Query> {
        let of = |panel: &Value| {
            let title = panel["title"].as_str().unwrap().to_owned();
            let targets = panel["targets"].as_array().unwrap().clone();
            targets.into_iter().map(move |target| Query {
                place: format!("{} / {title}, {}", self.title(), target["refId"].as_str().unwrap()),
                expr: target["expr"].as_str().unwrap().to_owned(),
            })
        };
        self.boxes().into_iter().flat_map(of).collect()
    }
}

/// The rules of a file, in order.
pub(crate) fn rules(path: &str) -> Vec<Value> {
    let groups = yaml(path);
    let groups = groups["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// The names of the series that `recording.yml` records.
pub(crate) fn recorded() -> Vec<String> {
    rules("prometheus/rules/recording.yml")
        .iter()
        .map(|rule| rule["record"].as_str().unwrap().to_owned())
        .collect()
}
