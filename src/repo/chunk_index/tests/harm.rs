//! Runs that are damaged, unfinished, replaced or have no room: nothing wrong is believed.

use super::*;

/// A run of a few blocks in each section that has some, and its objects.
fn some_run(folder: &RunFolder) -> (Arc<Run>, Vec<(Object, bool)>) {
    let object = |number: u64| {
        let rows = |pack: u64| {
            (0..20).map(move |row_number| {
                let number = (number * 10 + pack) * 20 + row_number;
                row(ChunkKind::Skeleton, number, pack, &(number * 8..number * 8 + 8).collect::<Vec<_>>())
            })
        };
        let pack = |pack: u64| PackSummary {
            id: PackId(id(500 + number * 10 + pack)),
            length: 9999,
            md5: None,
            rows: rows(pack).collect(),
        };
        (object(number, (0..10).map(pack).collect()), true)
    };
    let objects: Vec<_> = (0..4).map(object).collect();
    (build(folder.begin(IndexClass::Catalog).unwrap(), &objects), objects)
}

/// Wherever a run is damaged: it is not opened, or what is asked of it is answered rightly or not at all.
#[test]
fn damage_anywhere_is_noticed_and_never_believed() {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(place.path().to_owned(), run_key(1));
    let (run, objects) = some_run(&folder);
    let path = run.path().unwrap().to_owned();
    let sound = fs::read(&path).unwrap();
    let known: Vec<ChunkId> = objects
        .iter()
        .flat_map(|(object, _)| &object.packs)
        .flat_map(|pack| &pack.rows)
        .flat_map(|row| row.ids.clone())
        .collect();
    assert_eq!(known.len(), 4 * 10 * 20 * 8);
    let (mut refused, mut silent) = (0, 0);
    for at in (0..sound.len()).step_by(4099).chain(sound.len() - 4 * CODE_BYTES..sound.len()) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        assert!(matches!(Run::open(&path, &run_key(1)), Err(Error::Damaged(_))), "byte {at}");
        // As large runs are opened: proven when somebody looks.
        match Run::open_proving(&path, &run_key(1), 0) {
            Err(Error::Damaged(_)) => refused += 1,
            Err(other) => panic!("{other}"),
            Ok(run) => {
                let mut index = ChunkIndex::new();
                let (run, mut hit) = (Arc::new(run), false);
                index.attach(run.clone(), judge(&run, |_| true));
                for id in known.iter().step_by(97) {
                    let places = index.places(ChunkKind::Skeleton, id);
                    assert!(places.len() == 1 || index.damage().is_some(), "byte {at}");
                    assert!(places.iter().all(|place| place.segment.ids[place.position as usize] == *id));
                    hit |= places.is_empty();
                }
                let read: Result<Vec<_>, _> = index.segments().collect();
                silent += usize::from(!hit && read.is_ok());
                if hit {
                    assert!(!path.exists(), "what is damaged goes");
                }
            }
        }
    }
    assert!(refused > 20 && silent > 0, "{refused} {silent}");
    for length in [0, 1, 100, BLOCK_BYTES, sound.len() / 2, sound.len() - BLOCK_BYTES, sound.len() - 1] {
        fs::write(&path, &sound[..length]).unwrap();
        assert!(Run::open_proving(&path, &run_key(1), 0).is_err(), "{length} bytes");
    }
    let long = [&sound[..], &[0; 64]].concat();
    fs::write(&path, long).unwrap();
    assert!(Run::open_proving(&path, &run_key(1), 0).is_err());
    fs::write(&path, &sound).unwrap();
    assert!(Run::open(&path, &run_key(1)).is_ok());
    let other = RunKey { repository: RepositoryId([2; 32]), ..run_key(1) };
    assert!(Run::open(&path, &other).is_err(), "another repository's");
    let other = RunKey { secret: Secret::new([2; 32]), ..run_key(1) };
    assert!(Run::open(&path, &other).is_err(), "made by somebody without the keys");
}

const CODE_BYTES: usize = super::format::CODE;
const BLOCK_BYTES: usize = super::format::BLOCK;

/// A block of one run in the place of the same block of another, with its code.
#[test]
fn parts_of_another_run_are_not_believed() {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(place.path().to_owned(), run_key(1));
    let (one, _) = some_run(&folder);
    let (two, _) = some_run(&folder);
    let read = |run: &Run| fs::read(run.path().unwrap()).unwrap();
    let (mut mixed, other) = (read(&one), read(&two));
    let codes = mixed.len()
        - super::format::FOOTER
        - (mixed.len() - super::format::FOOTER) / (BLOCK_BYTES + CODE_BYTES) * CODE_BYTES;
    for range in [0..BLOCK_BYTES, codes..codes + CODE_BYTES] {
        mixed[range.clone()].copy_from_slice(&other[range]);
    }
    fs::write(one.path().unwrap(), mixed).unwrap();
    assert!(Run::open_proving(one.path().unwrap(), &run_key(1), 0).is_err());
}

#[test]
fn what_is_unfinished_or_unusable_goes_and_the_folder_is_private() {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(place.path().join("deep/runs"), run_key(1));
    assert_eq!(folder.open(IndexClass::Catalog).unwrap().runs.len(), 0);
    let (run, objects) = some_run(&folder);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(folder.path()), mode(run.path().unwrap())), (0o700, 0o600));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();

    let mut dropped = folder.begin(IndexClass::Catalog).unwrap();
    assert_eq!(mode(folder.path()), 0o700);
    dropped.index(&objects[0].0.covered, &objects[0].0.packs, &[]).unwrap();
    let names =
        || fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>();
    assert_eq!(names().len(), 2);
    drop(dropped);
    assert_eq!(names().len(), 1);

    // Killed before the rename: ignored, and removed once it is old.
    let left = folder.path().join("chunks.new-left");
    fs::copy(run.path().unwrap(), &left).unwrap();
    drop(folder.begin(IndexClass::Catalog).unwrap());
    assert!(left.exists());
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 86400);
    fs::File::options().write(true).open(&left).unwrap().set_modified(old).unwrap();
    assert_eq!(folder.open(IndexClass::Catalog).unwrap().runs.len(), 1);
    drop(folder.begin(IndexClass::Catalog).unwrap());
    assert!(!left.exists());

    let garbage = folder.path().join("chunks-c-0123");
    fs::write(&garbage, b"no run").unwrap();
    let foreign = RunFolder::new(folder.path().to_owned(), run_key(9));
    let found = folder.open(IndexClass::Catalog).unwrap();
    assert_eq!((found.runs.len(), found.damaged.len(), garbage.exists()), (1, 1, false));
    assert_eq!(foreign.open(IndexClass::Catalog).unwrap().runs.len(), 0);
    assert!(names().is_empty(), "for whoever holds other keys it was of no use");
    // Whoever had it open goes on.
    let mut index = ChunkIndex::new();
    index.attach(run.clone(), judge(&run, |_| true));
    compare_some(&index, &objects);
}

fn compare_some(index: &ChunkIndex, objects: &[(Object, bool)]) {
    for row in objects.iter().flat_map(|(object, _)| &object.packs).flat_map(|pack| &pack.rows) {
        assert!(row.ids.iter().all(|id| index.has(row.kind, id)));
    }
    assert_eq!(index.damage(), None);
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(place.path().to_owned(), run_key(1));
    let (_, objects) = some_run(&folder);
    let mut builder = folder.begin(IndexClass::Catalog).unwrap();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    builder.output.target = super::output::Target::File(full);
    let taken = objects.iter().try_for_each(|(object, _)| builder.index(&object.covered, &object.packs, &object.wraps));
    let failed = taken.and_then(|()| builder.finish(true).map(drop));
    assert!(matches!(failed, Err(Error::Io { .. })), "{failed:?}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

/// Some put runs in the place of others while others open them: everybody sees all chunks at any time.
#[test]
fn runs_may_be_replaced_while_they_are_opened() {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(place.path().to_owned(), run_key(1));
    let (_, objects) = some_run(&folder);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let found = folder.open(IndexClass::Catalog).unwrap();
                    assert!(found.damaged.is_empty());
                    let mut index = ChunkIndex::new();
                    let mut builder = folder.begin(IndexClass::Catalog).unwrap();
                    if found.runs.is_empty() {
                        // A listing may miss both what came and what went: then indexes are fetched once more.
                        continue;
                    }
                    let mut covered = BTreeSet::new();
                    for run in &found.runs {
                        let judged = judge(run, |index| !covered.contains(index));
                        builder.absorb(run, &judged).unwrap();
                        index.attach(run.clone(), judged);
                        covered.extend(objects.iter().map(|(object, _)| object.covered.index.id));
                    }
                    compare_some(&index, &objects);
                    builder.finish(true).unwrap();
                    found.runs.iter().for_each(|run| folder.remove(run).unwrap());
                }
            });
        }
    });
    assert!(!folder.open(IndexClass::Catalog).unwrap().runs.is_empty());
}
