//! What is tried: configurations in which every rule is kept, and the smallest ones in which a rule is left out.

use crate::broken::Broken;
use crate::setup::{Role, Setup};

const PRUNER: &[Role] = &[Role::Prunes];
const PRUNERS: &[Role] = &[Role::Prunes, Role::Prunes];
const ALL_IN_ONE: &[Role] = &[Role::Both];
const SPLIT: &[Role] = &[Role::Prunes, Role::Checkpoints];

/// A writer and a pruner: rules I1 to I8, with a crash and a FORGET anywhere.
const PRUNING: Setup = Setup { maintainers: PRUNER, ..Setup::SMALLEST };
/// A writer and a maintainer that also makes checkpoints: I10 and I11 too.
const CHECKPOINTS: Setup = Setup { maintainers: ALL_IN_ONE, ..Setup::SMALLEST };
/// CONDEMN says what it marked, and forgets are undone.
const REUSE: Setup = Setup { reuse: true, careful: true, unforgets: true, ..PRUNING };
/// CONDEMN names only what is dispensable.
const CAREFUL: Setup = Setup { careful: true, ..PRUNING };
const STRANGER: Setup = Setup { stranger: true, ..PRUNING };
/// A session that died is taken up again, while its puts still arrive.
const RESUMED_LATE: Setup = Setup { sessions: 2, late: true, forgets: false, one_beginning: true, ..CHECKPOINTS };
const SEGMENTS_COPIED: Setup = Setup { segments: true, repack: true, one_beginning: true, ..CHECKPOINTS };
const TWO_AND_CHECKPOINTS: Setup = Setup { writers: 2, one_beginning: true, ..CHECKPOINTS };

/// A configuration in which nothing may be lost.
pub struct Kept {
    /// Its name in `docs/protocol.md`, which says how many states it has.
    pub what: &'static str,
    pub setup: Setup,
}

const fn kept(what: &'static str, setup: Setup) -> Kept {
    Kept { what, setup }
}

/// Searched to the end at every change.
pub const KEPT: &[Kept] = &[
    kept("1 writer, 1 pruner", PRUNING),
    kept("1 writer, 2 pruners", Setup { maintainers: PRUNERS, ..PRUNING }),
    kept("2 writers, 1 pruner", Setup { writers: 2, ..PRUNING }),
    kept("2 writers, 2 pruners", Setup { writers: 2, maintainers: PRUNERS, one_beginning: true, ..PRUNING }),
    kept("1 writer, 1 pruner that condemns with care", CAREFUL),
    kept("2 sessions", Setup { sessions: 2, ..PRUNING }),
    kept("checkpoints", CHECKPOINTS),
    kept("checkpoints by a maintainer of their own", Setup { maintainers: SPLIT, ..PRUNING }),
    kept("2 writers, checkpoints", TWO_AND_CHECKPOINTS),
    kept("2 sessions, checkpoints: collected, resumed", Setup { sessions: 2, one_beginning: true, ..CHECKPOINTS }),
    kept("late puts of pack, idx, end", Setup { late: true, one_beginning: true, ..CHECKPOINTS }),
    kept("2 writers, late puts", Setup { late: true, writers: 2, one_beginning: true, ..PRUNING }),
    kept("a late put of open", Setup { late_open: true, ..CHECKPOINTS }),
    kept("late puts of a session that is resumed", RESUMED_LATE),
    kept("undone forgets", Setup { unforgets: true, ..PRUNING }),
    kept("undone forgets, checkpoints", Setup { unforgets: true, ..CHECKPOINTS }),
    kept("a pin", Setup { reader: true, ..PRUNING }),
    kept("a pin, checkpoints", Setup { reader: true, ..CHECKPOINTS }),
    kept("reuse of a parent's subtrees", REUSE),
    kept("reuse, a pin", Setup { reader: true, ..REUSE }),
    kept("reuse, checkpoints", Setup { maintainers: ALL_IN_ONE, ..REUSE }),
    kept("reuse, 2 sessions", Setup { sessions: 2, unforgets: false, ..REUSE }),
    kept("a partial snapshot", Setup { sessions: 2, partial: true, ..PRUNING }),
    kept("repacking", Setup { repack: true, one_beginning: true, ..CHECKPOINTS }),
    kept("segments", Setup { segments: true, ..PRUNING }),
    kept("bad places by a stranger", STRANGER),
    kept("a stranger whom one writer trusts", Setup { a_trusts_stranger: true, ..STRANGER }),
    kept(
        "2 writers, one trusts a stranger",
        Setup { a_trusts_stranger: true, writers: 2, one_beginning: true, ..STRANGER },
    ),
    kept("ATTEST", Setup { attest: true, ..STRANGER }),
    kept("REVOKE", Setup { revoke: true, ..PRUNING }),
    kept("REVOKE, checkpoints", Setup { revoke: true, ..CHECKPOINTS }),
    kept("REVOKE of one of 2 writers", Setup { revoke: true, writers: 2, one_beginning: true, ..PRUNING }),
    kept("sync", Setup { sync: true, ..PRUNING }),
    kept("sync, checkpoints", Setup { sync: true, ..CHECKPOINTS }),
    kept("sessions aborted that were never opened", Setup { seal: true, ..CHECKPOINTS }),
];

/// Searched to the end with `BOVEDA_TEST_FULL=1`, else for their first states.
pub const LARGE: &[Kept] = &[
    kept("repacked segments", SEGMENTS_COPIED),
    kept("reuse, 2 pruners", Setup { maintainers: PRUNERS, ..REUSE }),
    kept("all late puts, three beginnings", Setup { late: true, late_open: true, ..CHECKPOINTS }),
    kept("repacking, three beginnings", Setup { repack: true, ..CHECKPOINTS }),
    kept("2 sessions, checkpoints, three beginnings", Setup { sessions: 2, ..CHECKPOINTS }),
];

/// The smallest configuration in which leaving out a rule loses something.
pub fn without(rule: Broken) -> Setup {
    let smallest = match rule {
        Broken::CommitsEarly
        | Broken::ReadsLogBeforeOpen
        | Broken::ListsBeforeCondemn
        | Broken::StaleListing
        | Broken::DeletesCondemned => PRUNING,
        Broken::FinalUnmarked => CAREFUL,
        Broken::ListsAfterLog => TWO_AND_CHECKPOINTS,
        Broken::ReusesAnyParent | Broken::UndoneStaysMarked => REUSE,
        Broken::OverwritesEnd => Setup { maintainers: SPLIT, ..PRUNING },
        Broken::FinalAnywhere | Broken::FinalIgnoresAge => Setup { maintainers: PRUNERS, ..PRUNING },
        Broken::TrustsPartial => Setup { sessions: 2, partial: true, ..PRUNING },
        Broken::ResumesByTail => RESUMED_LATE,
        Broken::DeletesForOneSegment => Setup { segments: true, ..PRUNING },
        Broken::UsesCondemnedSegments => SEGMENTS_COPIED,
        Broken::VoidCounts
        | Broken::SkipsRecheck
        | Broken::VoidThoughListed
        | Broken::CondemnsUnresolved
        | Broken::CoversUnopened
        | Broken::AnyIdxCounts => CHECKPOINTS,
        Broken::PinsAfterLog | Broken::IgnoresPins => Setup { reader: true, ..PRUNING },
        Broken::UnforgetAnywhere => Setup { unforgets: true, ..PRUNING },
        Broken::DropsForgotten => Setup { unforgets: true, ..CHECKPOINTS },
        Broken::SyncKeepsNames => Setup { sync: true, ..PRUNING },
        Broken::WriterTrustsAll | Broken::PrunerTrustsAll => STRANGER,
        Broken::PrunerTrustsForOne => Setup { a_trusts_stranger: true, ..STRANGER },
        Broken::AttestsUnread => Setup { attest: true, ..STRANGER },
        Broken::RevokeRemovesPlaces => Setup { revoke: true, ..PRUNING },
    };
    Setup { broken: Some(rule), ..smallest }
}
