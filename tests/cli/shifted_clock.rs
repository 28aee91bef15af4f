//! Sidecars whose clocks differ by minutes share limits exactly, because only the clock of the store decides.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::{
    keys_file::{entry, key},
    redis::Redis,
    reload::status,
    *,
};

/// Adds the seconds of the variable `SHIFT` to the wall clock of a program.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, at);
    const char *shift = getenv("SHIFT");
    if (result == 0 && shift && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += atol(shift);
    return result;
}
"#;

fn shim(folder: &Path) -> String {
    let (source, library) = (folder.join("shift.c"), folder.join("shift.so"));
    fs::write(&source, SHIM).unwrap();
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    assert!(built.unwrap().success());
    library.to_str().unwrap().to_owned()
}

/// The time of a metric that is the wall clock's.
fn now(admin: &str) -> f64 {
    let page = get(admin, "/metrics");
    let name = "streamgauge_config_last_reload_timestamp_seconds ";
    page.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "needs redis-server of tests/real/install.sh, and cc"]
async fn clocks_of_sidecars_that_differ_by_minutes_change_no_limit() {
    let (upstream, redis, folder) = (server(VERSION), Redis::start(&[]).await, TempDir::new().unwrap());
    let shim = shim(folder.path());
    let config = file(&format!(
        "[proxy]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [[upstream]]\nurl = \"http://{upstream}\"\n[shared]\nurl = \"unix://{}\"\ndeadline = \"1s\"\n{}requests = \"6/h\"\n",
        redis.socket().display(),
        entry("a")
    ));
    let start = |shift: &str| {
        let mut command = streamgauge(&["serve", "--config", config.path().to_str().unwrap()]);
        command.env("LD_PRELOAD", &shim).env("SHIFT", shift);
        let mut serve = Running::spawn(command);
        let addresses = serve.addresses();
        serve.until("shared limits are in force");
        (serve, addresses)
    };
    // The burst of 6 refills one in ten minutes by any clock. A clock that is ahead must not refill it.
    let all = ["-1200", "0", "1200"].map(start);
    let [early, middle, late] = [0, 1, 2].map(|at| now(&all[at].1[1]));
    assert!((1150.0..1260.0).contains(&(middle - early)), "the clock is shifted: {early} {middle}");
    assert!((1150.0..1260.0).contains(&(late - middle)), "the clock is shifted: {middle} {late}");
    let mut admitted = 0;
    for (_, [proxy, _]) in all.iter().cycle().take(18) {
        admitted += usize::from(status(proxy, &key("a")) == "200");
    }
    assert_eq!(admitted, 6);
    for (serve, [_, admin]) in all {
        let page = get(&admin, "/metrics");
        assert!(page.contains("streamgauge_shared_mode{mode=\"shared\"} 1\n"), "{page}");
        serve.signal("-TERM");
        assert_eq!(serve.end().0, Some(0));
    }
}
