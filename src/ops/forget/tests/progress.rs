//! Which partial snapshots are superseded, and by which.

use super::super::candidates::progress;
use super::*;
use crate::ops::retention::Progress;
use crate::repo::id::{PrincipalId, Token, WriterId};
use crate::repo::names::SessionName;
use crate::repo::record::Completeness;

#[test]
fn what_is_partial_is_superseded_by_what_is_complete_and_came_after_it() {
    let world = World::new();
    world.snapshot(1, 10);
    let known = world.open().snapshots()[0].clone();
    let taken = |writer: u8, seq: u64, seconds: i64| {
        let mut one = known.clone();
        one.session = SessionName { writer: WriterId([writer; 16]), seq };
        one.structure.time = Timestamp { seconds, nanoseconds: 0 };
        one
    };
    let mut partial = taken(1, 5, 1000);
    partial.structure.completeness = Completeness::Partial;
    let beside = |other: &Snapshot| progress(&partial, &[other]);
    // A writer's own sessions are in order, whatever its clock says.
    assert_eq!(beside(&taken(1, 6, 900)), Progress::Superseded);
    assert_eq!(beside(&taken(1, 4, 1100)), Progress::Unfinished);
    assert_eq!(beside(&taken(1, 5, 1100)), Progress::Unfinished, "the same session");
    // Of two writers only the clocks tell.
    assert_eq!(beside(&taken(2, 4, 1001)), Progress::Superseded);
    assert_eq!(beside(&taken(2, 6, 999)), Progress::Unfinished);
    assert_eq!(beside(&taken(2, 6, 1000)), Progress::Unfinished, "neither is later");
    // What is of something else says nothing.
    let (mut host, mut paths, mut principal) = (taken(1, 6, 1100), taken(1, 6, 1100), taken(1, 6, 1100));
    host.structure.tokens.host = Token([7; 16]);
    paths.structure.tokens.paths = Token([7; 16]);
    principal.principal = PrincipalId([7; 16]);
    for other in [host, paths, principal] {
        assert_eq!(beside(&other), Progress::Unfinished);
    }
    assert_eq!(progress(&partial, &[]), Progress::Unfinished);
    assert_eq!(progress(&taken(1, 5, 1000), &[&taken(1, 6, 1100)]), Progress::Complete);
}
