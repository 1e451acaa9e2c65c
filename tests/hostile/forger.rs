//! Somebody with a writer's keys, a modified program, and no scruples: every object made by hand.

use super::pages::Page;
use crate::world::World;
use boveda::crypto::secret::Secret;
use boveda::crypto::{aead, hash};
use boveda::repo::armour::Parity;
use boveda::repo::frame;
use boveda::repo::id::{ChunkId, ChunkKind, IndexId, WriterId};
use boveda::repo::index_object::IndexBody;
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::data_key::{DataKey, Wrap};
use boveda::repo::keys::installation::Installation;
use boveda::repo::names::{IndexClass, Name, SessionName};
use boveda::repo::pack::{PackBuilder, PackSealing, PackSummary};
use boveda::repo::record::{Completeness, Link, Private, Record, SnapshotKind, SourceKind, Structure, Tokens};
use boveda::repo::repository::Repository;
use boveda::repo::segment::{Codec, Compression, Origin, SealedSegment, Sealing, SegmentBuilder, SegmentDescriptor};
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
        let forger = Self::unopened(world, key, session);
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

    /// As if this session had been opened, which it is not.
    pub fn unopened(world: &'a World, key: &Credential, session: SessionName) -> Self {
        let repository = world.open(key).unwrap();
        let installation = Installation::derive(repository.bundle(), session.writer);
        Self { world, repository, installation, session, data_key: DataKey::generate() }
    }

    /// What these keys see.
    pub const fn repository(&self) -> &Repository {
        &self.repository
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
        let garbage: Vec<_> = ids.iter().map(|id| (*id, b"garbage".to_vec())).collect();
        self.pack(vec![self.segment(kind, &garbage, origin)], wrap)
    }

    /// A segment of these bytes, under whatever ids.
    pub fn segment(&self, kind: ChunkKind, chunks: &[(ChunkId, Vec<u8>)], origin: Origin) -> SealedSegment {
        let mut segment = SegmentBuilder::new(kind);
        chunks.iter().for_each(|(id, bytes)| segment.push(*id, bytes));
        let (keys, key_id) = (self.repository.bundle().current(), self.data_key.id());
        let (suite, repository) = (self.repository.config().suite, self.repository.id());
        let sealing = Sealing { suite, repository, epoch: keys.epoch, key: self.key(kind), key_id, origin };
        segment.finish(&sealing, Compression::default()).unwrap()
    }

    fn key(&self, kind: ChunkKind) -> Secret {
        match kind {
            ChunkKind::Skeleton => self.repository.bundle().current().index.clone(),
            _ => self.data_key.secret().clone(),
        }
    }

    /// A segment of data whose plain bytes are made by hand, sealed as it should be.
    pub fn sealed(&self, codec: Codec, ids: Vec<ChunkId>, bases: Vec<ChunkId>, mut plain: Vec<u8>) -> SealedSegment {
        let (suite, repository) = (self.repository.config().suite, self.repository.id());
        let (epoch, key_id, kind) = (self.repository.bundle().current().epoch, self.data_key.id(), ChunkKind::Data);
        plain.resize((plain.len() + aead::OVERHEAD).next_multiple_of(64) - aead::OVERHEAD, 0);
        let mut aad = Encoder::new();
        aad.u8(1).u8(suite as u8).raw(&repository.0).u8(kind as u8).raw(&(plain.len() as u32).to_le_bytes());
        aad.u8(codec as u8).raw(&epoch.to_le_bytes()).raw(&key_id.0);
        let bytes = aead::seal(suite, &self.key(kind), &aad.into_bytes(), &plain);
        let (length, hash, origin) = (bytes.len() as u32, hash::blake3(&bytes), self.origin());
        let (ids, offset) = (ids, 0);
        let descriptor =
            SegmentDescriptor { kind, suite, codec, epoch, offset, length, hash, key_id, origin, ids, bases };
        SealedSegment { descriptor, bytes }
    }

    /// Stores a pack of these segments.
    pub fn pack(&self, segments: Vec<SealedSegment>, wrap: &Wrap) -> PackSummary {
        let keys = self.repository.bundle().current();
        let mut builder = PackBuilder::new();
        segments.into_iter().for_each(|segment| builder.push(segment, &encoded(wrap)));
        let pack = builder.finish(&PackSealing {
            suite: self.repository.config().suite,
            repository: self.repository.id(),
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

    /// The id that these bytes truly have.
    pub fn id(&self, kind: ChunkKind, bytes: &[u8]) -> ChunkId {
        self.repository.bundle().chunk_keys().unwrap().id(kind, bytes)
    }

    /// What an index of these packs with these wraps says.
    pub fn index_body(&self, class: IndexClass, packs: &[PackSummary], wraps: &[Wrap]) -> Vec<u8> {
        let wraps: BTreeMap<_, _> = wraps.iter().map(|wrap| (wrap.id, encoded(wrap))).collect();
        [&[1], &self.session.writer.0[..], &IndexBody::new(class, packs, &wraps).encode()].concat()
    }

    /// Puts such an index.
    pub fn index(&self, class: IndexClass, packs: &[PackSummary], wraps: &[Wrap]) -> IndexRef {
        self.index_of(class, &self.index_body(class, packs, wraps))
    }

    /// Puts an index that says this.
    pub fn index_of(&self, class: IndexClass, body: &[u8]) -> IndexRef {
        let name = |id| Name::Index { checkpoint: 0, class, id };
        let stored = self.frame(&name(IndexId([0; 32])), body);
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

    /// Commits a snapshot of nothing that is sound in itself, and with it indexes of these packs, as if they were its own.
    pub fn commit_beside(&self, packs: &[PackSummary]) {
        let root = Page::empty().store(self);
        self.commit_root(root.id, [0, 0], packs.iter().cloned().chain([root.pack]));
    }

    /// Commits a snapshot with this root page, of so many entries and bytes, and indexes of these packs.
    pub fn commit_root(&self, root: ChunkId, sums: [u64; 2], packs: impl IntoIterator<Item = PackSummary>) {
        let (packs, wrap) = (packs.into_iter().collect::<Vec<_>>(), self.wrap());
        let indexes = IndexClass::BOTH.map(|class| self.index(class, &packs, std::slice::from_ref(&wrap)));
        let record = self.record_with(root, |_, structure| [structure.entries, structure.bytes] = sums);
        self.end(record, indexes.to_vec());
    }

    /// A record of a snapshot whose catalog is `root`, in `session`.
    pub fn record(&self, root: ChunkId, session: SessionName) -> Vec<u8> {
        self.record_with(root, |link, _| link.session = session)
    }

    /// A record of this session, with something changed.
    pub fn record_with(&self, root: ChunkId, change: impl FnOnce(&mut Link, &mut Structure)) -> Vec<u8> {
        let tokens = Tokens::of(self.repository.bundle().structure_key(), "host", &[], &[]);
        let mut structure = Structure {
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
        let mut link = Link { repository: self.repository.id(), session: self.session, number: 0, previous: None };
        change(&mut link, &mut structure);
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
