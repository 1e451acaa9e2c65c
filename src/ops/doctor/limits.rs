//! Limits of this process: no core dumps with keys in them, enough open files.

use super::Finding;
use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

/// Files that a mount with many readers may hold open.
const FILES: u64 = 1024;

/// Looks at the limits. The program closes itself to dumps when it starts, so a finding means that the system did not let it.
pub fn limits() -> Vec<Finding> {
    let none = getrlimit(Resource::Core).current == Some(0);
    let closed = dumpable_behavior().is_ok_and(|behaviour| behaviour == DumpableBehavior::NotDumpable);
    vec![judge_dumps(none, closed), judge_files(getrlimit(Resource::Nofile).current)]
}

fn judge_dumps(none: bool, closed: bool) -> Finding {
    if none && closed {
        return Finding::ok("dumps", "no core dump can be made of boveda, so keys stay in memory");
    }
    Finding::warning(
        "dumps",
        "the system lets core dumps be made of boveda, with keys in them",
        "set `ulimit -c 0` (or LimitCORE=0 in the service) where boveda is started",
    )
}

fn judge_files(limit: Option<u64>) -> Finding {
    match limit {
        Some(limit) if limit < FILES => Finding::warning(
            "limits",
            format!("only {limit} files may be open at a time"),
            format!("set `ulimit -n {FILES}` or more (LimitNOFILE in a service)"),
        ),
        _ => Finding::ok("limits", "enough files may be open at a time"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn limits_are_judged() {
        assert_eq!(judge_dumps(true, true).status, Status::Ok);
        assert_eq!(judge_dumps(true, false).status, Status::Warning);
        assert_eq!(judge_dumps(false, true).status, Status::Warning);
        for (limit, status) in [(Some(FILES - 1), Status::Warning), (Some(FILES), Status::Ok), (None, Status::Ok)] {
            assert_eq!(judge_files(limit).status, status);
        }
        crate::secrets::harden().unwrap();
        assert_eq!(limits()[0].status, Status::Ok);
    }
}
