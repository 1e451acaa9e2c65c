//! Whether this machine's clock can be right.

use super::Finding;
use crate::repo::entry::Timestamp;

/// 2026-01-01: no machine that runs this program lives before it.
const PAST: i64 = 1_767_225_600;
/// Seconds that clocks of two machines may differ without harm.
const APART: i64 = 300;

/// Judges the clock by the program's age and by the newest snapshot that is known.
pub fn clock(now: Timestamp, newest: Option<Timestamp>) -> Finding {
    const CURE: &str = "set the clock, or let systemd-timesyncd, chrony or ntpd do so";
    let ahead = newest.map_or(0, |newest| newest.seconds - now.seconds);
    if now.seconds < PAST {
        Finding::broken("clock", "the clock is years behind: snapshots would seem older than they are", CURE)
    } else if ahead > APART {
        let text = format!(
            "the newest snapshot is {} minutes in the future: this clock is behind, or another ahead",
            ahead / 60
        );
        Finding::warning("clock", text, CURE)
    } else {
        Finding::ok("clock", "the clock can be right")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_what_cannot_be() {
        let at = |seconds| Timestamp { seconds, nanoseconds: 0 };
        let now = at(PAST + 86_400);
        for (now, newest, status) in [
            (at(0), None, Status::Broken),
            (now, None, Status::Ok),
            (now, Some(at(PAST)), Status::Ok),
            (now, Some(at(now.seconds + APART)), Status::Ok),
            (now, Some(at(now.seconds + APART + 1)), Status::Warning),
        ] {
            assert_eq!(clock(now, newest).status, status);
        }
    }
}
