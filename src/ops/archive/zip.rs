//! Zip: for people whose machines know nothing else.
//!
//! Further names of one inode become files of their own; names that are no text are written with `\xNN`.

use super::{Item, Refusal, Writer, told_once};
use crate::ops::content;
use crate::repo::entry::{Entry, EntryKind};
use jiff::tz::TimeZone;
use std::io::{self, Write};
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

/// From this size on the wide form is used, a margin below 4 GiB left for what does not compress.
const WIDE: u64 = 0xf000_0000;

/// Writes one archive.
pub(super) struct Zip<'o> {
    inner: ZipWriter<StreamWriter<&'o mut dyn Write>>,
}

impl<'o> Zip<'o> {
    pub(super) fn new(out: &'o mut dyn Write) -> Self {
        Self { inner: ZipWriter::new_stream(out) }
    }

    /// Ends the archive.
    pub(super) fn finish(self) -> io::Result<()> {
        self.inner.finish().map_err(io::Error::from)?.into_inner().flush()
    }
}

impl Writer for Zip<'_> {
    fn add(&mut self, item: &Item<'_>, lost: &mut dyn FnMut(String)) -> Result<(), Refusal> {
        let (name, options) = (text(&item.name), options(item.entry));
        match &item.entry.kind {
            EntryKind::Directory => self.inner.add_directory(name, options).map_err(io::Error::from)?,
            EntryKind::Symlink(target) => {
                self.inner.add_symlink(name, text(target), options).map_err(io::Error::from)?;
            }
            EntryKind::File(_) => {
                self.inner.start_file(name, options).map_err(io::Error::from)?;
                content::copy_what_is_there(item.tree, item.entry, true, &mut self.inner, &mut told_once(lost))?;
            }
            _ => return Err(Refusal::NoPlace),
        }
        Ok(())
    }
}

fn options(entry: &Entry) -> SimpleFileOptions {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .unix_permissions(entry.mode)
        .large_file(entry.size >= WIDE);
    match time(entry) {
        Some(time) => options.last_modified_time(time),
        None => options,
    }
}

/// The time of the last change in UTC; `None` outside of what zip knows, 1980 to 2107.
fn time(entry: &Entry) -> Option<DateTime> {
    let moment = jiff::Timestamp::from_second(entry.modified.seconds).ok()?.to_zoned_datetime(TimeZone::UTC);
    let part = |number: i8| u8::try_from(number).ok();
    DateTime::from_date_and_time(
        u16::try_from(moment.year()).ok()?,
        part(moment.month())?,
        part(moment.day())?,
        part(moment.hour())?,
        part(moment.minute())?,
        part(moment.second())?,
    )
    .ok()
}

/// Bytes as text, those that are none in hexadecimal.
fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}
