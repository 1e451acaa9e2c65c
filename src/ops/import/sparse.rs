//! Where the data of a file with holes lies.

/// A stretch of data: where in the file it begins, and its length.
pub type Stretch = (u64, u64);

/// `offset,length,offset,length…`, as GNU's form 0.1 has it.
pub(super) fn from_list(text: &[u8]) -> Option<Vec<Stretch>> {
    let text = std::str::from_utf8(text).ok()?;
    let numbers: Option<Vec<u64>> =
        text.split(',').filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect();
    pairs(&numbers?)
}

/// Offsets and lengths by turns.
pub(super) fn pairs(numbers: &[u64]) -> Option<Vec<Stretch>> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[start, length]| (*start, *length)).collect())
}

/// Whether the stretches lie in order within a file of `size` bytes, and are `stored` bytes together.
pub(super) fn is_sound(stretches: &[Stretch], size: u64, stored: u64) -> bool {
    let mut end = 0;
    let mut sum = 0u64;
    for (start, length) in stretches {
        match start.checked_add(*length) {
            Some(next) if *start >= end && next <= size => end = next,
            _ => return false,
        }
        sum = sum.saturating_add(*length);
    }
    sum == stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_that_lie_are_not_sound() {
        assert!(is_sound(&[(0, 5), (10, 5), (20, 0)], 20, 10));
        for (map, size, stored) in [
            (&[(0, 5), (4, 5)][..], 20, 10),
            (&[(0, 5)], 4, 5),
            (&[(0, 5)], 20, 6),
            (&[(u64::MAX, 2)], u64::MAX, 2),
            (&[(10, 1), (0, 1)], 20, 2),
        ] {
            assert!(!is_sound(map, size, stored), "{map:?}");
        }
        assert_eq!(from_list(b"0,5,10,5"), Some(vec![(0, 5), (10, 5)]));
        assert_eq!((from_list(b"0,5,10"), from_list(b"0,x")), (None, None));
        assert_eq!(from_list(b""), Some(vec![]));
    }
}
