//! Called by `mount`: for a line of fstab with the type `boveda`, `mount` runs `/sbin/mount.boveda`, which is this program under
//! another name. Only its command line is put into boveda's own words here.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::error::Failure;

/// Names that mean this.
const NAMES: [&[u8]; 2] = [b"mount.boveda", b"mount.fuse.boveda"];
/// What `mount` and systemd say to each other, or what holds for every mount here anyway.
const PASSED_OVER: [&str; 27] = [
    "defaults",
    "ro",
    "rw",
    "auto",
    "noauto",
    "user",
    "nouser",
    "users",
    "owner",
    "group",
    "nofail",
    "_netdev",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "async",
    "nostrictatime",
    "lazytime",
];
/// Options with a value that are boveda's own.
const OWN: [&str; 13] = [
    "config",
    "cache-dir",
    "cache-size",
    "key-file",
    "password-file",
    "owner",
    "perms",
    "host",
    "path",
    "tag",
    "allow-uid",
    "allow-exe",
    "writable",
];

/// The command line, in boveda's words if `mount` wrote it: `mount.boveda WHAT FOLDER [-fnsv] [-o OPTIONS]`.
///
/// # Errors
/// An option that means nothing.
pub fn arguments(given: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let name = given.first().and_then(|program| Path::new(program).file_name()).map(OsStr::as_bytes);
    if !name.is_some_and(|name| NAMES.contains(&name)) {
        return Ok(given);
    }
    let wrong = || Failure::usage("this is called by `mount`, as mount.boveda REPOSITORY FOLDER -o OPTIONS");
    let (mut plain, mut options) = (Vec::new(), Vec::new());
    let mut rest = given.into_iter().skip(1);
    while let Some(word) = rest.next() {
        match word.as_bytes() {
            b"-o" => options.extend(own(&rest.next().ok_or_else(wrong)?)?),
            // The type, and the name space: both are where we are already.
            b"-t" | b"-N" => drop(rest.next()),
            [b'-', ..] => {}
            _ => plain.push(word),
        }
    }
    let [what, folder] = <[OsString; 2]>::try_from(plain).map_err(|_| wrong())?;
    let mut words: Vec<OsString> = vec!["boveda".into()];
    if !matches!(what.as_bytes(), b"none" | b"boveda") {
        words.extend(["-r".into(), what]);
    }
    words.extend(["mount".into(), folder]);
    words.extend(options);
    Ok(words)
}

fn own(list: &OsStr) -> Result<Vec<OsString>, Failure> {
    let list = list.to_str().ok_or_else(|| Failure::usage(format!("the options {list:?} are not text")))?;
    let mut words = Vec::new();
    for option in list.split(',').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let name = name.replace('_', "-");
        match value {
            Some(value) if OWN.contains(&name.as_str()) => words.push(format!("--{name}={value}").into()),
            None if matches!(name.as_str(), "allow-other" | "no-audit" | "partial") => {
                words.push(format!("--{name}").into())
            }
            None if PASSED_OVER.contains(&option) => {}
            _ if option.starts_with("x-") || option.starts_with("comment=") || option.starts_with("X-") => {}
            _ => return Err(Failure::usage(format!("the mount option {option:?} means nothing to boveda"))),
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<String, Failure> {
        let words = arguments(line.split(' ').map(OsString::from).collect())?;
        Ok(words.join(" ".as_ref()).into_string().unwrap())
    }

    #[test]
    fn what_mount_writes_is_understood_and_the_rest_is_left_alone() {
        for (given, meant) in [
            ("boveda mount /m", "boveda mount /m"),
            ("/sbin/mount.boveda /srv/b /m -o rw", "boveda -r /srv/b mount /m"),
            ("mount.boveda none /m -o rw,noauto,x-systemd.automount,nofail", "boveda mount /m"),
            (
                "mount.boveda @home /m -sv -o ro,allow_other,owner=me,perms=readable,key_file=/k",
                "boveda -r @home mount /m --allow-other --owner=me --perms=readable --key-file=/k",
            ),
            (
                "mount.fuse.boveda /b /m -t fuse.boveda -o host=web,tag=daily",
                "boveda -r /b mount /m --host=web --tag=daily",
            ),
        ] {
            assert_eq!(words(given).unwrap(), meant);
        }
        for wrong in [
            "mount.boveda /b",
            "mount.boveda /b /m -o frobnicate",
            "mount.boveda /b /m -o",
            "mount.boveda /b /m -o host",
        ] {
            assert!(words(wrong).is_err(), "{wrong}");
        }
    }
}
