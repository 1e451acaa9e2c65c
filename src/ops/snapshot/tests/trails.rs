//! Full runs over files whose stamps say that they stayed as they were, which is true, or not.

use super::*;
use crate::source::files::stat::StampOptions;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

fn full(world: &World) -> Summary {
    settle();
    world.snapshot(&Options { full: true, ..world.options() })
}

/// Replaces a file's bytes so that its size and its time of modification stay.
fn slip_in(path: &Path, offset: u64, bytes: &[u8]) {
    let file = File::options().write(true).open(path).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(bytes, offset).unwrap();
    file.set_modified(modified).unwrap();
}

#[test]
fn a_large_file_that_stayed_adds_nothing() {
    let world = World::new();
    std::fs::write(world.source().join("large"), noise(9 << 20, 1)).unwrap();
    let first = full(&world);
    assert!(first.bytes_added > 9 << 20);
    let second = full(&world);
    assert_eq!(second.data_chunks_added, 0);
    assert_eq!(world.files()[world.source().join("large").to_str().unwrap()], noise(9 << 20, 1));
}

#[test]
fn what_changed_behind_an_old_stamp_is_found_wherever_it_is() {
    const LENGTH: usize = 9 << 20;
    for offset in [0, 1 << 20, (2 << 20) - 1, 5 << 20, LENGTH - 10] {
        let world = World::new();
        let path = world.source().join("large");
        let mut bytes = noise(LENGTH, 1);
        std::fs::write(&path, &bytes).unwrap();
        full(&world);
        slip_in(&path, offset as u64, b"otherwise");
        bytes[offset..offset + 9].copy_from_slice(b"otherwise");
        let options =
            Options { full: true, stamp: StampOptions { ignore_ctime: true, ..Default::default() }, ..world.options() };
        let again = world.snapshot(&options);
        assert!(world.files()[world.source().join("large").to_str().unwrap()] == bytes, "{offset}");
        let chunks = again.data_chunks_added;
        assert!((1..40).contains(&chunks), "{offset}: {chunks} chunks");
    }
}

#[test]
fn a_sparse_file_is_followed_over_its_holes() {
    let world = World::new();
    let path = world.source().join("sparse");
    let file = File::create(&path).unwrap();
    file.set_len(40 << 20).unwrap();
    file.write_all_at(&noise(5 << 20, 1), 3 << 20).unwrap();
    file.write_all_at(&noise(3 << 20, 2), 20 << 20).unwrap();
    drop(file);
    full(&world);
    assert_eq!(full(&world).data_chunks_added, 0);
    assert!(world.files()[path.to_str().unwrap()] == std::fs::read(&path).unwrap());
}
