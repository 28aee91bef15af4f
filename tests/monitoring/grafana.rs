//! The dashboards with Grafana's own packages: the generator, and the types of its schema.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use super::{
    page::{dashboards, files, root, text},
    process::cache,
    stack::succeed,
};

/// A folder with the packages of `grafana/package.json`, as `npm install` creates it.
fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(cache("grafana/node_modules"), folder.path().join("node_modules")).unwrap();
    folder
}

fn copy(from: &str, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files(from) {
        fs::copy(root(&file), to.join(Path::new(&file).file_name().unwrap())).unwrap();
    }
}

fn tsc(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(cache("grafana/node_modules/.bin/tsc"));
    command.current_dir(folder).args(arguments);
    command
}

#[test]
#[ignore = "needs node and Grafana's packages; tests/real/install.sh"]
fn committed_dashboards_match_their_source() {
    let folder = workshop();
    copy("grafana/src", &folder.path().join("src"));
    fs::copy(root("grafana/tsconfig.json"), folder.path().join("tsconfig.json")).unwrap();
    succeed(&mut tsc(folder.path(), &["--project", "."]));
    let out = folder.path().join("dashboards");
    fs::create_dir(&out).unwrap();
    succeed(Command::new("node").arg("build/main.js").arg(&out).current_dir(folder.path()));
    let committed = files("grafana/dashboards");
    assert_eq!(fs::read_dir(&out).unwrap().count(), committed.len());
    for file in committed {
        let made = fs::read_to_string(out.join(Path::new(&file).file_name().unwrap())).unwrap();
        assert!(made == text(&file), "{file} is not what grafana/src makes: `npm run build` in grafana/");
    }
}

/// Writes a dashboard as a literal of the schema's types and compiles it.
fn judge(json: &str) -> Output {
    let folder = workshop();
    fs::copy(root("grafana/typed/dashboard.ts"), folder.path().join("dashboard.ts")).unwrap();
    let literal =
        format!("import type {{ Board }} from './dashboard';\nexport const board: Board =\n{json};\n");
    fs::write(folder.path().join("board.ts"), literal).unwrap();
    let options = ["--noEmit", "--strict", "--module", "nodenext", "--moduleResolution", "nodenext"];
    tsc(folder.path(), &options).args(["--skipLibCheck", "--types", "", "board.ts"]).output().unwrap()
}

#[test]
#[ignore = "needs node and Grafana's packages; tests/real/install.sh"]
fn dashboard_matches_grafana_schema() {
    for dashboard in dashboards() {
        let verdict = judge(&text(&dashboard.path));
        assert!(verdict.status.success(), "{}: {}", dashboard.path, String::from_utf8_lossy(&verdict.stdout));
    }
    // The compiler rejects an unknown key and a wrong word.
    let overview = text("grafana/dashboards/overview.json");
    for (right, wrong) in
        [(r#""unit": "reqpm""#, r#""unitt": "reqpm""#), (r#""graphMode": "none""#, r#""graphMode": "nine""#)]
    {
        assert!(overview.contains(right));
        assert!(!judge(&overview.replacen(right, wrong, 1)).status.success(), "{wrong} passes");
    }
}
