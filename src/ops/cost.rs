//! What is asked of a store, and what a provider would want for it.

/// Thousandths of a US dollar for a thousand puts or listings: the list price of Amazon's S3 Standard in us-east-1.
const THOUSAND_PUTS: f64 = 5.0;
/// The same for a thousand gets.
const THOUSAND_GETS: f64 = 0.4;
/// Thousandths of a US dollar for a GiB that is read back over the network.
const GIB_READ: f64 = 90.0;

/// Requests to a store, and the bytes that they move.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Objects put.
    pub puts: u64,
    /// Objects read, whole or in part.
    pub gets: u64,
    /// Objects deleted, which costs nothing.
    pub deletes: u64,
    /// Listings, in pages of a thousand names.
    pub lists: u64,
    /// Bytes put.
    pub bytes_put: u64,
    /// Bytes read.
    pub bytes_got: u64,
}

impl Requests {
    /// Counts an object that is put.
    pub const fn put(&mut self, bytes: u64) {
        self.puts += 1;
        self.bytes_put += bytes;
    }

    /// Counts an object that is read.
    pub const fn get(&mut self, bytes: u64) {
        self.gets += 1;
        self.bytes_got += bytes;
    }

    /// Counts a listing of so many names.
    pub const fn list(&mut self, names: usize) {
        self.lists += (names as u64).div_ceil(1000) + (names == 0) as u64;
    }

    /// US dollars, to the millionth, for these requests and bytes at the list price of S3 Standard; what is stored costs by the month.
    #[allow(clippy::cast_precision_loss)]
    pub fn dollars(&self) -> f64 {
        let puts = (self.puts + self.lists) as f64 / 1000.0 * THOUSAND_PUTS;
        let gets = self.gets as f64 / 1000.0 * THOUSAND_GETS;
        let read = self.bytes_got as f64 / f64::from(1 << 30) * GIB_READ;
        ((puts + gets + read) * 1000.0).round() / 1_000_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terabyte_in_packs_costs_sixteen_cents_to_put() {
        let mut requests = Requests::default();
        (0..32_768).for_each(|_| requests.put(32 << 20));
        assert!((requests.dollars() - 0.163_84).abs() < 1e-6, "{}", requests.dollars());
        assert_eq!(requests.bytes_put, 1 << 40);
        requests.list(32_768);
        requests.list(0);
        assert_eq!(requests.lists, 34);
    }

    #[test]
    fn prices_are_rounded_to_a_millionth() {
        let mut requests = Requests::default();
        requests.put(1000);
        requests.get(123_456_789);
        assert_eq!(format!("{}", requests.dollars()), "0.010353");
    }
}
