//! A repository with honest snapshots in it, and somebody with a writer's keys and no scruples.

use crate::world::{Listener, Machine, Someone, World, noise};
use boveda::event::Silent;
use boveda::ops::checkpoint::checkpoint;
use boveda::ops::snapshot::Summary;
use boveda::repo::id::{ChunkId, ChunkKind, SnapshotId, WriterId};
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::role::Role;
use boveda::repo::names::{IndexClass, SessionName};
use boveda::repo::repository::Indexes;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;

/// The name under which somebody hostile writes, where it is its own.
pub const EVIL: WriterId = WriterId([0xee; 16]);

/// All chunks of one kind that the honest writer stored.
pub type Ids = Vec<(ChunkKind, Vec<ChunkId>)>;

/// An honest writer with some snapshots, each of something new; a reader; and somebody hostile.
pub struct Scene {
    pub world: World,
    pub source: PathBuf,
    pub machine: Machine,
    /// Whose snapshots they are.
    pub owner: Credential,
    pub reader: Someone,
    pub evil: Someone,
    /// Every honest snapshot that stands, with what its source was.
    pub taken: RefCell<Vec<(SnapshotId, u64)>>,
    length: usize,
    seed: Cell<u64>,
    readings: Cell<u64>,
}

impl Scene {
    /// With the snapshots of a writer whom nobody trusts but itself.
    pub fn of_writer(snapshots: u64, length: usize) -> Self {
        let world = World::new();
        let owner = world.add(Role::Writer, "honest").key;
        Self::new(world, owner, snapshots, length)
    }

    /// With the snapshots of an admin, on whom everybody relies.
    pub fn of_admin(snapshots: u64, length: usize) -> Self {
        let world = World::new();
        let owner = world.admin.clone();
        Self::new(world, owner, snapshots, length)
    }

    fn new(world: World, owner: Credential, snapshots: u64, length: usize) -> Self {
        let (reader, evil) = (world.add(Role::Reader, "reader"), world.add(Role::Writer, "evil"));
        let (machine, source) = (world.machine("host"), world.path("source"));
        let (taken, seed, readings) = (RefCell::default(), Cell::default(), Cell::default());
        let scene = Self { world, source, machine, owner, reader, evil, taken, length, seed, readings };
        for _ in 0..snapshots {
            scene.take();
        }
        scene
    }

    /// What the source's only file is by now.
    pub fn content(&self) -> Vec<u8> {
        noise(self.seed.get(), self.length)
    }

    /// Another snapshot, of something new.
    #[track_caller]
    pub fn take(&self) -> Summary {
        self.seed.set(self.seed.get() + 1);
        std::fs::create_dir_all(&self.source).unwrap();
        std::fs::write(self.source.join("file"), self.content()).unwrap();
        let summary = self.machine.snapshot(&self.world, &self.owner, &self.source);
        self.taken.borrow_mut().push((summary.snapshot.unwrap(), self.seed.get()));
        summary
    }

    /// The oldest honest snapshot goes.
    pub fn forget_one(&self) {
        let (id, _) = self.taken.borrow_mut().remove(0);
        assert!(self.world.as_admin().forget(vec![id]).unwrap());
    }

    pub fn sum_up(&self) {
        checkpoint(&mut self.world.as_admin(), 1, &Silent).unwrap();
    }

    /// The newest honest session.
    pub fn session(&self) -> SessionName {
        let last = self.taken.borrow().last().unwrap().0;
        self.world.as_admin().snapshots().iter().find(|one| one.id == last).unwrap().session
    }

    /// The honest writer's name.
    pub fn writer(&self) -> WriterId {
        self.session().writer
    }

    /// Everything that the honest writer's tables name: anybody with the index key reads that.
    pub fn ids(&self) -> Ids {
        let (repository, writer) = (self.world.open(&self.evil.key).unwrap(), self.writer());
        let indexes = Indexes::load(&repository, &IndexClass::BOTH).unwrap();
        let of = |kind| {
            let rows = indexes.chunks.segments().map(Result::unwrap);
            let rows = rows.filter(|(_, row)| row.kind == kind && row.origin.writer == writer);
            (kind, rows.flat_map(|(_, row)| row.ids.clone()).collect())
        };
        [ChunkKind::Data, ChunkKind::Payload, ChunkKind::Skeleton].map(of).into()
    }

    /// Insists that everybody who may still reads every honest snapshot as its source was, on hosts that were never here.
    #[track_caller]
    pub fn reads(&self) {
        self.readings.set(self.readings.get() + 1);
        for (name, key) in [("reader", &self.reader.key), ("admin", &self.world.admin)] {
            let repository = self.world.open(key).unwrap();
            let machine = self.world.machine(&format!("{name}{}", self.readings.get()));
            for (id, seed) in &*self.taken.borrow() {
                let (target, listener) = (self.world.path(&format!("out-{name}-{id}")), Listener::default());
                let summary = machine.try_restore(&repository, id, &self.source, &target, &listener).unwrap();
                assert_eq!((summary.damaged, summary.skipped), (0, 0), "{name}: {:?}", listener.complaints());
                assert!(std::fs::read(target.join("file")).unwrap() == noise(*seed, self.length), "{name}: {id}");
                std::fs::remove_dir_all(target).unwrap();
            }
        }
    }

    /// Insists that this key, on a machine without a cache, stores its own copy of everything.
    #[track_caller]
    pub fn stores_its_own(&self, key: &Credential) {
        let before = self.world.packed();
        let summary = self.world.machine("another").snapshot(&self.world, key, &self.source);
        assert!(self.world.packed() - before > self.length as u64, "it relied on what somebody hostile claims");
        assert_eq!(summary.problems, 0);
    }
}
