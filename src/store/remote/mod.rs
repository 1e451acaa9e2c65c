//! Stores behind HTTP, over opendal: S3, Azure Blob, Google Cloud Storage, B2, WebDAV.
//!
//! One call is one request as far as the service allows: objects are put whole, on the condition that there is none of the
//! name; never in parts, so a cut leaves nothing. Nothing is tried again here ([`super::retry`] does), and what a service says
//! is turned into the kinds that callers decide by (`errors`).

mod azure;
mod errors;
mod listing;
mod notes;
mod operator;
mod removing;
mod runtime;
mod signed;
mod signing;
mod transport;

use super::access::Access;
use super::archive::{Archive, Thaw};
use super::mark::Mark;
use super::remote_url::{RemoteUrl, Scheme};
use super::{Arrived, Error, ErrorKind, Facts, Listed, ObjectName, Page, Put, Store};
use crate::crypto::secret::random;
use errors::Said;
use notes::Notes;
use opendal::options::{ReadOptions, WriteOptions};
use opendal::{Buffer, BytesRange, Metadata, Operator};
use operator::{Exclusion, Operators};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Where unfinished objects lie that are put by moving them, below the store's prefix; no object can be named so.
const TEMPORARY: &str = ".tmp/";
/// How old one must be to count as left over from a crash, in seconds.
const LEFT_OVER_AFTER: i64 = 24 * 60 * 60;
/// Packs that are worth sending at once.
const IN_FLIGHT: usize = 4;
/// How long the knowledge counts that the bucket itself is there.
const KNOWN_FOR: Duration = Duration::from_secs(30);

/// A place behind HTTP.
pub struct RemoteStore {
    place: String,
    scheme: Scheme,
    operators: Operators,
    runtime: &'static Runtime,
    /// When the place itself was last seen.
    seen: Mutex<Option<Instant>>,
    tidied: Once,
}

impl RemoteStore {
    /// The store at `url`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when something is missing or wrong.
    pub fn new(url: &RemoteUrl, access: &Access) -> Result<Self, Error> {
        let place = url.to_string();
        let wrong = |text: String| Error {
            kind: ErrorKind::Config,
            action: "set up",
            object: "the connection".to_owned(),
            place: place.clone(),
            source: Arc::new(Said(text)),
        };
        let operators = operator::build(url, access).map_err(wrong)?;
        let runtime = runtime::shared().map_err(|error| wrong(error.to_string()))?;
        Ok(Self { place, scheme: url.scheme, operators, runtime, seen: Mutex::default(), tidied: Once::new() })
    }

    fn run<T>(&self, notes: &Arc<Notes>, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(notes::with(notes, call))
    }

    fn call<T>(
        &self,
        action: &'static str,
        object: impl ToString,
        call: impl Future<Output = opendal::Result<T>>,
    ) -> Result<T, Error> {
        let notes = Notes::new(false);
        self.run(&notes, call).map_err(|error| self.failed(&error, &notes, action, object))
    }

    fn failed(&self, error: &opendal::Error, notes: &Notes, action: &'static str, object: impl ToString) -> Error {
        errors::failed(error, notes, action, object.to_string(), self.place.clone())
    }

    fn error(&self, kind: ErrorKind, action: &'static str, object: impl ToString, text: &str) -> Error {
        let source = Arc::new(Said(text.to_owned()));
        Error { kind, action, object: object.to_string(), place: self.place.clone(), source }
    }

    /// The place itself answered of something that it holds.
    fn saw_it(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn absent(&self) -> Error {
        self.error(ErrorKind::NoStore, "open", "the store", "there is no such bucket, container or folder")
    }

    /// An object that is not there must not be taken for lost when the whole place is gone.
    fn sure(&self, error: Error) -> Error {
        match error.kind {
            ErrorKind::NotFound => self.sure_of_nothing().err().unwrap_or(error),
            _ => error,
        }
    }

    /// As [`Self::sure`], of a listing that shows nothing.
    fn sure_of_nothing(&self) -> Result<(), Error> {
        let known = self.seen.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < KNOWN_FOR);
        if known { Ok(()) } else { self.check() }
    }

    /// What is said of an object's bytes, in the same words by a listing and by a look at the object.
    fn mark(&self, found: &Metadata) -> Option<Mark> {
        match self.scheme {
            // Some servers say the MD5 only where they are asked for one object.
            Scheme::S3 | Scheme::B2 => Mark::reported(None, found.etag()),
            Scheme::Azblob => Mark::reported(found.content_md5(), found.etag()),
            // Its tag is another one when nothing but the storage class is: only what was put together of others has none but that.
            Scheme::Gcs => Mark::reported(found.content_md5(), None).or_else(|| Mark::reported(None, found.etag())),
            // Made from the time of the last change, as a rule.
            _ => None,
        }
    }

    /// What the service says of an object, and where it lies.
    fn facts_and_address(&self, name: &ObjectName) -> Result<(Facts, String), Error> {
        let notes = Notes::new(false);
        let found = self.run(&notes, self.operators.checked.stat(name.as_str()));
        let found = found.map_err(|error| self.failed(&error, &notes, "read", name))?;
        let said = notes.said();
        let facts = Facts {
            // S3 names the only version of an object "null" where none are kept. Google numbers objects whether it keeps older ones or not.
            version: found
                .version()
                .filter(|version| *version != "null" && self.operators.exclusion != Exclusion::Generation)
                .map(str::to_owned),
            mark: self.mark(&found),
            lock: said.lock,
            archive: said.archive,
        };
        Ok((facts, said.address))
    }

    fn write(&self, name: &str, bytes: &[u8], if_absent: bool) -> impl Future<Output = opendal::Result<()>> {
        let options = WriteOptions {
            if_not_exists: if_absent,
            content_type: Some("application/octet-stream".to_owned()),
            ..WriteOptions::default()
        };
        let (name, bytes) = (name.to_owned(), Buffer::from(bytes.to_vec()));
        async move { self.operators.checked.write_options(&name, bytes, options).await.map(drop) }
    }

    /// Puts under a name of its own, then moves.
    fn write_and_move(&self, name: &ObjectName, bytes: &[u8], replace: bool) -> Result<Put, Error> {
        self.tidied.call_once(|| self.tidy());
        let temporary = random::<16>().iter().fold(TEMPORARY.to_owned(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}"); // a String takes everything
            name
        });
        let operator = &self.operators.checked;
        self.call("write", name, self.write(&temporary, bytes, false))?;
        let notes = Notes::new(!replace);
        let moved = self.run(&notes, operator.rename(&temporary, name.as_str()));
        match moved {
            Ok(()) => Ok(Put::Created),
            Err(error) => {
                let taken = notes.status() == 412 && !replace;
                let error = self.failed(&error, &notes, "write", name);
                // It only takes room until it counts as left over.
                let _ = self.call("delete", &temporary, operator.delete(&temporary));
                if taken { Ok(Put::Exists) } else { Err(error) }
            }
        }
    }

    fn read(&self, name: &ObjectName, range: Option<BytesRange>) -> Result<Vec<u8>, Error> {
        self.read_noted(name, range, &Notes::new(false))
    }

    fn read_noted(&self, name: &ObjectName, range: Option<BytesRange>, notes: &Arc<Notes>) -> Result<Vec<u8>, Error> {
        if self.operators.exclusion == Exclusion::Move {
            // A server may show a folder as a page.
            self.length(name)?;
        }
        let plain: &Operator = &self.operators.plain;
        let options = ReadOptions { range: range.unwrap_or_default(), ..ReadOptions::default() };
        let read = self.run(notes, plain.read_options(name.as_str(), options));
        match read {
            Ok(_) if notes.whole_for_range() => Err(self.error(
                ErrorKind::Config,
                "read",
                name,
                "the server sends whole objects where a part is asked for",
            )),
            Ok(bytes) => {
                self.saw_it();
                Ok(bytes.to_vec())
            }
            // Nothing lies behind the end.
            Err(_) if notes.status() == 416 && range.is_some() => Ok(Vec::new()),
            // … which Azure's emulator says with a part of nothing.
            Err(error) if notes.status() == 206 => match range {
                Some(range) if self.length(name)? <= range.offset() => Ok(Vec::new()),
                _ => Err(self.failed(&error, notes, "read", name)),
            },
            Err(error) => Err(self.sure(self.failed(&error, notes, "read", name))),
        }
    }
}

impl Store for RemoteStore {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn exclusive(&self) -> bool {
        matches!(self.operators.exclusion, Exclusion::Conditional | Exclusion::Generation)
    }

    fn in_flight(&self) -> usize {
        IN_FLIGHT
    }

    fn seen_is_durable(&self) -> bool {
        // The service answered whoever put it only then.
        true
    }

    fn facts(&self, name: &ObjectName) -> Result<Facts, Error> {
        self.facts_and_address(name).map(|(facts, _)| facts)
    }

    fn thaw(&self, name: &ObjectName, how: &Thaw) -> Result<Option<Archive>, Error> {
        let (Facts { archive, .. }, address) = self.facts_and_address(name)?;
        let archive = match archive {
            Some(archive) if !archive.thawing => archive,
            // It can be read, or is on its way.
            there => return Ok(there),
        };
        self.call("ask for", name, self.operators.signed.thaw(&address, &archive, how))?;
        Ok(Some(Archive { thawing: true, ..archive }))
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put, Error> {
        match self.operators.exclusion {
            Exclusion::Conditional => {
                let notes = Notes::new(false);
                match self.run(&notes, self.write(name.as_str(), bytes, true)) {
                    Ok(()) => {
                        self.saw_it();
                        Ok(Put::Created)
                    }
                    Err(error)
                        if matches!(
                            error.kind(),
                            opendal::ErrorKind::ConditionNotMatch | opendal::ErrorKind::AlreadyExists
                        ) =>
                    {
                        Ok(Put::Exists)
                    }
                    Err(error) => Err(self.failed(&error, &notes, "write", name)),
                }
            }
            Exclusion::Generation => {
                let notes = Notes::new(true);
                match self.run(&notes, self.write(name.as_str(), bytes, false)) {
                    Ok(()) if notes.kept() => Ok(Put::Created),
                    Ok(()) => Err(self.error(ErrorKind::Other, "write", name, "it was put without its condition")),
                    Err(_) if notes.status() == 412 => Ok(Put::Exists),
                    Err(error) => Err(self.failed(&error, &notes, "write", name)),
                }
            }
            Exclusion::Move => match self.length(name) {
                Ok(_) => Ok(Put::Exists),
                Err(error) if error.kind == ErrorKind::NotFound => self.write_and_move(name, bytes, false),
                Err(error) => Err(error),
            },
            Exclusion::Look => match self.length(name) {
                Ok(_) => Ok(Put::Exists),
                Err(error) if error.kind == ErrorKind::NotFound => {
                    self.call("write", name, self.write(name.as_str(), bytes, false)).map(|()| Put::Created)
                }
                Err(error) => Err(error),
            },
        }
    }

    fn settle(&self, name: &ObjectName) -> Result<(), Error> {
        self.length(name).map(drop)
    }

    fn heal(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), Error> {
        match self.operators.exclusion {
            Exclusion::Move => self.write_and_move(name, bytes, true).map(drop),
            _ => self.call("heal", name, self.write(name.as_str(), bytes, false)),
        }
    }

    fn get(&self, name: &ObjectName) -> Result<Vec<u8>, Error> {
        self.read(name, None)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        // Offsets that no object has are not worth a header that a server may not understand.
        if length == 0 || offset > u64::from(u32::MAX) << 16 {
            return self.length(name).map(|_| Vec::new());
        }
        let end = offset.checked_add(length).filter(|end| *end <= u64::from(u32::MAX) << 16);
        let bytes = match (offset, end) {
            (0, None) => return self.get(name),
            _ => self.read(name, Some(BytesRange::new(offset, end.map(|_| length))))?,
        };
        if bytes.len() as u64 > length {
            return Err(self.error(ErrorKind::Other, "read", name, "more came back than was asked for"));
        }
        Ok(bytes)
    }

    fn stream(&self, name: &ObjectName, offset: u64, length: u64, arrived: &Arrived) -> Result<u64, Error> {
        let notes = Notes::streaming(Arc::clone(arrived));
        let left = self.read_noted(name, Some(BytesRange::new(offset, Some(length))), &notes)?;
        match notes.streamed() {
            // What did not come as a part was not handed on.
            0 => {
                arrived(0, &left);
                Ok(left.len() as u64)
            }
            streamed if streamed <= length && left.is_empty() => Ok(streamed),
            _ => Err(self.error(ErrorKind::Other, "read", name, "more came back than was asked for")),
        }
    }

    fn length(&self, name: &ObjectName) -> Result<u64, Error> {
        let found = self.call("read", name, self.operators.checked.stat(name.as_str()));
        match found {
            Ok(found) if found.is_file() => Ok(found.content_length()),
            Ok(_) => Err(self.error(ErrorKind::NotFound, "read", name, "it is a folder")),
            Err(error) => Err(self.sure(error)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        self.list_below(prefix)
    }

    fn page(&self) -> Result<Option<Page>, Error> {
        self.first_page()
    }

    fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.remove(name)
    }

    fn delete_all(&self, names: &[ObjectName]) -> Vec<Result<(), Error>> {
        self.remove_all(names)
    }
}
