//! What is done next with a damaged repository, and how it went: right, named, or wrong.

use super::site::{ADMIN_WRITER, Held, Site, WRITER};
use crate::history::picture::{self, Picture};
use crate::world::entry_path;
use boveda::event::{Event, Level, Silent, Sink};
use boveda::ops::host::Host;
use boveda::ops::prune;
use boveda::ops::restore::{self, restore};
use boveda::ops::snapshot::{Options, snapshot};
use boveda::ops::verify::{self, verify};
use boveda::repo::catalog::{ExtentReader, Tree, read_value};
use boveda::repo::chunks::ChunkSource;
use boveda::repo::entry::{Entry, EntryKind, Extent};
use boveda::repo::id::{ChunkKind, SnapshotId, WriterId};
use boveda::repo::keys::credential::Credential;
use boveda::repo::names::IndexClass;
use boveda::repo::repository::{Repository, Snapshot};
use boveda::store::memory::MemoryStore;
use rustix::fs::FileType;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// How an act went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was as if nothing had happened; what was said about it.
    Right(String),
    /// Something could not be had, and the run ended with another exit code than 0: this is what was said.
    Named(String),
    /// Something was wrong, or missing, and nothing was said.
    Wrong(String),
}

/// Everything that was said, and whether any of it rules out exit code 0.
#[derive(Default)]
struct Ears(Mutex<Said>);

#[derive(Default, Clone)]
struct Said {
    lines: Vec<String>,
    loud: bool,
    restored: BTreeSet<Vec<u8>>,
}

impl Sink for Ears {
    fn emit(&self, event: Event) {
        let mut said = self.0.lock().unwrap();
        match event {
            Event::Damage { object, what, healed } => {
                said.loud |= !healed;
                said.lines.push(format!("{object}: {what} (healed: {healed})"));
            }
            Event::Problem { path, during, error } => {
                said.loud = true;
                said.lines.push(format!("{}: {during}: {error}", path.escape_ascii()));
            }
            // The host of these acts has no folder for caches, and is told so.
            Event::Message(Level::Warning, text) if text.starts_with("indexes cannot be cached") => {}
            Event::Message(level, text) if level >= Level::Warning => {
                said.loud |= level == Level::Error;
                said.lines.push(text);
            }
            Event::Restored { path, .. } => drop(said.restored.insert(path)),
            _ => {}
        }
    }
}

impl Ears {
    fn fail(&self, error: &dyn std::error::Error) {
        let mut said = self.0.lock().unwrap();
        said.loud = true;
        let mut next = Some(error);
        while let Some(error) = next {
            said.lines.push(error.to_string());
            next = error.source();
        }
    }

    /// The outcome, when these things are not as they should be.
    fn outcome(&self, wrong: &[String]) -> Outcome {
        let said = self.0.lock().unwrap().clone();
        let text = said.lines.join("\n");
        match (wrong.is_empty(), said.loud) {
            (true, false) => Outcome::Right(text),
            (_, true) => Outcome::Named(text),
            (false, false) => Outcome::Wrong(format!("{}; said was only: {text}", wrong.join("; "))),
        }
    }
}

/// How every snapshot here is taken.
pub fn options(source: &Path) -> Options {
    Options {
        roots: vec![entry_path(source)],
        host: "somewhere".to_owned(),
        user: "somebody".to_owned(),
        threads: 2,
        ..Options::default()
    }
}

/// A host that remembers what the intact repository showed, in memory.
fn host(site: &Site, ears: &Arc<Ears>) -> Host {
    let nowhere = Path::new("/dev/null/nowhere");
    let host = Host::new(nowhere, nowhere, None, ears.clone());
    host.remember(&site.intact);
    *ears.0.lock().unwrap() = Said::default();
    host
}

/// Opens the repository; `None` when that failed, which was said.
fn open(host: &Host, store: &Arc<MemoryStore>, key: &Credential, ears: &Ears) -> Option<Repository> {
    host.open(store.clone(), key).map_err(|error| ears.fail(&error)).ok()
}

/// Snapshots that a listing lacks, or shows without what belongs to them.
fn missing(site: &Site, repository: &Repository) -> Vec<String> {
    let reads = repository.bundle().role().reads_content();
    let found = |id| repository.snapshots().iter().find(|snapshot| snapshot.id == id);
    let whole = |snapshot: &Snapshot| !reads || snapshot.private.is_some();
    let held = site.held.iter().filter(|held| !found(held.id).is_some_and(whole));
    held.map(|held| format!("snapshot {} is not listed", held.id)).collect()
}

/// Opening and listing, as somebody.
pub fn listing(site: &Site, store: &Arc<MemoryStore>, key: &Credential) -> Outcome {
    let ears = Arc::new(Ears::default());
    let host = host(site, &ears);
    let Some(repository) = open(&host, store, key, &ears) else { return ears.outcome(&[]) };
    ears.outcome(&missing(site, &repository))
}

/// Every entry and every byte of every snapshot, as `ls` and the mount read them.
pub fn reading(site: &Site, store: &Arc<MemoryStore>, key: &Credential) -> Outcome {
    let ears = Arc::new(Ears::default());
    let host = host(site, &ears);
    let Some(repository) = open(&host, store, key, &ears) else { return ears.outcome(&[]) };
    let mut wrong = missing(site, &repository);
    match host.reader(&repository, &IndexClass::BOTH, 8 << 20) {
        Err(error) => ears.fail(&error),
        Ok(reader) => {
            let reader: Arc<dyn ChunkSource> = Arc::new(reader);
            for held in &site.held {
                let Some(snapshot) = repository.snapshots().iter().find(|s| s.id == held.id) else { continue };
                wrong.extend(differences(site, &reader, snapshot, &held.picture, &ears));
            }
        }
    }
    ears.outcome(&wrong)
}

/// What a snapshot shows otherwise than it was. What cannot be read is said.
fn differences(
    site: &Site,
    reader: &Arc<dyn ChunkSource>,
    snapshot: &Snapshot,
    expected: &Picture,
    ears: &Ears,
) -> Vec<String> {
    let top = entry_path(&site.source);
    let tree = Tree::open(reader.clone(), snapshot.structure.root);
    let (mut wrong, mut unread, mut seen) = (Vec::new(), false, BTreeSet::new());
    for item in tree.walk(&top) {
        let (path, entry) = match item {
            Ok(item) => item,
            Err(error) => {
                unread = true;
                ears.fail(&error);
                continue;
            }
        };
        let path = path.to_bytes()[top.to_bytes().len()..].to_vec();
        let name = path.strip_prefix(b"/").unwrap_or(&path).to_vec();
        match content(reader, &entry) {
            Err(error) => ears.fail(&*error),
            Ok((content, xattrs)) => {
                let same = expected.get(&name).is_some_and(|shot| (&shot.content, &shot.xattrs) == (&content, &xattrs));
                if !same {
                    wrong.push(format!("{} differs", name.escape_ascii()));
                }
            }
        }
        seen.insert(name);
    }
    let gone = expected.keys().filter(|name| !unread && !seen.contains(*name));
    wrong.extend(gone.map(|name| format!("{} is missing", name.escape_ascii())));
    wrong
}

type Content = (Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>);

/// An entry's content as pictures have it.
fn content(reader: &Arc<dyn ChunkSource>, entry: &Entry) -> Result<Content, Box<dyn std::error::Error>> {
    let mut xattrs = BTreeMap::new();
    for (name, value) in &entry.xattrs {
        xattrs.insert(name.clone(), read_value(&**reader, value)?);
    }
    let bytes = match &entry.kind {
        EntryKind::File(content) => {
            let mut bytes = Vec::new();
            for placed in ExtentReader::open(reader.clone(), content, entry.size) {
                match placed?.extent {
                    Extent::Chunk { id, .. } => bytes.extend_from_slice(&reader.get(ChunkKind::Data, &id)?),
                    Extent::Hole { length } => bytes.resize(bytes.len() + length as usize, 0),
                }
            }
            blake3::hash(&bytes).as_bytes().to_vec()
        }
        EntryKind::Symlink(target) => target.clone(),
        _ => Vec::new(),
    };
    Ok((bytes, xattrs))
}

/// The newest snapshot, onto the disk.
pub fn restoring(site: &Site, store: &Arc<MemoryStore>) -> Outcome {
    let ears = Arc::new(Ears::default());
    let host = host(site, &ears);
    let Some(repository) = open(&host, store, &site.world.admin, &ears) else { return ears.outcome(&[]) };
    let held = site.held.last().unwrap();
    let Some(snapshot) = repository.snapshots().iter().find(|snapshot| snapshot.id == held.id) else {
        return ears.outcome(&missing(site, &repository));
    };
    let reader: Arc<dyn ChunkSource> = match host.reader(&repository, &IndexClass::BOTH, 8 << 20) {
        Ok(reader) => Arc::new(reader),
        Err(error) => {
            ears.fail(&error);
            return ears.outcome(&[]);
        }
    };
    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("target");
    let tree = Tree::open(reader.clone(), snapshot.structure.root);
    let how = restore::Options { numeric_ids: true, threads: 2, ..restore::Options::default() };
    let done = restore(&tree, reader, &entry_path(&site.source), &target, &how, &*ears);
    if let Err(error) = &done {
        ears.fail(error);
    }
    let wrong = unlike(site, &held.picture, &target, &ears);
    ears.outcome(&wrong)
}

/// What lies in `target` and was said to be good, but is not what it was; and what lacks without a word.
fn unlike(site: &Site, expected: &Picture, target: &Path, ears: &Ears) -> Vec<String> {
    let found = if target.exists() { picture::take(target) } else { Picture::new() };
    let said = ears.0.lock().unwrap().clone();
    let top = entry_path(&site.source).to_bytes();
    let path = |name: &[u8]| [&top[..], if name.is_empty() { b"" } else { b"/" }, name].concat();
    let complained = |name: &[u8]| {
        let shown = path(name).escape_ascii().to_string() + ":";
        said.lines.iter().any(|line| line.starts_with(&shown))
    };
    let mut wrong = Vec::new();
    for (name, shot) in expected {
        let same = found.get(name) == Some(shot);
        let good = said.restored.contains(&path(name)) && !complained(name);
        if !same && good && shot.kind != FileType::Directory {
            panic!("{} was restored as good, and is not: {said:?}", name.escape_ascii(), said = said.lines);
        }
        if !same {
            wrong.push(format!("{} is not as it was", name.escape_ascii()));
        }
    }
    wrong
}

/// A verification: what it found, as text.
pub fn verifying(site: &Site, store: &Arc<MemoryStore>, level: verify::Level) -> Outcome {
    let ears = Arc::new(Ears::default());
    let host = host(site, &ears);
    let Some(repository) = open(&host, store, &site.world.admin, &ears) else { return ears.outcome(&[]) };
    match verify(&repository, &host, level, &*ears) {
        Err(error) => {
            ears.fail(&error);
            ears.outcome(&[])
        }
        Ok(summary) if summary.findings.is_empty() => {
            let said = ears.0.lock().unwrap().clone();
            if said.loud { Outcome::Named(said.lines.join("\n")) } else { Outcome::Right(said.lines.join("\n")) }
        }
        Ok(summary) => {
            let told = |finding: &verify::Finding| format!("{}: {}", finding.object, finding.what);
            let mut lines: Vec<String> = summary.findings.iter().map(told).collect();
            lines.extend(summary.affected.files.iter().map(|(id, path)| format!("{id}{}", path.escape_ascii())));
            Outcome::Named(lines.join("\n"))
        }
    }
}

/// A prune, after one snapshot was forgotten: whatever it says, of the others nothing goes that could be read before.
pub fn pruning(site: &Site, store: &Arc<MemoryStore>) -> Outcome {
    let ears = Arc::new(Ears::default());
    let folder = tempfile::tempdir().unwrap();
    let host = Host::new(&folder.path().join("state"), &folder.path().join("cache"), None, ears.clone());
    let Some(mut repository) = open(&host, store, &site.world.admin, &ears) else { return ears.outcome(&[]) };
    // What is damaged was told when it was opened.
    let left = &site.held[1..];
    let before = readable(site, store, left);
    let how = prune::Options { exclusive: true, max_unused: prune::Limit::Bytes(0), ..prune::Options::default() };
    let forgotten = repository.forget(vec![site.held[0].id]);
    match forgotten.map_err(prune::Error::from).and_then(|_| prune::prune(&mut repository, &host, &how, &*ears)) {
        Ok(_) => {}
        Err(error) => ears.fail(&error),
    }
    let after = readable(site, store, left);
    let lost: Vec<_> =
        before.difference(&after).map(|(id, name)| format!("{id} lost {}", name.escape_ascii())).collect();
    if lost.is_empty() { ears.outcome(&[]) } else { Outcome::Wrong(lost.join("; ")) }
}

/// Which entries of these snapshots read as they were.
fn readable(site: &Site, store: &Arc<MemoryStore>, held: &[Held]) -> BTreeSet<(SnapshotId, Vec<u8>)> {
    let nowhere = Path::new("/dev/null/nowhere");
    let host = Host::new(nowhere, nowhere, None, Arc::new(Silent));
    let Ok(repository) = host.open(store.clone(), &site.world.admin) else { return BTreeSet::new() };
    let Ok(reader) = host.reader(&repository, &IndexClass::BOTH, 8 << 20) else { return BTreeSet::new() };
    let (reader, mut found): (Arc<dyn ChunkSource>, _) = (Arc::new(reader), BTreeSet::new());
    for held in held {
        let Some(snapshot) = repository.snapshots().iter().find(|s| s.id == held.id) else { continue };
        let deaf = Ears::default();
        let wrong = differences(site, &reader, snapshot, &held.picture, &deaf);
        let said = deaf.0.into_inner().unwrap().lines;
        if said.is_empty() {
            let same =
                |name: &&Vec<u8>| !wrong.iter().any(|line| line.starts_with(&format!("{} ", name.escape_ascii())));
            found.extend(held.picture.keys().filter(same).map(|name| (held.id, name.clone())));
        }
    }
    found
}

/// Another snapshot of the same source: if it is taken without a word, it is whole.
pub fn snapshotting(site: &Site, store: &Arc<MemoryStore>, admin: bool) -> Outcome {
    let (key, by): (&Credential, WriterId) =
        if admin { (&site.world.admin, ADMIN_WRITER) } else { (&site.writer.key, WRITER) };
    let ears = Arc::new(Ears::default());
    let host = host(site, &ears);
    let Some(mut repository) = open(&host, store, key, &ears) else { return ears.outcome(&[]) };
    match snapshot(&mut repository, by, &options(&site.source), &*ears) {
        Err(error) => {
            ears.fail(&error);
            ears.outcome(&[])
        }
        Ok(summary) => {
            let id = summary.snapshot.unwrap();
            // Whatever else is damaged: what was just said to be stored must be there.
            let deaf = Ears::default();
            let mut wrong = Vec::new();
            // One of the two who read can open it: only one object was damaged.
            let opened = |key| Repository::open(store.clone(), key, |_| None, Arc::new(boveda::event::Silent));
            match opened(&site.world.admin).or_else(|_| opened(&site.reader.key)) {
                Err(error) => wrong.push(format!("the repository does not open afterwards: {error}")),
                Ok(repository) => match repository.snapshots().iter().find(|snapshot| snapshot.id == id) {
                    None => wrong.push("the new snapshot is not listed".to_owned()),
                    Some(snapshot) => {
                        let quiet: Arc<dyn Sink> = Arc::new(boveda::event::Silent);
                        let nowhere = Path::new("/dev/null/nowhere");
                        let host = Host::new(nowhere, nowhere, None, quiet);
                        let reader: Arc<dyn ChunkSource> =
                            Arc::new(host.reader(&repository, &IndexClass::BOTH, 8 << 20).unwrap());
                        let expected = &site.held.last().unwrap().picture;
                        wrong.extend(differences(site, &reader, snapshot, expected, &deaf));
                        wrong.extend(deaf.0.into_inner().unwrap().lines);
                    }
                },
            }
            ears.outcome(&wrong)
        }
    }
}
