//! Which snapshot a run is compared with.

use super::*;

impl World {
    /// Takes a snapshot in the `lane`th lane: as a process does beside as many others.
    fn snapshot_beside(&self, lane: usize, options: &Options) -> Summary {
        let mut repository = self.open();
        let locks: Vec<_> = (0..=lane).map(|_| self.host.writer(&repository).unwrap()).collect();
        snapshot(&mut repository, locks[lane].writer, options, &Silent).unwrap()
    }
}

#[test]
fn the_newest_of_any_process_of_this_machine_is_the_parent() {
    let world = World::new();
    let files = fill(&world.source());
    settle();
    world.snapshot_beside(0, &world.options());
    let second = world.snapshot_beside(1, &world.options());
    assert_eq!(second.counts.files_unmodified, 40);
    let third = world.snapshot_beside(0, &world.options());
    assert_eq!((third.parent, third.counts.files_unmodified), (second.snapshot, 40));
    assert_eq!(third.data_chunks_added, 0);
    let fourth = world.snapshot_beside(2, &world.options());
    assert_eq!((fourth.parent, fourth.counts.files_unmodified), (third.snapshot, 40));
    assert_eq!(world.files(), files);
}

#[test]
fn after_two_runs_at_once_the_next_reads_nothing_again() {
    let world = World::new();
    let files = fill(&world.source());
    settle();
    let gate = std::sync::Barrier::new(2);
    let both: Vec<Summary> = std::thread::scope(|scope| {
        let run = || {
            let host = Host::new(&world.folder.path().join("state"), world.host.cache_folder(), None, Arc::new(Silent));
            let mut repository = host.open(world.store.clone(), &world.credential).unwrap();
            let writer = host.writer(&repository).unwrap();
            gate.wait();
            snapshot(&mut repository, writer.writer, &world.options(), &Silent).unwrap()
        };
        let runs = [scope.spawn(run), scope.spawn(run)];
        runs.map(|run| run.join().unwrap()).into()
    });
    let repository = world.open();
    let writers: Vec<_> = repository.snapshots().iter().map(|snapshot| snapshot.session.writer).collect();
    assert!(writers.len() == 2 && writers[0] != writers[1], "{writers:?}");
    let newer = repository.snapshots().last().unwrap().id;
    assert!(both.iter().any(|summary| summary.snapshot == Some(newer)));
    let third = world.snapshot(&world.options());
    assert_eq!((third.parent, third.counts.files_unmodified), (Some(newer), 40));
    assert_eq!((third.data_chunks_added, third.full), (0, false));
    assert_eq!(world.files(), files);
}

#[test]
fn another_machine_of_the_same_name_has_nothing_to_take_files_from() {
    let world = World::new();
    fill(&world.source());
    settle();
    let first = world.snapshot(&world.options());
    let elsewhere = world.folder.path().join("elsewhere");
    let host = Host::new(&elsewhere.join("state"), &elsewhere.join("cache"), None, Arc::new(Silent));
    let other = World { host, ..world };
    let summary = other.snapshot(&other.options());
    assert_eq!((summary.parent, summary.counts.files_new), (None, 40));
    // Unless it is told to: then the catalog tells what did not change.
    let tree = || {
        let repository = other.open();
        let reader = other.host.reader(&repository, &[IndexClass::Catalog], 1 << 24).unwrap();
        let first = repository.snapshots().iter().find(|snapshot| Some(snapshot.id) == first.snapshot).unwrap();
        Tree::open(Arc::new(reader), first.structure.root)
    };
    let parent = |tree| Some(Parent { id: first.snapshot.unwrap(), tree });
    let told = other.snapshot(&Options { parent: parent(Some(tree())), ..other.options() });
    assert_eq!((told.parent, told.counts.files_unmodified, told.full), (first.snapshot, 40, false));
    let blind = other.snapshot(&Options { parent: parent(None), ..other.options() });
    assert_eq!((blind.parent, blind.counts.files_new, blind.full), (first.snapshot, 40, true));
}

#[test]
fn nothing_is_committed_when_nothing_changed_and_that_is_asked_for() {
    let world = World::new();
    fill(&world.source());
    settle();
    let options = Options { skip_if_unchanged: true, ..world.options() };
    let first = world.snapshot(&options);
    assert!(first.snapshot.is_some() && !first.unchanged);
    let packs = world.store.list("packs").unwrap();
    // The folder above the source changes, which is nobody's business.
    std::fs::write(world.folder.path().join("beside"), "").unwrap();
    let second = world.snapshot(&options);
    assert_eq!((second.snapshot, second.unchanged, second.parent), (None, true, first.snapshot));
    assert_eq!(world.store.list("packs").unwrap(), packs);
    assert_eq!(world.open().snapshots().len(), 1);

    std::fs::remove_file(world.source().join("folder1/file1")).unwrap();
    settle();
    let third = world.snapshot(&options);
    assert!(third.snapshot.is_some() && !third.unchanged);
    assert!(world.snapshot(&options).unchanged);
    // Changed in content alone: the stamp tells.
    std::fs::write(world.source().join("folder1/file6"), noise(10, 99)).unwrap();
    assert!(!world.snapshot(&options).unchanged);
}

#[test]
fn times_of_last_access_are_kept_when_asked_for() {
    let world = World::new();
    fill(&world.source());
    settle();
    let accessed = |summary: &Summary| {
        let repository = world.open();
        let snapshot = repository.snapshots().iter().find(|one| Some(one.id) == summary.snapshot).unwrap();
        let reader = world.host.reader(&repository, &[IndexClass::Catalog], 1 << 24).unwrap();
        let tree = Tree::open(Arc::new(reader), snapshot.structure.root);
        let times = tree.walk(&EntryPath::default()).map(|item| item.unwrap().1.accessed.is_some());
        times.collect::<Vec<_>>()
    };
    let kept = |of: &[bool], expected: bool| of.len() > 40 && of.iter().all(|known| *known == expected);
    let with = Options { with_atime: true, ..world.options() };
    assert!(kept(&accessed(&world.snapshot(&world.options())), false));
    assert!(kept(&accessed(&world.snapshot(&with)), true));
    assert!(kept(&accessed(&world.snapshot(&world.options())), false));
    assert_eq!(world.snapshot(&with).counts.files_unmodified, 40);
}

#[test]
fn packs_have_the_size_that_was_asked_for() {
    let world = World::new();
    fill(&world.source());
    let lengths = |from: usize| {
        let mut lengths: Vec<u64> = world.store.list("packs").unwrap().iter().map(|pack| pack.length).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        (lengths.len() > from, lengths[0])
    };
    let small = crate::repo::pack::PackSize::new(4 << 20).unwrap();
    world.snapshot(&Options { pack_size: small, ..world.options() });
    let (several, longest) = lengths(3);
    assert!(several && longest < 5 << 20, "the longest pack has {longest} bytes");
    assert_eq!(crate::repo::pack::PackSize::new((4 << 20) - 1), None);
    assert_eq!(crate::repo::pack::PackSize::new((128 << 20) + 1), None);
}
