//! Reed–Solomon over the shards of one object, a few KiB of every shard at a time: the code works on 64-byte columns
//! that do not know each other, so the work fits the processor's cache and memory does not grow with the object.

use super::Layout;
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

/// Bytes of every shard that are worked on at once. Anything from 512 bytes to 16 KiB is alike, and nearly four times as
/// fast as whole shards of 64 KiB.
const COLUMN: usize = 2048;

/// Fills `parity` from `data`; both have the layout's lengths.
pub fn encode(layout: &Layout, data: &[u8], parity: &mut [u8]) {
    const SUPPORTED: &str = "every layout is within the code's limits";
    let length = layout.shard_len();
    let mut width = COLUMN.min(length);
    let mut encoder = ReedSolomonEncoder::new(layout.data_shards(), layout.parity_shards(), width).expect(SUPPORTED);
    for from in (0..length).step_by(COLUMN) {
        if length - from < width {
            width = length - from;
            encoder.reset(layout.data_shards(), layout.parity_shards(), width).expect(SUPPORTED);
        }
        for shard in data.chunks_exact(length) {
            encoder.add_original_shard(&shard[from..from + width]).expect(SUPPORTED);
        }
        let columns = encoder.encode().expect(SUPPORTED);
        for (shard, column) in parity.chunks_exact_mut(length).zip(columns.recovery_iter()) {
            shard[from..from + width].copy_from_slice(column);
        }
    }
}

/// Fills the missing shards of `data`: `intact` says for every shard, parity behind data, whether it may be used.
///
/// # Errors
/// When fewer shards are intact than there are data shards.
pub fn restore(
    layout: &Layout,
    intact: &[bool],
    data: &mut [u8],
    parity: &[u8],
) -> Result<(), reed_solomon_simd::Error> {
    let length = layout.shard_len();
    let (data_intact, parity_intact) = intact.split_at(layout.data_shards());
    if data_intact.iter().all(|&whole| whole) {
        return Ok(());
    }
    let mut width = COLUMN.min(length);
    let mut decoder = ReedSolomonDecoder::new(layout.data_shards(), layout.parity_shards(), width)?;
    for from in (0..length).step_by(COLUMN) {
        if length - from < width {
            width = length - from;
            decoder.reset(layout.data_shards(), layout.parity_shards(), width)?;
        }
        let column = |shards: &'_ [u8], index: usize| {
            let at = index * length + from;
            shards[at..at + width].to_vec()
        };
        for index in (0..layout.data_shards()).filter(|&index| data_intact[index]) {
            decoder.add_original_shard(index, column(data, index))?;
        }
        for index in (0..layout.parity_shards()).filter(|&index| parity_intact[index]) {
            decoder.add_recovery_shard(index, column(parity, index))?;
        }
        for (index, restored) in decoder.decode()?.restored_original_iter() {
            let at = index * length + from;
            data[at..at + width].copy_from_slice(restored);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{ObjectKind, Parity, Scale};
    use super::*;

    #[test]
    fn columns_give_what_whole_shards_give() {
        let layout = Layout::for_content(ObjectKind::Pack, Scale::Pack, Parity::default(), 3 << 20);
        let data: Vec<u8> = (0..layout.data_len()).map(|i| ((i * i) >> 7) as u8).collect();
        let mut parity = vec![0; layout.parity_len()];
        encode(&layout, &data, &mut parity);
        let whole =
            reed_solomon_simd::encode(layout.data_shards(), layout.parity_shards(), data.chunks(layout.shard_len()));
        assert!(layout.shard_len() > COLUMN);
        assert_eq!(parity, whole.unwrap().concat());
    }
}
