//! `import-tar` of archives that somebody made with ill will.

use super::Place;

/// An archive of files that are holes but for one byte, each as long as a file can be.
fn endless(names: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for name in names {
        let records: [(&str, &[u8]); 4] = [
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", name.as_bytes()),
            ("GNU.sparse.realsize", b"9223372036854775807"),
        ];
        builder.append_pax_extensions(records).unwrap();
        let mut content = b"1\n0\n1\n".to_vec();
        content.resize(512, 0);
        content.push(b'x');
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, &content[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn sizes_that_no_number_holds_together_are_no_panic() {
    let place = Place::init();
    std::fs::write(place.path("endless.tar"), endless(&["a", "b", "c"])).unwrap();
    let run = place.admin(["--json", "import-tar", "endless.tar"]).ends(0);
    assert_eq!(run.message("summary")["total_bytes_processed"], u64::MAX);
    place.admin(["ls", "-lR", "latest"]).ends(0).tells("9223372036854775807");
    place.admin(["stats"]).ends(0);
    place.admin(["stats", "latest"]).ends(0);
    place.admin(["snapshots"]).ends(0);
    place.admin(["verify", "--level", "full"]).ends(0);
    let first = place.admin(["--json", "snapshots"]).json()[0]["id"].as_str().unwrap().to_owned();
    place.admin(["rewrite", &first, "--exclude", "a"]).ends(0);
    place.admin(["diff", &first, "latest"]).ends(0);
    place.admin(["restore", "latest", "--target", "out", "--dry-run"]).ends(0);
}
