//! What every store must do, whatever is underneath.

use super::name;
use boveda::store::faults::FaultStore;
use boveda::store::forgetful::ForgetfulDisk;
use boveda::store::local::LocalStore;
use boveda::store::memory::MemoryStore;
use boveda::store::{ErrorKind, Put, Store};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn memory() {
    hold_to_the_contract(&|| Arc::new(MemoryStore::new()));
}

#[test]
fn memory_behind_a_decorator() {
    hold_to_the_contract(&|| Arc::new(FaultStore::new(Arc::new(MemoryStore::new()))));
}

#[test]
fn local_folder() {
    let top = tempfile::tempdir().unwrap();
    let count = AtomicUsize::new(0);
    hold_to_the_contract(&|| {
        let folder = top.path().join(count.fetch_add(1, Ordering::Relaxed).to_string());
        Arc::new(LocalStore::create(&folder).unwrap())
    });
}

#[test]
fn local_folder_on_a_forgetful_disk() {
    hold_to_the_contract(&|| Arc::new(LocalStore::create_on(ForgetfulDisk::new(), Path::new("/srv/repo")).unwrap()));
}

#[test]
fn local_folder_without_hard_links() {
    let disk = ForgetfulDisk::without_links;
    hold_to_the_contract(&|| Arc::new(LocalStore::create_on(disk(), Path::new("/srv/repo")).unwrap()));
}

/// What holds wherever there are several writers.
pub(super) fn hold_to_the_contract(make: &dyn Fn() -> Arc<dyn Store>) {
    hold_to_the_contract_alone(make);
    one_of_many_threads_wins(make());
}

/// What holds even where two writers would not be kept apart.
pub(super) fn hold_to_the_contract_alone(make: &dyn Fn() -> Arc<dyn Store>) {
    folders_are_no_objects(&*make());
    hold_to_the_contract_on_files(make);
}

/// … and where names that are folders cannot be asked for.
pub(super) fn hold_to_the_contract_on_files(make: &dyn Fn() -> Arc<dyn Store>) {
    what_was_put_is_there(&*make());
    the_first_put_wins(&*make());
    ranges_are_exact(&*make());
    listings_are_complete_and_in_order(&*make());
    deleting_is_idempotent(&*make());
    healing_replaces(&*make());
    many_threads_lose_nothing(make());
}

fn what_was_put_is_there(store: &dyn Store) {
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761) as u8).collect();
    for (object, bytes) in [("config", &b"x"[..]), ("log/00000000000000000001.2", b""), ("sess/a/1/beat/0", &big)] {
        assert_eq!(store.put(&name(object), bytes).unwrap(), Put::Created);
        assert_eq!(store.get(&name(object)).unwrap(), bytes);
        assert_eq!(store.length(&name(object)).unwrap(), bytes.len() as u64);
    }
    for absent in ["confi", "config.2", "config/x", "log/2", "sess/a/2/open", "sess/b/1/beat/0"] {
        assert_eq!(store.get(&name(absent)).unwrap_err().kind, ErrorKind::NotFound, "{absent}");
        assert_eq!(store.get_range(&name(absent), 0, 1).unwrap_err().kind, ErrorKind::NotFound, "{absent}");
        assert_eq!(store.length(&name(absent)).unwrap_err().kind, ErrorKind::NotFound, "{absent}");
    }
}

fn folders_are_no_objects(store: &dyn Store) {
    store.put(&name("sess/a/1/beat/0"), b"x").unwrap();
    for folder in ["sess", "sess/a", "sess/a/1/beat"] {
        assert_eq!(store.get(&name(folder)).unwrap_err().kind, ErrorKind::NotFound, "{folder}");
        assert_eq!(store.length(&name(folder)).unwrap_err().kind, ErrorKind::NotFound, "{folder}");
    }
}

fn the_first_put_wins(store: &dyn Store) {
    assert_eq!(store.put(&name("slots/a"), b"first").unwrap(), Put::Created);
    for again in [&b"second"[..], b"first", b""] {
        assert_eq!(store.put(&name("slots/a"), again).unwrap(), Put::Exists);
    }
    assert_eq!(store.get(&name("slots/a")).unwrap(), b"first");
}

fn ranges_are_exact(store: &dyn Store) {
    store.put(&name("packs/aa/a"), b"0123456789").unwrap();
    let range = |offset, length| store.get_range(&name("packs/aa/a"), offset, length).unwrap();
    assert_eq!(range(0, 10), b"0123456789");
    assert_eq!(range(3, 4), b"3456");
    assert_eq!(range(9, 1), b"9");
    assert_eq!(range(8, 100), b"89");
    assert_eq!(range(8, u64::MAX), b"89");
    assert_eq!(range(4, 0), b"");
    assert_eq!(range(10, 1), b"");
    assert_eq!(range(u64::MAX, u64::MAX), b"");
}

fn listings_are_complete_and_in_order(store: &dyn Store) {
    let mut names = vec!["config".to_owned(), "config.2".to_owned(), "log/1".to_owned(), "logs".to_owned()];
    names.extend((0..300).map(|n| format!("packs/{:02x}/{n:04}", n % 40)));
    names.extend(["sess/a/1/open", "sess/a/1/beat/1", "sess/a/1.2/open", "sess/a-/1/open"].map(str::to_owned));
    names.sort();
    assert_eq!(store.list("").unwrap(), []);
    for (length, object) in names.iter().enumerate().rev() {
        store.put(&name(object), &vec![7; length]).unwrap();
    }
    let listed = |prefix| store.list(prefix).unwrap().iter().map(|l| l.name.to_string()).collect::<Vec<_>>();
    assert_eq!(listed(""), names);
    for (length, found) in store.list("").unwrap().iter().enumerate() {
        assert_eq!(found.length, length as u64);
    }
    assert_eq!(listed("packs").len(), 300);
    assert_eq!(listed("packs/01").len(), 8);
    assert_eq!(listed("sess/a"), ["sess/a/1.2/open", "sess/a/1/beat/1", "sess/a/1/open"]);
    assert_eq!(listed("log"), ["log/1"]);
    for nothing in ["pack", "sess/b", "config", "log/1", "..", "../x", "/", "packs/", "a//b", "A"] {
        assert_eq!(listed(nothing), Vec::<String>::new(), "{nothing}");
    }
}

fn deleting_is_idempotent(store: &dyn Store) {
    for object in ["sess/a/1/open", "sess/a/1/beat/1", "sess/a/2/open", "pins/a"] {
        store.put(&name(object), b"x").unwrap();
    }
    for object in ["sess/a/1/beat/1", "sess/a/1/open", "pins/a", "pins/b", "never/was/here"] {
        store.delete(&name(object)).unwrap();
        store.delete(&name(object)).unwrap();
        assert_eq!(store.get(&name(object)).unwrap_err().kind, ErrorKind::NotFound);
    }
    assert_eq!(store.list("").unwrap().len(), 1);
    assert_eq!(store.put(&name("sess/a/1/beat/1"), b"late").unwrap(), Put::Created);
    assert_eq!(store.get(&name("sess/a/1/beat/1")).unwrap(), b"late");
}

fn healing_replaces(store: &dyn Store) {
    store.put(&name("packs/aa/a"), b"damaged").unwrap();
    store.heal(&name("packs/aa/a"), b"sound and longer").unwrap();
    assert_eq!(store.get(&name("packs/aa/a")).unwrap(), b"sound and longer");
    assert_eq!(store.list("").unwrap().len(), 1);
    store.heal(&name("packs/bb/b"), b"was lost").unwrap();
    assert_eq!(store.get(&name("packs/bb/b")).unwrap(), b"was lost");
}

fn one_of_many_threads_wins(store: Arc<dyn Store>) {
    for round in 0..20 {
        let object = name(&format!("log/{round:020}"));
        let winners: Vec<u8> = std::thread::scope(|scope| {
            let put = |thread: u8| {
                let (store, object) = (&store, &object);
                scope.spawn(move || (store.put(object, &[thread; 1000]).unwrap() == Put::Created).then_some(thread))
            };
            let threads: Vec<_> = (0..8).map(put).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(store.get(&object).unwrap(), [winners[0]; 1000]);
    }
}

/// Puts, deletions and listings of one folder at once: a listing shows all that stood during all of it, and nothing fails.
fn many_threads_lose_nothing(store: Arc<dyn Store>) {
    for n in 0..50 {
        store.put(&name(&format!("sess/w/{n}/open")), b"stays").unwrap();
    }
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..60 {
                    // Half of the names are the same for all threads, so that folders vanish under each other's puts.
                    let owner = if n % 2 == 0 { 9 } else { thread };
                    let object = name(&format!("sess/w/{owner}x{}/beat/{thread}", n % 4));
                    store.put(&object, b"goes").unwrap();
                    store.delete(&object).unwrap();
                }
            });
        }
        for _ in 0..20 {
            let listed = store.list("sess").unwrap();
            assert_eq!(listed.iter().filter(|found| found.name.as_str().ends_with("/open")).count(), 50);
        }
    });
    assert_eq!(store.list("").unwrap().len(), 50);
}
