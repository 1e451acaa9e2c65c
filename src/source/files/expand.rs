//! A pattern as the paths that exist and fit it, as a shell would find them.
//!
//! The rules of one name are those of the exclude patterns. `**` means no more than `*` here, and a leading dot is nothing
//! special, as in Go's `filepath.Glob`, which restic's users know from `--files-from`.

use super::exclude::PatternError;
use super::glob::{Component, Token};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// The paths that fit `pattern`, sorted; relative ones are looked for below `base`. Without a wildcard it is one path, whether it
/// exists or not. Folders that cannot be listed have nothing that fits.
///
/// # Errors
/// When a class or an escape is not complete.
pub fn expand(base: &Path, pattern: &[u8]) -> Result<Vec<PathBuf>, PatternError> {
    let mut found = vec![if pattern.starts_with(b"/") { PathBuf::from("/") } else { base.to_owned() }];
    let mut wild = false;
    for part in pattern.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
        let reason = "a [class] or an escape is not complete";
        let component = Component::parse(part).ok_or_else(|| PatternError { pattern: pattern.to_vec(), reason })?;
        if let Component::Literal(name) = component {
            found.iter_mut().for_each(|path| path.push(OsStr::from_bytes(&name)));
            continue;
        }
        let component = if component == Component::AnyDepth { Component::Tokens(vec![Token::Many]) } else { component };
        // What comes before a wildcard need not be there; then nothing fits.
        found = found.iter().flat_map(|folder| fitting(folder, &component)).collect();
        wild = true;
    }
    if wild {
        found.retain(|path| path.symlink_metadata().is_ok());
    }
    found.sort_unstable();
    Ok(found)
}

fn fitting(folder: &Path, component: &Component) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| Some(OsString::into_vec(entry.ok()?.file_name())));
    names.filter(|name| component.matches(name)).map(|name| folder.join(OsString::from_vec(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_found_as_a_shell_finds_them() {
        let temp = tempfile::tempdir().unwrap();
        for file in ["a/x.txt", "a/y.txt", "b/x.txt", ".h/x.txt", "b/[z]"] {
            std::fs::create_dir_all(temp.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(temp.path().join(file), "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let found = expand(temp.path(), pattern.as_bytes()).unwrap().into_iter();
            found.map(|path| path.strip_prefix(temp.path()).unwrap().to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(found("*/x.txt"), [".h/x.txt", "a/x.txt", "b/x.txt"]);
        assert_eq!(found("a//?.txt"), ["a/x.txt", "a/y.txt"]);
        assert_eq!(found("**/[z]"), [""; 0]);
        assert_eq!(found("b/\\[z\\]"), ["b/[z]"]);
        assert_eq!(found("gone/plain"), ["gone/plain"]);
        assert_eq!(found("gone/*"), [""; 0]);
        assert_eq!(found(&format!("{}/[ab]", temp.path().display())), ["a", "b"]);
        assert!(expand(temp.path(), b"a/[").is_err());
    }
}
