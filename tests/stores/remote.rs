//! The stores that need a network, on real servers: the same contract as a folder's, and what only they must do.

use super::conformance::{hold_to_the_contract, hold_to_the_contract_alone, hold_to_the_contract_on_files};
use super::name;
use crate::servers::{Kind, Server, free_port};
use boveda::store::access::{Access, Hidden};
use boveda::store::open::{create_with, open_with};
use boveda::store::{ErrorKind, Put, Store};
use std::sync::Arc;
use std::time::Duration;

fn made(server: &Server) -> Arc<dyn Store> {
    create_with(&Server::url(&server.location()), &server.access()).unwrap()
}

/// A server that keeps racing writers apart.
fn conforms(kind: Kind) {
    let Some(server) = Server::start(kind) else { return };
    assert!(made(&server).exclusive(), "{kind:?}");
    hold_to_the_contract(&|| made(&server));
}

#[test]
fn moto() {
    let Some(server) = Server::start(Kind::Moto) else { return };
    // Its conditional puts are mostly, but not always, exclusive.
    hold_to_the_contract_alone(&|| made(&server));
}

#[test]
fn minio() {
    conforms(Kind::Minio);
}

#[test]
fn azurite() {
    conforms(Kind::Azurite);
}

#[test]
fn fake_gcs() {
    conforms(Kind::FakeGcs);
}

#[test]
fn sshd() {
    conforms(Kind::Sshd);
}

#[test]
fn s3s() {
    let Some(server) = Server::start(Kind::S3s) else { return };
    // It answers with an internal error when asked for one of its folders.
    hold_to_the_contract_on_files(&|| made(&server));
}

#[test]
fn webdav() {
    let Some(server) = Server::start(Kind::Webdav) else { return };
    assert!(!made(&server).exclusive());
    hold_to_the_contract_alone(&|| made(&server));
}

/// Listings longer than a page.
fn pages(kind: Kind, count: usize) {
    let Some(server) = Server::start(kind) else { return };
    let store = made(&server);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for n in (thread..count).step_by(8) {
                    store.put(&name(&format!("packs/{:02x}/{n:06}", n % 256)), b"x").unwrap();
                }
            });
        }
    });
    assert_eq!(store.list("packs").unwrap().len(), count);
}

#[test]
fn listings_of_several_pages_are_whole() {
    pages(Kind::Moto, 1100);
    pages(Kind::S3s, 1100);
}

#[test]
fn a_bucket_that_is_not_there_is_no_empty_one() {
    for kind in [Kind::Moto, Kind::Minio, Kind::Azurite, Kind::FakeGcs] {
        let Some(server) = Server::start(kind) else { continue };
        let url = Server::url(&server.location().replace("packs/", "nobody/"));
        let error = create_with(&url, &server.access()).err().unwrap();
        assert_eq!(error.kind, ErrorKind::NoStore, "{kind:?}: {error}");
        let store = open_with(&url, &server.access()).unwrap();
        assert_eq!(store.get(&name("config")).unwrap_err().kind, ErrorKind::NoStore, "{kind:?}");
        assert_eq!(store.list("").unwrap_err().kind, ErrorKind::NoStore, "{kind:?}");
        assert_eq!(store.list("packs").unwrap_err().kind, ErrorKind::NoStore, "{kind:?}");
    }
}

#[test]
fn wrong_credentials_are_named_and_not_tried_again() {
    for kind in [Kind::S3s, Kind::Minio, Kind::Azurite, Kind::Webdav] {
        let Some(server) = Server::start(kind) else { continue };
        let location = server.location().replace("u:p@", "u:wrong@");
        let mut access = server.access();
        access.secret_access_key = Some(Hidden::new("WRONGSECRET".to_owned()));
        access.account_key = Some(Hidden::new("d3Jvbmc=".to_owned()));
        let error = match create_with(&Server::url(&location), &access) {
            Ok(store) => store.get(&name("config")).unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind, ErrorKind::Denied, "{kind:?}: {error}");
        assert_eq!(access.traffic.counted().retries, 0, "{kind:?}");
        assert!(!error.to_string().contains("wrong@") && !error.to_string().contains("WRONGSECRET"), "{error}");
    }
}

#[test]
fn a_key_that_ssh_does_not_know_is_named() {
    let Some(server) = Server::start(Kind::Sshd) else { return };
    let mut access = server.access();
    access.ssh.extend(["-oIdentityFile=/dev/null", "-oIdentityAgent=none"].map(str::to_owned));
    access.ssh[2] = "/dev/null".to_owned();
    access
        .ssh
        .extend(["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oBatchMode=yes"].map(str::to_owned));
    let error = create_with(&Server::url(&server.location()), &access).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("Permission denied"), "{error}");
}

#[test]
fn nobody_there_is_for_the_moment() {
    let port = free_port();
    for location in [
        format!("s3://packs/x?endpoint=http://127.0.0.1:{port}&region=x"),
        format!("sftp://127.0.0.1:{port}/srv/x"),
        format!("webdav://127.0.0.1:{port}/x"),
    ] {
        let mut access = Access { patience: Duration::ZERO, ..Access::default() };
        access.access_key_id = Some(Hidden::new("a".to_owned()));
        access.secret_access_key = Some(Hidden::new("b".to_owned()));
        let error = create_with(&Server::url(&location), &access).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Temporary, "{error}");
    }
}

#[test]
fn traffic_is_counted_and_limited() {
    for kind in [Kind::Moto, Kind::Sshd] {
        let Some(server) = Server::start(kind) else { continue };
        let mut access = server.access();
        access.upload = Some("512K".parse::<boveda::config::LineRate>().unwrap().pace());
        let store = create_with(&Server::url(&server.location()), &access).unwrap();
        let before = access.traffic.counted();
        let start = std::time::Instant::now();
        assert_eq!(store.put(&name("packs/aa/a"), &vec![7; 1 << 20]).unwrap(), Put::Created);
        let took = start.elapsed();
        assert!(took > Duration::from_millis(1500) && took < Duration::from_secs(8), "{kind:?}: {took:?}");
        store.get(&name("packs/aa/a")).unwrap();
        let counted = access.traffic.counted();
        assert_eq!(counted.uploaded - before.uploaded, 1 << 20, "{kind:?}");
        assert!(counted.downloaded - before.downloaded >= 1 << 20, "{kind:?}");
        assert!(counted.requests > before.requests);
    }
}
