//! What only root can set the scene for: block devices, mounts, the machine's own configuration. For others, and where a
//! sandbox does not allow it, these tests say so and prove nothing.

use super::{Place, Run, write};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The program's folder, in which a script finds it.
fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_boveda")).parent().unwrap().to_owned()
}

/// Whether this is root; says so if not.
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: this test needs root");
    }
    root
}

/// Runs a script as root in mounts of its own, in the place's folder, with its repository and key; `None` if that is not
/// possible here. The script ends with 77 when the scene cannot be set.
#[allow(clippy::print_stdout)]
fn with_own_mounts(place: &Place, script: &str) -> Option<Run> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: this test needs root");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-euc", script]).current_dir(place.path(""));
    command.env_clear().env("HOME", place.path("home")).env("TZ", "UTC");
    command.env("BOVEDA_REPOSITORY", place.path("repository")).env("BOVEDA_KEY_FILE", place.path("admin.key"));
    let mut path = program().into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let run = Run::of(command.env("PATH", path));
    if run.code == 77 {
        println!("skipped: {}", run.err);
        return None;
    }
    Some(run)
}

#[test]
fn the_content_of_a_block_device_is_read_when_asked() {
    let place = Place::init();
    let image: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let image = [&image[..], &vec![0; (3 << 20) - image.len()][..]].concat();
    write(&place.path("image"), &image);
    let script = "loop=$(losetup --show -f image) || exit 77\ntrap 'losetup -d $loop' EXIT\n\
                  mkdir s && cp -a $loop s/disk\nboveda snapshot s\nboveda snapshot --read-special s --tag read\n\
                  boveda restore \"latest:$PWD/s\" --target out --tag read\nls -l s/disk out/disk\n\
                  boveda restore latest~1:$PWD/s --target device\nls -l device/disk";
    let Some(run) = with_own_mounts(&place, script) else { return };
    run.ends(0).tells("3.00 MiB");
    assert!(fs::read(place.path("out/disk")).unwrap() == image, "the device's content differs");
    let device = fs::symlink_metadata(place.path("device/disk")).unwrap();
    assert!(std::os::unix::fs::FileTypeExt::is_block_device(&device.file_type()));
}

#[test]
fn deletion_does_not_reach_into_what_is_mounted_below_the_target() {
    let place = Place::init();
    write(&place.path("files/a"), "first");
    write(&place.path("t/old"), "goes");
    let script = "boveda snapshot files\nmkdir t/disk && mount -t tmpfs none t/disk || exit 77\n\
                  echo precious > t/disk/file && mkdir t/disk/folder\n\
                  boveda -v restore \"latest:$PWD/files\" --target t --delete || echo \"ended with $?\"\n\
                  cat t/disk/file && ls -d t/disk/folder && ls t";
    let Some(run) = with_own_mounts(&place, script) else { return };
    let run = run.ends(0);
    assert!(run.out.contains("precious\nt/disk/folder\n"), "{run:?}");
    assert!(run.out.ends_with("a\ndisk\n"), "{run:?}");
    assert!(!place.path("t/old").exists());
}

#[test]
fn the_machines_configuration_counts_where_the_user_has_none() {
    let place = Place::init();
    write(&place.path("files/a"), "first");
    let script = "mkdir upper work && mount -t overlay overlay -o lowerdir=/etc,upperdir=upper,workdir=work /etc || exit 77\n\
                  mkdir -p /etc/boveda\n\
                  printf '[snapshot]\\npaths = [\"%s/files\"]\\ntags = [\"of-machine\"]\\n' \"$PWD\" > /etc/boveda/config.toml\n\
                  boveda snapshot\nboveda snapshots\nboveda config show\n\
                  mkdir -p home/.config/boveda\nprintf '[snapshot]\\ntags = [\"of-user\"]\\n' > home/.config/boveda/config.toml\n\
                  boveda snapshot files\nboveda snapshots --latest 1";
    // An overlay needs another file system than itself below it: not all temporary folders can be its upper layer.
    let Some(run) = with_own_mounts(&place, script) else { return };
    let run = run.ends(0).tells("of-user");
    assert!(run.out.contains("of-machine") && run.out.contains("/etc/boveda/config.toml"), "{run:?}");
    let newest = &run.out[run.out.rfind("ID ").unwrap()..];
    assert!(newest.contains("of-user"), "{run:?}");
}
