//! What the local store takes for single small puts, and for a large listing. `cargo bench --bench store`.
//!
//! Both depend on the disk and the file system below $TMPDIR: compare only runs on one machine.

use boveda::store::local::LocalStore;
use boveda::store::{ObjectName, Store};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// Objects in the listing.
const MANY: u64 = 100_000;

/// Names as packs have them: in 256 folders.
fn pack(number: u64) -> String {
    format!("packs/{:02x}/{number}", number % 256)
}

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).expect("the name is one that objects may have")
}

fn puts(criterion: &mut Criterion) {
    let top = tempfile::tempdir().expect("there is room for a folder");
    let store = LocalStore::new(top.path());
    let mut group = criterion.benchmark_group("local store");
    group.sample_size(10).throughput(Throughput::Elements(1));
    let mut next = 0;
    group.bench_function("put a byte, durably", |bencher| {
        bencher.iter(|| {
            next += 1;
            store.put(&name(&pack(next)), b"x").expect("the disk works")
        });
    });
    group.finish();
}

fn listing(criterion: &mut Criterion) {
    let top = tempfile::tempdir().expect("there is room for a folder");
    let store = LocalStore::new(top.path());
    for number in 0..MANY {
        let path = top.path().join(pack(number));
        if number < 256 {
            std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("there is room for a folder");
        }
        // Past the store, which would sync each one.
        std::fs::write(path, b"x").expect("there is room for a file");
    }
    let mut group = criterion.benchmark_group("local store");
    group.sample_size(10).throughput(Throughput::Elements(MANY));
    group.bench_function(format!("list {MANY}"), |bencher| {
        bencher.iter(|| assert_eq!(black_box(store.list("packs").expect("the disk works")).len() as u64, MANY));
    });
    group.finish();
}

criterion_group!(benches, puts, listing);
criterion_main!(benches);
