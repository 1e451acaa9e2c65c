//! Somebody with a writer's keys, a modified program, and no scruples: every object made by hand.

use crate::world::World;
use boveda::crypto::hash;
use boveda::repo::armour::Parity;
use boveda::repo::frame;
use boveda::repo::id::{ChunkId, ChunkKind, IndexId, WriterId};
use boveda::repo::index_object::IndexBody;
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::data_key::{DataKey, Wrap};
use boveda::repo::keys::installation::Installation;
use boveda::repo::names::{IndexClass, Name, SessionName};
use boveda::repo::pack::{PackBuilder, PackSealing, PackSummary};
use boveda::repo::repository::Repository;
use boveda::repo::segment::{Compression, Origin, Sealing, SegmentBuilder};
use boveda::repo::session::{Certified, End, IndexRef, Open, Signer, Verdict};
use boveda::repo::wire::{Encoder, Extensions};
use boveda::store::{Put, Store};
use std::collections::BTreeMap;

/// Somebody hostile in a session of theirs.
pub struct Forger<'a> {
    world: &'a World,
    repository: Repository,
    pub installation: Installation,
    pub session: SessionName,
    data_key: DataKey,
}

impl<'a> Forger<'a> {
    /// Opens the first session of `writer`, whosever name that is.
    pub fn new(world: &'a World, key: &Credential, writer: WriterId) -> Self {
        Self::at(world, key, SessionName { writer, seq: 1 })
    }

    /// Opens this very session, whosever it should be.
    pub fn at(world: &'a World, key: &Credential, session: SessionName) -> Self {
        let repository = world.open(key).unwrap();
        let installation = Installation::derive(repository.bundle(), session.writer);
        let forger = Self { world, repository, installation, session, data_key: DataKey::generate() };
        let head = forger.repository.log().state.head().unwrap();
        let open = Open {
            installation: forger.certified(),
            log_position: head.position,
            log_digest: head.digest,
            checkpoint: 0,
            time: 0,
            program: "mine".to_owned(),
            extensions: Extensions::default(),
        };
        assert_eq!(forger.put(&Name::Open(session), &open.encode()), Put::Created);
        forger
    }

    pub fn certified(&self) -> Certified {
        let principal = self.repository.bundle().principal_id();
        Certified { principal, certificate: self.installation.certificate }
    }

    pub fn sealing(&self) -> frame::Sealing<'_> {
        let keys = self.repository.bundle().current();
        frame::Sealing { epoch: keys.epoch, suite: self.repository.config().suite, index_key: &keys.index }
    }

    /// A frame of this name and body, sealed with the keys that every writer has.
    pub fn frame(&self, name: &Name, body: &[u8]) -> Vec<u8> {
        let sealed = Some((self.sealing(), body));
        frame::write(&self.repository.id(), name, b"", sealed, &self.installation.key).stored
    }

    /// Puts such a frame.
    pub fn put(&self, name: &Name, body: &[u8]) -> Put {
        self.world.store.put(&name.object(), &self.frame(name, body)).unwrap()
    }

    pub fn origin(&self) -> Origin {
        Origin { writer: self.session.writer, seq: self.session.seq }
    }

    /// A wrap of this session's data key that readers can open.
    pub fn wrap(&self) -> Wrap {
        self.data_key.wrap(self.repository.bundle(), self.session.writer, self.session.seq).unwrap()
    }

    /// Stores a pack of one segment that claims `ids` over garbage, as if `origin` had written it.
    pub fn garbage(&self, kind: ChunkKind, ids: &[ChunkId], origin: Origin, wrap: &Wrap) -> PackSummary {
        let keys = self.repository.bundle().current();
        let (suite, repository) = (self.repository.config().suite, self.repository.id());
        let key = if kind == ChunkKind::Skeleton { keys.index.clone() } else { self.data_key.secret().clone() };
        let key_id = self.data_key.id();
        let mut segment = SegmentBuilder::new(kind);
        ids.iter().for_each(|id| segment.push(*id, b"garbage"));
        let sealing = Sealing { suite, repository, epoch: keys.epoch, key, key_id, origin };
        let sealed = segment.finish(&sealing, Compression::default()).unwrap();
        let mut builder = PackBuilder::new();
        builder.push(sealed, &encoded(wrap));
        let pack = builder.finish(&PackSealing {
            suite,
            repository,
            epoch: keys.epoch,
            index_key: keys.index.clone(),
            signer: self.session.writer,
            signing_key: self.installation.key.clone(),
            parity: Parity::default(),
            md5: false,
        });
        self.world.store.put(&Name::Pack(pack.summary.id).object(), pack.stored()).unwrap();
        pack.summary
    }

    /// What an index of these packs with these wraps says.
    pub fn index_body(&self, class: IndexClass, packs: &[PackSummary], wraps: &[Wrap]) -> Vec<u8> {
        let wraps: BTreeMap<_, _> = wraps.iter().map(|wrap| (wrap.id, encoded(wrap))).collect();
        [&[1], &self.session.writer.0[..], &IndexBody::new(class, packs, &wraps).encode()].concat()
    }

    /// Puts such an index.
    pub fn index(&self, class: IndexClass, packs: &[PackSummary], wraps: &[Wrap]) -> IndexRef {
        let body = self.index_body(class, packs, wraps);
        let name = |id| Name::Index { checkpoint: 0, class, id };
        let stored = self.frame(&name(IndexId([0; 32])), &body);
        let id = IndexId(hash::sha256(&stored));
        self.world.store.put(&name(id).object(), &stored).unwrap();
        IndexRef { checkpoint: 0, class, id }
    }

    /// Ends the session: `indexes` count from now on, and `record` is what it committed.
    pub fn end(&self, record: Vec<u8>, indexes: Vec<IndexRef>) {
        let end = self.commit(record, indexes);
        assert_eq!(self.put(&Name::End(self.session), &end), Put::Created);
    }

    /// The body of such an end.
    pub fn commit(&self, record: Vec<u8>, indexes: Vec<IndexRef>) -> Vec<u8> {
        let signer = Signer::Installation(self.certified());
        let verdict = Verdict::Commit { record, indexes };
        End { signer, time: 0, verdict, extensions: Extensions::default() }.encode()
    }

    /// A record of a snapshot whose catalog is `root`, in `session`.
    pub fn record(&self, root: ChunkId, session: SessionName) -> Vec<u8> {
        use boveda::repo::record::{Completeness, Link, Private, Record, SnapshotKind, SourceKind, Structure, Tokens};
        let tokens = Tokens::of(self.repository.bundle().structure_key(), "host", &[], &[]);
        let structure = Structure {
            root,
            entries: 1,
            bytes: 0,
            source: SourceKind::FILES,
            kind: SnapshotKind::Full,
            completeness: Completeness::Complete,
            tokens,
            time: boveda::repo::entry::Timestamp::now(),
            heads: [0; 32],
            parent: None,
            extensions: Extensions::default(),
        };
        let link = Link { repository: self.repository.id(), session, number: 0, previous: None };
        let wraps = (&self.data_key, vec![self.wrap()]);
        let parts = (&structure, &Private::default());
        Record::write(&link, parts, self.sealing(), wraps, &self.installation.key).bytes().to_vec()
    }
}

pub fn encoded(wrap: &Wrap) -> Vec<u8> {
    let mut encoder = Encoder::new();
    wrap.encode(&mut encoder);
    encoder.into_bytes()
}
