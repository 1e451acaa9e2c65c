//! Tests of the judgement of sessions.

mod chains;
mod sessions;
mod trust;

use super::*;
use crate::repo::frame::{self, Sealing};
use crate::repo::keys::bundle::Bundle;
use crate::repo::keys::data_key::DataKey;
use crate::repo::keys::installation::Installation;
use crate::repo::log::Decision;
use crate::repo::log::fixture::{SUITE, World};
use crate::repo::names::Name;
use crate::repo::record::{Completeness, Link, Private, SnapshotKind, SourceKind, Structure, Tokens};
use crate::repo::session::{Certified, End, Open, Signer, Verdict};
use crate::repo::wire::Extensions;
use crate::store::Store as _;
use crate::store::overview::Overview;

/// One installation that puts sessions into a world.
struct Machine<'a> {
    world: &'a World,
    principal: PrincipalId,
    installation: Installation,
}

impl<'a> Machine<'a> {
    fn new(world: &'a World, bundle: &Bundle, writer: u8) -> Self {
        let installation = Installation::derive(bundle, WriterId([writer; 16]));
        Self { world, principal: bundle.principal_id(), installation }
    }

    fn session(&self, seq: u64) -> SessionName {
        SessionName { writer: self.installation.writer, seq }
    }

    fn certified(&self) -> Certified {
        Certified { principal: self.principal, certificate: self.installation.certificate }
    }

    fn put(&self, name: &Name, body: &[u8]) {
        let key = &self.world.admin.current().index;
        let sealing = Sealing { epoch: self.world.admin.current_epoch(), suite: SUITE, index_key: key };
        let repository = self.world.config.repository;
        let written = frame::write(&repository, name, b"", Some((sealing, body)), &self.installation.key);
        self.world.store.overwrite(&name.object(), written.stored);
    }

    fn open(&self, seq: u64) {
        let open = Open {
            installation: self.certified(),
            log_position: 0,
            log_digest: [0; 32],
            checkpoint: 0,
            time: 0,
            program: "test".into(),
            extensions: Extensions::default(),
        };
        self.put(&Name::Open(self.session(seq)), &open.encode());
    }

    fn end(&self, seq: u64, verdict: Verdict) {
        self.end_as(self.session(seq), Signer::Installation(self.certified()), verdict);
    }

    fn end_as(&self, session: SessionName, signer: Signer, verdict: Verdict) {
        let end = End { signer, time: 0, verdict, extensions: Extensions::default() };
        self.put(&Name::End(session), &end.encode());
    }

    fn abort(&self, seq: u64) {
        self.end(seq, Verdict::Abort { reason: "test".into() });
    }

    fn record(&self, seq: u64, number: u64, previous: Option<SnapshotId>) -> Record {
        let index_key = self.world.admin.current().index.clone();
        let sealing = Sealing { epoch: self.world.admin.current_epoch(), suite: SUITE, index_key: &index_key };
        let link = Link { repository: self.world.config.repository, session: self.session(seq), number, previous };
        let parts = (&structure(), &Private::default());
        Record::write(&link, parts, sealing, (&DataKey::generate(), vec![]), &self.installation.key)
    }

    fn commit_record(&self, seq: u64, record: &Record) -> SnapshotId {
        self.open(seq);
        self.end(seq, Verdict::Commit { record: record.bytes().to_vec(), indexes: vec![index(seq)] });
        record.id()
    }

    /// A session that commits, as the writer's record `number`.
    fn commit(&self, seq: u64, number: u64, previous: Option<SnapshotId>) -> SnapshotId {
        self.commit_record(seq, &self.record(seq, number, previous))
    }

    /// Sessions 1 to `count`, each following the one before.
    fn chain(&self, count: u64) -> Vec<SnapshotId> {
        let mut ids: Vec<SnapshotId> = Vec::new();
        for seq in 1..=count {
            ids.push(self.commit(seq, seq - 1, ids.last().copied()));
        }
        ids
    }
}

fn structure() -> Structure {
    Structure {
        root: crate::repo::id::ChunkId([1; 32]),
        entries: 1,
        bytes: 0,
        source: SourceKind::FILES,
        kind: SnapshotKind::Full,
        completeness: Completeness::Complete,
        tokens: Tokens::of(&crate::crypto::secret::Secret::new([1; 32]), "", &[], &[]),
        time: crate::repo::entry::Timestamp::default(),
        heads: [0; 32],
        parent: None,
        extensions: Extensions::default(),
    }
}

fn index(seq: u64) -> IndexRef {
    let byte = u8::try_from(seq).unwrap();
    IndexRef { checkpoint: 0, class: IndexClass::Data, id: crate::repo::id::IndexId([byte; 32]) }
}

fn look(world: &World) -> Overview {
    Overview::take(&world.store).unwrap()
}

fn view_with(world: &World, census: Option<&Census>) -> View {
    let found = read(&world.store, &look(world), &All::new(), |_| 0).unwrap();
    View::judge(&world.state(), census, &found, &world.keys()).unwrap()
}

fn view(world: &World) -> View {
    view_with(world, None)
}

fn ids(view: &View) -> BTreeSet<SnapshotId> {
    view.snapshots.keys().copied().collect()
}

fn revoke(world: &World, bundle: &Bundle, accepted: Vec<(WriterId, SnapshotId)>) {
    let principal = bundle.principal_id();
    world.append(&world.admin, &Decision::Revoke { principal, accepted, reason: String::new() }).unwrap();
}
