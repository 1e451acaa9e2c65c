//! Places that keep objects for a time: a bucket with object lock, a container and a bucket whose policies refuse deletions.

use super::far::{Remote, noise, same};
use super::{Place, write};
use crate::servers::proxy::{Fate, Proxy};
use crate::servers::{Kind, Server};

/// Three snapshots, of which the second is forgotten, and nothing of its packs is needed.
fn forgotten(remote: &Remote) {
    let file = remote.place.path("src/file");
    write(&remote.place.path("src/kept"), noise(50_000, 3));
    remote.snapshot();
    write(&file, noise(300_000, 1));
    remote.snapshot();
    write(&file, noise(300_001, 2));
    remote.snapshot();
    remote.run(&["forget", "latest~1"]).ends(0);
}

/// The repository is whole.
fn holds(remote: &Remote, target: &str) {
    remote.run(&["verify", "--level", "full"]).ends(0);
    let src = remote.place.path("src");
    remote.run(&["restore", &format!("latest:{}", src.display()), "--target", target]).ends(0);
    same(&src, &remote.place.path(target));
}

/// S3 with a default retention hides what is removed, and keeps it until a lifecycle rule may remove it.
#[test]
fn a_prune_of_a_bucket_with_object_lock_says_what_stays_and_until_when() {
    for kind in [Kind::Moto, Kind::Minio] {
        let Some(server) = Server::start(kind) else { continue };
        server.s3_script(
            "s3.create_bucket(Bucket='locked', ObjectLockEnabledForBucket=True)\n\
             rule = {'DefaultRetention': {'Mode': 'COMPLIANCE', 'Days': 7}}\n\
             s3.put_object_lock_configuration(Bucket='locked',\n\
             \x20   ObjectLockConfiguration={'ObjectLockEnabled': 'Enabled', 'Rule': rule})\n",
        );
        let location = server.location().replace("packs/", "locked/");
        let remote = Remote::init_at(location, server);
        let probe = remote.run(&["--json", "store", "probe"]).ends(0).message("probe");
        assert_eq!((&probe["object_lock"], &probe["versioning"]), (&"COMPLIANCE".into(), &true.into()), "{kind:?}");
        forgotten(&remote);
        let dry = remote.run(&["--json", "prune", "--dry-run"]).ends(0).message("pruned");
        assert_eq!((&dry["keeps_versions"], &dry["locked"]), (&true.into(), &dry["condemned"]), "{kind:?}: {dry}");
        let pruned = remote.run(&["--json", "prune"]).ends(0).message("pruned");
        assert_eq!((&pruned["keeps_versions"], &pruned["complete"]), (&true.into(), &true.into()), "{pruned}");
        assert!(pruned["deleted"]["bytes"].as_u64().unwrap() > 300_000, "{pruned}");
        let until: jiff::Timestamp = pruned["locked_until"].as_str().unwrap().parse().unwrap();
        let days = until.duration_since(jiff::Timestamp::now()).as_secs_f64() / 86_400.0;
        assert!((6.5..7.5).contains(&days), "{pruned}");
        // Everything that was removed is still there for who asks for versions.
        let versions = remote.server.s3_script(
            "for page in s3.get_paginator('list_object_versions').paginate(Bucket='locked'):\n\
             \x20   print(sum(v['Size'] for v in page.get('Versions', []) if not v['IsLatest']))\n",
        );
        assert!(versions.trim().parse::<u64>().unwrap() > 300_000, "{kind:?}: {versions}");
        holds(&remote, "back");
        let again = remote.run(&["prune"]).ends(0);
        assert!(!again.out.contains("older versions"), "nothing was removed: {}", again.out);
    }
}

#[test]
fn a_place_that_refuses_deletions_for_a_time_fails_no_prune() {
    let refusals = [
        (Kind::Azurite, "409 Conflict\r\nx-ms-error-code: BlobImmutableDueToPolicy", None),
        (
            Kind::FakeGcs,
            "403 Forbidden\r\nContent-Type: application/json\r\n\r\n{\"error\": {\"code\": 403, \"message\": \
             \"Object 'b/o' is subject to bucket's retention policy or object retention and cannot be deleted or \
             overwritten until 2099-01-03T02:00:00-08:00\", \"errors\": [{\"message\": \"kept\", \"domain\": \"global\", \
             \"reason\": \"retentionPolicyNotMet\"}]}}",
            Some("2099-01-03T10:00:00Z"),
        ),
    ];
    for (kind, refusal, until) in refusals {
        let Some(server) = Server::start(kind) else { continue };
        let line = Proxy::start(server.port, move |_, first| match first.starts_with("DELETE ") {
            true => Fate::Answer(refusal),
            false => Fate::Pass,
        });
        let mut remote = Remote::init_at(server.location_at(server.port, "repo"), server);
        forgotten(&remote);
        let direct = std::mem::replace(&mut remote.location, remote.server.location_at(line.port, "repo"));
        let pruned = remote.run(&["--json", "prune"]).ends(0).message("pruned");
        assert_eq!((&pruned["locked"], &pruned["deleted"]["packs"]), (&pruned["finished"], &0.into()), "{pruned}");
        assert!(pruned["locked"]["bytes"].as_u64().unwrap() > 300_000, "{kind:?}: {pruned}");
        assert_eq!(pruned["locked_until"].as_str(), until, "{kind:?}: {pruned}");
        let again = remote.run(&["prune"]).ends(0);
        assert!(again.out.contains("may not be removed yet") && again.out.contains("a later prune"), "{}", again.out);
        holds(&remote, "back");
        remote.location = direct;
        let later = remote.run(&["--json", "prune"]).ends(0).message("pruned");
        assert_eq!(later["deleted"], pruned["locked"], "{kind:?}");
        holds(&remote, "again");
    }
}

/// Who has to replace what may not be replaced learns why.
#[test]
fn what_may_not_be_replaced_is_named_with_its_reason() {
    let Some(server) = Server::start(Kind::Azurite) else { return };
    let line = Proxy::start(server.port, |_, first| match first.starts_with("PUT ") && first.contains("/packs/") {
        true => Fate::Answer("409 Conflict\r\nx-ms-error-code: BlobImmutableDueToPolicy"),
        false => Fate::Pass,
    });
    let place = Place::new();
    let mut command = place.command(["store", "probe", &server.location_at(line.port, "repo")]);
    let run = super::Run::of(command.envs(server.variables())).ends(1);
    assert!(run.err.contains("BlobImmutableDueToPolicy"), "{}", run.err);
    assert!(run.err.contains("object lock") && run.err.contains("docs/stores.md"), "{}", run.err);
}
