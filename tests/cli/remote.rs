//! The whole way through the program, with the repository on real servers: found, keep, look, bring back, tidy, verify, mend.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::far::{Remote, noise, same};
use super::{Place, Run, write};
use crate::servers::proxy::{Fate, Proxy};
use crate::servers::{Kind, Server};

fn the_whole_way(kind: Kind) {
    let Some(remote) = Remote::init(kind) else { return };
    let src = remote.place.path("src");
    for n in 0..40 {
        write(&src.join(format!("folder-{}/file-{n}", n % 5)), noise(10_000 + n * 997, n as u32));
    }
    write(&src.join("large"), noise(6_000_000, 99));
    // Stamps younger than two seconds are not relied on, and whole seconds are counted.
    std::thread::sleep(Duration::from_millis(3100));
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
    // Nobody keeps two pruners apart there.
    remote.run(&["prune"]).ends(5).says("--exclusive");
    remote.run(&["prune", "--dry-run"]).ends(0);
    remote.run(&["prune", "--exclusive"]).ends(0);
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
        [(Kind::Minio, true), (Kind::FakeGcs, true), (Kind::S3s, false), (Kind::Sshd, true), (Kind::Webdav, false)]
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

/// Two machines over one bucket: one takes snapshots, the other forgets and prunes all the while.
#[test]
fn a_prune_beside_snapshots_over_s3_loses_nothing() {
    for kind in [Kind::Minio, Kind::Moto] {
        let Some(remote) = Remote::init(kind) else { continue };
        let src = remote.place.path("src");
        write(&src.join("kept"), noise(400_000, 1));
        remote.snapshot();
        let over = AtomicBool::new(false);
        let elsewhere = remote.place.path("elsewhere");
        let pruned = std::thread::scope(|scope| {
            let pruner = scope.spawn(|| {
                let mut pruned = 0;
                while !over.load(Ordering::Relaxed) {
                    for arguments in
                        [&["forget", "--keep-last", "1"][..], &["prune", "--wait", "0s", "--max-unused", "0"]]
                    {
                        let mut command = remote.command(arguments);
                        command
                            .env("XDG_STATE_HOME", elsewhere.join("state"))
                            .env("XDG_CACHE_HOME", elsewhere.join("cache"));
                        let run = Run::of(&mut command);
                        // A snapshot is under way: what is condemned goes later.
                        assert!(matches!(run.code, 0 | 3), "{run:?}");
                        pruned += usize::from(run.out.contains("deleted"));
                    }
                }
                pruned
            });
            for round in 0..6 {
                write(&src.join("changes"), noise(300_000 + round, 10 + round as u32));
                remote.snapshot();
            }
            over.store(true, Ordering::Relaxed);
            pruner.join().unwrap()
        });
        assert!(pruned > 0);
        remote.run(&["forget", "--keep-last", "1"]).ends(0);
        remote.run(&["prune", "--max-unused", "0"]).ends(0);
        remote.run(&["verify", "--level", "full"]).ends(0);
        remote.run(&["restore", &format!("latest:{}", src.display()), "--target", "back"]).ends(0);
        same(&src, &remote.place.path("back"));
    }
}

/// A run that is killed while it uploads leaves nothing that the next one stumbles over.
#[test]
fn a_killed_upload_is_taken_up_by_the_next_run() {
    let Some(remote) = Remote::init(Kind::Minio) else { return };
    let src = remote.place.path("src");
    write(&src.join("large"), noise(60_000_000, 5));
    for wait in [300, 700, 1500] {
        let mut child = remote.command(&["--limit-upload", "20M", "snapshot", "src"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
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
    write(&remote.place.path("src/a"), noise(1_000_000, 3));
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

/// A copy in a bucket, as the configuration names it: brought up to date by each snapshot, read from when the first place is damaged.
#[test]
fn copies_live_in_buckets_too() {
    let Some(server) = Server::start(Kind::Minio) else { return };
    let place = Place::new();
    place.run(["-r", "local", "init", "--new-key-file", "key", "--recovery-key-file", "words"]).ends(0);
    let location = server.location();
    let (bucket, options) = location.split_once('?').map(|(url, query)| (url.to_owned(), query.to_owned())).unwrap();
    let endpoint = options.split('&').next().unwrap().replace("endpoint=", "endpoint = '") + "'";
    let folder = place.path("").display().to_string();
    let config = format!(
        "[repository.main]\nurl = '{folder}local'\nkey_file = '{folder}key'\n[repository.main.copy.cloud]\nurl = '{bucket}'\n\
         access_key_id_env = 'THE_ID'\nsecret_access_key_env = 'THE_KEY'\n[repository.main.copy.cloud.access]\n{endpoint}\n"
    );
    write(&place.path("home/.config/boveda/config.toml"), config);
    let run = |arguments: &[&str], key: Option<&str>| {
        let mut command = place.command(arguments);
        command.env("BOVEDA_RETRY_FOR", "5").env("THE_ID", "AKTESTTEST");
        Run::of(command.envs(key.map(|key| ("THE_KEY", key))))
    };
    let key = Some("SKTESTTEST");
    write(&place.path("src/a"), noise(3_000_000, 1));
    let taken = run(&["--json", "snapshot", "src"], key).ends(0);
    assert_eq!(
        (&taken.message("synced")["copy"], &taken.message("synced")["founded"]),
        (&"cloud".into(), &true.into())
    );
    // What is missing or wrong costs the copy only.
    write(&place.path("src/b"), noise(300_000, 2));
    run(&["snapshot", "src"], None).ends(3).says("THE_KEY");
    let wrong = run(&["snapshot", "src"], Some("wr0ng")).ends(3).says("the copy cloud is not up to date");
    assert!(!wrong.err.contains("wr0ng"), "{}", wrong.err);
    run(&["sync"], Some("wr0ng")).ends(1).says("check the credentials");
    assert_eq!(run(&["--json", "sync"], key).ends(0).message("synced")["behind"]["snapshots"], 0);

    fs::remove_dir_all(place.path("local/packs")).unwrap();
    let source = format!("latest:{}", place.path("src").display());
    run(&["restore", &source, "--target", "back"], key).ends(0).says("it is read from the copy cloud");
    same(&place.path("src"), &place.path("back"));
    run(&["repair", "objects", "--from", "@cloud"], key).ends(0);
    run(&["verify", "--level", "full"], key).ends(0);
    fs::remove_dir_all(place.path("local")).unwrap();
    let mut direct = place.command(["-r", &location, "--key-file", "key", "restore", &source, "--target", "again"]);
    Run::of(direct.envs(server.variables())).ends(0);
    same(&place.path("src"), &place.path("again"));
}

/// The variables of an older system are enough for a repository with a copy in its bucket.
#[test]
fn variables_of_an_older_system_name_a_copy_that_works() {
    let Some(server) = Server::start(Kind::Moto) else { return };
    let place = Place::new();
    write(&place.path("files/a"), "first");
    let run = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.envs(server.variables()).envs([
            ("BACKUP_DIR", "old".to_owned()),
            ("BACKUP_ENCRYPTION_KEY", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=".to_owned()),
            ("BACKUP_CRITICAL_PATHS", place.path("files").display().to_string()),
            ("CLOUD_PROVIDER", "aws".to_owned()),
            ("AWS_BACKUP_BUCKET", "packs".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", server.port)),
        ]);
        Run::of(&mut command)
    };
    run(&["init", "--from-env"]).ends(0);
    let taken = run(&["--json", "snapshot"]).ends(0);
    assert_eq!(taken.message("synced")["behind"]["snapshots"], 0);
    fs::remove_dir_all(place.path("old")).unwrap();
    run(&["-r", "s3://packs/boveda", "--key-command", "printenv BACKUP_ENCRYPTION_KEY", "ls", "latest"])
        .ends(0)
        .tells("files/a");
}

/// What was read over the network is kept, sealed, and asked for once; unless nothing shall be kept, or it was damaged.
#[test]
fn what_was_read_is_asked_for_once() {
    let Some(server) = Server::start(Kind::Moto) else { return };
    let proxy = Proxy::start(server.port, |_, _| Fate::Pass);
    let remote = Remote { place: Place::new(), location: server.location_at(proxy.port, "repo"), server };
    remote.run(&["init", "--new-key-file", "admin.key", "--recovery-key-file", "recovery"]).ends(0);
    // Letters, since what `dump` shows has to be text.
    let text: Vec<u8> = noise(3_000_000, 1).into_iter().map(|byte| b'a' + byte % 16).collect();
    write(&remote.place.path("src/a"), text);
    remote.snapshot();
    // Parts of packs that were asked for.
    let parts = |arguments: &[&str]| {
        let before = proxy.seen().len();
        let run = remote.run(&[&["--cache-dir", "kept"], arguments].concat()).ends(0);
        let seen = proxy.seen();
        let gets = seen[before..].iter().filter(|line| line.starts_with("GET ") && line.contains("/repo/packs/"));
        (gets.count(), run.out)
    };
    let kept = || -> Vec<_> {
        let folders = fs::read_dir(remote.place.path("kept")).unwrap().map(|entry| entry.unwrap().path());
        let segments = folders.flat_map(|folder| fs::read_dir(folder.join("segments")).into_iter().flatten());
        segments.map(|entry| entry.unwrap().path()).collect()
    };
    let (first, shown) = parts(&["ls", "latest"]);
    assert!(first > 0 && shown.contains("src/a"), "{shown}");
    assert_eq!(parts(&["ls", "latest"]), (0, shown.clone()));
    assert_eq!(parts(&["--no-cache", "ls", "latest"]), (first, shown.clone()));
    assert_eq!(parts(&["--cache-size", "0", "ls", "latest"]), (first, shown.clone()));

    let file = remote.place.path("src/a").display().to_string();
    assert!(parts(&["dump", "latest", &file]).0 > 0);
    assert_eq!(parts(&["dump", "latest", &file]).0, 0);
    assert!(kept().len() > 3);
    let plain = fs::read(&file).unwrap();
    for path in kept() {
        let mut sealed = fs::read(&path).unwrap();
        assert!(!sealed.windows(64).any(|window| window == &plain[..64]), "sealed as it was");
        sealed[0] ^= 1;
        fs::write(path, sealed).unwrap();
    }
    let (again, _) = parts(&["ls", "latest"]);
    assert_eq!(again, first);
    assert!(remote.run(&["--cache-dir", "kept", "cache", "list"]).ends(0).out.contains("MiB"));
    remote.run(&["--cache-dir", "kept", "cache", "clear", "--all"]).ends(0);
    assert!(kept().is_empty());
}
