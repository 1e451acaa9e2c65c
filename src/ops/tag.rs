//! `tag`: other tags for snapshots that exist.

use crate::repo::id::SnapshotId;
use crate::repo::keys::role::Role;
use crate::repo::repository::{Error, Repository};

/// What becomes of the tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Exactly these, whatever there was.
    pub set: Option<Vec<String>>,
    /// These too.
    pub add: Vec<String>,
    /// These no more.
    pub remove: Vec<String>,
}

/// A snapshot whose tags changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// Which.
    pub snapshot: SnapshotId,
    /// Its tags now; none with keys that do not read them.
    pub tags: Vec<String>,
}

/// Changes the tags of these snapshots; returns those that changed. Each is a decision of its own, so that a failure
/// half-way leaves the first ones changed.
///
/// # Errors
/// When the role does not allow it, or a decision cannot be entered.
pub fn tag(repository: &mut Repository, snapshots: &[SnapshotId], options: &Options) -> Result<Vec<Tagged>, Error> {
    let role = repository.bundle().role();
    if !role.may_maintain() {
        return Err(Error::Role { role, action: "changing tags" });
    }
    if options.set.is_some() && !role.reads_content() {
        return Err(Error::Role {
            role,
            action: "replacing tags, which they cannot read; add and remove them instead",
        });
    }
    let mut changed = Vec::new();
    for id in snapshots {
        let now = tags(repository, id);
        let (add, remove) = difference(&now, options, role);
        if !add.is_empty() || !remove.is_empty() {
            repository.tag(*id, add, remove)?;
            changed.push(*id);
        }
    }
    if !changed.is_empty() {
        repository.refresh()?;
    }
    Ok(changed.into_iter().map(|snapshot| Tagged { snapshot, tags: tags(repository, &snapshot) }).collect())
}

fn tags(repository: &Repository, id: &SnapshotId) -> Vec<String> {
    let found = repository.snapshots().iter().find(|snapshot| snapshot.id == *id);
    found.map(|snapshot| snapshot.tags.clone()).unwrap_or_default()
}

/// What to add to `now` and what to remove from it. Who cannot read tags enters what was asked for, needed or not.
fn difference(now: &[String], options: &Options, role: Role) -> (Vec<String>, Vec<String>) {
    let knows = role.reads_content();
    let wanted = options.set.as_ref().unwrap_or(&options.add);
    let mut add: Vec<String> = wanted.iter().filter(|tag| !now.contains(tag)).cloned().collect();
    let goes = |tag: &&String| match &options.set {
        Some(set) => !set.contains(tag),
        None => options.remove.contains(tag),
    };
    let mut remove: Vec<String> = if knows { now } else { &options.remove }.iter().filter(goes).cloned().collect();
    add.sort();
    add.dedup();
    remove.sort();
    remove.dedup();
    (add, remove)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn only_what_changes_is_entered() {
        let edit = Options { set: None, add: words("a c c"), remove: words("b x") };
        assert_eq!(difference(&words("a b"), &edit, Role::Admin), (words("c"), words("b")));
        let set = Options { set: Some(words("b d")), ..Options::default() };
        assert_eq!(difference(&words("a b"), &set, Role::Admin), (words("d"), words("a")));
        let clear = Options { set: Some(Vec::new()), ..Options::default() };
        assert_eq!(difference(&words("a b"), &clear, Role::Admin), (words(""), words("a b")));
    }

    #[test]
    fn who_cannot_read_tags_enters_all_that_was_asked_for() {
        let edit = Options { set: None, add: words("a"), remove: words("b") };
        assert_eq!(difference(&[], &edit, Role::Maintainer), (words("a"), words("b")));
    }
}
