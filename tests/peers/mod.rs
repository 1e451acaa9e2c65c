//! Mistakes that other programs made with people's backups: each is made to happen here, and must not do what it did there.
//!
//! Named by the programs and the numbers of their issues. One has its proof elsewhere: restic#4677, a compressor's wrong output, in the
//! segments' own tests, since nobody else gets between the compressor and what is stored.

mod content;
mod prunes;
