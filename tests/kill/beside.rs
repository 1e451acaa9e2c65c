//! Several at once: processes of one installation, and other principals.

use super::{Machine, fill};
use crate::cli::Place;
use std::collections::BTreeSet;

#[test]
fn processes_of_one_machine_and_of_another_principal_all_commit() {
    let place = Place::init();
    let admin = Machine::new(&place, "home", "admin.key");
    admin.run(["key", "add", "--role", "writer", "--label", "laptop", "--new-key-file", "laptop.key"]).ends(0);
    let laptop = Machine::new(&place, "laptop", "laptop.key");
    for round in 0..2 {
        let taken: BTreeSet<String> = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..6)
                .map(|n| {
                    let machine = if n < 4 { &admin } else { &laptop };
                    let source = place.path(&format!("source{n}"));
                    scope.spawn(move || {
                        fill(&source, 8, 1 << 20);
                        machine.snapshot(&source)["snapshot_id"].as_str().unwrap().to_owned()
                    })
                })
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert_eq!(taken.len(), 6, "round {round}");
        for n in 0..6 {
            admin.all_is_well(&place.path(&format!("source{n}")), &taken);
        }
    }
}
