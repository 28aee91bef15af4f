//! The deployment files, checked by the programs that read them.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    page::{root, text, yaml},
    process::cache,
    stack::succeed,
};

#[test]
#[ignore = "needs systemd-analyze; tests/real/install.sh"]
fn systemd_accepts_unit_and_finds_it_hardened() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("streamgauge.service");
    // It checks the program too, so the program must be there.
    let installed = "/usr/bin/streamgauge";
    let written = text("deploy/systemd/streamgauge.service");
    assert!(written.contains(installed));
    fs::write(&unit, written.replace(installed, env!("CARGO_BIN_EXE_streamgauge"))).unwrap();
    let analyze = |arguments: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).arg(&unit).env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()));
        succeed(&mut command)
    };
    assert_eq!(analyze(&["verify"]), "");
    // In tenths: the unit has a score of 1.1 of 10.
    analyze(&["security", "--offline=true", "--threshold=12"]);
    let drop_in = folder.path().join("streamgauge.service.d");
    fs::create_dir(&drop_in).unwrap();
    fs::copy(root("deploy/systemd/gpu.conf"), drop_in.join("gpu.conf")).unwrap();
    assert_eq!(analyze(&["verify"]), "");
}

#[test]
#[ignore = "needs systemd-analyze; tests/real/install.sh"]
fn systemd_accepts_socket_and_both_services() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("/usr/bin/streamgauge", env!("CARGO_BIN_EXE_streamgauge"))).unwrap();
    };
    put("streamgauge.service", text("deploy/systemd/streamgauge.service"));
    put("streamgauge.socket", text("deploy/systemd/streamgauge.socket"));
    put("streamgauge@.service", text("deploy/systemd/streamgauge.service"));
    put("streamgauge@.service.d/beside.conf", text("deploy/systemd/beside.conf"));
    for unit in ["streamgauge.socket", "streamgauge@9465.service"] {
        let mut command = Command::new("systemd-analyze");
        command.arg("verify").arg(folder.path().join(unit));
        let said = succeed(command.env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display())));
        assert_eq!(said, "", "{unit}");
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // The process may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs systemd-socket-activate; tests/real/install.sh"]
fn systemd_socket_is_served() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--listen", &free, "--fdname=proxy", env!("CARGO_BIN_EXE_streamgauge"), "serve"]);
    command.args(["--admin", "127.0.0.1:0", "--upstream", "http://127.0.0.1:9"]).env_remove("NOTIFY_SOCKET");
    let _systemd = Killed(command.stderr(Stdio::null()).spawn().unwrap());
    // It listens soon. The first client starts the sidecar.
    let began = Instant::now();
    let mut client = loop {
        match TcpStream::connect(&free) {
            Ok(client) => break client,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(60), "{error}"),
        }
    };
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(client, "GET /api/version HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[test]
#[ignore = "needs kubernetes-validate; tests/real/install.sh"]
fn pod_matches_kubernetes_schema() {
    let validate = |file: &std::path::Path| {
        let mut command = Command::new(cache("kubernetes/bin/kubernetes-validate"));
        command.args(["--kubernetes-version", "1.37", "--strict"]).arg(file);
        command
    };
    let said = succeed(&mut validate(&root("deploy/kubernetes/ollama.yaml")));
    assert_eq!(said.matches(" passed ").count(), 3, "{said}");
    let said = succeed(&mut validate(&root("deploy/kubernetes/networkpolicy.yaml")));
    assert_eq!(said.matches(" passed ").count(), 1, "{said}");
    let said = succeed(&mut validate(&root("deploy/kubernetes/fleet.yaml")));
    assert_eq!(said.matches(" passed ").count(), 7, "{said}");
    // The check does not accept everything.
    let wrong = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    fs::write(&wrong, text("deploy/kubernetes/ollama.yaml").replace("preStop:", "preStopp:")).unwrap();
    assert!(!validate(wrong.path()).output().unwrap().status.success());
}

#[test]
#[ignore = "needs the schema of Prometheus' operator; tests/real/install.sh"]
fn pod_monitor_matches_operator_schema() {
    let validate = |file: &std::path::Path| {
        let mut command = Command::new(cache("kubernetes/bin/python"));
        command.arg(root("tests/real/custom_resource.py")).arg(cache("operator/podmonitors.yaml")).arg(file);
        command
    };
    succeed(&mut validate(&root("deploy/kubernetes/podmonitor.yaml")));
    let right = text("deploy/kubernetes/podmonitor.yaml");
    for (what, wrong) in [("interval: 15s", "intervall: 15s"), ("interval: 15s", "interval: often")] {
        let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
        fs::write(&file, right.replace(what, wrong)).unwrap();
        assert!(!validate(file.path()).output().unwrap().status.success(), "{wrong}");
    }
}

/// The objects of a file by kind and name.
fn objects(path: &str) -> Vec<(String, Value)> {
    let text = text(path);
    let read =
        |part: &str| serde_saphyr::from_str::<Value>(part).unwrap_or_else(|error| panic!("{path}: {error}"));
    let parts = text.split("\n---\n").map(read);
    let name = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]).replace('"', "");
    parts.map(|object| (name(&object), object)).collect()
}

#[test]
fn pods_of_fleet_are_scraped_and_share_their_limits() {
    const LABELS: &str = "/spec/template/metadata/labels";
    let fleet = objects("deploy/kubernetes/fleet.yaml");
    let find =
        |name: &str| &fleet.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1;
    let (pods, store) = (find("Deployment ollama"), find("Deployment streamgauge-store"));
    assert!(pods["spec"]["replicas"].as_u64() > Some(1));
    // The monitor and both policies select these pods, and the monitor's port is theirs.
    let monitor = yaml("deploy/kubernetes/podmonitor.yaml");
    let policy = yaml("deploy/kubernetes/networkpolicy.yaml");
    let to_store = find("NetworkPolicy streamgauge-store");
    for selector in [
        &monitor["spec"]["selector"],
        &policy["spec"]["podSelector"],
        &to_store["spec"]["ingress"][0]["from"][0]["podSelector"],
    ] {
        assert_eq!(&selector["matchLabels"], pods.pointer(LABELS).unwrap());
    }
    assert_eq!(&to_store["spec"]["podSelector"]["matchLabels"], store.pointer(LABELS).unwrap());
    let sidecar = &pods["spec"]["template"]["spec"]["containers"][1];
    let ports: Vec<_> = sidecar["ports"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
    assert!(ports.contains(&&monitor["spec"]["podMetricsEndpoints"][0]["port"]), "{ports:?}");
    // Both files describe the same sidecar, except for its configuration.
    let alone = &objects("deploy/kubernetes/ollama.yaml")[0].1["spec"]["template"]["spec"]["containers"][1];
    for key in ["image", "ports", "livenessProbe", "readinessProbe", "resources", "securityContext"] {
        assert_eq!(sidecar[key], alone[key], "{key}");
    }
    // The configuration is valid, and names the Service of the store.
    let config = find("ConfigMap streamgauge")["data"]["streamgauge.toml"].as_str().unwrap();
    let service = find("Service streamgauge-store");
    let url = format!(
        "redis://{}:{}",
        service["metadata"]["name"].as_str().unwrap(),
        service["spec"]["ports"][0]["port"]
    );
    assert!(config.contains(&format!("[shared]\nurl = \"{url}\"")), "{config}");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), config).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    succeed(check.args(["check", "--offline", "--config"]).arg(file.path()).env_clear());
}

#[test]
fn prometheus_rule_has_all_recording_rules_and_alerts() {
    let printed = succeed(&mut Command::new(root("deploy/kubernetes/rules.sh")));
    let rule: Value = serde_saphyr::from_str(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(rule["kind"], "PrometheusRule");
    let files = ["prometheus/rules/recording.yml", "prometheus/rules/alerts.yml"].map(yaml);
    let groups: Vec<_> = files.iter().flat_map(|file| file["groups"].as_array().unwrap()).collect();
    let found: Vec<_> = rule["spec"]["groups"].as_array().unwrap().iter().collect();
    assert!(found == groups, "the groups of both files differ from:\n{printed}");
}

#[test]
fn patch_without_sidecar_moves_port_of_service_to_ollama() {
    let pod = text("deploy/kubernetes/ollama.yaml");
    let patch = yaml("deploy/kubernetes/direct.yaml");
    let containers = patch["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    for container in containers {
        // A patch with another name would add a container.
        let name = container["name"].as_str().unwrap();
        assert!(pod.contains(&format!("- name: {name}\n          image: ")), "{name}");
    }
    let [sidecar, ollama] = &containers[..] else { panic!("{patch}") };
    assert_eq!(sidecar["$patch"], "delete");
    let port = &ollama["ports"][0];
    assert!(pod.contains(&format!("targetPort: {}\n", port["name"].as_str().unwrap())));
    let listens = ollama["env"][0]["value"].as_str().unwrap();
    assert_eq!(listens, format!("0.0.0.0:{}", port["containerPort"]));
}
