//! How snapshots are shown: a table for people, a JSON line each for scripts; and what a selector needs to know of them.
//!
//! A maintainer's keys open only the structure of a record: then host, paths and tags are not shown at all.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::output::{put_path, size};
use super::selector::Listed;
use super::{escape, time};
use crate::repo::id::SnapshotId;
use crate::repo::record::{Completeness, Private, SnapshotKind, Structure};

/// One snapshot, as far as the keys at hand open it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Its id.
    pub id: SnapshotId,
    /// The part that every reader and maintainer opens.
    pub structure: &'a Structure,
    /// The part that only readers open.
    pub private: Option<&'a Private>,
    /// Its tags as they are now.
    pub tags: &'a [String],
}

impl Shown<'_> {
    /// What a selector needs to know.
    pub fn listed(&self) -> Listed {
        Listed {
            id: self.id,
            time: self.structure.time,
            host: self.private.map(|private| private.host.clone()).unwrap_or_default(),
            paths: self.private.map(|private| private.paths.clone()).unwrap_or_default(),
            tags: self.tags.to_vec(),
            partial: self.structure.completeness == Completeness::Partial,
        }
    }

    /// One JSON object, with the names that restic gives to the same things.
    pub fn json(&self) -> Value {
        let mut object = json!({
            "message_type": "snapshot",
            "id": self.id.to_string(),
            "short_id": self.id.short(),
            "time": time::rfc3339(self.structure.time),
            "tree": self.structure.root.to_string(),
            "kind": kind(self.structure),
            "partial": self.structure.completeness == Completeness::Partial,
            "total_entries": self.structure.entries,
            "total_bytes": self.structure.bytes,
        });
        if let Some(parent) = self.structure.parent {
            object["parent"] = parent.to_string().into();
        }
        if let Some(private) = self.private {
            put_private(&mut object, private);
            object["tags"] = self.tags.into();
        }
        object
    }

    fn row(&self, zone: &TimeZone) -> [String; 7] {
        let partial = if self.structure.completeness == Completeness::Partial { " (partial)" } else { "" };
        let text = |field: fn(&Private) -> String| self.private.map(field).unwrap_or_default();
        [
            self.id.short(),
            time::local(self.structure.time, zone),
            text(|private| escape::line(&private.host)),
            escape::line(&self.tags.join(",")),
            format!("{}{partial}", kind(self.structure)),
            size(self.structure.bytes),
            text(|private| escape::paths(&private.paths)),
        ]
    }
}

fn put_private(object: &mut Value, private: &Private) {
    let statistics = &private.statistics;
    object["hostname"] = private.host.as_str().into();
    object["username"] = private.user.as_str().into();
    if let Some(original) = private.original {
        object["original"] = original.to_string().into();
    }
    object["uid"] = private.uid.into();
    object["gid"] = private.gid.into();
    object["excludes"] = private.excludes.clone().into();
    object["program_version"] = private.program.as_str().into();
    put_paths(object, &private.paths);
    object["summary"] = json!({
        "backup_start": time::rfc3339(private.started),
        "backup_end": time::rfc3339(private.finished),
        "files_new": statistics.files_new,
        "files_changed": statistics.files_changed,
        "files_unmodified": statistics.files_unmodified,
        "dirs_new": statistics.dirs_new,
        "dirs_changed": statistics.dirs_changed,
        "dirs_unmodified": statistics.dirs_unmodified,
        "data_blobs": statistics.data_chunks,
        "tree_blobs": statistics.catalog_chunks,
        "data_added": statistics.bytes_added,
        "data_added_packed": statistics.bytes_stored,
        "total_files_processed": statistics.files_new + statistics.files_changed + statistics.files_unmodified,
        "total_bytes_processed": statistics.bytes_processed,
        "error_count": statistics.errors,
    });
}

/// Puts paths into an object: as text, and where that loses something, exactly.
pub fn put_paths(object: &mut Value, paths: &[Vec<u8>]) {
    object["paths"] = paths.iter().map(|path| String::from_utf8_lossy(path)).collect::<Vec<_>>().into();
    if paths.iter().any(|path| std::str::from_utf8(path).is_err()) {
        let exactly = paths.iter().map(|path| {
            let mut one = json!({});
            put_path(&mut one, "path", path);
            one
        });
        object["paths_hex"] = exactly.collect::<Vec<_>>().into();
    }
}

const fn kind(structure: &Structure) -> &'static str {
    match structure.kind {
        SnapshotKind::Full => "full",
        SnapshotKind::Incremental => "incremental",
    }
}

/// A table: columns as wide as their widest cell, the last one ragged; columns that say nothing are left out.
pub fn table(snapshots: &[Shown<'_>], zone: &TimeZone) -> Vec<String> {
    columns(snapshots, zone, |_| true)
}

/// The same without kind, size and paths; partial snapshots still say that they are.
pub fn compact(snapshots: &[Shown<'_>], zone: &TimeZone) -> Vec<String> {
    let partial = snapshots.iter().any(|snapshot| snapshot.structure.completeness == Completeness::Partial);
    columns(snapshots, zone, |column| column < 4 || (column == 4 && partial))
}

fn columns(snapshots: &[Shown<'_>], zone: &TimeZone, wanted: impl Fn(usize) -> bool) -> Vec<String> {
    let mut rows = vec![["ID", "Time", "Host", "Tags", "Kind", "Size", "Paths"].map(str::to_owned)];
    rows.extend(snapshots.iter().map(|snapshot| snapshot.row(zone)));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let empty = |column: usize| rows[1..].iter().all(|row| row[column].is_empty());
    let columns: Vec<usize> = (0..rows[0].len()).filter(|&column| wanted(column) && !empty(column)).collect();
    let line = |row: &[String; 7]| {
        let cells = columns.iter().map(|&column| format!("{:<width$}", row[column], width = widths[column]));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::entry::Timestamp;
    use crate::repo::id::{ChunkId, Token};
    use crate::repo::record::{SourceKind, Tokens};

    fn structure() -> Structure {
        Structure {
            root: ChunkId([1; 32]),
            entries: 3,
            bytes: 2048,
            source: SourceKind::FILES,
            kind: SnapshotKind::Incremental,
            completeness: Completeness::Partial,
            tokens: Tokens { host: Token([0; 16]), paths: Token([0; 16]), tags: Vec::new() },
            time: Timestamp { seconds: 3600, nanoseconds: 0 },
            heads: [0; 32],
            parent: None,
            extensions: Default::default(),
        }
    }

    fn private() -> Private {
        Private {
            host: "web\u{1b}1".to_owned(),
            paths: vec![b"/etc".to_vec(), b"/a\xff".to_vec()],
            tags: vec!["x".to_owned()],
            ..Private::default()
        }
    }

    #[test]
    fn the_table_shows_what_the_keys_open() {
        let (structure, private) = (structure(), private());
        let id = SnapshotId([0xab; 32]);
        let shown = Shown { id, structure: &structure, private: Some(&private), tags: &private.tags };
        let zone = TimeZone::UTC;
        assert_eq!(
            table(&[shown], &zone),
            [
                "ID        Time                 Host        Tags  Kind                   Size      Paths",
                "abababab  1970-01-01 01:00:00  web\\u{1b}1  x     incremental (partial)  2.00 KiB  /etc /a\\xff",
            ]
        );
        assert_eq!(compact(&[shown], &zone)[0], "ID        Time                 Host        Tags  Kind");
        let complete = Structure { completeness: Completeness::Complete, ..structure.clone() };
        let whole = Shown { structure: &complete, ..shown };
        assert_eq!(compact(&[whole], &zone)[1], "abababab  1970-01-01 01:00:00  web\\u{1b}1  x");
        let blind = Shown { private: None, tags: &[], ..shown };
        assert_eq!(table(&[blind], &zone)[1], "abababab  1970-01-01 01:00:00  incremental (partial)  2.00 KiB");
        assert!(shown.listed().partial);
    }

    #[test]
    fn json_names_are_those_that_scripts_know() {
        let (structure, private) = (structure(), private());
        let shown =
            Shown { id: SnapshotId([0xab; 32]), structure: &structure, private: Some(&private), tags: &private.tags };
        let value = shown.json();
        assert_eq!((&value["message_type"], &value["short_id"]), (&json!("snapshot"), &json!("abababab")));
        assert_eq!((&value["time"], &value["hostname"]), (&json!("1970-01-01T01:00:00Z"), &json!("web\u{1b}1")));
        assert_eq!(value["paths"], json!(["/etc", "/a\u{fffd}"]));
        assert_eq!(value["paths_hex"][1]["path_hex"], json!("2f61ff"));
        assert_eq!(value["summary"]["files_new"], json!(0));
    }
}
