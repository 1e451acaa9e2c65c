//! What places said of packs when the bytes there were known to be right: what they say later is compared with it.

use super::StateDb;
use crate::event::Sink;
use crate::repo::id::{PackId, RepositoryId};
use rusqlite::params;
use std::collections::HashMap;

impl StateDb {
    /// What is remembered of the packs of a repository or a copy.
    pub fn marks(&self, place: &RepositoryId, sink: &dyn Sink) -> HashMap<PackId, String> {
        self.with(sink, |connection| {
            let mut select = connection.prepare("SELECT pack, mark FROM marks WHERE repository = ?1")?;
            let marks = select.query_map([&place.0[..]], |row| Ok((PackId(row.get(0)?), row.get(1)?)))?;
            marks.collect()
        })
    }

    /// Remembers what a place says of packs whose bytes there are right.
    pub fn set_marks(&self, place: &RepositoryId, marks: &[(PackId, String)], sink: &dyn Sink) {
        if marks.is_empty() {
            return;
        }
        self.with(sink, |connection| {
            let transaction = connection.transaction()?;
            for (pack, mark) in marks {
                transaction.execute(
                    "INSERT INTO marks (repository, pack, mark) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET mark = excluded.mark",
                    params![place.0, pack.0, mark],
                )?;
            }
            transaction.commit()
        });
    }

    /// Remembers nothing more of these packs.
    pub fn forget_marks(&self, place: &RepositoryId, packs: &[PackId], sink: &dyn Sink) {
        if packs.is_empty() {
            return;
        }
        self.with(sink, |connection| {
            let transaction = connection.transaction()?;
            for pack in packs {
                transaction
                    .execute("DELETE FROM marks WHERE repository = ?1 AND pack = ?2", params![place.0, pack.0])?;
            }
            transaction.commit()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;

    #[test]
    fn marks_are_of_one_place_and_the_last_one_counts() {
        let state = tempfile::tempdir().unwrap();
        let open = || StateDb::open(state.path(), &Silent);
        let (here, there) = (RepositoryId([1; 32]), RepositoryId([2; 32]));
        let (a, b) = (PackId([1; 32]), PackId([2; 32]));
        open().set_marks(&here, &[(a, "tag:1".to_owned()), (b, "tag:2".to_owned())], &Silent);
        open().set_marks(&here, &[(a, "tag:3".to_owned())], &Silent);
        open().set_marks(&there, &[(a, "tag:4".to_owned())], &Silent);
        open().forget_marks(&here, &[b], &Silent);
        assert_eq!(open().marks(&here, &Silent), HashMap::from([(a, "tag:3".to_owned())]));
        assert_eq!(open().marks(&there, &Silent), HashMap::from([(a, "tag:4".to_owned())]));
    }
}
