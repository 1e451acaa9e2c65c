//! Searches the configurations, and holds `docs/protocol.md` to what that finds.

use crate::broken::Broken;
use crate::check::{Report, search};
use crate::configurations::{KEPT, Kept, LARGE, without};
use crate::setup::Setup;
use std::time::Instant;

/// States of a large configuration that are looked at where there is no time for all.
const FIRST: usize = 1_000_000;

const PAGE: &str = include_str!("../../docs/protocol.md");

fn told(what: &str, setup: &Setup, most: usize) -> Report {
    let begun = Instant::now();
    let report = search(setup, most);
    println!("{what} ({:.1} s): {report}", begun.elapsed().as_secs_f64());
    report
}

/// `1,234,567`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let group = |(at, digit): (usize, char)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        if comma { format!(",{digit}") } else { format!("{digit}") }
    };
    digits.chars().enumerate().map(group).collect()
}

/// Searches each to the end; what is lost, and what the page does not say.
fn all_of(list: &[Kept]) -> Vec<String> {
    let wrong = |Kept { what, setup }: &Kept| {
        let report = told(what, setup, usize::MAX);
        if report.loss.is_some() {
            return Some(format!("{what}: {report}"));
        }
        missing(format!("| {what} | {} | {} |", grouped(report.states), report.depth))
    };
    list.iter().filter_map(wrong).collect()
}

/// A row that is not in the page.
fn missing(row: String) -> Option<String> {
    PAGE.lines().all(|line| line != row).then_some(row)
}

#[test]
fn no_order_of_steps_loses_anything() {
    assert_eq!(all_of(KEPT), [""; 0], "lost, or not in docs/protocol.md");
}

#[test]
fn nor_does_one_in_the_large_configurations() {
    if std::env::var_os("BOVEDA_TEST_FULL").is_some() {
        return assert_eq!(all_of(LARGE), [""; 0], "lost, or not in docs/protocol.md");
    }
    for Kept { what, setup } in LARGE {
        let report = told(what, setup, FIRST);
        assert!(report.loss.is_none(), "{what}: {report}");
        assert!(report.states > FIRST, "{what} is no large configuration: {report}");
    }
}

#[test]
fn whichever_rule_is_left_out_something_is_lost() {
    let lost = |&rule: &Broken| {
        let (what, of) = rule.words();
        let report = told(&format!("{of}: {what}"), &without(rule), usize::MAX);
        let steps = match &report.loss {
            Some(loss) => loss.steps.len() - 1,
            None if rule.is_harmless() => return None,
            None => return Some(format!("{rule:?} loses nothing")),
        };
        assert_eq!(steps, report.depth, "the way to the loss is not told to its end");
        missing(format!("| {of} | {what} | {} | {steps} |", grouped(report.states)))
    };
    let wrong: Vec<_> = Broken::ALL.iter().filter_map(lost).collect();
    assert_eq!(wrong, [""; 0], "no loss, or not in docs/protocol.md");
}

#[test]
fn where_a_rule_is_left_out_it_is_tried_with_the_rule_as_well() {
    for &rule in Broken::ALL {
        let same = Setup { broken: None, ..without(rule) };
        assert!(KEPT.iter().chain(LARGE).any(|kept| kept.setup == same), "{rule:?}");
    }
}
