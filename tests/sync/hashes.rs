//! A copy whose place tells hashes of what it holds: what was changed there is found without reading anything else.

use super::{LARGE, Pair, holds};
use crate::world::Listener;
use boveda::crypto::hash;
use boveda::ops::sync::{Check, LEARN, Options, Summary, sync};
use boveda::repo::id::SnapshotId;
use boveda::store::mark::Mark;
use boveda::store::memory::MemoryStore;
use boveda::store::{Error, Facts, Listed, ObjectName, Put, Store};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// How a place marks what it holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By MD5s that it calls so: Google.
    Md5,
    /// By MD5s as somebody said them with the put, and a tag that is new with every put: Azure.
    Said,
    /// By tags that are MD5s: S3.
    Etag,
    /// By tags that are new with every put: S3 with keys of KMS.
    Opaque,
    /// As [`Self::Opaque`], and listings do not show them.
    OneByOne,
    /// By the same tag for all.
    Constant,
    /// Not at all.
    Silent,
}

/// How a pack comes to be another one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Garble {
    /// On its way.
    Sent,
    /// Somebody else puts it under its name, just before.
    Before,
}

/// A place that marks what it holds, and counts what is read of packs.
struct Marking {
    inner: Arc<MemoryStore>,
    kind: Kind,
    puts: Mutex<BTreeMap<ObjectName, u64>>,
    said: Mutex<BTreeMap<ObjectName, [u8; 16]>>,
    /// Whether and how the next large pack gets a byte that is another one.
    garbles: Mutex<Option<Garble>>,
    read: Mutex<Vec<ObjectName>>,
}

impl Marking {
    fn over(inner: &Arc<MemoryStore>, kind: Kind) -> Arc<Self> {
        let (puts, said, read) = Default::default();
        Arc::new(Self { inner: inner.clone(), kind, puts, said, garbles: Mutex::default(), read })
    }

    fn mark(&self, name: &ObjectName) -> Option<Mark> {
        let md5 = || hash::md5(&self.inner.get(name).unwrap());
        match self.kind {
            Kind::Md5 => Some(Mark::Md5(md5())),
            Kind::Etag => Some(Mark::Tag(hash::hex(&md5()).into())),
            Kind::Said => Some(Mark::Tagged(self.said.lock().unwrap()[name], self.tag(name))),
            Kind::Opaque | Kind::OneByOne => Some(Mark::Tag(self.tag(name))),
            Kind::Constant => Some(Mark::Tag("e".repeat(32).into())),
            Kind::Silent => None,
        }
    }

    /// A tag that is new with every put.
    fn tag(&self, name: &ObjectName) -> Box<str> {
        let puts = self.puts.lock().unwrap().get(name).copied().unwrap_or_default();
        hash::hex(&hash::md5(format!("{name} {puts}").as_bytes())).into()
    }

    fn noted<T>(&self, name: &ObjectName, outcome: T) -> T {
        *self.puts.lock().unwrap().entry(name.clone()).or_default() += 1;
        outcome
    }

    /// Somebody else puts other bytes of the same length.
    fn flip(&self, name: &ObjectName) {
        let mut bytes = self.inner.get(name).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.inner.overwrite(name, bytes);
        self.noted(name, ());
    }

    /// The packs that were read since the last time somebody asked.
    fn read(&self) -> Vec<ObjectName> {
        std::mem::take(&mut self.read.lock().unwrap())
    }
}

impl Store for Marking {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn facts(&self, name: &ObjectName) -> Result<Facts, Error> {
        self.inner.length(name).map(|_| Facts { mark: self.mark(name), ..Facts::default() })
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        let mut stored = bytes.to_vec();
        let garble = if stored.len() > LARGE { self.garbles.lock().unwrap().take() } else { None };
        if garble.is_some() {
            stored[LARGE / 2] ^= 1;
        }
        let mut put = self.inner.put(name, &stored)?;
        if garble == Some(Garble::Before) {
            put = self.inner.put(name, bytes)?;
        }
        self.said.lock().unwrap().entry(name.clone()).or_insert_with(|| hash::md5(&stored));
        Ok(if put == Put::Created { self.noted(name, put) } else { put })
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.inner.settle(name)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        self.noted(name, self.inner.heal(name, bytes))
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        if name.as_str().starts_with("packs/") {
            self.read.lock().unwrap().push(name.clone());
        }
        self.inner.get(name)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.inner.get_range(name, offset, length)
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        self.inner.length(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let mut listed = self.inner.list(prefix)?;
        if self.kind != Kind::OneByOne {
            listed.iter_mut().for_each(|listed| listed.mark = self.mark(&listed.name));
        }
        Ok(listed)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.inner.delete(name)
    }
}

/// A source with three snapshots of large files, and its copy at a marking place.
struct Case {
    pair: Pair,
    ids: Vec<(SnapshotId, u64)>,
    place: Arc<Marking>,
}

impl Case {
    fn new(kind: Kind) -> Self {
        let (pair, ids) = Pair::with(&[1, 2, 3]);
        let place = Marking::over(&pair.copy, kind);
        let case = Self { pair, ids: ids.into_iter().zip(1..).collect(), place };
        case.rest();
        case.place.read();
        case
    }

    fn run(&self, machine: &crate::world::Machine, options: &Options) -> (Summary, Vec<String>) {
        let (place, listener): (Arc<dyn Store>, _) = (self.place.clone(), Listener::default());
        let mut source = machine.open(&self.pair.world.store, &self.pair.world.admin).unwrap();
        let summary = sync(&machine.host, &mut source, &place, options, &listener).unwrap();
        (summary, listener.complaints())
    }

    fn sync(&self, options: &Options) -> (Summary, Vec<String>) {
        self.run(&self.pair.machine, options)
    }

    /// Syncs until the samples of the next four runs hold no pack.
    fn rest(&self) {
        let due: Vec<u64> = self.packs().iter().map(round).collect();
        for at in 0.. {
            if at > 0 && (at..at + 4).all(|next| !due.contains(&(next % 30))) {
                return;
            }
            self.sync(&Options::default());
        }
    }

    fn packs(&self) -> Vec<ObjectName> {
        self.pair.world.store.list("packs").unwrap().into_iter().map(|listed| listed.name).collect()
    }

    fn large(&self) -> ObjectName {
        let packs = self.pair.world.store.list("packs").unwrap();
        packs.into_iter().find(|listed| listed.length > LARGE as u64).unwrap().name
    }

    #[track_caller]
    fn is_whole(&self) {
        assert_eq!(super::shared(&self.pair.copy), super::shared(&self.pair.world.store));
        holds(&self.pair.world, &self.pair.copy, &self.pair.source, &self.ids);
    }
}

/// The round of thirty in which a pack is read.
pub fn round(name: &ObjectName) -> u64 {
    let id = name.as_str().rsplit('/').next().unwrap();
    let bytes: Vec<u8> = (0..8).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap()).collect();
    u64::from_le_bytes(bytes.try_into().unwrap()) % 30
}

#[test]
fn what_was_changed_at_the_place_is_read_alone_named_and_healed() {
    for kind in [Kind::Md5, Kind::Said, Kind::Etag, Kind::Opaque, Kind::OneByOne] {
        let case = Case::new(kind);
        let (name, all) = (case.large(), case.packs().len() as u64);
        case.place.flip(&name);
        let (summary, complaints) = case.sync(&Options::default());
        assert_eq!(case.place.read(), std::slice::from_ref(&name));
        assert_eq!(summary.healed.iter().map(ToString::to_string).collect::<Vec<_>>(), [name.to_string()]);
        assert!(complaints.iter().any(|line| line.starts_with(name.as_str())), "{complaints:?}");
        assert_eq!((summary.checked.packs, summary.by_hash.packs, summary.unchecked.packs), (1, all - 1, 0));
        // What was put back is known for good.
        let (summary, complaints) = case.sync(&Options::default());
        assert_eq!((case.place.read(), summary.by_hash.packs, complaints), (vec![], all, vec![]));
        case.is_whole();
    }
}

/// Azure compares nothing with what it is sent, and says afterwards what it got.
#[test]
fn what_did_not_arrive_as_it_was_sent_is_put_right_at_once() {
    // Also by who reads nothing else.
    for check in [Check::Sample, Check::None] {
        let (pair, ids) = Pair::with(&[1]);
        let place = Marking::over(&pair.copy, Kind::Md5);
        *place.garbles.lock().unwrap() = Some(Garble::Sent);
        let case = Case { pair, ids: vec![(ids[0], 1)], place };
        let (summary, _) = case.sync(&Options { check, ..Options::default() });
        let healed: Vec<_> = summary.healed.iter().map(ToString::to_string).collect();
        assert_eq!(healed, [case.large().to_string()], "{check:?}");
        case.is_whole();
    }
}

/// What was under the name already nobody has looked into: its tag is not taken for that of the right bytes.
#[test]
fn what_somebody_else_put_meanwhile_is_not_taken_for_good() {
    let (pair, ids) = Pair::with(&[1]);
    let place = Marking::over(&pair.copy, Kind::Opaque);
    *place.garbles.lock().unwrap() = Some(Garble::Before);
    let case = Case { pair, ids: vec![(ids[0], 1)], place };
    let (summary, _) = case.sync(&Options::default());
    // Unless its turn came at once.
    assert_eq!(summary.unchecked.packs + summary.healed.len() as u64, 1, "{summary:?}");
    case.sync(&Options { check: Check::All, ..Options::default() });
    case.is_whole();
}

#[test]
fn what_is_put_anew_as_it_was_is_read_once() {
    let case = Case::new(Kind::Opaque);
    let name = case.large();
    let bytes = case.pair.copy.get(&name).unwrap();
    case.place.heal(&name, &bytes).unwrap();
    let (summary, complaints) = case.sync(&Options::default());
    assert_eq!((case.place.read(), complaints, summary.healed), (vec![name], vec![], vec![]));
    case.sync(&Options::default());
    assert_eq!(case.place.read(), []);
}

#[test]
fn a_missing_pack_is_named_and_comes_again_and_is_known_then() {
    for kind in [Kind::Md5, Kind::Opaque] {
        let case = Case::new(kind);
        let name = case.large();
        case.pair.copy.delete(&name).unwrap();
        let (summary, complaints) = case.sync(&Options::default());
        assert_eq!(summary.healed.iter().map(ToString::to_string).collect::<Vec<_>>(), [name.to_string()]);
        assert!(complaints.iter().any(|line| line.starts_with(name.as_str())), "{complaints:?}");
        assert_eq!((case.place.read(), summary.unchecked.packs), (vec![], 0));
        case.sync(&Options::default());
        assert_eq!(case.place.read(), []);
        case.is_whole();
    }
}

/// Where hashes say nothing, the sample does what it always did.
#[test]
fn a_place_without_hashes_falls_back_to_the_sample() {
    for kind in [Kind::Silent, Kind::Constant] {
        let case = Case::new(kind);
        let (name, all) = (case.large(), case.packs().len() as u64);
        case.place.flip(&name);
        let (summary, _) = case.sync(&Options { learn: LEARN, ..Options::default() });
        assert_eq!((case.place.read(), summary.healed), (vec![], vec![]));
        assert_eq!((summary.by_hash.packs, summary.unchecked.packs), (0, all));
        let found = (0..30).any(|_| !case.sync(&Options::default()).0.healed.is_empty());
        assert!(found, "within thirty runs");
        case.is_whole();
    }
}

/// A machine that knows nothing learns what the place should say from the source's own packs, as far as it may.
#[test]
fn another_machine_knows_by_the_sources_bytes_what_was_changed() {
    for (kind, knows) in [(Kind::Md5, true), (Kind::Etag, true), (Kind::Opaque, false)] {
        let case = Case::new(kind);
        let (name, all) = (case.large(), case.packs().len() as u64);
        case.place.flip(&name);
        let first = |name: &str, learn| {
            let machine = case.pair.world.machine(name);
            let summary = case.run(&machine, &Options { learn, check: Check::Sample, ..Options::default() }).0;
            // The first of thirty parts is read whatever happens.
            let due = case.packs().iter().filter(|name| round(name) == 0).count() as u64;
            (summary.healed.len(), summary.by_hash.packs, all - due)
        };
        if round(&name) == 0 {
            continue;
        }
        assert_eq!(first("not learning", 0).1, 0);
        let (healed, by_hash, most) = first("learning", LEARN);
        let expected = if knows { (1, most - 1) } else { (0, 0) };
        assert_eq!((healed, by_hash), expected);
        if knows {
            case.is_whole();
        }
    }
}

#[test]
fn who_reads_nothing_hears_of_it_all_the_same() {
    let case = Case::new(Kind::Etag);
    let name = case.large();
    case.place.flip(&name);
    let (summary, complaints) = case.sync(&Options { check: Check::None, ..Options::default() });
    assert_eq!((case.place.read(), summary.healed, summary.unchecked.packs), (vec![], vec![], 1));
    assert!(complaints.is_empty(), "it may be all right: {complaints:?}");
    assert_eq!(case.sync(&Options::default()).0.healed.len(), 1);
}

/// What the source has no better of is named in every run.
#[test]
fn what_cannot_be_healed_is_named_again_and_again() {
    let case = Case::new(Kind::Md5);
    let name = case.large();
    let mut bytes = case.pair.copy.get(&name).unwrap();
    let step = bytes.len() / 100;
    bytes.iter_mut().step_by(step).for_each(|byte| *byte ^= 1);
    case.pair.copy.overwrite(&name, bytes.clone());
    case.pair.world.store.overwrite(&name, bytes);
    for _ in 0..3 {
        let (summary, complaints) = case.sync(&Options::default());
        assert!(summary.healed.is_empty());
        assert!(complaints.iter().any(|line| line.starts_with(name.as_str())), "{complaints:?}");
    }
}

#[test]
fn who_reads_nothing_is_told_which_pack_to_read() {
    let case = Case::new(Kind::Etag);
    let (name, none) = (case.large(), Options { check: Check::None, ..Options::default() });
    let warned = || {
        let (place, listener): (Arc<dyn Store>, _) = (case.place.clone(), Listener::default());
        let mut source = case.pair.machine.open(&case.pair.world.store, &case.pair.world.admin).unwrap();
        sync(&case.pair.machine.host, &mut source, &place, &none, &listener).unwrap();
        listener.warnings()
    };
    assert_eq!(warned(), [""; 0]);
    case.place.flip(&name);
    let warnings = warned();
    assert!(matches!(&warnings[..], [one] if one.starts_with(name.as_str())), "{warnings:?}");
    assert!(case.place.read().is_empty());
}
