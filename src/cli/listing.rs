//! How entries of a snapshot are shown: a line per path, a long line as `ls -l` gives it, or JSON.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::output::put_path;
use super::{escape, time};
use crate::repo::entry::{Entry, EntryKind, EntryPath};

/// The path, or the path with attributes: mode, owner, group, size or device numbers, time, link target.
pub fn line(path: &EntryPath, entry: &Entry, long: bool, zone: &TimeZone) -> String {
    let name = escape::name(&path.to_bytes());
    if !long {
        return name;
    }
    let size = match entry.kind {
        EntryKind::CharacterDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
            format!("{major},{minor}")
        }
        _ => entry.size.to_string(),
    };
    let (user, group) = (owner(&entry.user, entry.uid), owner(&entry.group, entry.gid));
    let (mode, time) = (permissions(entry), time::local(entry.modified, zone));
    let target = match &entry.kind {
        EntryKind::Symlink(target) => format!(" -> {}", escape::name(target)),
        _ => String::new(),
    };
    format!("{mode} {user:<8} {group:<8} {size:>12} {time} {name}{target}")
}

/// One JSON object, with the names that restic gives to the same things.
pub fn node(path: &EntryPath, entry: &Entry) -> Value {
    let mut node = json!({
        "message_type": "node",
        "type": word(&entry.kind),
        "uid": entry.uid,
        "gid": entry.gid,
        "user": String::from_utf8_lossy(&entry.user),
        "group": String::from_utf8_lossy(&entry.group),
        "mode": entry.mode,
        "permissions": permissions(entry),
        "mtime": time::rfc3339(entry.modified),
        "ctime": time::rfc3339(entry.changed),
    });
    put_path(&mut node, "path", &path.to_bytes());
    put_path(&mut node, "name", path.0.last().map_or(&b"/"[..], |name| name.as_bytes()));
    if let Some(accessed) = entry.accessed {
        node["atime"] = time::rfc3339(accessed).into();
    }
    match &entry.kind {
        EntryKind::File(_) => node["size"] = entry.size.into(),
        EntryKind::Symlink(target) => put_path(&mut node, "linktarget", target),
        EntryKind::CharacterDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
            node["device"] = json!({ "major": major, "minor": minor });
        }
        EntryKind::Directory | EntryKind::Fifo | EntryKind::Socket => {}
    }
    if let Some(links) = entry.links {
        node["links"] = links.links.into();
        node["inode"] = links.inode.into();
    }
    node
}

fn owner(name: &[u8], number: u32) -> String {
    if name.is_empty() { number.to_string() } else { escape::name(name) }
}

const fn word(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::File(_) => "file",
        EntryKind::Directory => "dir",
        EntryKind::Symlink(_) => "symlink",
        EntryKind::Fifo => "fifo",
        EntryKind::Socket => "socket",
        EntryKind::CharacterDevice { .. } => "chardev",
        EntryKind::BlockDevice { .. } => "dev",
    }
}

/// Kind and mode in the ten letters of `ls`.
fn permissions(entry: &Entry) -> String {
    let kind = match entry.kind {
        EntryKind::File(_) => '-',
        EntryKind::Directory => 'd',
        EntryKind::Symlink(_) => 'l',
        EntryKind::Fifo => 'p',
        EntryKind::Socket => 's',
        EntryKind::CharacterDevice { .. } => 'c',
        EntryKind::BlockDevice { .. } => 'b',
    };
    let mut letters = String::from(kind);
    // For each of owner, group and others: the shift of their bits, the special bit and its letter.
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = entry.mode >> shift;
        letters.push(if bits & 4 != 0 { 'r' } else { '-' });
        letters.push(if bits & 2 != 0 { 'w' } else { '-' });
        letters.push(match (bits & 1 != 0, entry.mode & special != 0) {
            (true, false) => 'x',
            (false, false) => '-',
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
        });
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::entry::{Content, LinkGroup, Timestamp};

    fn entry(kind: EntryKind, mode: u32) -> Entry {
        Entry {
            kind,
            mode,
            uid: 0,
            gid: 1234,
            user: b"root".to_vec(),
            group: Vec::new(),
            modified: Timestamp { seconds: 0, nanoseconds: 5 },
            changed: Timestamp { seconds: 1, nanoseconds: 0 },
            accessed: None,
            size: 42,
            flags: 0,
            xattrs: Vec::new(),
            links: Some(LinkGroup { device: 1, inode: 77, links: 2 }),
        }
    }

    #[test]
    fn long_lines_read_like_those_of_ls() {
        let path = EntryPath::parse(b"/a\nb").unwrap();
        let file = entry(EntryKind::File(Content::EMPTY), 0o4755);
        assert_eq!(
            line(&path, &file, true, &TimeZone::UTC),
            "-rwsr-xr-x root     1234               42 1970-01-01 00:00:00 /a\\nb"
        );
        let link = entry(EntryKind::Symlink(b"x\x1b".to_vec()), 0o777);
        assert!(line(&path, &link, true, &TimeZone::UTC).ends_with("/a\\nb -> x\\u{1b}"));
        assert_eq!(line(&path, &link, false, &TimeZone::UTC), "/a\\nb");
        let device = entry(EntryKind::BlockDevice { major: 8, minor: 1 }, 0o1666);
        assert!(line(&path, &device, true, &TimeZone::UTC).starts_with("brw-rw-rwT root     1234              8,1 "));
    }

    #[test]
    fn nodes_tell_what_is_known() {
        let path = EntryPath::parse(b"/a/b").unwrap();
        let node = node(&path, &entry(EntryKind::File(Content::EMPTY), 0o2644));
        assert_eq!(
            node,
            json!({
                "message_type": "node", "type": "file", "path": "/a/b", "name": "b", "uid": 0, "gid": 1234,
                "user": "root", "group": "", "mode": 0o2644, "permissions": "-rw-r-Sr--", "size": 42, "links": 2,
                "inode": 77, "mtime": "1970-01-01T00:00:00.000000005Z", "ctime": "1970-01-01T00:00:01Z",
            })
        );
    }
}
