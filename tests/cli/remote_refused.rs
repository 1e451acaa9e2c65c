//! Credentials that end in the middle of a run, and clocks that are wrong: the run says which, nothing is lost, the next one goes on.

use super::far::{Remote, noise, same};
use super::{Run, write};
use crate::servers::proxy::{Fate, Proxy};
use crate::servers::{Kind, Server};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// What each kind of place answers when a token has had its time, as its documentation has it.
const EXPIRED: [(Kind, &str); 3] = [
    (
        Kind::Moto,
        "400 Bad Request\r\nContent-Type: application/xml\r\n\r\n<?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code>\
         <Message>The provided token has expired.</Message><RequestId>1</RequestId></Error>",
    ),
    (
        Kind::Azurite,
        "403 Forbidden\r\nContent-Type: application/xml\r\nx-ms-error-code: AuthenticationFailed\r\n\r\n<?xml version=\"1.0\"?><Error>\
         <Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request. Signature not valid in the specified time \
         frame: the token has expired.</Message></Error>",
    ),
    (
        Kind::FakeGcs,
        "401 Unauthorized\r\nContent-Type: application/json\r\n\r\n{\"error\": {\"code\": 401, \"message\": \"Invalid Credentials: the token \
         has expired\", \"errors\": [{\"reason\": \"authError\"}]}}",
    ),
];

#[test]
fn credentials_that_end_in_the_middle_of_a_run_are_named_and_the_next_run_goes_on() {
    for (kind, answer) in EXPIRED {
        let Some(server) = Server::start(kind) else { continue };
        // Some of several packs still come through.
        let packs = AtomicU64::new(0);
        let proxy = Proxy::start(server.port, move |_, first| {
            let put = first.starts_with("PUT ") || first.starts_with("POST /upload");
            let late = put && first.contains("packs") && packs.fetch_add(1, Ordering::Relaxed) >= 2;
            if late { Fate::Answer(answer) } else { Fate::Pass }
        });
        let mut remote = Remote::init_at(server.location_at(server.port, "ends"), server);
        let src = remote.place.path("src");
        write(&src.join("large"), noise(130_000_000, 3));
        let direct = std::mem::replace(&mut remote.location, remote.server.location_at(proxy.port, "ends"));
        let run = remote.run(&["snapshot", "src"]).ends(1);
        assert!(run.err.contains("get new credentials"), "{kind:?}: {}", run.err);
        remote.location = direct;
        let summary = remote.snapshot();
        // What had come through is not sent again.
        assert!(summary["traffic"]["bytes_sent"].as_u64().unwrap() < 110_000_000, "{kind:?}: {summary}");
        remote.run(&["verify", "--level", "full"]).ends(0);
        remote.run(&["restore", &format!("latest:{}", src.display()), "--target", "back"]).ends(0);
        same(&src, &remote.place.path("back"));
    }
}

/// MinIO looks at the time of a request as S3 does: a quarter of an hour away is too much.
#[test]
fn a_clock_that_is_hours_wrong_is_named_and_one_that_is_minutes_wrong_does_no_harm() {
    let Some(remote) = Remote::init(Kind::Minio) else { return };
    let src = remote.place.path("src");
    write(&src.join("a"), noise(1_000_000, 3));
    let at = |shift: &str, arguments: &[&str]| {
        let real = remote.command(arguments);
        let mut shifted = Command::new("faketime");
        shifted.args(["-f", shift]).arg(real.get_program()).args(real.get_args());
        for (name, value) in real.get_envs() {
            match value {
                Some(value) => shifted.env(name, value),
                None => shifted.env_remove(name),
            };
        }
        if let Some(folder) = real.get_current_dir() {
            shifted.current_dir(folder);
        }
        // Deadlines are about durations, which no clock is wrong about.
        Run::of(shifted.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1"))
    };
    for shift in ["-3h", "+3h"] {
        let run = at(shift, &["snapshot", "src"]).ends(1);
        assert!(run.err.contains("set this machine's clock"), "{shift}: {}", run.err);
    }
    for shift in ["-10m", "+10m", "+0"] {
        write(&src.join("a"), noise(1_000_000, shift.len() as u32));
        at(shift, &["snapshot", "src"]).ends(0);
    }
    // What was taken in the future stays; nobody decides by clocks what goes.
    remote.run(&["prune"]).ends(0);
    remote.run(&["verify", "--level", "full"]).ends(0);
    let listed = remote.run(&["--json", "snapshots"]).ends(0);
    assert_eq!(listed.out.lines().count(), 3, "{}", listed.out);
}
