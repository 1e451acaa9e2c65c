//! Nothing that is written for the user lands in the repository.

use super::{Place, write};
use std::fs;

#[test]
fn the_repository_is_no_place_to_restore_into() {
    let place = Place::init();
    // What would stand in the place of the repository's own objects.
    write(&place.path("files/config"), "not a repository's");
    write(&place.path("files/config.2"), "nor this");
    place.snapshot(&["files"], &[]);
    let files = format!("latest:{}", place.path("files").display());
    std::os::unix::fs::symlink("repository", place.path("link")).unwrap();
    let config = fs::read(place.path("repository/config")).unwrap();
    for target in ["repository", "repository/packs", "repository/new/folder", "link", "link/../repository"] {
        place.admin(["restore", &files, "--target", target]).ends(2).says("lies in the repository");
        place.admin(["restore", &files, "-n", "--target", target]).ends(2);
    }
    let file = format!("{files}/config");
    for target in ["repository/config", "link/config", "repository/packs/new"] {
        place.admin(["dump", &file, "--target", target]).ends(2).says("lies in the repository");
        place.admin(["export-tar", &files, target]).ends(2).says("lies in the repository");
    }
    assert_eq!(fs::read(place.path("repository/config")).unwrap(), config);
    assert!(!place.path("repository/new").exists());
    place.admin(["verify", "--level", "full"]).ends(0);
    // Beside it is fine, whatever the name begins with.
    place.admin(["restore", &files, "--target", "repository-2"]).ends(0);
    place.admin(["dump", &file, "--target", "repository-2/out"]).ends(0);
}
