//! The whole way through the program, with the repository on real servers: found, keep, look, bring back, tidy, verify, mend.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Place, Run, write};
use crate::servers::proxy::{Fate, Proxy};
use crate::servers::{Kind, Server};

/// A place whose repository is on a server.
struct Remote {
    place: Place,
    server: Server,
    location: String,
}

impl Remote {
    /// With a repository, opened by `admin.key`; `None` without the server.
    fn init(kind: Kind) -> Option<Self> {
        let server = Server::start(kind)?;
        let remote = Self { place: Place::new(), location: server.location(), server };
        remote.run(&["init", "--new-key-file", "admin.key", "--recovery-key-file", "recovery"]).ends(0);
        Some(remote)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.env("BOVEDA_REPOSITORY", &self.location).env("BOVEDA_RETRY_FOR", "30");
        if self.place.path("admin.key").exists() {
            command.env("BOVEDA_KEY_FILE", self.place.path("admin.key"));
        }
        command.envs(self.server.variables());
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    fn snapshot(&self) -> serde_json::Value {
        self.run(&["--json", "snapshot", "src"]).ends(0).message("summary").clone()
    }
}

fn same(a: &Path, b: &Path) {
    let diff = Command::new("diff").arg("-r").args([a, b]).output().unwrap();
    assert!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));
}

fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}

fn the_whole_way(kind: Kind) {
    let Some(remote) = Remote::init(kind) else { return };
    let src = remote.place.path("src");
    for n in 0..40 {
        write(&src.join(format!("folder-{}/file-{n}", n % 5)), &noise(10_000 + n * 997, n as u32));
    }
    write(&src.join("large"), &noise(6_000_000, 99));
    let first = remote.snapshot();
    assert_eq!(first["kind"], "full");
    if kind != Kind::Sshd {
        assert!(first["traffic"]["requests"].as_u64().unwrap() > 5);
    }
    assert!(first["traffic"]["bytes_sent"].as_u64().unwrap() > 6_000_000, "{first}");
    write(&src.join("folder-1/new"), b"new");
    fs::remove_file(src.join("folder-2/file-2")).unwrap();
    let second = remote.snapshot();
    assert_eq!(second["kind"], "incremental");
    assert!(second["traffic"]["bytes_sent"].as_u64().unwrap() < 100_000, "{second}");

    let listed = remote.run(&["--json", "snapshots"]).ends(0);
    assert_eq!(listed.out.lines().count(), 2, "{}", listed.out);
    assert!(remote.run(&["ls", "latest"]).ends(0).out.contains("folder-1/new"));
    let shown = src.display().to_string();
    remote.run(&["restore", &format!("latest:{shown}"), "--target", "back"]).ends(0);
    same(&src, &remote.place.path("back"));
    remote.run(&["verify", "--level", "full"]).ends(0);

    remote.run(&["forget", first["snapshot_id"].as_str().unwrap()]).ends(0);
    remote.run(&["prune", "--exclusive"]).ends(0);
    remote.run(&["repair", "objects"]).ends(0);
    remote.run(&["restore", &format!("latest:{shown}"), "--target", "again"]).ends(0);
    same(&src, &remote.place.path("again"));
    remote.run(&["verify"]).ends(0);
}

#[test]
fn s3_on_minio() {
    the_whole_way(Kind::Minio);
}

#[test]
fn s3_on_moto() {
    the_whole_way(Kind::Moto);
}

#[test]
fn azure() {
    the_whole_way(Kind::Azurite);
}

#[test]
fn google() {
    the_whole_way(Kind::FakeGcs);
}

#[test]
fn sftp() {
    the_whole_way(Kind::Sshd);
}

#[test]
fn webdav() {
    let Some(remote) = Remote::init(Kind::Webdav) else { return };
    write(&remote.place.path("src/a"), b"a");
    remote.snapshot();
    remote.run(&["verify", "--level", "full"]).ends(0);
    // The password of the location is shown nowhere.
    let shown = remote.run(&["config", "show"]);
    assert!(!shown.out.contains("u:p@"), "{}", shown.out);
}

#[test]
fn a_place_with_racing_writers_is_warned_of() {
    let Some(server) = Server::start(Kind::Webdav) else { return };
    let place = Place::new();
    let run = place.run(["-r", &server.location(), "init", "--new-key-file", "k", "--recovery-key-file", "r"]).ends(0);
    assert!(run.err.contains("one machine at a time"), "{}", run.err);
}

#[test]
fn probe_tells_what_a_place_can_do() {
    for (kind, several) in
        [(Kind::Moto, true), (Kind::Minio, true), (Kind::S3s, false), (Kind::Sshd, true), (Kind::Webdav, false)]
    {
        let Some(server) = Server::start(kind) else { continue };
        let place = Place::new();
        let mut command = place.command(["--json", "store", "probe", "--policies", &server.location()]);
        let run = Run::of(command.envs(server.variables()));
        let report = run.ends(0).message("probe").clone();
        assert_eq!(report["several_writers"], several, "{kind:?}: {report}");
        for what in ["writes", "put_if_absent", "ranges", "listing_after_write", "deletes", "replaces"] {
            assert_eq!(report[what], true, "{kind:?} {what}: {report}");
        }
        assert!(report["upload_bytes_per_second"].as_f64().unwrap() > 0.0);
        assert!(!report["policies"].as_array().unwrap().is_empty());
    }
}

#[test]
fn probe_says_why_it_cannot() {
    let place = Place::new();
    place.run(["store", "probe", "folder"]).ends(0);
    assert!(
        fs::read_dir(place.path("folder"))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name() != ".tmp")
            .count()
            <= 1
    );
    place.run(["store", "probe", "gopher://x"]).ends(2);
    place.run(["store", "probe", "s3://bucket?nonsense=1"]).ends(2);
    place.run(["store", "probe", "azblob://container"]).ends(2);
    place.run(["store", "probe", "--size", "9T", "folder"]).ends(2);
    place.run(["store", "probe", "webdav://host\u{1b}[2J/x"]).ends(2);
    let Some(server) = Server::start(Kind::Moto) else { return };
    let mut command = place.command(["store", "probe", &server.location().replace("packs/", "nobody/")]);
    Run::of(command.envs(server.variables())).ends(10);
}

/// A run that is killed while it uploads leaves nothing that the next one stumbles over.
#[test]
fn a_killed_upload_is_taken_up_by_the_next_run() {
    let Some(remote) = Remote::init(Kind::Minio) else { return };
    let src = remote.place.path("src");
    write(&src.join("large"), &noise(60_000_000, 5));
    for wait in [300, 700, 1500] {
        let mut child = remote.command(&["--limit-upload", "20M", "snapshot", "src"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        let _ = child.kill();
        child.wait().unwrap();
    }
    remote.snapshot();
    remote.run(&["verify", "--level", "full"]).ends(0);
    remote.run(&["restore", &format!("latest:{}", src.display()), "--target", "back"]).ends(0);
    same(&src, &remote.place.path("back"));
}

#[test]
fn a_place_without_room_is_named_and_nothing_is_lost() {
    let Some(server) = Server::start(Kind::Moto) else { return };
    let proxy =
        Proxy::start(server.port, |_, first| match first.contains("/packs/packs") || first.contains("/full/packs/") {
            true => Fate::Answer("507 Insufficient Storage"),
            false => Fate::Pass,
        });
    let mut remote = Remote { place: Place::new(), location: server.location_at(server.port, "full"), server };
    remote.run(&["init", "--new-key-file", "admin.key", "--recovery-key-file", "recovery"]).ends(0);
    write(&remote.place.path("src/a"), &noise(1_000_000, 3));
    let direct = std::mem::replace(&mut remote.location, remote.server.location_at(proxy.port, "full"));
    let run = remote.run(&["snapshot", "src"]).ends(1);
    assert!(run.err.contains("make room"), "{}", run.err);
    remote.location = direct;
    remote.snapshot();
    remote.run(&["verify", "--level", "full"]).ends(0);
}

#[test]
fn expired_credentials_end_the_run_with_a_hint() {
    let Some(server) = Server::start(Kind::Minio) else { return };
    let place = Place::new();
    let mut command =
        place.command(["-r", &server.location(), "init", "--new-key-file", "k", "--recovery-key-file", "r"]);
    command.env("AWS_ACCESS_KEY_ID", "AKTESTTEST").env("AWS_SECRET_ACCESS_KEY", "expired");
    let run = Run::of(&mut command).ends(1);
    assert!(run.err.contains("check the credentials"), "{}", run.err);
    assert!(!run.err.contains("expired"), "{}", run.err);
}
