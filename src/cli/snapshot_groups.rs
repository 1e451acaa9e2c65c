//! Snapshots in groups: of one host, of the same paths, with the same tags.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::escape;
use super::snapshot_list::{Shown, put_paths};
use crate::ops::retention;

/// What the snapshots of a group have in common. Parsed from `host`, `paths`, `tags` with commas between them; nothing puts
/// all into one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    pub host: bool,
    pub paths: bool,
    pub tags: bool,
}

/// What one group's snapshots have in common, as far as the grouping asks; paths and tags in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    host: Option<String>,
    paths: Option<Vec<Vec<u8>>>,
    tags: Option<Vec<String>>,
}

impl Grouping {
    /// By host and paths: what one and the same snapshot is taken of again and again.
    pub const SOURCE: Self = Self { host: true, paths: true, tags: false };

    /// Parses it, for a command line.
    ///
    /// # Errors
    /// When a word is none of the three.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut grouping = Self { host: false, paths: false, tags: false };
        for word in text.split(',').filter(|word| !word.is_empty()) {
            match word {
                "host" => grouping.host = true,
                "path" | "paths" => grouping.paths = true,
                "tag" | "tags" => grouping.tags = true,
                _ => return Err("groups are made by `host`, `paths` and `tags`, with commas between them".to_owned()),
            }
        }
        Ok(grouping)
    }

    /// The groups in the order of what they have in common; snapshots keep theirs.
    pub fn divide<'a>(self, snapshots: Vec<Shown<'a>>) -> BTreeMap<Group, Vec<Shown<'a>>> {
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for snapshot in snapshots {
            groups.entry(self.group(&snapshot)).or_default().push(snapshot);
        }
        groups
    }

    /// The same for retention, which knows no names.
    pub const fn for_retention(self) -> retention::Grouping {
        retention::Grouping { host: self.host, paths: self.paths, tags: self.tags }
    }

    /// The group of a snapshot.
    pub fn group(self, snapshot: &Shown<'_>) -> Group {
        let listed = snapshot.listed();
        let (mut paths, mut tags) = (listed.paths, listed.tags);
        paths.sort_unstable();
        tags.sort_unstable();
        Group {
            host: self.host.then_some(listed.host),
            paths: self.paths.then_some(paths),
            tags: self.tags.then_some(tags),
        }
    }
}

impl Group {
    /// A heading for people; none if all snapshots are in one group.
    pub fn heading(&self) -> Option<String> {
        let or_none = |words: String| if words.is_empty() { "none".to_owned() } else { words };
        let host = self.host.as_ref().map(|host| format!("host {}", escape::line(host)));
        let paths = self.paths.as_ref().map(|paths| format!("paths {}", or_none(escape::paths(paths))));
        let tags = self.tags.as_ref().map(|tags| tags.iter().map(|tag| escape::line(tag)).collect::<Vec<_>>());
        let tags = tags.map(|tags| format!("tags {}", or_none(tags.join(","))));
        let parts: Vec<_> = [host, paths, tags].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// One JSON object, which stands before the group's snapshots.
    pub fn json(&self, snapshots: usize) -> Value {
        let mut key = json!({});
        if let Some(host) = &self.host {
            key["hostname"] = host.as_str().into();
        }
        if let Some(paths) = &self.paths {
            put_paths(&mut key, paths);
        }
        if let Some(tags) = &self.tags {
            key["tags"] = tags.clone().into();
        }
        json!({ "message_type": "snapshot_group", "group_key": key, "snapshots_count": snapshots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_make_a_grouping() {
        assert_eq!(Grouping::parse("host,paths"), Ok(Grouping::SOURCE));
        assert_eq!(Grouping::parse("tags,path"), Ok(Grouping { host: false, paths: true, tags: true }));
        assert_eq!(Grouping::parse(""), Ok(Grouping { host: false, paths: false, tags: false }));
        assert!(Grouping::parse("host,user").unwrap_err().contains("`tags`"));
    }

    #[test]
    fn headings_show_names_and_do_not_obey_them() {
        let group =
            Group { host: Some("a\u{1b}b".to_owned()), paths: Some(vec![b"/\n".to_vec()]), tags: Some(Vec::new()) };
        assert_eq!(group.heading().as_deref(), Some("host a\\u{1b}b, paths /\\n, tags none"));
        assert_eq!(Group { host: None, paths: None, tags: None }.heading(), None);
        let key = &Group { host: None, paths: Some(vec![b"/\xff".to_vec()]), tags: None }.json(2)["group_key"];
        assert_eq!(*key, json!({ "paths": ["/\u{fffd}"], "paths_hex": [{ "path": "/\u{fffd}", "path_hex": "2fff" }] }));
    }
}
