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
        Broken::ReusesAnyParent | Broken::UndoneStaysMarked => {
            Setup { reuse: true, careful: true, unforgets: true, ..one }
        }
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
        let r = search(&without(rule), usize::MAX);
        println!("{rule:?}: {} {:?}", r, t.elapsed());
    }
}

#[test]
fn kept() {
    const PRUNER: &[Role] = &[Role::Prunes];
    const PRUNERS: &[Role] = &[Role::Prunes, Role::Prunes];
    const ALL: &[Role] = &[Role::Both];
    const SPLIT: &[Role] = &[Role::Prunes, Role::Checkpoints];
    let one = Setup { maintainers: PRUNER, ..Setup::SMALLEST };
    let two = Setup { writers: 2, ..one };
    let ck = Setup { maintainers: ALL, ..one };
    let list = [
        ("1x1", one),
        ("1x2", Setup { maintainers: PRUNERS, ..one }),
        ("2x1", two),
        ("2x1one", Setup { one_beginning: true, ..two }),
        ("2x2", Setup { maintainers: PRUNERS, ..two }),
        ("2x2one", Setup { maintainers: PRUNERS, one_beginning: true, ..two }),
        ("both", ck),
        ("split", Setup { maintainers: SPLIT, ..one }),
        ("2both-one", Setup { writers: 2, one_beginning: true, ..ck }),
        ("2both", Setup { writers: 2, ..ck }),
        ("nq2", Setup { sessions: 2, ..one }),
        ("nq2both-one", Setup { sessions: 2, one_beginning: true, ..ck }),
        ("nq2both", Setup { sessions: 2, ..ck }),
        ("late", Setup { late: true, ..ck }),
        ("lateopen", Setup { late_open: true, ..ck }),
        ("lateall", Setup { late: true, late_open: true, ..ck }),
        ("nq2late", Setup { sessions: 2, late: true, forgets: false, one_beginning: true, ..ck }),
        ("2late", Setup { writers: 2, late: true, one_beginning: true, ..one }),
        ("2lateboth", Setup { writers: 2, late: true, one_beginning: true, ..ck }),
        ("unforget", Setup { unforgets: true, ..ck }),
        ("unforget1", Setup { unforgets: true, ..one }),
        ("reader", Setup { reader: true, ..ck }),
        ("reader1", Setup { reader: true, ..one }),
        ("reuse", Setup { reuse: true, careful: true, unforgets: true, ..one }),
        ("reuserd", Setup { reuse: true, careful: true, unforgets: true, reader: true, ..one }),
        ("reuse2", Setup { reuse: true, careful: true, unforgets: true, maintainers: PRUNERS, ..one }),
        ("reuseck", Setup { reuse: true, careful: true, unforgets: true, ..ck }),
        ("reusenq2", Setup { reuse: true, careful: true, sessions: 2, ..one }),
        ("partial", Setup { sessions: 2, partial: true, ..one }),
        ("repack", Setup { repack: true, ..ck }),
        ("segments", Setup { segments: true, ..one }),
        ("segrepack", Setup { segments: true, repack: true, ..ck }),
        ("segrepack-one", Setup { segments: true, repack: true, one_beginning: true, ..ck }),
        ("stranger", Setup { stranger: true, ..one }),
        ("atrusts", Setup { stranger: true, a_trusts_stranger: true, ..one }),
        ("attest", Setup { stranger: true, attest: true, ..one }),
        ("revoke", Setup { revoke: true, ..one }),
        ("revokeck", Setup { revoke: true, ..ck }),
        ("2revoke", Setup { revoke: true, one_beginning: true, ..two }),
        ("sync", Setup { sync: true, ..one }),
        ("syncck", Setup { sync: true, ..ck }),
        ("seal", Setup { seal: true, ..ck }),
    ];
    let want = std::env::var("R").unwrap_or_default();
    for (name, setup) in list {
        if !want.split(',').any(|w| w == name) {
            continue;
        }
        let t = std::time::Instant::now();
        let r = search(&setup, usize::MAX);
        println!("{name}: {r} {:?}", t.elapsed());
    }
}
