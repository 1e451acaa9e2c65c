//! The rules, each with a switch that leaves it out. A model that finds no loss then would prove nothing.

macro_rules! broken {
    ($($(#[doc = $what:literal])+ $name:ident $rule:literal,)+) => {
        /// One rule that is not kept.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Broken {
            $($(#[doc = $what])+ $name,)+
        }

        impl Broken {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// What is done wrong, and which rule that breaks.
            pub fn words(self) -> (&'static str, &'static str) {
                match self { $(Self::$name => (concat!($($what),+).trim_ascii_start(), $rule),)+ }
            }
        }
    };
}

broken! {
    /// A writer commits before its packs and idx are there
    CommitsEarly "I2",
    /// `end` is put even where there is one
    OverwritesEnd "I2",
    /// A writer reads the log first and lists after it
    ListsAfterLog "I3",
    /// A writer reads the log before it puts `open`
    ReadsLogBeforeOpen "I3",
    /// A writer reuses its parent's subtrees whatever is condemned
    ReusesAnyParent "I3",
    /// A snapshot that was forgotten and brought back still counts as marked by the CONDEMNs before
    UndoneStaysMarked "I3",
    /// A partial snapshot is taken for granted by the session after it
    TrustsPartial "I5",
    /// Sessions are listed before CONDEMN is appended
    ListsBeforeCondemn "I4",
    /// The listing of sessions does not show a put that returned
    StaleListing "I4",
    /// Resuming looks for FINAL in the census and the log's tail only
    ResumesByTail "I5",
    /// Prune does not mark again before FINAL
    FinalUnmarked "I6",
    /// FINAL goes to whatever position is next
    FinalAnywhere "I6",
    /// FINAL takes a CONDEMN that is younger than the listing of sessions
    FinalIgnoresAge "I6",
    /// Packs that are only condemned are deleted
    DeletesCondemned "I7",
    /// A pack is deleted when one of its segments is FINAL
    DeletesForOneSegment "I8",
    /// A writer takes condemned segments as there while their pack is not condemned as a whole
    UsesCondemnedSegments "I8",
    /// A commit that its census left out counts
    VoidCounts "I10",
    /// A writer does not look for a CHECKPOINT after its `end`
    SkipsRecheck "I10",
    /// A writer takes its commit for void although the census lists it
    VoidThoughListed "I10",
    /// A CHECKPOINT covers sessions that were never opened
    CoversUnopened "I10",
    /// Every idx counts, whatever became of its session
    AnyIdxCounts "I11",
    /// A reader pins after it read the log
    PinsAfterLog "I12",
    /// Prune does not look at pins
    IgnoresPins "I12",
    /// UNFORGET goes to whatever position is next
    UnforgetAnywhere "I12",
    /// A census leaves forgotten records out at once
    DropsForgotten "I12",
    /// A sync puts a pack under its old name although that was FINAL here
    SyncKeepsNames "I14",
    /// A writer deduplicates against anybody's packs
    WriterTrustsAll "good locations",
    /// Prune takes anybody's pack for another copy
    PrunerTrustsAll "good locations",
    /// Prune takes a pack for another copy that is good for one of the owners, not all
    PrunerTrustsForOne "good locations",
    /// A session is attested without opening its chunks
    AttestsUnread "good locations",
    /// Packs of sessions that are not resolved are condemned
    CondemnsUnresolved "I4",
    /// REVOKE removes the places of the revoked writer, not its snapshots alone
    RevokeRemovesPlaces "good locations",
}

impl Broken {
    /// Whether leaving the rule out loses nothing: it only saves work. Who waits for every session that was listed after CONDEMN
    /// rescues what one of them commits.
    pub fn is_harmless(self) -> bool {
        self == Self::CondemnsUnresolved
    }
}
