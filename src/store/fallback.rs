//! A decorator that reads from another copy what is damaged or missing at the first place.
//!
//! Only objects that are named by the SHA-256 of their bytes are looked for elsewhere: these are the same in every copy of a repository.
//! All else, every listing and every change are the first place's alone, so whoever writes builds on nothing that is not there. What is
//! read in part cannot be held against its name here; readers prove each piece, and ask for the whole when it is wrong.

use super::archive::{Archive, Thaw};
use super::{Error, ErrorKind, Facts, Listed, ObjectName, Page, Put, Reading, Store};
use crate::crypto::hash;
use crate::event::{Event, Level, Sink};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Opens a place when it is first needed.
pub type Opener = dyn Fn() -> Result<Arc<dyn Store>, Error> + Send + Sync;

/// Another place.
pub struct Other {
    /// What it is called, for people.
    name: String,
    opener: Box<Opener>,
    opened: OnceLock<Option<Arc<dyn Store>>>,
}

impl Other {
    /// A place that `opener` opens.
    pub fn new(name: impl Into<String>, opener: Box<Opener>) -> Self {
        Self { name: name.into(), opener, opened: OnceLock::new() }
    }
}

/// A store with other places behind it.
pub struct FallbackStore {
    first: Arc<dyn Store>,
    others: Vec<Other>,
    events: Arc<dyn Sink>,
    /// What was told already: damage comes in clusters.
    told: Mutex<HashSet<String>>,
}

/// Why another place is asked.
struct Why {
    text: String,
    /// What lies in an archive tier is no damage.
    harmless: bool,
}

impl Why {
    fn damage(text: &str) -> Self {
        Self { text: text.to_owned(), harmless: false }
    }

    fn of(error: &Error) -> Self {
        Self { text: error.to_string(), harmless: error.kind == ErrorKind::Archived }
    }
}

impl FallbackStore {
    /// Reads from `others`, in their order, what `first` does not have; says so to `events`, once for each object.
    pub fn new(first: Arc<dyn Store>, others: Vec<Other>, events: Arc<dyn Sink>) -> Self {
        Self { first, others, events, told: Mutex::default() }
    }

    /// The first of the other places that gives what is wanted.
    fn elsewhere<T>(&self, name: &ObjectName, why: &Why, read: impl Fn(&dyn Store) -> Option<T>) -> Option<T> {
        self.others.iter().find_map(|other| {
            let store = other.opened.get_or_init(|| self.open(other)).as_ref()?;
            let found = read(&**store)?;
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.insert(name.to_string()) {
                let text = format!("{}; it is read from the copy {}", why.text, other.name);
                self.events.emit(match why.harmless {
                    true => Event::Message(Level::Info, text),
                    false => Event::Damage { object: name.to_string(), what: text, healed: true },
                });
            }
            Some(found)
        })
    }

    /// A part of an object as the first place gave it, or as another one does where it is not whole.
    fn part(
        &self,
        name: &ObjectName,
        (offset, length): (u64, u64),
        first: Result<Vec<u8>, Error>,
    ) -> Result<Vec<u8>, Error> {
        let whole = |bytes: &Vec<u8>| bytes.len() as u64 == length;
        let why = match &first {
            Ok(bytes) if whole(bytes) => return first,
            Ok(_) => Why::damage("it is cut short"),
            Err(error) => Why::of(error),
        };
        if promised(name).is_none() {
            return first;
        }
        self.elsewhere(name, &why, |store| store.get_range(name, offset, length).ok().filter(whole)).map_or(first, Ok)
    }

    fn open(&self, other: &Other) -> Option<Arc<dyn Store>> {
        (other.opener)()
            .inspect_err(|error| {
                let text = format!("the copy {} cannot be read either: {error}", other.name);
                self.events.emit(Event::Message(Level::Warning, text));
            })
            .ok()
    }
}

/// The SHA-256 that a name promises: its last 64 digits, of packs, indexes and censuses.
fn promised(name: &ObjectName) -> Option<[u8; 32]> {
    let name = name.as_str();
    let folder = ["packs/", "idx/", "census/"].into_iter().find(|folder| name.starts_with(folder))?;
    let digits = name[folder.len()..].trim_end_matches(".2");
    let digits = digits.get(digits.len().checked_sub(64)?..)?;
    let mut promised = [0; 32];
    for (byte, pair) in promised.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(promised)
}

impl Store for FallbackStore {
    fn place(&self) -> String {
        self.first.place()
    }

    fn in_flight(&self) -> usize {
        self.first.in_flight()
    }

    fn seen_is_durable(&self) -> bool {
        self.first.seen_is_durable()
    }

    fn facts(&self, name: &ObjectName) -> Result<Facts, Error> {
        self.first.facts(name)
    }

    fn thaw(&self, name: &ObjectName, how: &Thaw) -> Result<Option<Archive>, Error> {
        self.first.thaw(name, how)
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        self.first.put(name, bytes)
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.first.settle(name)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        self.first.heal(name, bytes)
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        let first = self.first.get(name);
        let Some(promised) = promised(name) else { return first };
        let good = |bytes: &Vec<u8>| hash::sha256(bytes) == promised;
        let why = match &first {
            Ok(bytes) if good(bytes) => return first,
            Ok(_) => Why::damage("its bytes are not what its name promises"),
            Err(error) => Why::of(error),
        };
        self.elsewhere(name, &why, |store| store.get(name).ok().filter(good)).map_or(first, Ok)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.part(name, (offset, length), self.first.get_range(name, offset, length))
    }

    fn get_within(&self, name: &ObjectName, whole: u64, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        self.part(name, (offset, length), self.first.get_within(name, whole, offset, length))
    }

    fn expect(&self, reading: Reading) {
        self.first.expect(reading);
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        self.first.length(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        self.first.list(prefix)
    }

    fn page(&self) -> Result<Option<Page>, Error> {
        self.first.page()
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.first.delete(name)
    }

    fn delete_all(&self, names: &[ObjectName]) -> Vec<Result<(), Error>> {
        self.first.delete_all(names)
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::{Fault, FaultStore, Plan};
    use super::super::memory::MemoryStore;
    use super::*;

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Sink for Told {
        fn emit(&self, event: Event) {
            if let Event::Damage { object, what, healed: true } = event {
                self.0.lock().unwrap().push(format!("{object}: {what}"));
            }
        }
    }

    fn pack(bytes: &[u8]) -> ObjectName {
        let digits: String = hash::sha256(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        ObjectName::new(&format!("packs/{}/{digits}", &digits[..2])).unwrap()
    }

    fn world() -> (Arc<MemoryStore>, Arc<MemoryStore>, Arc<Told>, FallbackStore) {
        let (first, second, told) =
            (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()), Arc::new(Told::default()));
        let behind = second.clone();
        let other = Other::new("second", Box::new(move || Ok(behind.clone() as Arc<dyn Store>)));
        let store = FallbackStore::new(first.clone(), vec![other], told.clone());
        (first, second, told, store)
    }

    #[test]
    fn what_is_damaged_or_missing_comes_from_the_other_place_and_is_told_once() {
        let (first, second, told, store) = world();
        let name = pack(b"pack");
        assert_eq!(store.get(&name).unwrap_err().kind, ErrorKind::NotFound);
        second.put(&name, b"pack").unwrap();
        assert_eq!(store.get(&name).unwrap(), b"pack");
        assert_eq!(store.get_range(&name, 1, 2).unwrap(), b"ac");
        assert_eq!(told.0.lock().unwrap().len(), 1);
        first.put(&name, b"pa").unwrap();
        assert_eq!(store.get_range(&name, 1, 2).unwrap(), b"ac");
        first.overwrite(&name, b"p4ck".to_vec());
        assert_eq!(store.get(&name).unwrap(), b"pack");
        // Readers prove pieces themselves.
        assert_eq!(store.get_range(&name, 1, 2).unwrap(), b"4c");
        second.overwrite(&name, b"pa4k".to_vec());
        assert_eq!(store.get(&name).unwrap(), b"p4ck", "the first place's own parity may still help");
    }

    #[test]
    fn what_is_archived_comes_from_a_hot_copy_and_is_no_damage() {
        let (_, second, told, _) = world();
        let cold = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
        cold.plan(Some(Plan { kind: ErrorKind::Archived, ..Plan::for_good(1, Fault::Before) }));
        let behind = second.clone();
        let other = Other::new("second", Box::new(move || Ok(behind.clone() as Arc<dyn Store>)));
        let store = FallbackStore::new(cold, vec![other], told.clone());
        second.put(&pack(b"pack"), b"pack").unwrap();
        assert_eq!(store.get(&pack(b"pack")).unwrap(), b"pack");
        assert_eq!(store.get_range(&pack(b"pack"), 1, 2).unwrap(), b"ac");
        assert_eq!(*told.0.lock().unwrap(), [""; 0]);
        assert_eq!(store.get(&pack(b"elsewhere")).unwrap_err().kind, ErrorKind::Archived);
    }

    #[test]
    fn whatever_is_not_named_by_its_hash_is_the_first_places_alone() {
        let (_, second, told, store) = world();
        let log = ObjectName::new("log/00000000000000000000").unwrap();
        second.put(&log, b"another history").unwrap();
        second.put(&pack(b"pack"), b"pack").unwrap();
        assert_eq!(store.get(&log).unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(store.length(&pack(b"pack")).unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(store.list("").unwrap(), []);
        assert_eq!(told.0.lock().unwrap().len(), 0);
    }
}
