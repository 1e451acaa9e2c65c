//! Whether this machine runs on its battery, as the kernel says below `/sys/class/power_supply`.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel shows power supplies, a folder each.
pub const SUPPLIES: &str = "/sys/class/power_supply";

/// The power supplies of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supplies(PathBuf);

impl Default for Supplies {
    /// Those of this machine.
    fn default() -> Self {
        Self(PathBuf::from(SUPPLIES))
    }
}

impl Supplies {
    /// Those that a folder shows in the way of [`SUPPLIES`].
    pub fn of(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Whether a battery feeds the machine, and no mains supply is there. Of what cannot be read, nothing is believed: a machine
    /// that shows no supplies has mains power.
    pub fn on_battery(&self) -> bool {
        let supplies: Vec<_> =
            fs::read_dir(&self.0).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        let mains = |supply: &PathBuf| {
            matches!(says(supply, "type").as_str(), "Mains" | "USB" | "Wireless") && says(supply, "online") == "1"
        };
        supplies.iter().any(|supply| feeds(supply)) && !supplies.iter().any(mains)
    }
}

/// Whether this is a battery that runs down, of the machine and not of a mouse.
fn feeds(supply: &Path) -> bool {
    says(supply, "type") == "Battery" && says(supply, "scope") != "Device" && says(supply, "status") == "Discharging"
}

/// An attribute, empty when there is none.
fn says(supply: &Path, attribute: &str) -> String {
    fs::read_to_string(supply.join(attribute)).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supplies(all: &[&[(&str, &str)]]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        for (number, attributes) in all.iter().enumerate() {
            let supply = folder.path().join(number.to_string());
            fs::create_dir(&supply).unwrap();
            attributes.iter().for_each(|(name, value)| fs::write(supply.join(name), format!("{value}\n")).unwrap());
        }
        Supplies::of(folder.path()).on_battery()
    }

    #[test]
    fn only_a_battery_that_feeds_the_machine_alone_counts() {
        let draining: &[_] = &[("type", "Battery"), ("status", "Discharging")];
        assert!(supplies(&[draining]));
        assert!(supplies(&[draining, &[("type", "Mains"), ("online", "0")]]));
        assert!(supplies(&[&[("type", "Battery"), ("status", "Full")], draining]));
        let others: [&[&[(&str, &str)]]; 7] = [
            &[],
            &[&[("type", "Battery"), ("status", "Charging")]],
            &[&[("type", "Battery"), ("status", "Discharging"), ("scope", "Device")]],
            &[draining, &[("type", "Mains"), ("online", "1")]],
            &[draining, &[("type", "USB"), ("online", "1")]],
            &[&[("type", "UPS"), ("status", "Discharging")]],
            &[&[("status", "Discharging")]],
        ];
        for not in others {
            assert!(!supplies(not), "{not:?}");
        }
        assert!(!Supplies::of("/no/such/folder").on_battery());
    }
}
