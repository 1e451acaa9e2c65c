//! A mount whose repository lies behind a network that goes bad.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::mount::has_fuse;
use super::{Place, Run, write};
use crate::servers::proxy::{Fate, Proxy};
use crate::servers::{Kind, Server};
use crate::world::noise;

/// More than a mount reads ahead.
const LARGE: usize = 48 << 20;
/// What is read there, near its end.
const AT: usize = 44 << 20;

#[test]
fn a_line_that_stalls_costs_the_reads_that_need_it_and_nothing_else() {
    if !has_fuse() {
        return;
    }
    let Some(server) = Server::start(Kind::Moto) else { return };
    let place = Place::new();
    let stalled = Arc::new(AtomicBool::new(false));
    let stalls = Arc::clone(&stalled);
    let proxy = Proxy::start(server.port, move |_, _| match stalls.load(Ordering::SeqCst) {
        true => Fate::Stall,
        false => Fate::Pass,
    });
    let run = |port: u16, arguments: &[&str]| {
        let mut command: Command = place.command(arguments);
        command.env("BOVEDA_REPOSITORY", server.location_at(port, "repo")).envs(server.variables());
        if place.path("key").exists() {
            command.env("BOVEDA_KEY_FILE", place.path("key"));
        }
        Run::of(&mut command).ends(0)
    };
    write(&place.path("files/cold"), noise(1, LARGE));
    write(&place.path("files/warm"), noise(2, 100_000));
    fs::create_dir(place.path("there")).unwrap();
    run(server.port, &["init", "--new-key-file", "key", "--recovery-key-file", "words"]);
    run(server.port, &["snapshot", "files"]);
    run(proxy.port, &["mount", "there"]);
    let folder = place.path("there/latest").join(place.path("files").strip_prefix("/").unwrap());
    assert!(fs::read(folder.join("warm")).unwrap() == noise(2, 100_000));
    let cold = File::open(folder.join("cold")).unwrap();

    stalled.store(true, Ordering::SeqCst);
    let start = Instant::now();
    let error = std::thread::scope(|scope| {
        let reading = scope.spawn(|| cold.read_at(&mut [0; 100], AT as u64).unwrap_err());
        std::thread::sleep(Duration::from_secs(1));
        let beside = Instant::now();
        assert!(fs::read(folder.join("warm")).unwrap() == noise(2, 100_000));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        assert_eq!(fs::metadata(folder.join("cold")).unwrap().len(), LARGE as u64);
        assert!(beside.elapsed() < Duration::from_secs(1), "what is known is answered: {:?}", beside.elapsed());
        reading.join().unwrap()
    });
    assert_eq!(error.raw_os_error(), Some(5), "{error}");
    // The kernel asks once more for a page that failed; that costs much less.
    assert!((50..90).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());

    stalled.store(false, Ordering::SeqCst);
    // The request that hangs is given up after twenty seconds, and asked anew.
    let mut bytes = vec![0; 100];
    while cold.read_exact_at(&mut bytes, AT as u64).is_err() {
        assert!(start.elapsed() < Duration::from_secs(130), "{:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(bytes == noise(1, LARGE)[AT..AT + 100]);

    // And where it stalls for good, the mount still ends when it is told to.
    stalled.store(true, Ordering::SeqCst);
    drop(cold);
    let start = Instant::now();
    place.run(["umount", "there"]).ends(0);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(!Path::new(&place.path("there/by-time")).exists());
}
