//! Copies on real servers: what somebody else's client changed or removed there is found, and nothing but that is downloaded.

use super::{LARGE, Pair};
use crate::servers::{Kind, Server};
use crate::world::Listener;
use boveda::ops::sync::{Check, Options, Summary, sync};
use boveda::store::access::Access;
use boveda::store::open::create_with;
use boveda::store::{ObjectName, Store};
use std::sync::Arc;

/// A source with three large packs, and its copy on a server.
struct Case {
    pair: Pair,
    access: Access,
    place: Arc<dyn Store>,
    /// What somebody else reaches the same place by.
    other: Arc<dyn Store>,
    /// A pack whose turn in the sample is far away.
    name: ObjectName,
    _server: Server,
}

impl Case {
    fn on(kind: Kind) -> Option<Self> {
        let server = Server::start(kind)?;
        let (url, access) = (Server::url(&server.location()), server.access());
        let place = create_with(&url, &access).unwrap();
        let other = create_with(&url, &server.access()).unwrap();
        let (pair, _) = Pair::with(&[1, 2, 3]);
        let packs = pair.world.store.list("packs").unwrap();
        let name = packs.into_iter().filter(|listed| listed.length > LARGE as u64);
        let name = name.map(|listed| listed.name).max_by_key(super::hashes::round).unwrap();
        Some(Self { pair, access, place, other, name, _server: server })
    }

    /// Syncs; returns the summary, the complaints, and the bytes that came down.
    fn sync(&self, check: Check) -> (Summary, Vec<String>, u64) {
        let before = self.access.traffic.counted().downloaded;
        let listener = Listener::default();
        let mut source = self.pair.machine.open(&self.pair.world.store, &self.pair.world.admin).unwrap();
        let options = Options { check, ..Options::default() };
        let summary = sync(&self.pair.machine.host, &mut source, &self.place, &options, &listener).unwrap();
        (summary, listener.complaints(), self.access.traffic.counted().downloaded - before)
    }

    /// The next four samples hold no pack.
    fn rest(&self) {
        let packs = self.pair.world.store.list("packs").unwrap();
        let due: Vec<u64> = packs.iter().map(|listed| super::hashes::round(&listed.name)).collect();
        for at in 0.. {
            if at > 0 && (at..at + 4).all(|next| !due.contains(&(next % 30))) {
                return;
            }
            self.sync(Check::Sample);
        }
    }

    /// Another client puts other bytes of the same length.
    fn flip(&self) {
        let mut bytes = self.other.get(&self.name).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.other.heal(&self.name, &bytes).unwrap();
    }

    #[track_caller]
    fn is_put_back(&self, summary: &Summary, complaints: &[String]) {
        assert_eq!(summary.healed.iter().map(ToString::to_string).collect::<Vec<_>>(), [self.name.to_string()]);
        assert!(complaints.iter().any(|line| line.starts_with(self.name.as_str())), "{complaints:?}");
        assert!(self.other.get(&self.name).unwrap() == self.pair.world.store.get(&self.name).unwrap());
    }
}

/// A place that tells hashes.
fn tells(kind: Kind) {
    let Some(case) = Case::on(kind) else { return };
    case.rest();
    let all = case.pair.world.store.list("packs").unwrap().len() as u64;
    let (summary, _, quiet) = case.sync(Check::Sample);
    assert_eq!((summary.by_hash.packs, summary.checked.packs, summary.unchecked.packs), (all, 0, 0), "{kind:?}");
    assert!(quiet < LARGE as u64 / 2, "{kind:?}: {quiet} bytes for nothing");

    case.flip();
    let (summary, complaints, down) = case.sync(Check::Sample);
    case.is_put_back(&summary, &complaints);
    assert_eq!((summary.by_hash.packs, summary.checked.packs, summary.unchecked.packs), (all - 1, 1, 0), "{kind:?}");
    let pack = case.pair.world.store.length(&case.name).unwrap();
    assert!(down >= pack && down < pack + LARGE as u64 / 2, "{kind:?}: {down} bytes for one pack of {pack}");

    case.other.delete(&case.name).unwrap();
    let (summary, complaints, down) = case.sync(Check::Sample);
    case.is_put_back(&summary, &complaints);
    assert!(down < LARGE as u64 / 2, "{kind:?}: {down} bytes for a pack that was put");
    let (summary, complaints, _) = case.sync(Check::Sample);
    assert_eq!((summary.by_hash.packs, complaints), (all, vec![]), "{kind:?}");
}

#[test]
fn moto() {
    tells(Kind::Moto);
}

#[test]
fn minio() {
    tells(Kind::Minio);
}

/// Its listings say nothing of hashes: it is asked for each.
#[test]
fn s3s() {
    tells(Kind::S3s);
}

#[test]
fn azurite() {
    tells(Kind::Azurite);
}

#[test]
fn fake_gcs() {
    tells(Kind::FakeGcs);
}

/// A place that tells none: the sample finds what was changed, and a listing what is missing.
fn is_silent(kind: Kind) {
    let Some(case) = Case::on(kind) else { return };
    case.rest();
    case.flip();
    let all = case.pair.world.store.list("packs").unwrap().len() as u64;
    let (summary, _, _) = case.sync(Check::Sample);
    assert_eq!((summary.by_hash.packs, summary.checked.packs, summary.unchecked.packs), (0, 0, all), "{kind:?}");
    let (summary, complaints, _) = case.sync(Check::All);
    case.is_put_back(&summary, &complaints);
    assert_eq!((summary.checked.packs, summary.unchecked.packs), (all, 0), "{kind:?}");
    case.other.delete(&case.name).unwrap();
    let (summary, complaints, _) = case.sync(Check::Sample);
    case.is_put_back(&summary, &complaints);
}

#[test]
fn sshd() {
    is_silent(Kind::Sshd);
}

#[test]
fn webdav() {
    is_silent(Kind::Webdav);
}
