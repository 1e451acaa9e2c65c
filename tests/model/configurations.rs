use crate::broken::Broken;
use crate::check::search;
use crate::setup::{Role, Setup};

/// The smallest configuration in which leaving out a rule loses something.
fn without(rule: Broken) -> Setup {
    const PRUNER: &[Role] = &[Role::Prunes];
    const PRUNERS: &[Role] = &[Role::Prunes, Role::Prunes];
    const ALL_IN_ONE: &[Role] = &[Role::Both];
    const SPLIT: &[Role] = &[Role::Prunes, Role::Checkpoints];
    let one = Setup { maintainers: PRUNER, broken: Some(rule), ..Setup::SMALLEST };
    let stranger = Setup { stranger: true, ..one };
    match rule {
        Broken::CommitsEarly
        | Broken::ReadsLogBeforeOpen
        | Broken::ListsBeforeCondemn
        | Broken::StaleListing
        | Broken::DeletesCondemned => one,
        Broken::ListsAfterLog => Setup { writers: 2, one_beginning: true, maintainers: ALL_IN_ONE, ..one },
        Broken::ReusesAnyParent => Setup { reuse: true, careful: true, unforgets: true, ..one },
        Broken::OverwritesEnd => Setup { maintainers: SPLIT, ..one },
        Broken::FinalAnywhere | Broken::FinalIgnoresAge => Setup { maintainers: PRUNERS, ..one },
        Broken::TrustsPartial => Setup { sessions: 2, partial: true, ..one },
        Broken::ResumesByTail => {
            Setup { sessions: 2, maintainers: ALL_IN_ONE, late: true, forgets: false, one_beginning: true, ..one }
        }
        Broken::DeletesForOneSegment => Setup { segments: true, ..one },
        Broken::UsesCondemnedSegments => Setup { segments: true, repack: true, maintainers: ALL_IN_ONE, ..one },
        Broken::VoidCounts
        | Broken::SkipsRecheck
        | Broken::VoidThoughListed
        | Broken::CoversUnopened
        | Broken::AnyIdxCounts => Setup { maintainers: ALL_IN_ONE, ..one },
        Broken::PinsAfterLog | Broken::IgnoresPins => Setup { reader: true, ..one },
        Broken::UnforgetAnywhere => Setup { unforgets: true, ..one },
        Broken::DropsForgotten => Setup { unforgets: true, maintainers: ALL_IN_ONE, ..one },
        Broken::SyncKeepsNames => Setup { sync: true, ..one },
        Broken::WriterTrustsAll | Broken::PrunerTrustsAll => stranger,
        Broken::PrunerTrustsForOne => Setup { a_trusts_stranger: true, ..stranger },
        Broken::AttestsUnread => Setup { attest: true, ..stranger },
        Broken::RevokeRemovesPlaces => Setup { revoke: true, ..one },
    }
}

#[test]
fn tmp() {
    for &rule in Broken::ALL {
        if std::env::var("R").is_ok_and(|r| !r.split(',').any(|r| r == format!("{rule:?}"))) {
            continue;
        }
        let t = std::time::Instant::now();
        let r = search(&without(rule));
        println!("{rule:?}: {} {:?}", r, t.elapsed());
    }
}
