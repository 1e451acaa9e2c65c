//! An index of a size that matters.

use super::*;

/// Anonymous memory of this process, in bytes.
fn private_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
}

/// One million chunks, or with `BOVEDA_TEST_FULL` a hundred million: what making, opening and asking costs.
#[test]
fn a_large_index_is_opened_at_once_and_in_little_memory() {
    let full = std::env::var_os("BOVEDA_TEST_FULL").is_some();
    let (objects, packs, segments, chunks) = if full { (1250, 10, 500, 16) } else { (50, 5, 256, 16) };
    let place = tempfile::tempdir_in(
        std::env::var_os("BOVEDA_TEST_FULL").filter(|path| path.len() > 1).map_or_else(std::env::temp_dir, Into::into),
    )
    .unwrap();
    let folder = RunFolder::new(place.path().to_owned(), run_key(1));
    let start = (Instant::now(), private_memory());
    let mut builder = folder.begin(IndexClass::Data).unwrap();
    let (mut number, mut most) = (0, 0);
    for index in 0..objects {
        let pack = |pack: u64, number: &mut u64| {
            let rows = (0..segments).map(|_| {
                *number += chunks;
                row(ChunkKind::Data, *number, index, &(*number..*number + chunks).collect::<Vec<_>>())
            });
            PackSummary { id: PackId(id(index << 32 | pack)), length: 33 << 20, md5: None, rows: rows.collect() }
        };
        let packs: Vec<_> = (0..packs).map(|at| pack(at, &mut number)).collect();
        let object = object(index, packs);
        builder.index(&object.covered, &object.packs, &object.wraps).unwrap();
        most = most.max(private_memory().saturating_sub(start.1));
    }
    let total = builder.chunks();
    let bytes = builder.finish(true).unwrap().bytes();
    most = most.max(private_memory().saturating_sub(start.1));
    let made = start.0.elapsed();

    let start = (Instant::now(), private_memory());
    let found = folder.open(IndexClass::Data).unwrap();
    let mut index = ChunkIndex::new();
    for run in found.runs {
        let judged = judge(&run, |_| true);
        index.attach(run, judged);
    }
    let (opened, held) = (start.0.elapsed(), private_memory().saturating_sub(start.1));

    let asked = 200_000;
    let (mut seed, mut time) = (1_u64, [0.0; 2]);
    for (hit, time) in [true, false].into_iter().zip(&mut time) {
        let ids: Vec<_> = (0..asked)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ChunkId(id(chunks + (seed >> 20) % total + if hit { 0 } else { 2 * total }))
            })
            .collect();
        let start = Instant::now();
        let found = ids.iter().filter(|id| index.has(ChunkKind::Data, id)).count();
        *time = start.elapsed().as_secs_f64() / f64::from(asked) * 1e6;
        assert_eq!(found, if hit { asked as usize } else { 0 });
    }
    let after = private_memory().saturating_sub(start.1);
    println!(
        "{total} chunks: made in {made:.1?} with {} MiB of private memory, {:.1} bytes each; opened in {opened:.1?} with {} MiB; \
         {:.2} µs a hit, {:.2} µs a miss, then {} MiB",
        most >> 20,
        bytes as f64 / total as f64,
        held >> 20,
        time[0],
        time[1],
        after >> 20,
    );
    assert!(bytes < total * 51);
    // Other tests of this process have their share in that, unless this one runs alone.
    let allowed = if full { 50 << 20 } else { 300 << 20 };
    assert!(held < allowed && (most < allowed || !full) && opened.as_secs_f64() < 1.0, "{held} bytes, {opened:?}");
}
