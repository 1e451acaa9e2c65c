//! A folder of a snapshot as one stream: tar with pax headers, or zip.
//!
//! What cannot be read from the repository is reported and is zeros in the stream; everything else is in it all the same.

pub mod pax;
mod tar;
mod zip;

#[cfg(test)]
mod tests;

use super::content;
use super::restore::links::fingerprint;
use super::select::{Judge, Select};
use super::unreadable;
use crate::event::{Event, Level, Progress, Sink, Stage};
use crate::repo::catalog::{self, Tree};
use crate::repo::entry::{Entry, EntryKind, EntryPath, LinkGroup};
use std::collections::HashMap;
use std::io::{self, Write};

/// The form of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// POSIX.1-2001 tar: everything but sockets and `chattr` flags.
    Tar,
    /// Zip: folders, files and symbolic links, with modes and times to two seconds.
    Zip,
}

/// What went into the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Regular files, further names of one inode included.
    pub files: u64,
    /// Folders.
    pub directories: u64,
    /// Symbolic links, pipes and devices.
    pub others: u64,
    /// Bytes of regular files.
    pub bytes: u64,
    /// Entries that the form of the stream has no place for.
    pub left_out: u64,
    /// Entries with something in them that cannot be read from the repository.
    pub damaged: u64,
}

/// Why there is no whole stream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The selected path is not in the snapshot.
    #[error("the snapshot has no {}", path.escape_ascii())]
    NotInSnapshot {
        /// The path.
        path: Vec<u8>,
    },
    /// The catalog's root cannot be read.
    #[error("the snapshot's catalog cannot be read")]
    Catalog(#[source] catalog::Error),
    /// Whoever takes the stream does not.
    #[error("cannot write the archive")]
    Write(#[from] io::Error),
    /// Somebody asked to stop; the stream is cut short.
    #[error("stopped before the archive was complete")]
    Stopped,
}

/// One entry on its way into a stream.
struct Item<'a> {
    tree: &'a Tree,
    path: &'a EntryPath,
    /// Its name in the archive, without a slash at either end.
    name: Vec<u8>,
    entry: &'a Entry,
    /// The name of an earlier entry with the same inode.
    linked: Option<&'a [u8]>,
}

/// Why an entry did not go in.
enum Refusal {
    /// The form of the stream has no place for it.
    NoPlace,
    /// The stream failed.
    Write(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// A form of stream.
trait Writer {
    /// Takes an entry. What cannot be read of it goes to `lost`.
    fn add(&mut self, item: &Item<'_>, lost: &mut dyn FnMut(String)) -> Result<(), Refusal>;
}

/// What of a snapshot goes into a stream, and under which names.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// This, and all below it.
    pub top: &'a EntryPath,
    /// Of that, what these patterns mean.
    pub select: &'a Select,
    /// Names lose so many of their first parts; what has no more parts is left out.
    pub strip: usize,
}

/// Writes a part of a snapshot to `out`.
///
/// # Errors
/// When nothing can be read at all, the stream takes no more, or somebody asked to stop.
pub fn export(
    tree: &Tree,
    part: Part<'_>,
    format: Format,
    out: &mut dyn Write,
    sink: &dyn Sink,
) -> Result<Summary, Error> {
    tree.sums(&EntryPath::default()).map_err(Error::Catalog)?;
    if !part.top.0.is_empty() && matches!(tree.get(part.top), Ok(None)) {
        return Err(Error::NotInSnapshot { path: part.top.to_bytes() });
    }
    let export = Export { tree, part, sink };
    match format {
        Format::Tar => {
            let mut writer = tar::Tar::new(out);
            let summary = export.run(&mut writer)?;
            writer.finish()?;
            Ok(summary)
        }
        Format::Zip => {
            let mut writer = zip::Zip::new(out);
            let summary = export.run(&mut writer)?;
            writer.finish()?;
            Ok(summary)
        }
    }
}

struct Export<'a> {
    tree: &'a Tree,
    part: Part<'a>,
    sink: &'a dyn Sink,
}

impl Export<'_> {
    fn run(&self, writer: &mut dyn Writer) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        let mut leaders: HashMap<(LinkGroup, u64), Vec<u8>> = HashMap::new();
        let mut judge = Judge::new(self.part.select);
        for found in self.tree.walk(self.part.top) {
            if self.sink.stopping() {
                return Err(Error::Stopped);
            }
            let (path, entry) = match found {
                Ok(found) => found,
                Err(error) => {
                    summary.damaged += 1;
                    unreadable::report(self.sink, self.part.top.to_bytes(), &error);
                    continue;
                }
            };
            let name = EntryPath(path.0.get(self.part.strip..).unwrap_or_default().to_vec()).to_bytes()[1..].to_vec();
            if name.is_empty() || !judge.selects(&path) {
                continue;
            }
            let group = entry.links.map(|links| (links, fingerprint(&entry)));
            let linked = group.as_ref().and_then(|group| leaders.get(group)).map(Vec::as_slice);
            let item = Item { tree: self.tree, path: &path, name: name.clone(), entry: &entry, linked };
            if self.add(writer, &item, &mut summary)?
                && let (Some(group), None) = (group, linked)
            {
                leaders.insert(group, name);
            }
        }
        Ok(summary)
    }

    /// Returns whether it went in.
    fn add(&self, writer: &mut dyn Writer, item: &Item<'_>, summary: &mut Summary) -> Result<bool, Error> {
        let mut damaged = false;
        let mut lost = |reason: String| {
            damaged = true;
            let path = item.path.to_bytes();
            self.sink.emit(Event::Problem { path, during: "content", error: reason });
        };
        match writer.add(item, &mut lost) {
            Ok(()) => {}
            Err(Refusal::Write(error)) => return Err(Error::Write(error)),
            Err(Refusal::NoPlace) => {
                summary.left_out += 1;
                let text =
                    format!("{}: an archive of this form has no place for it", item.path.to_bytes().escape_ascii());
                self.sink.emit(Event::Message(Level::Warning, text));
                return Ok(false);
            }
        }
        summary.damaged += u64::from(damaged);
        match item.entry.kind {
            EntryKind::File(_) => summary.files += 1,
            EntryKind::Directory => summary.directories += 1,
            _ => summary.others += 1,
        }
        summary.bytes += item.entry.size;
        let files = summary.files + summary.directories + summary.others;
        let progress = Progress { files, bytes: summary.bytes, errors: summary.damaged, ..Progress::default() };
        self.sink.emit(Event::Progress(Stage::Restore, progress));
        Ok(true)
    }
}

/// Tells what cannot be read, the first such place of a file only.
fn told_once<'l>(lost: &'l mut dyn FnMut(String)) -> impl FnMut(content::Error) + 'l {
    let mut told = false;
    move |error| {
        if !std::mem::replace(&mut told, true) {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            lost(format!("it is zeros from there on as far as it is lost: {error}{cause}"));
        }
    }
}
