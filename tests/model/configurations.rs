use crate::broken::Broken;
use crate::check::search;
use crate::setup::{Role, Setup};
#[test]
fn tmp() {
    use Role::*;
    let p: &'static [Role] = &[Prunes];
    let s = Setup { maintainers: p, ..Setup::SMALLEST };
    for (name, setup) in [
        ("p nq1 log-first 51648", Setup { broken: Some(Broken::ListsAfterLog), ..s }),
        ("p nq1", s),
        ("p+c nq1 1840332", Setup { maintainers: &[Prunes, Checkpoints], ..s }),
        (
            "p+p nq1 logfirst 2912749",
            Setup { maintainers: &[Prunes, Prunes], broken: Some(Broken::ListsAfterLog), ..s },
        ),
        ("p nq2 logfirst 2788553", Setup { sessions: 2, broken: Some(Broken::ListsAfterLog), ..s }),
    ] {
        let t = std::time::Instant::now();
        println!("{name}: {} {:?}", search(&setup), t.elapsed());
    }
}
