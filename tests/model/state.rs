//! What there is: the objects in the store, the log as its fold, what is on its way, and what each process knows.

use crate::sets::{Chunks, Packs, Places, Sessions, Set, Snapshots};

/// A writer's sessions: number 2 × writer + 0 or 1. The pack of session k is number 2 + k.
pub const SESSIONS: usize = 4;
/// The second of the packs that were there before, or that the repository has that a sync copies from.
pub const SECOND: usize = 1;
/// The repacked copy, by a maintainer.
pub const COPY: usize = 6;
/// The pack whose origin is a stranger, who claims to hold both chunks.
pub const STRANGE: usize = 7;
/// The snapshot that was there before, the admin's.
pub const OLD: usize = 4;
/// Both chunks.
pub const BOTH: Chunks = Set(3);

/// Everything that decides what can happen next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct State {
    // The store.
    /// Packs that are there.
    pub present: Packs,
    /// What each pack holds, or held: names are used once, so this never changes for a name.
    pub holds: Places,
    /// Sessions whose `open` is there.
    pub open: Sessions,
    /// Each session's `end`.
    pub end: [End; SESSIONS],
    /// The packs that each session's idx objects describe.
    pub idx: [Packs; SESSIONS],
    /// Whether the reader's pin on the old snapshot is there.
    pub pin: bool,
    /// Whether the strange pack holds what it claims.
    pub strange_is_true: bool,

    // The log, folded.
    /// Places whose last entry is a CONDEMN.
    pub condemned: Places,
    /// Places that any entry made FINAL.
    pub finals: Places,
    /// Places that are FINAL as the newest census and the entries after it tell: deleted ones are left out.
    pub known_finals: Places,
    /// Snapshots that each pack's CONDEMN says it marked.
    pub marked: [Snapshots; 8],
    /// Snapshots that are forgotten.
    pub forgotten: Snapshots,
    /// The newest census: what its CHECKPOINT covers of each writer (the number of sessions) …
    pub watermark: [u8; 2],
    /// … the snapshots that it lists …
    pub census: Snapshots,
    /// … and the packs whose idx it names.
    pub census_idx: Packs,
    /// Whether writer A's principal is revoked, with none of its records accepted.
    pub revoked: bool,
    /// Whether a reader attested the stranger's session.
    pub attested: bool,

    // What people were told.
    /// Sessions whose writer was told that the snapshot is safe.
    pub acknowledged: Sessions,

    // Puts of each writer's first session that may still arrive.
    /// Of `open`.
    pub late_open: Set,
    /// Of the pack.
    pub late_pack: Set,
    /// Of the idx.
    pub late_idx: Set,
    /// Of a committing `end`.
    pub late_end: Set,

    // The processes.
    pub writers: [Writer; 2],
    pub maintainers: [Maintainer; 2],
    pub operator: Operator,
    pub reader: Reader,
}

/// The register that resolves a session, once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum End {
    #[default]
    Vacant,
    Commit,
    Abort,
}

/// A writer, in one of its sessions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Writer {
    pub phase: Writing,
    /// Which of its sessions: 0 or 1, or the number of sessions when all are over.
    pub session: u8,
    /// What it listed: the packs described by each session that has a commit.
    pub listed: [Packs; SESSIONS],
    /// What it read in the log and the census.
    pub reading: Reading,
    /// Chunks that it must upload.
    pub missing: Chunks,
    /// Whether it takes up the pack of its own dead session.
    pub resumes: bool,
    /// Whether the pack that it uploads keeps the name that it has in the repository it is copied from.
    pub keeps_name: bool,
}

/// What a writer does next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Writing {
    /// The first, second and third of three: put `open`, list, read the log. Their order is rule I3's.
    #[default]
    First,
    Second,
    Third,
    PutPack,
    PutIdx,
    PutEnd,
    Recheck,
    /// It found its own commit void.
    Void,
    /// It starts again after a crash.
    Restart,
    /// This session is over.
    Over,
}

/// What a writer takes from the log and the census at their tail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Reading {
    /// Condemned or FINAL as the census and the log's tail tell.
    pub absent: Places,
    /// Ever FINAL, as every entry of the log tells.
    pub finals: Places,
    pub watermark: [u8; 2],
    pub census_idx: Packs,
    /// Whether there is a parent whose subtrees may be reused without a walk.
    pub parent: bool,
}

/// A maintainer: it prunes, or makes checkpoints, or both.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Maintainer {
    pub phase: Maintaining,
    /// Whether nobody appended to the log since it read it.
    pub fresh: bool,
    /// Places whose CONDEMN is older than its listing of sessions.
    pub eligible: Places,
    /// Places that its next entry names.
    pub planned: Places,
    /// Whether that entry is a RESCUE, not a FINAL.
    pub rescues: bool,
    /// Snapshots that it marked for its CONDEMN.
    pub marks: Snapshots,
    /// Sessions that it listed and that must still resolve.
    pub awaited: Sessions,
    pub draft: Draft,
}

/// What a maintainer does next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Maintaining {
    #[default]
    Idle,
    Plan,
    Condemn,
    ListSessions,
    Wait,
    ReadLog,
    Mark,
    Decide,
    BuildCensus,
    Checkpoint,
}

/// A census that is built and not yet named by a CHECKPOINT.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Draft {
    pub watermark: [u8; 2],
    pub snapshots: Snapshots,
    pub idx: Packs,
    /// FINAL places of packs that were not yet deleted.
    pub finals: Places,
}

/// Whoever wants to undo a FORGET.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Operator {
    /// Whether it found every chunk of `snapshot` and is about to append UNFORGET.
    pub checked: bool,
    pub fresh: bool,
    pub snapshot: u8,
}

/// A reader that pins the old snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Reader {
    #[default]
    Idle,
    Begun,
    Reads,
    Over,
}

impl State {
    /// Appends to the log: whoever read it before is no longer at its end (I9).
    pub fn append(&mut self) {
        for maintainer in &mut self.maintainers {
            maintainer.fresh = false;
        }
        self.operator.fresh = false;
    }
}
