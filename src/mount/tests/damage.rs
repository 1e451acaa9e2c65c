//! Mounts of repositories that have lost something, or do not answer.

use super::{SNAPSHOT, WHEN, code, eventually, noise};
use crate::mount::testing::{Mounted, Repository};
use crate::repo::entry::Extent;
use crate::repo::id::ChunkKind;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn damage_is_an_error_there_and_only_there() {
    let repository = Arc::new(Repository::default());
    let chunks = &repository.chunks;
    let content = noise(3 << 20);
    let extents: Vec<_> = content.chunks(1 << 16).map(|piece| chunks.put(piece)).collect();
    let Extent::Chunk { id: lost, .. } = extents[20] else { unreachable!() };
    repository.snapshot(WHEN, "web", vec![("/d/bad", chunks.file(extents)), ("/d/good", chunks.text(b"fine"))]);
    chunks.stored.lose(ChunkKind::Data, &lost);
    let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
    let file = File::open(mounted.at(SNAPSHOT).join("d/bad")).unwrap();
    let mut failed = Vec::new();
    for (at, piece) in content.chunks(1 << 16).enumerate() {
        let mut seen = vec![0; piece.len()];
        match file.read_exact_at(&mut seen, (at << 16) as u64) {
            Ok(()) => assert!(seen == piece, "chunk {at}"),
            Err(error) => {
                assert_eq!(code(&error), rustix::io::Errno::IO);
                failed.push(at);
            }
        }
    }
    assert_eq!(failed, [20]);
    assert_eq!(fs::read(mounted.at(SNAPSHOT).join("d/good")).unwrap(), b"fine");
    let problems = mounted.told.problems();
    let (path, error) = &problems[0];
    assert_eq!(path, &format!("{SNAPSHOT}/d/bad"));
    assert!(error.contains(&lost.to_string()), "{error}");
}

#[test]
fn a_damaged_page_hides_its_entries_and_is_told_of() {
    let paths: Vec<String> = (0..6000).map(|n| format!("/many/a-rather-long-name-{n:05}")).collect();
    let make = || {
        let repository = Arc::new(Repository::default());
        let file = repository.chunks.text(b"same");
        repository.snapshot(WHEN, "web", paths.iter().map(|path| (path.as_str(), file.clone())).collect());
        repository
    };
    let payloads = make().chunks.stored.of(ChunkKind::Payload);
    assert!(payloads.len() > 3, "a tree of several pages");
    let mut hid = 0;
    for (payload, _) in payloads {
        let repository = make();
        repository.chunks.stored.lose(ChunkKind::Payload, &payload);
        let Some(mounted) = Mounted::new(&repository, |_| {}) else { return };
        // Some pages lie on the way to the folder itself.
        let Ok(folder) = fs::read_dir(mounted.at(SNAPSHOT).join("many")) else { continue };
        let (seen, errors): (Vec<_>, Vec<_>) = folder.partition(Result::is_ok);
        if seen.is_empty() {
            continue;
        }
        assert_eq!(errors.len(), 1, "the end of the listing is an error");
        assert!(seen.len() > 3000 && seen.len() < 6000, "{}", seen.len());
        assert!(!mounted.told.problems().is_empty());
        hid += 1;
    }
    assert!(hid > 1);
}

#[test]
fn a_store_that_does_not_answer_is_an_error_in_time() {
    let repository = Arc::new(Repository::default());
    repository.snapshot(WHEN, "web", vec![("/slow", repository.chunks.text(&noise(100_000)))]);
    let Some(mounted) = Mounted::new(&repository, |options| options.deadline = Duration::from_millis(300)) else {
        return;
    };
    let path = mounted.at(SNAPSHOT).join("slow");
    let file = File::open(&path).unwrap();
    repository.chunks.hang(true);
    let start = Instant::now();
    assert_eq!(code(&file.read_at(&mut [0; 10], 0).unwrap_err()), rustix::io::Errno::IO);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(fs::metadata(&path).unwrap().len(), 100_000, "what is in memory is still answered");
    eventually("the reason is told", || mounted.told.problems().iter().any(|(_, why)| why.contains("did not answer")));
    repository.chunks.hang(false);
    assert_eq!(fs::read(&path).unwrap(), noise(100_000));
}
