//! Lines that are cut, stall or answer nonsense, in front of real servers: nothing is lost, nothing half done is left, and the
//! failure has the right name.

use super::name;
use crate::servers::proxy::{Fate, Proxy};
use crate::servers::{Kind, Server};
use boveda::store::access::Access;
use boveda::store::open::{create_with, open_with};
use boveda::store::{ErrorKind, Put, Store};
use std::sync::Arc;
use std::time::Duration;

/// The store behind a line.
fn behind(server: &Server, proxy: &Proxy, access: &Access) -> Arc<dyn Store> {
    let location = server.location_at(proxy.port, "repo");
    open_with(&Server::url(&location), access).unwrap()
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 251) as u8).collect()
}

fn is_put(first: &str) -> bool {
    first.starts_with("PUT ") || first.starts_with("POST /upload")
}

/// A hundred cuts, or with `BOVEDA_TEST_FULL` a hundred of each kind of server.
#[test]
fn an_upload_cut_anywhere_is_sent_again_and_leaves_nothing_half_done() {
    let objects = if std::env::var_os("BOVEDA_TEST_FULL").is_some() { 100 } else { 25 };
    for kind in [Kind::Minio, Kind::Moto, Kind::Azurite, Kind::FakeGcs] {
        let Some(server) = Server::start(kind) else { continue };
        let pack = bytes(300_000);
        let proxy = Proxy::start(server.port, |number, first| match is_put(first) && number % 2 == 1 {
            true => Fate::CutRequest((number as usize * 7919) % 300_000),
            false => Fate::Pass,
        });
        let access = server.access();
        let store = behind(&server, &proxy, &access);
        for n in 0..objects {
            let object = name(&format!("packs/aa/{n}"));
            assert_eq!(store.put(&object, &pack).unwrap(), Put::Created, "{kind:?} {n}");
        }
        let listed = store.list("packs").unwrap();
        assert_eq!(listed.len(), objects, "{kind:?}");
        assert!(listed.iter().all(|found| found.length == pack.len() as u64), "{kind:?}");
        assert_eq!(store.get(&name("packs/aa/7")).unwrap(), pack);
        assert!(access.traffic.counted().retries >= objects as u64 - 1, "{kind:?}");
        assert!(!proxy.seen().iter().any(|line| line.contains("uploads")), "no upload in parts: {kind:?}");
    }
}

#[test]
fn a_put_whose_answer_is_lost_was_ours() {
    for kind in [Kind::Minio, Kind::Moto, Kind::Azurite, Kind::FakeGcs] {
        let Some(server) = Server::start(kind) else { continue };
        let proxy = Proxy::start(server.port, |number, first| match is_put(first) && number == 1 {
            true => Fate::CutAnswer(5),
            false => Fate::Pass,
        });
        let store = behind(&server, &proxy, &server.access());
        assert_eq!(store.put(&name("log/1"), b"mine").unwrap(), Put::Created, "{kind:?}");
        // Somebody else's is not taken for one's own.
        assert_eq!(store.put(&name("log/1"), b"late").unwrap(), Put::Exists, "{kind:?}");
    }
}

#[test]
fn busy_and_broken_places_are_tried_again_and_forbidden_ones_are_not() {
    let Some(server) = Server::start(Kind::Moto) else { return };
    for (answer, again) in [
        ("503 Slow Down\r\nRetry-After: 1", true),
        ("429 Too Many Requests", true),
        ("500 Internal Server Error", true),
        ("403 Forbidden", false),
        ("401 Unauthorized", false),
        ("507 Insufficient Storage", false),
    ] {
        let bad = if again { 2 } else { 1 };
        let proxy =
            Proxy::start(server.port, move |number, _| if number <= bad { Fate::Answer(answer) } else { Fate::Pass });
        let access = server.access();
        let store = behind(&server, &proxy, &access);
        let start = std::time::Instant::now();
        let put = store.put(&name("packs/aa/a"), b"x");
        match again {
            true => drop(put.unwrap_or_else(|error| panic!("{answer}: {error}"))),
            false => {
                let error = put.unwrap_err();
                let expected = if answer.starts_with("507") { ErrorKind::Full } else { ErrorKind::Denied };
                assert_eq!(error.kind, expected, "{answer}: {error}");
            }
        }
        assert_eq!(access.traffic.counted().retries, if again { 2 } else { 0 }, "{answer}");
        if answer.contains("Retry-After") {
            assert!(start.elapsed() >= Duration::from_secs(2), "it waits as long as it is asked to");
        }
        store.delete(&name("packs/aa/a")).unwrap();
    }
}

#[test]
fn patience_has_an_end() {
    let Some(server) = Server::start(Kind::Moto) else { return };
    let proxy = Proxy::start(server.port, |_, _| Fate::Answer("503 Slow Down"));
    let access = Access { patience: Duration::from_secs(2), ..server.access() };
    let start = std::time::Instant::now();
    let error = behind(&server, &proxy, &access).get(&name("config")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Temporary);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(error.to_string().contains("503"), "{error}");
}

#[test]
fn a_line_that_stalls_is_given_up_and_tried_anew() {
    let Some(server) = Server::start(Kind::Moto) else { return };
    let proxy = Proxy::start(server.port, |number, _| if number == 1 { Fate::Stall } else { Fate::Pass });
    let access = Access { stall: Duration::from_secs(1), ..server.access() };
    let store = behind(&server, &proxy, &access);
    assert_eq!(store.put(&name("packs/aa/a"), &bytes(1000)).unwrap(), Put::Created);
    assert_eq!(access.traffic.counted().retries, 1);
}

#[test]
fn an_answer_cut_short_is_no_object() {
    let Some(server) = Server::start(Kind::Moto) else { return };
    let pack = bytes(500_000);
    let direct = create_with(&Server::url(&server.location_at(server.port, "repo")), &server.access()).unwrap();
    direct.put(&name("packs/aa/a"), &pack).unwrap();
    let proxy = Proxy::start(server.port, |number, _| match number <= 3 {
        true => Fate::CutAnswer(number as usize * 100_000),
        false => Fate::Pass,
    });
    assert_eq!(behind(&server, &proxy, &server.access()).get(&name("packs/aa/a")).unwrap(), pack);
    let always = Proxy::start(server.port, |_, _| Fate::CutAnswer(100_000));
    let access = Access { patience: Duration::from_secs(1), ..server.access() };
    assert_eq!(behind(&server, &always, &access).get(&name("packs/aa/a")).unwrap_err().kind, ErrorKind::Temporary);
}

#[test]
fn a_server_that_restarts_is_waited_for() {
    for kind in [Kind::Minio, Kind::Sshd] {
        let Some(mut server) = Server::start(kind) else { continue };
        let url = Server::url(&server.location());
        let store = create_with(&url, &server.access()).unwrap();
        store.put(&name("packs/aa/a"), b"before").unwrap();
        server.restart();
        assert_eq!(store.put(&name("packs/aa/b"), b"after").unwrap(), Put::Created, "{kind:?}");
        assert_eq!(store.get(&name("packs/aa/a")).unwrap(), b"before", "{kind:?}");
    }
}

/// A server that does not remove one of several names it, maybe in other words than it was named in, and answers that all went well.
#[test]
fn what_is_removed_with_one_request_is_gone_or_named() {
    const PARTLY: &str = "200 OK\r\nContent-Type: application/xml\r\n\r\n<?xml version=\"1.0\"?><DeleteResult><Error><Key>elsewhere</Key>\
                          <Code>InternalError</Code><Message>once more</Message></Error></DeleteResult>";
    let Some(server) = Server::start(Kind::Minio) else { return };
    let names: Vec<_> = (0..20).map(|n| name(&format!("packs/aa/{n}"))).collect();
    let removes = |first: &str| first.starts_with("POST ") && first.contains("delete");
    let answers: [fn() -> Fate; 4] =
        [|| Fate::Pass, || Fate::Answer(PARTLY), || Fate::Answer("501 Not Implemented"), || Fate::CutAnswer(20)];
    for (number, answer) in answers.into_iter().enumerate() {
        let proxy = Proxy::start(server.port, move |_, first| if removes(first) { answer() } else { Fate::Pass });
        let store = behind(&server, &proxy, &server.access());
        for name in &names {
            store.put(name, b"pack").unwrap();
        }
        let outcomes = store.delete_all(&names);
        assert_eq!(outcomes.len(), names.len());
        assert!(outcomes.iter().all(Result::is_ok), "{number}: {outcomes:?}");
        assert_eq!(store.list("packs").unwrap(), [], "{number}");
        let alone = proxy.seen().iter().filter(|line| line.starts_with("DELETE ")).count();
        assert_eq!(alone, if number == 0 { 0 } else { names.len() }, "{number}");
    }
}

/// A part that comes while it is read is whole or an error, however often the line is cut meanwhile.
#[test]
fn what_is_handed_on_as_it_comes_is_the_same() {
    for kind in [Kind::Minio, Kind::Moto, Kind::Azurite, Kind::FakeGcs] {
        let Some(server) = Server::start(kind) else { continue };
        let pack = bytes(3_000_000);
        let direct = create_with(&Server::url(&server.location_at(server.port, "repo")), &server.access()).unwrap();
        direct.put(&name("packs/aa/a"), &pack).unwrap();
        let proxy = Proxy::start(server.port, |number, _| match number <= 3 {
            true => Fate::CutAnswer(number as usize * 700_000),
            false => Fate::Pass,
        });
        let store = behind(&server, &proxy, &server.access());
        for (offset, length) in [(0, 5_000_000_u64), (1_000_000, 500_000), (2_900_000, 1_000_000), (3_000_000, 10)] {
            let came = Arc::new(std::sync::Mutex::new(Vec::new()));
            let taken = Arc::clone(&came);
            let arrived: boveda::store::Arrived = Arc::new(move |at, piece: &[u8]| {
                let mut taken = taken.lock().unwrap();
                taken.truncate(at as usize);
                assert_eq!(taken.len() as u64, at);
                taken.extend_from_slice(piece);
            });
            let end = (offset + length).min(pack.len() as u64);
            assert_eq!(store.stream(&name("packs/aa/a"), offset, length, &arrived).unwrap(), end - offset, "{kind:?}");
            assert!(*came.lock().unwrap() == pack[offset as usize..end as usize], "{kind:?} {offset}");
        }
    }
}
