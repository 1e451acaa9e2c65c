//! Who takes part, what may happen, and which rule is left out.

use crate::broken::Broken;
use crate::sets::{Packs, Places, Set};
use crate::state::{BOTH, OLD, STRANGE, State};

/// What a maintainer does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Prunes,
    Checkpoints,
    Both,
}

/// One configuration. The default is the smallest that is of use: one writer with one session, nobody else, FORGET anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// One or two.
    pub writers: usize,
    /// Of each writer: one or two.
    pub sessions: u8,
    /// None, one or two.
    pub maintainers: &'static [Role],
    /// Begin with one pack of both chunks only, not also with one chunk in each of two, and both in each of two.
    pub one_beginning: bool,
    /// Operators forget any snapshot at any moment.
    pub forgets: bool,
    /// … and undo that of the old one.
    pub unforgets: bool,
    /// A reader pins the old snapshot.
    pub reader: bool,
    /// Puts of first sessions arrive late, also after a crash, also twice: of packs, idx and `end` …
    pub late: bool,
    /// … and of `open`.
    pub late_open: bool,
    /// A first session's snapshot is partial: it has chunk *a* only.
    pub partial: bool,
    /// Writers reuse their parent's subtrees without a walk, and CONDEMN says what it marked.
    pub reuse: bool,
    /// CONDEMN names only packs whose live chunks have other good places (I4). Without it, anything is condemned.
    pub careful: bool,
    /// Maintainers copy a pack and condemn the original.
    pub repack: bool,
    /// CONDEMN and FINAL name single segments.
    pub segments: bool,
    /// A stranger's pack claims both chunks …
    pub stranger: bool,
    /// … and writer A trusts the stranger, though nobody else does.
    pub a_trusts_stranger: bool,
    /// … and may hold them; a reader attests it then.
    pub attest: bool,
    /// The admin revokes writer A.
    pub revoke: bool,
    /// The writers copy another repository's snapshot, in packs that keep their names where they may. Not with `late`.
    pub sync: bool,
    /// Maintainers abort sessions that were never opened, so that a CHECKPOINT may cover them.
    pub seal: bool,
    /// The rule that is not kept.
    pub broken: Option<Broken>,
}

impl Setup {
    /// The smallest: see the type.
    pub const SMALLEST: Self = Self {
        writers: 1,
        sessions: 1,
        maintainers: &[],
        one_beginning: false,
        forgets: true,
        unforgets: false,
        reader: false,
        late: false,
        late_open: false,
        partial: false,
        reuse: false,
        careful: false,
        repack: false,
        segments: false,
        stranger: false,
        a_trusts_stranger: false,
        attest: false,
        revoke: false,
        sync: false,
        seal: false,
        broken: None,
    };

    /// Whether this rule is left out.
    pub fn breaks(&self, rule: Broken) -> bool {
        self.broken == Some(rule)
    }

    /// Whether a CONDEMN says what it marked.
    pub fn tells_marks(&self) -> bool {
        self.reuse && !self.breaks(Broken::ReusesAnyParent)
    }

    /// How it can begin: with one pack of both chunks, a pack for each, or two packs of both.
    pub fn beginnings(&self) -> Vec<State> {
        let with = |first: u8, second: u8| {
            let holds = Places::of_chunks(0, Set(first)) | Places::of_chunks(1, Set(second));
            self.beginning(holds, holds.packs())
        };
        let mut all = vec![with(3, 0)];
        if !self.one_beginning {
            // What a sync copies is a pack of both chunks, so a pack of its name is that too.
            all.extend((!self.sync).then(|| with(1, 2)));
            all.push(with(3, 3));
        }
        if self.attest {
            all.extend(all.clone().into_iter().map(|state| State { strange_is_true: true, ..state }));
        }
        all
    }

    fn beginning(&self, mut holds: Places, mut present: Packs) -> State {
        if self.stranger {
            holds |= Places::of_chunks(STRANGE, BOTH);
            present |= Set::of(STRANGE);
        }
        State { present, holds, census_idx: present, census: Set::of(OLD), ..State::default() }
    }
}
