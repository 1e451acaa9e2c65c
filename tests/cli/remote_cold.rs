//! Packs in an archive tier: what a restore needs is named, asked for, and waited for; everything else says what to do.

use super::far::{Remote, noise, same};
use super::write;
use crate::servers::{Kind, Server};
use std::time::Duration;

/// Two snapshots: the first brings a large file, and all packs that are there then are archived; the second has that file and a small one,
/// and its catalog is hot. Returns the names of what is archived.
fn archived(remote: &Remote, archive: impl Fn(&Server, &[String])) -> Vec<String> {
    let large = noise(400_000, 1);
    write(&remote.place.path("src/large"), &large);
    remote.snapshot();
    let cold = packs(remote);
    write(&remote.place.path("src/small"), noise(1000, 2));
    remote.snapshot();
    assert!(packs(remote).len() > cold.len());
    archive(&remote.server, &cold);
    cold
}

/// The names of all packs in the bucket.
fn packs(remote: &Remote) -> Vec<String> {
    let prefix = remote.location.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
    let listed = remote.run(&["--json", "list", "packs"]).ends(0);
    let name = |line: serde_json::Value| {
        let id = line["id"].as_str().unwrap().to_owned();
        format!("{prefix}/packs/{}/{id}", &id[..2])
    };
    listed.json().into_iter().map(name).collect()
}

fn into_glacier(server: &Server, names: &[String]) {
    server.s3_script(&format!(
        "for name in {names:?}:\n\
         \x20   s3.copy_object(Bucket='packs', Key=name, CopySource={{'Bucket': 'packs', 'Key': name}}, StorageClass='GLACIER')\n"
    ));
}

#[test]
fn a_restore_asks_for_what_lies_in_glacier_and_ends_or_waits() {
    let Some(remote) = Remote::init(Kind::Moto) else { return };
    let cold = archived(&remote, into_glacier);
    let source = format!("latest:{}", remote.place.path("src").display());
    let restore = |more: &[&str]| {
        let all = [&["restore", &source, "--target", "back"], more].concat();
        remote.run(&all)
    };
    // What is not archived comes back; the rest is said to be there, and how to have it.
    let run = restore(&["--json"]).ends(3);
    assert_eq!(run.message("summary")["archived_count"], 1, "{run:?}");
    let run = restore(&[]).ends(3);
    assert!(run.err.contains("--thaw ask"), "{run:?}");
    assert_eq!(std::fs::read(remote.place.path("back/small")).unwrap().len(), 1000);
    let text = remote.run(&["dump", &format!("{source}/large")]).ends(1);
    assert!(text.err.contains("--thaw"), "{text:?}");
    // What is hot is verified, and what was not looked at is no "all is well".
    remote.run(&["verify", "--level", "full"]).ends(3).says("--thaw");
    let summary = remote.run(&["--json", "verify", "--level", "full"]).ends(3).message("summary").clone();
    assert_eq!((&summary["packs_archived"], &summary["num_errors"]), (&1.into(), &0.into()), "{summary}");
    assert!(summary["packs_read"] == 1 && summary["chunks"].as_u64().unwrap() > 0, "{summary}");
    remote.run(&["verify", "--level", "quick"]).ends(0);

    let dry = restore(&["--json", "--thaw", "ask", "--dry-run"]).ends(0).message("thaw");
    let expected = serde_json::json!({
        "message_type": "thaw", "asked": false, "catalog_archived": false, "hours": 5,
        "needed": dry["needed"], "archived": dry["archived"],
    });
    assert_eq!(dry, expected);
    assert_eq!((&dry["needed"]["packs"], &dry["archived"]["packs"]), (&2.into(), &1.into()), "{dry}");
    assert!(dry["archived"]["bytes"].as_u64().unwrap() > 400_000, "{dry}");
    assert_eq!(restore(&["--json"]).code, 3, "a dry run asks for nothing");

    // The provider takes its time.
    let provider = |what: &str| {
        remote.server.s3_script(&format!(
            "import urllib.request as u, json\n\
             def takes(**time):\n\
             \x20   u.urlopen(u.Request(s3.meta.endpoint_url + '/moto-api/state-manager/set-transition', method='POST',\n\
             \x20       data=json.dumps({{'model_name': 's3::keyrestore', 'transition': time}}).encode()))\n\
             {what}\n"
        ))
    };
    provider("takes(progression='manual', times=1)");
    let run = restore(&["--thaw", "ask", "--thaw-tier", "bulk", "--thaw-days", "3"]).ends(3);
    assert!(run.err.contains("asked for") && run.err.contains("after about 12 hours"), "{run:?}");
    provider(&format!(
        "for _ in range(5):\n\
         \x20   if 'true' in s3.head_object(Bucket='packs', Key={:?})['Restore']: break\n\
         takes(progression='manual', times=1000000)",
        cold[0]
    ));
    // Whoever asks again is not refused, and waits if that is wished.
    restore(&["--thaw", "ask"]).ends(3);
    let run = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| restore(&["--json", "--thaw", "wait"]));
        std::thread::sleep(Duration::from_secs(2));
        assert!(!waiting.is_finished());
        provider("takes(progression='immediate')");
        waiting.join().unwrap().ends(0)
    });
    assert_eq!(run.message("summary")["archived_count"], 0, "{run:?}");
    same(&remote.place.path("src"), &remote.place.path("back"));
    let ready = restore(&["--json", "--thaw", "ask"]).ends(0).message("thaw");
    assert_eq!((&ready["archived"]["packs"], &ready["hours"]), (&0.into(), &serde_json::Value::Null));
}

#[test]
fn a_catalog_that_is_archived_is_asked_for_first() {
    let Some(remote) = Remote::init(Kind::Moto) else { return };
    archived(&remote, |_, _| ());
    into_glacier(&remote.server, &packs(&remote));
    let source = format!("latest:{}", remote.place.path("src").display());
    for (command, code, hint) in [
        (&["ls", "latest"][..], 3, "archive tier"),
        (&["find", "small"], 3, "archive tier"),
        (&["restore", &source, "--target", "back"], 1, "--thaw ask"),
        (&["dump", &source, "--target", "back.tar"], 1, "--thaw ask"),
        (&["prune", "--dry-run"], 1, "--thaw ask"),
    ] {
        let run = remote.run(command).ends(code);
        assert!(run.err.contains(hint) && !run.err.contains("damage"), "{command:?}: {run:?}");
    }
    let asked =
        remote.run(&["--json", "restore", &source, "--target", "back", "--thaw", "ask"]).ends(3).message("thaw");
    assert_eq!((&asked["catalog_archived"], &asked["archived"]["packs"]), (&true.into(), &1.into()), "{asked}");
    assert!(asked["archived"]["bytes"].as_u64().unwrap() > 0, "{asked}");
    let asked =
        remote.run(&["--json", "restore", &source, "--target", "back", "--thaw", "ask"]).ends(3).message("thaw");
    assert_eq!((&asked["catalog_archived"], &asked["archived"]["packs"]), (&false.into(), &1.into()), "{asked}");
    remote.run(&["restore", &source, "--target", "back", "--thaw", "wait"]).ends(0);
    same(&remote.place.path("src"), &remote.place.path("back"));
}

#[test]
fn azure_brings_archived_packs_back() {
    let Some(remote) = Remote::init(Kind::Azurite) else { return };
    archived(&remote, |server, names| names.iter().for_each(|name| server.azure_tier(name, "Archive")));
    let source = format!("latest:{}", remote.place.path("src").display());
    let run = remote.run(&["restore", &source, "--target", "back"]).ends(3);
    assert!(run.err.contains("--thaw ask"), "{run:?}");
    let asked =
        remote.run(&["--json", "restore", &source, "--target", "back", "--thaw", "ask"]).ends(3).message("thaw");
    assert_eq!((&asked["archived"]["packs"], &asked["hours"]), (&1.into(), &15.into()), "{asked}");
    remote.run(&["restore", &source, "--target", "back", "--thaw", "wait"]).ends(0);
    same(&remote.place.path("src"), &remote.place.path("back"));
}
