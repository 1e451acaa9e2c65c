//! File systems that show the kernel's state and not files.

use super::dir::DirHandle;

/// Whether the directory shows the kernel's state and not files: nobody wants that in a snapshot of what lies around it.
/// The numbers are those of `linux/magic.h`.
pub(super) fn is_pseudo(dir: &DirHandle) -> bool {
    const MAGIC: [u32; 16] = [
        0x0000_9fa0, // proc
        0x6265_6572, // sysfs
        0x0027_e0eb, // cgroup
        0x6367_7270, // cgroup2
        0x6462_6720, // debugfs
        0x7472_6163, // tracefs
        0x7363_6673, // securityfs
        0x6165_676c, // pstore
        0xcafe_4a11, // bpf
        0x6265_6570, // configfs
        0xf97c_ff8c, // selinuxfs
        0xde5e_81e4, // efivarfs
        0x0000_1cd1, // devpts
        0x1980_0202, // mqueue
        0x4249_4e4d, // binfmt_misc
        0x6e73_6673, // nsfs
    ];
    rustix::fs::fstatfs(dir).is_ok_and(|stat| MAGIC.iter().any(|&magic| i128::from(stat.f_type) == i128::from(magic)))
}
