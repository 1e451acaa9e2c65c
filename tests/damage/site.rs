//! The repository that is damaged: everything that this version stores, small, and what each snapshot of it holds.

use crate::history::picture::{self, Picture};
use crate::world::{Someone, World, noise};
use boveda::event::Silent;
use boveda::ops::checkpoint::checkpoint;
use boveda::ops::prune;
use boveda::repo::frame;
use boveda::repo::id::{SnapshotId, WriterId};
use boveda::repo::keys::credential::Credential;
use boveda::repo::keys::installation::Installation;
use boveda::repo::keys::role::Role;
use boveda::repo::names::{Name, SessionName};
use boveda::repo::repository::Repository;
use boveda::repo::session::Beat;
use boveda::repo::wire::Extensions;
use boveda::store::Store as _;
use boveda::store::memory::MemoryStore;
use rustix::fs::XattrFlags;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The admin's installation.
pub const ADMIN_WRITER: WriterId = WriterId([0xad; 16]);
/// The writer's installation.
pub const WRITER: WriterId = WriterId([0x77; 16]);

/// A snapshot, and what its source was.
pub struct Held {
    pub id: SnapshotId,
    pub picture: Picture,
}

/// The repository and everybody's keys.
pub struct Site {
    pub world: World,
    pub source: PathBuf,
    pub writer: Someone,
    pub reader: Someone,
    pub maintainer: Someone,
    pub held: Vec<Held>,
    /// Another repository, for objects from elsewhere.
    pub other: Arc<MemoryStore>,
    /// The repository as the admin sees it, intact.
    pub intact: Repository,
}

/// The site, made once: nobody changes it, damage is done to forks of its store.
pub fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| Site::new(false))
}

/// The same after two prunes that took something, with what they leave: censuses, packs that were made anew, fewer sessions; and pins.
pub fn pruned() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| Site::new(true))
}

impl Site {
    fn new(pruned: bool) -> Self {
        let world = World::new();
        let source = world.path("source");
        let [writer, reader, maintainer, lost] = [
            (Role::Writer, "writer"),
            (Role::Reader, "reader"),
            (Role::Maintainer, "maintainer"),
            (Role::Writer, "lost"),
        ]
        .map(|(role, label)| world.add(role, label));
        world.as_admin().trust(writer.id, lost.id).unwrap();
        let mut held = Vec::new();
        for (stage, key, by) in [
            (0, &world.admin, ADMIN_WRITER),
            (1, &lost.key, WriterId([0x10; 16])),
            (2, &writer.key, WRITER),
            (3, &world.admin, ADMIN_WRITER),
        ] {
            fill(&source, stage);
            held.push(take(&world, key, by, &source));
            if stage == 1 {
                world.as_admin().revoke(lost.id, "its disk was stolen").unwrap();
            }
        }
        if pruned {
            prune_twice(&world, &source, &mut held);
            held.push(take(&world, &writer.key, WRITER, &source));
            held.push(take(&world, &world.admin, ADMIN_WRITER, &source));
            let readers = world.open(&reader.key).unwrap();
            for _ in 0..2 {
                readers.pin().unwrap();
            }
        }
        beat(&world);
        die(&world, &writer.key);
        let other = elsewhere(&source);
        let intact = world.as_admin();
        Self { world, source, writer, reader, maintainer, held, other, intact }
    }

    /// Whether nothing was ever pruned here.
    pub fn is_first(&self) -> bool {
        self.intact.log().state.ledger().checkpoint.is_none()
    }

    /// The stored bytes of every object.
    pub fn objects(&self) -> Vec<(Name, Vec<u8>)> {
        named(&self.world.store)
    }
}

/// Every object of a store that belongs to a repository.
pub fn named(store: &MemoryStore) -> Vec<(Name, Vec<u8>)> {
    let parsed = |name: &_| Name::parse(name).unwrap_or_else(|| panic!("{name} is not of the layout"));
    store.objects().iter().map(|(name, bytes)| (parsed(name), bytes.to_vec())).collect()
}

/// Tiny, empty, of several chunks, with two names, with a long attribute; stages change some.
fn fill(source: &Path, stage: u64) {
    fs::create_dir_all(source.join("deep")).unwrap();
    fs::write(source.join("empty"), b"").unwrap();
    fs::write(source.join("tiny"), format!("stage {stage}")).unwrap();
    fs::write(source.join("deep").join(format!("stage{stage}")), noise(100 + stage, 3_000)).unwrap();
    if stage > 0 {
        return;
    }
    fs::write(source.join("chunks"), noise(1, 300_000)).unwrap();
    fs::hard_link(source.join("chunks"), source.join("deep/same")).unwrap();
    std::os::unix::fs::symlink("../nowhere", source.join("link")).unwrap();
    fs::write(source.join("attributes"), b"see there").unwrap();
    rustix::fs::setxattr(source.join("attributes"), "user.long", &noise(2, 2_000), XattrFlags::empty()).unwrap();
}

/// Takes a snapshot as the writer `by`, without caches.
fn take(world: &World, key: &Credential, by: WriterId, source: &Path) -> Held {
    let picture = picture::take(source);
    let mut repository = world.open(key).unwrap();
    let options = super::next::options(source);
    let summary = boveda::ops::snapshot::snapshot(&mut repository, by, &options, &Silent).unwrap();
    assert_eq!(summary.problems, 0);
    Held { id: summary.snapshot.unwrap(), picture }
}

/// Forgets the oldest snapshots, one after the other, and gives back all that only these needed.
fn prune_twice(world: &World, source: &Path, held: &mut Vec<Held>) {
    let machine = world.machine("storage");
    for stage in [4, 5] {
        let gone = held.remove(0).id;
        assert!(world.as_admin().forget(vec![gone]).unwrap());
        let (max_unused, checkpoint_at) = (prune::Limit::Bytes(0), Some(1));
        let how = prune::Options { exclusive: true, max_unused, checkpoint_at, ..Default::default() };
        let mut repository = machine.open(&world.store, &world.admin).unwrap();
        assert!(prune::prune(&mut repository, &machine.host, &how, &Silent).unwrap().deleted.packs > 0);
        drop(repository);
        fill(source, stage);
        held.push(take(world, &world.admin, ADMIN_WRITER, source));
    }
}

/// A sign of life of the admin's newest session, as long ones leave them.
fn beat(world: &World) {
    let repository = world.as_admin();
    let sessions = repository.view().sessions.keys().filter(|session| session.writer == ADMIN_WRITER);
    let session = *sessions.max_by_key(|session| session.seq).unwrap();
    put_beat(world, &repository, session, 1);
    put_beat(world, &repository, session, 2);
}

fn put_beat(world: &World, repository: &Repository, session: SessionName, number: u64) {
    let keys = repository.bundle().current();
    let sealing = frame::Sealing { epoch: keys.epoch, suite: repository.config().suite, index_key: &keys.index };
    let name = Name::Beat(session, number);
    let body = Beat { time: 0, extensions: Extensions::default() }.encode();
    let installation = Installation::derive(repository.bundle(), session.writer);
    let written = frame::write(&repository.id(), &name, b"", Some((sealing, &body)), &installation.key);
    world.store.put(&name.object(), &written.stored).unwrap();
}

/// A session that was opened and then died.
fn die(world: &World, key: &Credential) {
    let mut repository = world.open(key).unwrap();
    drop(repository.begin(WRITER, false).unwrap());
}

/// A repository of somebody else's, with an object of every kind.
fn elsewhere(source: &Path) -> Arc<MemoryStore> {
    let world = World::new();
    let lost = world.add(Role::Writer, "lost");
    take(&world, &world.admin, ADMIN_WRITER, source);
    checkpoint(&mut world.as_admin(), 1, &Silent).unwrap();
    world.as_admin().pin().unwrap();
    take(&world, &world.admin, ADMIN_WRITER, source);
    world.as_admin().revoke(lost.id, "gone").unwrap();
    beat(&world);
    world.store.clone()
}
