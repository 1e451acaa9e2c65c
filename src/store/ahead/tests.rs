//! Tests of reading ahead.

use super::super::faults::{Fault, FaultStore, Plan};
use super::super::memory::MemoryStore;
use super::*;

fn name() -> ObjectName {
    ObjectName::new("packs/aa/a").unwrap()
}

fn far(bytes: &[u8]) -> (Arc<FaultStore>, Ahead) {
    let inner = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    inner.put(&name(), bytes).unwrap();
    inner.plan(None);
    (Arc::clone(&inner), Ahead::new(inner, None))
}

/// Fetches ahead end when they end.
fn settle(ahead: &Ahead) {
    while ahead.0.course().under_way > 0 {
        std::thread::yield_now();
    }
}

fn pattern(length: u32) -> Vec<u8> {
    (0..length).map(|n| ((n / 3) ^ (n >> 11)) as u8).collect()
}

#[test]
fn reading_on_takes_few_requests_and_gives_the_same_bytes() {
    let bytes = pattern(40_000_000);
    let (inner, ahead) = far(&bytes);
    for start in (0..bytes.len()).step_by(500_000) {
        let part = ahead.get_range(&name(), start as u64, 500_000).unwrap();
        assert!(part == bytes[start..start + 500_000], "{start}");
    }
    settle(&ahead);
    assert!(inner.calls() <= 12, "{}", inner.calls());
    assert_eq!(ahead.get_range(&name(), 39_999_990, 100).unwrap(), bytes[39_999_990..]);
    assert_eq!(ahead.get_range(&name(), 50_000_000, 100).unwrap(), b"");
}

#[test]
fn out_of_step_it_takes_hardly_more() {
    let bytes = pattern(40_000_000);
    let (inner, ahead) = far(&bytes);
    // As two threads read on whose parts lie in turn, one of them somewhat behind.
    let starts: Vec<usize> = (0..bytes.len()).step_by(250_000).collect();
    for pair in starts.chunks(8) {
        for start in pair.iter().step_by(2).chain(pair.iter().skip(1).step_by(2)) {
            let part = ahead.get_range(&name(), *start as u64, 250_000).unwrap();
            assert!(part == bytes[*start..*start + 250_000], "{start}");
        }
    }
    settle(&ahead);
    assert!(inner.calls() <= 12, "{}", inner.calls());
}

#[test]
fn packs_read_one_after_the_other_are_fetched_from_their_beginning() {
    let bytes = pattern(30_000_000);
    let (inner, ahead) = far(&bytes);
    let second = ObjectName::new("packs/bb/b").unwrap();
    inner.put(&second, &bytes).unwrap();
    for start in (0..bytes.len()).step_by(300_000) {
        ahead.get_range(&name(), start as u64, 300_000).unwrap();
    }
    settle(&ahead);
    let before = inner.calls();
    for start in (0..bytes.len()).step_by(300_000) {
        assert!(ahead.get_range(&second, start as u64, 300_000).unwrap() == bytes[start..start + 300_000]);
    }
    settle(&ahead);
    assert!(inner.calls() - before <= 6, "{}", inner.calls() - before);
}

#[test]
fn looking_something_up_fetches_no_more_than_it_needs() {
    let (inner, ahead) = far(&vec![7; 20_000_000]);
    for start in [0, 15_000_000, 3_000_000, 9_000_000] {
        assert_eq!(ahead.get_range(&name(), start, 1000).unwrap().len(), 1000);
        assert!(ahead.0.course().kept() == 0);
    }
    assert_eq!(inner.calls(), 4);
}

#[test]
fn what_was_healed_is_read_anew() {
    let (_, ahead) = far(&vec![1; 5_000_000]);
    for start in [0, 1000, 2000] {
        ahead.get_range(&name(), start, 1000).unwrap();
    }
    ahead.heal(&name(), &vec![2; 5_000_000]).unwrap();
    assert_eq!(ahead.get_range(&name(), 2000, 10).unwrap(), [2; 10]);
    ahead.delete(&name()).unwrap();
    assert!(ahead.get_range(&name(), 3000, 10).is_err());
}

#[test]
fn what_cannot_be_fetched_ahead_is_an_error_only_for_whoever_needs_it() {
    let bytes = pattern(30_000_000);
    for fails in 1..12 {
        let (inner, ahead) = far(&bytes);
        inner.plan(Some(Plan::once(fails, Fault::Before)));
        let mut errors = 0;
        for start in (0..bytes.len()).step_by(500_000) {
            match ahead.get_range(&name(), start as u64, 500_000) {
                Ok(part) => assert!(part == bytes[start..start + 500_000], "{start}"),
                Err(_) => errors += 1,
            }
        }
        settle(&ahead);
        assert!(errors <= 1, "{errors}");
        assert!(ahead.get_range(&name(), 29_000_000, 1000).unwrap() == bytes[29_000_000..29_001_000]);
    }
}

#[test]
fn many_threads_get_what_they_ask_for() {
    let bytes = pattern(60_000_000);
    let (_, ahead) = far(&bytes);
    std::thread::scope(|scope| {
        for thread in 0..6_usize {
            let (ahead, bytes) = (&ahead, &bytes);
            scope.spawn(move || {
                for number in 0..200 {
                    let start = (number * 6 + thread) * 48_000;
                    let part = ahead.get_range(&name(), start as u64, 70_000).unwrap();
                    assert!(part == bytes[start.min(bytes.len())..(start + 70_000).min(bytes.len())], "{start}");
                }
            });
        }
    });
}

#[test]
fn who_reads_all_gets_each_pack_with_one_request() {
    let bytes = pattern(34_000_000);
    let inner = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    let packs = ["packs/aa/a", "packs/bb/b", "packs/cc/c", "packs/dd/d"].map(|name| ObjectName::new(name).unwrap());
    for pack in &packs {
        inner.put(pack, &bytes).unwrap();
    }
    let place = tempfile::tempdir().unwrap();
    let spool = Spool::new(place.path().to_owned(), 1 << 30);
    let ahead = Ahead::new(Arc::clone(&inner) as _, Some(spool));
    ahead.expect(Reading::Whole);
    inner.plan(None);
    let whole = bytes.len() as u64;
    for pack in &packs {
        for start in (3_000..bytes.len()).step_by(700_000) {
            let part = ahead.get_within(pack, whole, start as u64, 300_000).unwrap();
            assert!(part == bytes[start..(start + 300_000).min(bytes.len())], "{start}");
        }
    }
    assert_eq!(inner.calls(), 4);
    // What left memory is not asked for again.
    for pack in &packs {
        for start in [20_000_000, 1_000_000] {
            assert!(ahead.get_within(pack, whole, start, 5_000).unwrap() == bytes[start as usize..][..5_000]);
        }
    }
    assert_eq!(inner.calls(), 4);
}

#[test]
fn who_reads_all_but_begins_in_the_middle_gets_just_that_first() {
    let bytes = pattern(34_000_000);
    let (inner, ahead) = far(&bytes);
    ahead.expect(Reading::Whole);
    let whole = bytes.len() as u64;
    ahead.get_within(&name(), whole, 20_000_000, 5_000).unwrap();
    assert!(ahead.0.course().kept() == 0);
    for start in (20_500_000..34_000_000).step_by(500_000) {
        assert!(ahead.get_within(&name(), whole, start, 9_000).unwrap() == bytes[start as usize..][..9_000]);
    }
    assert_eq!(inner.calls(), 2);
}

#[test]
fn a_pack_that_does_not_come_whole_is_an_error_only_for_whoever_needs_it() {
    let bytes = pattern(20_000_000);
    let (inner, ahead) = far(&bytes);
    ahead.expect(Reading::Whole);
    inner.plan(Some(Plan::once(1, Fault::Before)));
    for start in (0..bytes.len()).step_by(500_000) {
        let part = ahead.get_within(&name(), bytes.len() as u64, start as u64, 500_000).unwrap();
        assert!(part == bytes[start..start + 500_000], "{start}");
    }
    assert!(inner.calls() <= 4, "{}", inner.calls());
}

#[test]
fn pieces_that_come_again_are_passed_over() {
    let bytes = pattern(5_000_000);
    let slots: Vec<_> = (0..4).map(|_| Arc::<block::Slot>::default()).collect();
    let mut filler = Filler::new(slots.clone());
    for (from, to) in [(0, 100), (100, 3_000_000), (0, 50), (50, 4_000_000), (4_000_000, 5_000_000)] {
        filler.take(from as u64, &bytes[from..to]);
    }
    filler.finish();
    let mut there = Vec::new();
    slots.iter().for_each(|slot| slot.copy(0..BLOCK, &mut there).unwrap());
    assert!(there == bytes);
}
