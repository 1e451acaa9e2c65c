//! A line to a server that goes bad as told: cut, stalled, slow, or answered in the server's place.
//!
//! Every connection carries one request, so that a plan can be made for each by its number, from 1.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It goes through.
    Pass,
    /// It never reaches the server; this is the answer: the status line's end and headers, `503 Slow Down\r\nRetry-After: 1`, and a body
    /// behind an empty line.
    Answer(&'static str),
    /// The line is cut after so many bytes of the request.
    CutRequest(usize),
    /// The server gets all of it, the answer is cut after so many bytes.
    CutAnswer(usize),
    /// Nothing comes back, and the line stays open.
    Stall,
}

/// Decides by the number and the first line of a request.
type Plan = Box<dyn Fn(u64, &str) -> Fate + Send + Sync>;

/// The line.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: u16,
    plan: Plan,
    count: AtomicU64,
    seen: Mutex<Vec<String>>,
}

impl Proxy {
    /// A line to the server at that port.
    pub fn start(server: u16, plan: impl Fn(u64, &str) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared =
            Arc::new(Shared { server, plan: Box::new(plan), count: AtomicU64::new(0), seen: Mutex::default() });
        let of_thread = Arc::clone(&shared);
        // It ends with the process: nothing connects to it once the test is over.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&of_thread);
                std::thread::spawn(move || shared.carry(client));
            }
        });
        Self { port, shared }
    }

    /// The first lines of all requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Shared {
    /// Carries one request; whatever fails ends the connection, which is what a line does.
    fn carry(&self, mut client: TcpStream) -> Option<()> {
        let head = read_head(&mut client)?;
        let first = String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next()?).into_owned();
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let fate = (self.plan)(number, &first);
        self.seen.lock().unwrap().push(first);
        match fate {
            Fate::Answer(answer) => {
                // A client that is still sending would see a reset before the answer.
                client.set_read_timeout(Some(Duration::from_millis(100))).ok()?;
                let _ = io::copy(&mut client, &mut io::sink());
                let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
                let length = body.len();
                let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
                client.write_all(answer.as_bytes()).ok()
            }
            Fate::Stall => {
                std::thread::sleep(Duration::from_secs(60));
                None
            }
            Fate::Pass => self.exchange(client, &head, usize::MAX, usize::MAX),
            Fate::CutRequest(after) => self.exchange(client, &head, after, usize::MAX),
            Fate::CutAnswer(after) => self.exchange(client, &head, usize::MAX, after),
        }
    }

    fn exchange(&self, client: TcpStream, head: &[u8], up: usize, down: usize) -> Option<()> {
        let mut server = TcpStream::connect(("127.0.0.1", self.server)).ok()?;
        let end = head.windows(4).position(|window| window == b"\r\n\r\n")? + 2;
        let head = [&head[..end], b"Connection: close\r\n", &head[end..]].concat();
        server.write_all(&head[..head.len().min(up)]).ok()?;
        let left = up.saturating_sub(head.len());
        let (from, to) = (client.try_clone().ok()?, server.try_clone().ok()?);
        let sending = std::thread::spawn(move || {
            let whole = pipe(from, &to, left);
            if !whole {
                let _ = to.shutdown(Shutdown::Both);
            }
        });
        pipe(server, &client, down);
        let _ = client.shutdown(Shutdown::Both);
        let _ = sending.join();
        Some(())
    }
}

/// Carries up to `limit` bytes; `false` when that was not all.
fn pipe(mut from: TcpStream, mut to: &TcpStream, mut limit: usize) -> bool {
    let mut piece = vec![0; 16 * 1024];
    loop {
        if limit == 0 {
            return false;
        }
        let length = piece.len().min(limit);
        match from.read(&mut piece[..length]) {
            Ok(0) | Err(_) => return true,
            Ok(read) => {
                if to.write_all(&piece[..read]).is_err() {
                    return true;
                }
                limit -= read;
            }
        }
    }
}

fn read_head(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match client.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(read) => head.extend(&piece[..read]),
        }
    }
    Some(head)
}
