//! A step in words, for the trace of a loss.

use crate::sets::{Chunks, Places, Sessions};
use std::fmt::{self, Display, Formatter};

/// What a writer puts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Object {
    Open,
    Pack,
    Idx,
    End,
}

/// One step of one process: numbers are of sessions, maintainers, packs and snapshots as in [`crate::state`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    // The store.
    Delete(usize),
    Collect(usize),
    Late(Object, usize),
    // Writers.
    Open(usize),
    List(usize),
    WriterReadsLog(usize),
    /// After it read the log, or listed, whichever came last.
    Judge(usize, bool, Chunks),
    Reuse(usize),
    Trust(usize),
    NothingToPut(usize),
    Put(Object, usize),
    PutTwice(Object, usize),
    Hurries(usize),
    LosesEnd(usize),
    Acknowledge(usize),
    FindsVoid(usize),
    Accepts(usize),
    Crash(usize),
    CrashWhile(Object, usize),
    Restart(usize),
    NextSession(usize),
    // Maintainers.
    ReadsLog(usize),
    TakesOver(usize),
    Plans(usize, Places),
    Condemn(usize, Places),
    ListsSessions(usize, Sessions),
    Aborts(usize, usize),
    AllResolved(usize),
    Marks(usize, Places),
    Final(usize, Places),
    Rescue(usize, Places),
    Conflict(usize),
    NothingLeft(usize),
    GivesUp(usize),
    BuildsCensus(usize, [u8; 2]),
    Checkpoint(usize),
    Repack(usize, usize),
    // Operators and readers.
    Forget(usize),
    ChecksUnforget(usize),
    LosesUnforget(usize),
    Unforget(usize),
    Revoke,
    Attest,
    Pins,
    ReaderReadsLog,
    Refuses,
    Unpins,
}

/// A snapshot's name: its session's, or S for the one that was there before.
pub fn snapshot_name(snapshot: usize) -> &'static str {
    ["A0", "A1", "B0", "B1", "S"][snapshot]
}

fn pack_name(pack: usize) -> &'static str {
    ["P", "P'", "A0's pack", "A1's pack", "B0's pack", "B1's pack", "the copy", "the stranger's pack"][pack]
}

fn chunk_names(chunks: Chunks) -> &'static str {
    ["nothing", "a", "b", "a and b"][usize::from(chunks.0 & 3)]
}

/// `a and b in P, b in P'`.
fn place_names(places: Places) -> String {
    let named = |pack: usize| format!("{} in {}", chunk_names(places.on(pack).chunks()), pack_name(pack));
    places.packs().members().map(named).collect::<Vec<_>>().join(", ")
}

fn session_names(sessions: Sessions) -> String {
    let names: Vec<_> = sessions.members().map(snapshot_name).collect();
    if names.is_empty() { "none open".to_owned() } else { format!("{} open", names.join(", ")) }
}

fn writer_name(session: usize) -> &'static str {
    ["A", "B"][session / 2]
}

impl Display for Object {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Pack => "pack",
            Self::Idx => "idx",
            Self::End => "end",
        })
    }
}

impl Step {
    /// Whose step it is.
    fn actor(&self) -> String {
        match *self {
            Self::Delete(_) | Self::Collect(_) | Self::Late(..) => "somebody".to_owned(),
            Self::Forget(_) | Self::ChecksUnforget(_) | Self::LosesUnforget(_) | Self::Unforget(_) => {
                "an operator".to_owned()
            }
            Self::Revoke => "the admin".to_owned(),
            Self::Attest | Self::Pins | Self::ReaderReadsLog | Self::Refuses | Self::Unpins => "a reader".to_owned(),
            _ => self.numbered_actor(),
        }
    }

    fn numbered_actor(&self) -> String {
        match *self {
            Self::ReadsLog(m)
            | Self::TakesOver(m)
            | Self::Plans(m, _)
            | Self::Condemn(m, _)
            | Self::ListsSessions(m, _)
            | Self::Aborts(m, _)
            | Self::AllResolved(m)
            | Self::Marks(m, _)
            | Self::Final(m, _)
            | Self::Rescue(m, _)
            | Self::Conflict(m)
            | Self::NothingLeft(m)
            | Self::GivesUp(m)
            | Self::BuildsCensus(m, _)
            | Self::Checkpoint(m)
            | Self::Repack(m, _) => format!("maintainer {}", m + 1),
            Self::Open(s)
            | Self::List(s)
            | Self::WriterReadsLog(s)
            | Self::Judge(s, ..)
            | Self::Reuse(s)
            | Self::Trust(s)
            | Self::NothingToPut(s)
            | Self::Put(_, s)
            | Self::PutTwice(_, s)
            | Self::Hurries(s)
            | Self::LosesEnd(s)
            | Self::Acknowledge(s)
            | Self::FindsVoid(s)
            | Self::Accepts(s)
            | Self::Crash(s)
            | Self::CrashWhile(_, s)
            | Self::Restart(s)
            | Self::NextSession(s) => format!("writer {}", writer_name(s)),
            _ => String::new(),
        }
    }

    fn act(&self) -> String {
        match *self {
            Self::Delete(pack) => format!("deletes {}", pack_name(pack)),
            Self::Collect(s) => format!("collects session {}", snapshot_name(s)),
            Self::Late(object, s) => format!("sees the late put of {}'s {object} arrive", snapshot_name(s)),
            Self::Open(s) => format!("opens session {}", snapshot_name(s)),
            Self::List(_) => "lists sessions and idx".to_owned(),
            Self::WriterReadsLog(_) | Self::ReadsLog(_) => "reads the log".to_owned(),
            Self::Judge(_, log, missing) => {
                let did = if log { "reads the log" } else { "lists sessions and idx" };
                format!("{did} and finds {} missing", chunk_names(missing))
            }
            Self::Reuse(_) => "reuses its parent's subtrees".to_owned(),
            Self::Trust(_) => "takes its partial snapshot's chunk for granted".to_owned(),
            Self::NothingToPut(_) => "has nothing to upload".to_owned(),
            Self::Put(Object::End, s) => format!("commits {}", snapshot_name(s)),
            Self::Put(object, s) => format!("puts {}'s {object}", snapshot_name(s)),
            Self::PutTwice(object, s) => format!("puts {}'s {object}, which will arrive again", snapshot_name(s)),
            Self::Hurries(_) => "leaves pack and idx for later".to_owned(),
            Self::LosesEnd(s) => format!("finds that {} was ended", snapshot_name(s)),
            Self::Acknowledge(s) => format!("looks again and reports {} as safe", snapshot_name(s)),
            Self::FindsVoid(s) => format!("looks again and finds {} void", snapshot_name(s)),
            Self::Accepts(s) => format!("gives {} up", snapshot_name(s)),
            Self::Crash(_) => "crashes".to_owned(),
            Self::CrashWhile(object, s) => format!("crashes with {}'s {object} on its way", snapshot_name(s)),
            Self::Restart(s) => format!("starts again and aborts {}", snapshot_name(s)),
            Self::NextSession(s) => format!("is done with {}", snapshot_name(s)),
            _ => self.decision(),
        }
    }

    fn decision(&self) -> String {
        match *self {
            Self::TakesOver(_) => "reads the log and goes on with what is condemned".to_owned(),
            Self::Plans(_, places) => format!("means to condemn {}", place_names(places)),
            Self::Condemn(_, places) => format!("appends CONDEMN of {}", place_names(places)),
            Self::ListsSessions(_, sessions) => format!("lists sessions: {}", session_names(sessions)),
            Self::Aborts(_, s) => format!("aborts session {}", snapshot_name(s)),
            Self::AllResolved(_) => "waits for nobody".to_owned(),
            Self::Marks(_, places) => format!("marks what is alive, for {}", place_names(places)),
            Self::Final(_, places) => format!("appends FINAL of {}", place_names(places)),
            Self::Rescue(_, places) => format!("appends RESCUE of {}", place_names(places)),
            Self::Conflict(_) => "finds that the log went on".to_owned(),
            Self::NothingLeft(_) => "has nothing left to do".to_owned(),
            Self::GivesUp(_) => "gives up or dies".to_owned(),
            Self::BuildsCensus(_, [a, b]) => format!("builds a census over {a} sessions of A and {b} of B"),
            Self::Checkpoint(_) => "appends CHECKPOINT".to_owned(),
            Self::Repack(_, pack) => format!("publishes a copy of {}", pack_name(pack)),
            Self::Forget(s) => format!("appends FORGET of {}", snapshot_name(s)),
            Self::ChecksUnforget(s) => format!("finds every chunk of {}", snapshot_name(s)),
            Self::LosesUnforget(s) => format!("does not bring {} back: the log went on", snapshot_name(s)),
            Self::Unforget(s) => format!("appends UNFORGET of {}", snapshot_name(s)),
            Self::Revoke => "appends REVOKE of A".to_owned(),
            Self::Attest => "appends ATTEST of the stranger's session".to_owned(),
            Self::Pins => "pins S".to_owned(),
            Self::ReaderReadsLog => "reads the log, where S is not forgotten, and goes on reading".to_owned(),
            Self::Refuses => "finds S forgotten and goes away".to_owned(),
            Self::Unpins => "unpins S".to_owned(),
            _ => String::new(),
        }
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "{} {}", self.actor(), self.act())
    }
}
