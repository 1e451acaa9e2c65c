//! Rules as they are written and read again, what contradicts itself, and the words for verdicts.

use super::*;

#[test]
fn rules_come_back_as_they_were_written() {
    let text = "keep_last = 3\nkeep_within = \"1y2d\"\nkeep_size = \"2G\"\n\n[full]\nkeep_weekly = 4\n";
    let rules: Rules = toml::from_str(text).unwrap();
    assert_eq!((rules.keep_last, rules.keep_within, rules.keep_size), (count(3), span("1y2d"), Some(Size(2 << 30))));
    let written = toml::to_string(&rules).unwrap();
    assert!(written.contains("keep_within = \"1y2d\"") && written.contains("keep_size = \"2G\""), "{written}");
    assert_eq!(toml::from_str::<Rules>(&written).unwrap(), rules);
    for wrong in ["keep_within = \"3w\"", "keep_size = \"much\"", "keep_last = 0", "keep_often = 1"] {
        assert!(toml::from_str::<Rules>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn sizes_are_written_in_the_largest_unit_that_divides_them() {
    let sizes = [(0, "0"), (1, "1"), (1023, "1023"), (1024, "1K"), (1536, "1536"), (5 << 20, "5M"), (3 << 30, "3G")];
    for (bytes, text) in sizes.into_iter().chain([(1 << 40, "1T"), (1025 << 30, "1025G"), (2 << 50, "2048T")]) {
        assert_eq!(String::from(Size(bytes)), text);
    }
}

#[test]
fn rules_for_kinds_hold_nothing_that_is_for_all() {
    let of = |full: Rules| Rules { full: Some(Box::new(full)), ..Rules::default() };
    let plain = Rules { keep_last: count(1), ..Rules::default() };
    assert_eq!((Rules::default().contradiction(), of(plain.clone()).contradiction()), (None, None));
    let nested = of(Rules { incremental: Some(Box::new(plain.clone())), ..Rules::default() });
    assert_eq!(nested.contradiction(), Some("the rules for a kind of snapshot hold rules for kinds"));
    let sized = of(Rules { keep_size: Some(Size(1)), ..plain.clone() });
    assert_eq!(sized.contradiction(), Some("keep_size is for all snapshots together, not for one kind"));
    // It is about what stands in a kind: by itself a size is a rule like others.
    assert_eq!(Rules { keep_size: Some(Size(1)), ..plain.clone() }.contradiction(), None);
    assert!(Rules::default().is_empty() && !plain.is_empty() && !of(Rules::default()).is_empty());
}

#[test]
fn there_are_words_for_why_a_snapshot_goes() {
    let words = [
        (Cause::NoRuleKeepsIt, "no rule keeps it"),
        (Cause::Superseded, "partial, and a complete one came after it"),
        (Cause::OverSize, "the oldest, and the size is limited"),
        (Cause::Named, "named"),
    ];
    for (cause, text) in words {
        assert_eq!(cause.to_string(), text);
    }
}
