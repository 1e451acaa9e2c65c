//! Every way in which one object can be damaged.
//!
//! A *flip* is one bit: parity heals it. A *deep* one is a bit with all parity gone beside it. A *forged* one lies in armour that
//! fits it, as only somebody who knows the format makes it. All three strike each part of the object's layout.

use super::parts::{Part, parts};
use super::site::{Site, named};
use boveda::repo::armour::{self, Layout, Scale};
use boveda::repo::names::Name;
use boveda::store::memory::MemoryStore;

/// One damage.
#[derive(Debug, Clone)]
pub struct Wound {
    /// What was done, for messages.
    pub what: String,
    /// What is stored afterwards, object by object; `None` for one that is gone.
    pub stored: Vec<(Name, Option<Vec<u8>>)>,
    /// Whether it is one bit outside of the content.
    pub healed_armour: bool,
}

impl Wound {
    fn new(name: Name, what: impl Into<String>, bytes: Option<Vec<u8>>) -> Self {
        Self { what: what.into(), stored: vec![(name, bytes)], healed_armour: false }
    }

    /// A fork of the site's store with this damage done to it.
    pub fn inflict(&self, site: &Site) -> MemoryStore {
        use boveda::store::Store as _;
        let store = site.world.store.fork();
        for (name, bytes) in &self.stored {
            match bytes {
                Some(bytes) => store.overwrite(&name.object(), bytes.clone()),
                None => store.delete(&name.object()).unwrap(),
            }
        }
        store
    }
}

/// Every damage to this object. At full scale more places of each part are struck.
pub fn all(site: &Site, name: Name, intact: &[u8]) -> Vec<Wound> {
    let layout = armour::check(intact).unwrap();
    let full = std::env::var_os("BOVEDA_TEST_FULL").is_some();
    let mut wounds = Vec::new();
    for part in parts(site, &name, intact, &layout) {
        let last = part.range.end - 1;
        let mut places = vec![part.range.start];
        if full {
            places.extend([part.range.start + part.range.len() / 2, last]);
            places.dedup();
        }
        for at in places {
            flips(&mut wounds, name, intact, &layout, &part, at);
        }
    }
    let change = |what: String, bytes: Vec<u8>| Wound::new(name, what, Some(bytes));
    for at in [0, intact.len() / 2, intact.len().saturating_sub(4096)] {
        let mut zeroed = intact.to_vec();
        let end = (at + 4096).min(zeroed.len());
        zeroed[at..end].fill(0);
        wounds.push(change(format!("a block of zeros at {at}"), zeroed));
    }
    for (end, at) in cuts(&layout) {
        wounds.push(change(format!("cut at the end of its {end}"), intact[..at].to_vec()));
    }
    wounds.push(change("its front cut off".to_owned(), intact[layout.head_len()..].to_vec()));
    wounds.push(change("garbage behind it".to_owned(), [intact, &[0x55; 100]].concat()));
    wounds.push(change("much garbage behind it".to_owned(), [intact, &[0; 9000]].concat()));
    wounds.push(change("garbage before it".to_owned(), [&[0x55; 100], intact].concat()));
    wounds.push(change("all garbage".to_owned(), vec![0x55; intact.len()]));
    wounds.push(Wound::new(name, "removed", None));
    exchanges(&mut wounds, site, name, intact);
    wounds
}

/// One bit at `at`: alone, with all parity gone, and in armour that fits.
fn flips(wounds: &mut Vec<Wound>, name: Name, intact: &[u8], layout: &Layout, part: &Part, at: usize) {
    let mut flipped = intact.to_vec();
    flipped[at] ^= 1;
    let data = layout.data_range();
    let what = format!("a bit of its {} at {at}", part.name);
    let healed_armour = !data.contains(&at);
    wounds.push(Wound { what, stored: vec![(name, Some(flipped.clone()))], healed_armour });
    let full = std::env::var_os("BOVEDA_TEST_FULL").is_some();
    // Outside of the data all deep damage is alike: both ends are gone.
    if !full && !data.contains(&at) && part.name != "parity" {
        return;
    }
    let mut deep = flipped.clone();
    if data.contains(&at) {
        deep[data.end..data.end + layout.parity_len()].fill(0);
    } else {
        let end = deep.len();
        deep[..8].fill(0);
        deep[end - 8..].fill(0);
    }
    wounds.push(Wound::new(name, format!("deep damage of its {} at {at}", part.name), Some(deep)));
    if data.contains(&at) {
        let scale = if matches!(name, Name::Pack(_)) { Scale::Pack } else { Scale::Small };
        let forged = armour::wrap(layout.kind(), scale, flipped[data].to_vec());
        wounds.push(Wound::new(name, format!("forged {} at {at}", part.name), Some(forged)));
    }
}

/// Where a cut is another kind of cut.
fn cuts(layout: &Layout) -> [(&'static str, usize); 8] {
    let data = layout.data_range();
    let parity = data.end + layout.parity_len();
    [
        ("nothing", 0),
        ("first byte", 1),
        ("fixed part", armour::FIXED_LEN),
        ("head", layout.head_len()),
        ("first half", data.start + layout.data_len() / 2),
        ("data", data.end),
        ("parity", parity),
        ("last byte but one", layout.stored_len() - 1),
    ]
}

/// Its sibling in its place, both exchanged, and one of another repository.
fn exchanges(wounds: &mut Vec<Wound>, site: &Site, name: Name, intact: &[u8]) {
    let objects = site.objects();
    let kin = |other: &Name| other.kind() == name.kind() && bound(other) != bound(&name);
    if let Some((sibling, bytes)) = objects.iter().find(|(other, _)| kin(other)) {
        wounds.push(Wound::new(name, format!("{sibling} in its place"), Some(bytes.clone())));
        wounds.push(Wound {
            what: format!("exchanged with {sibling}"),
            stored: vec![(name, Some(bytes.clone())), (*sibling, Some(intact.to_vec()))],
            healed_armour: false,
        });
    }
    if let Some((_, bytes)) = objects.iter().find(|(other, _)| other.kind() != name.kind()) {
        wounds.push(Wound::new(name, "an object of another kind in its place", Some(bytes.clone())));
    }
    if let Some((_, bytes)) = named(&site.other).into_iter().find(|(other, _)| other.kind() == name.kind()) {
        wounds.push(Wound::new(name, "another repository's in its place", Some(bytes)));
    }
}

/// The name without the copy: both copies hold the same, so exchanging them is no damage.
fn bound(name: &Name) -> String {
    let text = name.to_string();
    text.strip_suffix(".2").unwrap_or(&text).to_owned()
}
