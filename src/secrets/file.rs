//! Secrets in files: read with a look at who else could, created so that nothing existing is ever overwritten.

use super::{Error, LONGEST};
use crate::crypto::secret::{Secret, SecretBytes};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// What a secret file holds.
#[derive(Debug)]
pub struct Contents {
    /// Its bytes, all of them.
    pub secret: SecretBytes,
    /// Something that a person should know about the file: that others on this machine can read it.
    pub warning: Option<String>,
}

/// Reads a secret file whole. Pipes and the like are welcome.
///
/// # Errors
/// [`Error::Read`], or [`Error::TooLong`].
pub fn read(path: &Path) -> Result<Contents, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let secret = read_all(&mut file).map_err(failed)?.ok_or_else(|| Error::TooLong(path.display().to_string()))?;
    let warning = (metadata.is_file() && metadata.mode() & 0o077 != 0).then(|| {
        format!(
            "the secret file {} has mode {:03o}: others on this machine may read it (chmod 600 helps)",
            path.display(),
            metadata.mode() & 0o777
        )
    });
    Ok(Contents { secret, warning })
}

/// Creates a file that only its owner may read, with `contents`, durably. It never replaces anything.
///
/// # Errors
/// [`Error::Create`], also when something is there already.
pub fn create(path: &Path, contents: &SecretBytes) -> Result<(), Error> {
    let failed = |source| Error::Create { path: path.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let written = file.write_all(contents.expose()).and_then(|()| file.sync_all()).and_then(|()| sync_parent(path));
    written.map_err(|source| {
        // Half a key would be taken for a whole one later. The first failure is the one to report.
        let _ = std::fs::remove_file(path);
        failed(source)
    })
}

/// Creates a raw key file with a fresh key, as [`create`] does: 64 hexadecimal digits and a line end. Returns its contents.
///
/// # Errors
/// [`Error::Create`].
pub fn create_key(path: &Path) -> Result<SecretBytes, Error> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Vec::with_capacity(65);
    for byte in Secret::generate().expose() {
        text.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    text.push(b'\n');
    let text = SecretBytes::new(text);
    create(path, &text).map(|()| text)
}

/// Reads the raw key file at `path`, or creates it when nothing is there.
///
/// # Errors
/// As [`read`] and [`create`].
pub fn read_or_create_key(path: &Path) -> Result<Contents, Error> {
    match create_key(path) {
        Ok(secret) => Ok(Contents { secret, warning: None }),
        Err(Error::Create { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(error),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// All that `source` gives; `None` when that is longer than any secret. Nothing is left in freed memory.
pub(super) fn read_all(source: &mut impl Read) -> io::Result<Option<SecretBytes>> {
    let mut buffer = Zeroizing::new(vec![0; LONGEST + 1]);
    let mut length = 0;
    loop {
        match source.read(&mut buffer[length..]) {
            Ok(0) => return Ok((length <= LONGEST).then(|| SecretBytes::new(buffer[..length].to_vec()))),
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn others_access_is_a_warning() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        fs::write(&path, "secret\n").unwrap();
        for (mode, warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o620, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let contents = read(&path).unwrap();
            assert_eq!(contents.secret.expose(), b"secret\n");
            assert_eq!(contents.warning.is_some(), warned, "{mode:o}");
        }
        assert!(read(Path::new("/dev/null")).unwrap().warning.is_none());
    }

    #[test]
    fn what_is_too_long_or_absent_is_an_error_that_names_the_file() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        fs::write(&path, vec![b'x'; LONGEST]).unwrap();
        assert_eq!(read(&path).unwrap().secret.expose().len(), LONGEST);
        fs::write(&path, vec![b'x'; LONGEST + 1]).unwrap();
        assert!(matches!(read(&path), Err(Error::TooLong(_))));
        assert!(matches!(read(Path::new("/dev/zero")), Err(Error::TooLong(_))));
        let error = read(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all"), "{error}");
    }

    #[test]
    fn a_created_file_is_private_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recovery");
        create(&path, &SecretBytes::new(b"first".to_vec())).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let again = create(&path, &SecretBytes::new(b"second".to_vec()));
        assert!(matches!(again, Err(Error::Create { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists));
        assert_eq!(fs::read(&path).unwrap(), b"first");
        // Not through a link that somebody laid either.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
        assert!(create(&link, &SecretBytes::new(b"third".to_vec())).is_err());
        assert!(!folder.path().join("elsewhere").exists());
    }

    #[test]
    fn a_key_file_is_made_once_and_read_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = read_or_create_key(&path).unwrap().secret;
        let digits = made.expose().strip_suffix(b"\n").unwrap();
        assert!(digits.len() == 64 && digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        assert_eq!(read_or_create_key(&path).unwrap().secret.expose(), made.expose());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_ne!(create_key(&folder.path().join("other")).unwrap().expose(), made.expose());
        assert!(matches!(create_key(&path), Err(Error::Create { .. })));
    }
}
