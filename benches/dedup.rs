//! Which sizes of chunks and segments store how much of a folder, and of what an edit changed in it. `tools/bench dedup`
//! runs this on its data sets; by hand: `cargo bench --bench dedup -- FOLDER`, then edit the folder and press return.
//!
//! Every row reads all files through the engine's own chunker and segments. The rows of other programs have their sizes of
//! chunks, and each chunk compressed by itself, as they do it; not their chunkers, and not what else they store.

use boveda::crypto::aead::Suite;
use boveda::crypto::secret::Secret;
use boveda::repo::chunk_keys::ChunkKeys;
use boveda::repo::chunker::Chunker;
use boveda::repo::config::ChunkerParameters;
use boveda::repo::id::{ChunkId, ChunkKind, DataKeyId, RepositoryId, WriterId};
use boveda::repo::segment::{Compression, Origin, Sealing, SegmentBuilder};
use std::collections::HashSet;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Averages that are compared, in KiB; the least is a quarter and the most eight times as long, as in new repositories.
const AVERAGES: [u32; 7] = [16, 32, 64, 128, 256, 512, 1024];
/// Segments that are compared, in bytes.
const SEGMENTS: [usize; 4] = [128 * KIB, 512 * KIB, MIB, 4 * MIB];
/// Chunks of other programs, in KiB: least, average, most. From their documentation and sources.
const PEERS: [(&str, u32, u32, u32); 4] = [
    ("restic, rustic", 512, 1024, 8192),
    ("borg", 512, 2048, 8192),
    ("kopia", 2048, 4096, 8192),
    ("bupstash", 256, 1024, 8192),
];
/// What a segment costs in a pack's table and in the index, beside its ids.
const ROW: usize = 2 * 140;
/// … and an id.
const ID: usize = 2 * 32;

/// One way to collect chunks.
struct Collector {
    target: usize,
    builder: SegmentBuilder,
    segments: u64,
    stored: u64,
    spent: Duration,
}

impl Collector {
    fn new(target: usize) -> Self {
        let builder = SegmentBuilder::new(ChunkKind::Data);
        Self { target, builder, segments: 0, stored: 0, spent: Duration::ZERO }
    }

    fn take(&mut self, id: ChunkId, chunk: &[u8], sealing: &Sealing) {
        self.builder.push(id, chunk);
        if self.builder.len() >= self.target {
            self.close(sealing);
        }
    }

    fn close(&mut self, sealing: &Sealing) {
        if self.builder.is_empty() {
            return;
        }
        let begun = Instant::now();
        let sealed = self.builder.finish(sealing, Compression::Level(3)).expect("what was sealed opens");
        self.spent += begun.elapsed();
        self.segments += 1;
        self.stored += sealed.bytes.len() as u64;
    }
}

/// One size of chunks, with every size of segments.
struct Row {
    name: String,
    chunker: Chunker,
    known: HashSet<ChunkId>,
    collectors: Vec<Collector>,
    /// Cutting, hashing and looking up.
    spent: Duration,
}

/// What a pass came to.
struct Pass {
    chunks: usize,
    stored: Vec<(u64, u64)>,
}

impl Row {
    fn new(name: String, parameters: ChunkerParameters, targets: &[usize]) -> Self {
        let chunker = Chunker::new(&Secret::new([1; 32]), parameters);
        let collectors = targets.iter().map(|&target| Collector::new(target)).collect();
        Self { name, chunker, known: HashSet::new(), collectors, spent: Duration::ZERO }
    }

    fn pass(&mut self, files: &[PathBuf], keys: &ChunkKeys, sealing: &Sealing) -> io::Result<Pass> {
        let mut buffer = Vec::new();
        for path in files {
            let mut file = std::fs::File::open(path)?;
            let mut ended = false;
            buffer.clear();
            while !ended || !buffer.is_empty() {
                while !ended && buffer.len() < 16 * MIB {
                    ended = (&mut file).take(16 * MIB as u64).read_to_end(&mut buffer)? == 0;
                }
                let cut = self.cut(&buffer, ended, keys, sealing);
                buffer.drain(..cut);
            }
        }
        self.collectors.iter_mut().for_each(|collector| collector.close(sealing));
        let stored = self.collectors.iter().map(|collector| (collector.stored, collector.segments)).collect();
        Ok(Pass { chunks: self.known.len(), stored })
    }

    /// Takes what can be cut off; how many bytes that was.
    fn cut(&mut self, bytes: &[u8], ended: bool, keys: &ChunkKeys, sealing: &Sealing) -> usize {
        let mut start = 0;
        loop {
            let begun = Instant::now();
            let Some(length) = self.chunker.next_cut(&bytes[start..], ended) else { return start };
            let chunk = &bytes[start..start + length];
            let id = keys.id(ChunkKind::Data, chunk);
            let fresh = self.known.insert(id);
            self.spent += begun.elapsed();
            if fresh {
                self.collectors.iter_mut().for_each(|collector| collector.take(id, chunk, sealing));
            }
            start += length;
        }
    }
}

fn main() -> io::Result<()> {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let Some(folder) = folder else {
        // `cargo bench` without more runs every bench; this one needs something to look at.
        return writeln!(io::stdout(), "dedup: name a folder");
    };
    let parameters = |minimum, average, maximum| {
        let (minimum, average, maximum) = (minimum << 10, average << 10, maximum << 10);
        ChunkerParameters { minimum, average, maximum, normalization: 1 }
    };
    let ours = AVERAGES
        .map(|average| Row::new(format!("{average} KiB"), parameters(average / 4, average, average * 8), &SEGMENTS));
    let peers = PEERS.map(|(name, minimum, average, maximum)| {
        Row::new(name.to_owned(), parameters(minimum, average, maximum), &[1])
    });
    let mut rows: Vec<Row> = ours.into_iter().chain(peers).collect();
    let first = all(&mut rows, Path::new(&folder))?;
    writeln!(io::stdout(), "ready")?;
    io::stdin().lock().read_line(&mut String::new())?;
    let second = all(&mut rows, Path::new(&folder))?;
    print(&rows, &first, &second)
}

/// One pass of every row, two rows at a time.
fn all(rows: &mut [Row], folder: &Path) -> io::Result<Vec<Pass>> {
    let mut files = Vec::new();
    list(folder, &mut files)?;
    files.sort();
    let keys = ChunkKeys::derive(&Secret::new([7; 32]), &Secret::new([8; 32]));
    let sealing = Sealing {
        suite: Suite::Aes256Gcm,
        repository: RepositoryId([1; 32]),
        epoch: 0,
        key: Secret::new([2; 32]),
        key_id: DataKeyId([3; 32]),
        origin: Origin { writer: WriterId([4; 16]), seq: 1 },
    };
    let count = rows.len();
    let queue = Mutex::new(rows.iter_mut().enumerate());
    let passes = Mutex::new((0..count).map(|_| None).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let Some((number, row)) = queue.lock().expect("nobody panics").next() else { return };
                let pass = row.pass(&files, &keys, &sealing);
                passes.lock().expect("nobody panics")[number] = Some(pass);
            }
        };
        scope.spawn(work);
        scope.spawn(work);
    });
    passes.into_inner().expect("nobody panics").into_iter().map(|pass| pass.expect("every row was taken")).collect()
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// A row for each size of chunks and of segments.
fn print(rows: &[Row], first: &[Pass], second: &[Pass]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let columns = ["chunks", "segments", "number", "stored, MB", "added by the edit, MB", "table and index, MB"];
    writeln!(out, "| {} | chunking, s | compressing, s |", columns.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(columns.len() + 2))?;
    let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
    for (row, (first, second)) in rows.iter().zip(first.iter().zip(second)) {
        let each = row.collectors.iter().zip(first.stored.iter().zip(&second.stored));
        for (collector, (&(before, segments), &(after, _))) in each {
            let index = first.chunks * ID + usize::try_from(segments).unwrap_or(0) * ROW;
            let target = match collector.target {
                1 => "each chunk".to_owned(),
                target => format!("{} KiB", target / KIB),
            };
            writeln!(
                out,
                "| {} | {target} | {} | {} | {} | {} | {:.1} | {:.1} |",
                row.name,
                first.chunks,
                megabytes(before),
                megabytes(after - before),
                megabytes(index as u64),
                row.spent.as_secs_f64(),
                collector.spent.as_secs_f64(),
            )?;
        }
    }
    Ok(())
}
