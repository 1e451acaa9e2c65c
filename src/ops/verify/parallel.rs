//! Work on many things by several threads; the first failure ends it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Things that are held at once: enough that threads seldom wait for the last of them.
const TOGETHER: usize = 512;

/// Calls `work` for each of `things`, in no particular order, in so many threads; 0 for as many as there are processors.
///
/// # Errors
/// The first failure; what was begun elsewhere comes to its end before.
///
/// # Panics
/// When `work` does.
pub(super) fn each<T: Sync, E: Send>(
    threads: usize,
    things: &[T],
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some(thing) = things.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = work(thing) {
                // The others find nothing more to do.
                next.store(things.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        threads => threads,
    };
    let threads = threads.min(things.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("work on one thing does not panic"))
    })
}

/// As [`each`] for things that come one after the other and would be too many to hold at once.
///
/// # Errors
/// The first failure, of `work` or of the things themselves.
pub(super) fn each_of<T: Sync, E: Send>(
    threads: usize,
    things: impl Iterator<Item = Result<T, E>>,
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let mut things = things.peekable();
    while things.peek().is_some() {
        let some = things.by_ref().take(TOGETHER).collect::<Result<Vec<T>, E>>()?;
        each(threads, &some, &work)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn everything_is_done_once_and_a_failure_ends_it() {
        let sum = AtomicU64::new(0);
        let add = |number: &u64| {
            sum.fetch_add(*number, Ordering::Relaxed);
            Ok::<_, ()>(())
        };
        each(0, &(1..=1000).collect::<Vec<_>>(), add).unwrap();
        each(1, &[1, 2], add).unwrap();
        assert_eq!(sum.into_inner(), 500_503);
        assert_eq!(each(2, &[1, 2, 3], |number| if *number == 2 { Err("two") } else { Ok(()) }), Err("two"));
        assert_eq!(each(3, &[] as &[u8], |_| Err(())), Ok(()));
        let sum = AtomicU64::new(0);
        let add = |number: &u64| {
            sum.fetch_add(*number, Ordering::Relaxed);
            Ok(())
        };
        each_of(0, (1..=2000).map(Ok::<_, u64>), add).unwrap();
        assert_eq!(
            each_of(0, (1..=2000).map(|number| if number < 1500 { Ok(number) } else { Err(number) }), add),
            Err(1500)
        );
        assert!(sum.into_inner() >= 2_001_000);
    }
}
