//! Adding sections to a configuration: what is there stays as it is, byte for byte, comments included.
//!
//! The new text is read back before it takes the old one's place, and takes it in one step.

use super::place::{Place, Rank};
use super::{Error, parse};
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Where the first line of a new file points.
const HEAD: &str = "# boveda: docs/configuration.md has every key; `boveda config check` checks this file.\n";

/// Sections to add, as text.
#[derive(Debug, Clone, Default)]
pub struct Addition {
    text: String,
}

impl Addition {
    /// Begins a section: `repository.home`.
    pub fn section(&mut self, name: &str) -> &mut Self {
        let _ = write!(self.text, "\n[{name}]\n");
        self
    }

    /// A comment on a line of its own.
    pub fn comment(&mut self, text: &str) -> &mut Self {
        let _ = writeln!(self.text, "# {}", text.replace(|c: char| c.is_control(), " "));
        self
    }

    /// A string.
    pub fn string(&mut self, key: &str, value: &str) -> &mut Self {
        self.value(key, &toml::Value::String(value.to_owned()))
    }

    /// A list of strings.
    pub fn strings<'a>(&mut self, key: &str, values: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.value(key, &toml::Value::Array(values.into_iter().map(Into::into).collect()))
    }

    fn value(&mut self, key: &str, value: &toml::Value) -> &mut Self {
        let _ = writeln!(self.text, "{key} = {value}");
        self
    }

    /// Adds what another adds.
    pub fn join(&mut self, other: &Self) {
        self.text.push_str(&other.text);
    }

    /// Whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Adds sections to the end of the file, which is made, for its owner alone, if it is not there.
///
/// # Errors
/// [`Error::Io`], or what is wrong with the file afterwards; then it is as it was.
pub fn append(path: &Path, addition: &Addition) -> Result<(), Error> {
    let (before, mode) = match std::fs::read_to_string(path) {
        Ok(text) => (text, std::fs::metadata(path).map_err(Error::io("read", path))?.permissions().mode() & 0o777),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (HEAD.to_owned(), 0o600),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let text = format!("{before}{gap}{}", addition.text);
    let settings = parse::parse(path, text.as_bytes())?;
    replace(path, &text, mode).map_err(Error::io("write", path))?;
    let place = Place { path: path.to_owned(), rank: Rank::Named };
    place.read()?.map_or(Ok(()), |contents| {
        contents.check_author(path)?;
        contents.check_readers(path, &settings)
    })
}

/// The file is the old or the new one at every moment; a link to it stays a link.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = real.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let new = folder.join(format!(".{name}.{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.set_permissions(std::fs::Permissions::from_mode(mode))?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&new, &real));
    if written.is_err() {
        // The first failure is the one to report.
        let _ = std::fs::remove_file(&new);
    }
    written.and_then(|()| File::open(folder)?.sync_all())
}
