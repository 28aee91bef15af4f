//! The image by itself, without compose.

use crate::engine::{Engine, IMAGE};

/// The bytes that it adds to its base.
const MOST: u64 = 40 << 20;

#[test]
#[ignore = "needs a Docker engine; tests/real/install.sh"]
fn docker_image_is_small_writes_nothing_and_checks_its_health() {
    let engine = Engine::start();
    let size = |image: &str| engine.inspect(image, "{{.Size}}").parse::<u64>().unwrap();
    let over = size(IMAGE) - size("debian:bookworm-slim");
    println!("the image has {:.1} MiB over its base", over as f64 / f64::from(1 << 20));
    assert!(over <= MOST, "{over} bytes over its base");

    let of = |format: &str| engine.inspect(IMAGE, format);
    assert_eq!(of("{{.Config.User}}"), "65532:65532");
    assert_eq!(of("{{json .Config.Entrypoint}}"), r#"["streamgauge"]"#);
    assert_eq!(of("{{json .Config.ExposedPorts}}"), r#"{"11434/tcp":{},"9464/tcp":{}}"#);
    assert_eq!(of(r#"{{index .Config.Labels "org.opencontainers.image.revision"}}"#), "tested");
    assert_eq!(
        of(r#"{{index .Config.Labels "org.opencontainers.image.version"}}"#),
        env!("CARGO_PKG_VERSION")
    );

    // With its default arguments, and with a read-only file system.
    let hard = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=plain"];
    let run = |name: &str, more: &[&str], arguments: &[&str]| {
        let named = ["run", "--detach", "--name", name];
        engine.say(&[&named[..], &hard, more, &[IMAGE], arguments].concat());
    };
    engine.say(&["network", "create", "plain"]);
    run("ollama", &["--no-healthcheck"], &["simulate", "--listen", "0.0.0.0:11434"]);
    run("sidecar", &[], &[]);
    engine.healthy("sidecar");
    assert_eq!(engine.say(&["exec", "sidecar", "id", "-u"]), "65532");
    assert_eq!(engine.say(&["diff", "sidecar"]), "");
    // Without Ollama it is not ready, and the command of the health check reports that.
    let check = of("{{join .Config.Healthcheck.Test \" \"}}");
    let check: Vec<&str> = check.strip_prefix("CMD ").unwrap().split(' ').collect();
    let probe = || engine.docker(&[&["exec", "sidecar"], &check[..]].concat()).output().unwrap();
    assert!(probe().status.success());
    engine.say(&["stop", "--time=0", "ollama"]);
    let ended = (0..600).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let output = probe();
        (!output.status.success()).then_some(output)
    });
    let ended = ended.expect("it calls itself ready without an upstream");
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("not ready: 503"), "{ended:?}");
    engine.say(&["stop", "sidecar"]);
    assert_eq!(engine.inspect("sidecar", "{{.State.ExitCode}}"), "0");
}
