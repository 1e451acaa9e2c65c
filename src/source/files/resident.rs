//! Which parts of a file are in memory, as the kernel tells.

use nix::libc;
use rustix::fd::OwnedFd;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ops::Range;
use std::ptr;

/// The file is looked at in windows of this many bytes, counted from its start: a multiple of every page size.
pub(super) const WINDOW: u64 = 1 << 20;

/// The windows of `range`, which begins with one, of which nothing is in memory. `None` when the kernel does not tell: not of
/// every file system. Of a file that the caller neither owns nor may write, it says that all is in memory.
pub(super) fn absent(file: &OwnedFd, range: &Range<u64>) -> Option<Vec<Range<u64>>> {
    let length = usize::try_from(range.end - range.start).ok().filter(|&length| length > 0)?;
    // SAFETY: the call takes a number and gives one.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok().filter(|&page| page > 0)?;
    let mut pages = vec![0_u8; length.div_ceil(page)];
    // SAFETY: a new mapping somewhere, of which no byte is ever touched, so that the file may shrink meanwhile.
    let map = unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, file, range.start) }.ok()?;
    // SAFETY: the mapping is `length` long, and the array holds a byte for each of its pages.
    let told = unsafe { libc::mincore(map, length, pages.as_mut_ptr()) } == 0;
    // SAFETY: it is the mapping made above, and nothing refers to it any more.
    let unmapped = unsafe { munmap(map, length) };
    if !told || unmapped.is_err() {
        return None;
    }
    let windows = pages.chunks(usize::try_from(WINDOW).ok()? / page).zip((range.start..).step_by(WINDOW as usize));
    // The lowest bit of a page's byte says it; the others mean nothing yet.
    let absent = windows.filter(|(pages, _)| pages.iter().all(|page| page & 1 == 0));
    Some(absent.map(|(_, start)| start..range.end.min(start + WINDOW)).collect())
}
