//! Mistakes that other programs made with people's backups: each is made to happen here, and must not do what it did there.
//!
//! Named by the programs and the numbers of their issues. Some have their proof elsewhere: kopia#3049, a change of a
//! password that locks everybody out, in `crash::keys`; borg#4829, a damaged index, in the index's own tests and below;
//! bupstash#357, wrong bytes of a part of a file, in the mount's model test; restic#4677, a compressor's wrong output, in the
//! segments' own tests.

mod content;
mod prunes;
