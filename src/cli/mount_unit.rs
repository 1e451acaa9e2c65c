//! `boveda mount --print-unit`: a systemd service that mounts, to be saved where systemd looks for it.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::error::Failure;

/// The unit: `program` with `arguments` (those of this command line, without what asks for the unit) mounts at `folder`.
///
/// # Errors
/// When something in it is not text, which a unit must be.
pub fn unit(program: &Path, arguments: &[OsString], folder: &Path, root: bool) -> Result<String, Failure> {
    let start = line(std::iter::once(program.as_os_str()).chain(arguments.iter().map(OsString::as_os_str)))?;
    let stop = line([program.as_os_str(), OsStr::new("umount"), OsStr::new("--lazy"), folder.as_os_str()])?;
    let wanted = if root { "multi-user.target" } else { "default.target" };
    let shown = text(folder.as_os_str())?.replace('%', "%%");
    Ok(format!(
        "[Unit]\n\
         Description=Snapshots as folders at {shown}\n\
         Documentation=man:boveda-mount(1)\n\
         After=network-online.target local-fs.target\n\
         \n\
         [Service]\n\
         Type=forking\n\
         ExecStart={start}\n\
         ExecStop={stop}\n\
         Restart=on-failure\n\
         RestartSec=30\n\
         \n\
         [Install]\n\
         WantedBy={wanted}\n"
    ))
}

fn line<'a>(words: impl IntoIterator<Item = &'a OsStr>) -> Result<String, Failure> {
    let words = words.into_iter().map(|word| text(word).map(quoted));
    Ok(words.collect::<Result<Vec<_>, _>>()?.join(" "))
}

fn text(word: &OsStr) -> Result<&str, Failure> {
    word.to_str()
        .filter(|word| !word.contains('\n'))
        .ok_or_else(|| Failure::usage(format!("{word:?} cannot stand in a unit: it is not a line of text")))
}

/// A word as systemd takes a command line apart: `%` and `$` stand for nothing, quotes keep the rest together.
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.=@:,+%$".contains(c);
    if !escaped.is_empty() && escaped.chars().all(plain) { escaped } else { format!("\"{escaped}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_systemd() {
        assert_eq!(quoted("/srv/b"), "/srv/b");
        assert_eq!(quoted("my place"), "\"my place\"");
        assert_eq!(quoted("100%"), "100%%");
        assert_eq!(quoted("a\"b\\c$d"), "\"a\\\"b\\\\c$$d\"");
        assert_eq!(quoted(""), "\"\"");
        assert!(unit(Path::new("/b"), &["a\nb".into()], Path::new("/m"), true).is_err());
        let unit =
            unit(Path::new("/b"), &["-r".into(), "/r".into(), "mount".into(), "/m".into()], Path::new("/m"), false);
        let unit = unit.unwrap();
        assert!(unit.contains("\nExecStart=/b -r /r mount /m\n"), "{unit}");
        assert!(
            unit.contains("\nExecStop=/b umount --lazy /m\n") && unit.contains("WantedBy=default.target"),
            "{unit}"
        );
    }
}
