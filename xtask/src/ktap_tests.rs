//! Tests of the KTAP reader.

use super::*;
use proptest::prelude::*;

fn names(report: &Report) -> Vec<&str> {
    report.cases.iter().map(|case| case.name.as_str()).collect()
}

fn errors(log: &str) -> Vec<String> {
    parse(log)
        .errors
        .into_iter()
        .map(|error| error.to_string())
        .collect()
}

#[test]
fn a_flat_report_between_log_lines() {
    let report = parse(
        "[    0.000001] boot: 1..9\r\nok 1 noise\r\nKTAP version 1\r\n1..3\r\n# a\r\nok 1 one\r\n\
         [    0.5] x: not ok 2\r\nnot ok 2 - two\r\nok 3 three # SKIP no fxsr\r\n",
    );
    assert_eq!(report.errors, []);
    assert_eq!(names(&report), ["one", "two", "three"]);
    assert_eq!(report.cases[0].outcome, Outcome::Ok);
    assert_eq!(report.cases[1].outcome, Outcome::NotOk);
    assert_eq!(report.cases[1].lines, 6..8);
    assert_eq!(report.cases[2].outcome, Outcome::Skip("no fxsr".to_owned()));
}

#[test]
fn nested_subtests_carry_their_parents_names() {
    let report = parse(
        "KTAP version 1\n1..2\n  KTAP version 1\n  # Subtest: switch\n  1..2\n  ok 1 last\n  \
         not ok 2 flags\nnot ok 1 switch\n    KTAP version 1\n    1..1\n      KTAP version 1\n      \
         1..1\n      ok 1 c\n    ok 1 b\nok 2 a\n",
    );
    assert_eq!(report.errors, []);
    assert_eq!(names(&report), ["switch::last", "switch::flags", "a::b::c"]);
}

#[test]
fn several_documents_in_one_log() {
    let report = parse(
        "# Subtest: p\nKTAP version 1\n1..1\nok 1 x\n# Subtest: q\nKTAP version 1\n1..1\nok 1 x\n",
    );
    assert_eq!(report.errors, []);
    assert_eq!(names(&report), ["p::x", "q::x"]);
}

#[test]
fn what_is_missing_is_an_error() {
    assert_eq!(errors(""), ["line 1: no KTAP document"]);
    assert_eq!(errors("KTAP version 1\n"), ["line 2: no plan"]);
    assert_eq!(
        errors("KTAP version 1\n1..2\nok 1 a\n"),
        ["line 4: 1 of 2 cases were reported"]
    );
    assert_eq!(
        errors("KTAP version 1\n1..0\n"),
        ["line 2: a plan of no cases tests nothing"]
    );
    assert_eq!(
        errors("KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  ok 1 a\n"),
        [
            "line 6: 0 of 1 cases were reported",
            "line 6: subtests that were never named"
        ]
    );
}

#[test]
fn what_is_out_of_turn_is_an_error() {
    assert_eq!(
        errors("KTAP version 1\n1..2\nok 2 b\n"),
        ["line 3: case 2 where 1 is due"]
    );
    assert_eq!(
        errors("KTAP version 1\n1..1\nok 1 a\nok 2 b\n"),
        ["line 4: case 2 of a plan of 1"]
    );
    assert_eq!(
        errors("KTAP version 1\n1..2\nok 1 a\nok 2 a\n"),
        ["line 4: a second case called a"]
    );
    assert_eq!(
        errors("KTAP version 1\n1..1\n1..1\nok 1 a\n"),
        ["line 3: a second plan"]
    );
    assert_eq!(
        errors("KTAP version 1\n1..1\nBail out! no memory\nok 1 a\n"),
        [
            "line 3: bailed out: no memory",
            "line 5: 0 of 1 cases were reported"
        ]
    );
    assert_eq!(
        errors("KTAP version 2\n1..1\nok 1 a\n"),
        ["line 1: KTAP version 2 is unknown"]
    );
}

#[test]
fn a_parent_must_agree_with_its_subtests() {
    let log = "KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  not ok 1 a\nok 1 b\n";
    assert_eq!(errors(log), ["line 6: b is ok, but a subtest is not"]);
    let report = parse("KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  ok 1 a\nnot ok 1 b\n");
    assert_eq!(names(&report), ["b", "b::a"]);
}

#[test]
fn no_directive_excuses_a_failure() {
    for line in [
        "not ok 1 a # TODO later",
        "not ok 1 a # SKIP no",
        "ok 1 a # XFAIL",
    ] {
        let report = parse(&format!("KTAP version 1\n1..1\n{line}\n"));
        assert_eq!(report.errors.len(), 1, "{line}");
        assert_eq!(report.cases[0].outcome, Outcome::NotOk, "{line}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(log in "(?s).{0,400}") {
        parse(&log);
    }

    #[test]
    fn no_mixture_of_ktap_lines_panics(lines in proptest::collection::vec(
        "( |  |    )?(KTAP version [12]|1\\.\\.[0-4]|(not )?ok [0-9]{1,11}( -)? [ab]?( # (SKIP|TODO) x)?|# Subtest: s|Bail out!|é)",
        0..40,
    )) {
        let report = parse(&lines.join("\n"));
        for case in &report.cases {
            prop_assert!(case.lines.start < case.lines.end && case.lines.end <= lines.len());
        }
    }

    #[test]
    fn a_kept_plan_is_read_whole(outcomes in proptest::collection::vec(any::<bool>(), 1..30), cut in any::<prop::sample::Index>()) {
        let mut log = format!("KTAP version 1\n1..{}\n", outcomes.len());
        for (number, ok) in outcomes.iter().enumerate() {
            log += &format!("{}ok {} case_{number}\n", if *ok { "" } else { "not " }, number + 1);
        }
        let report = parse(&log);
        prop_assert_eq!(&report.errors, &[]);
        let read: Vec<bool> = report.cases.iter().map(|case| case.outcome == Outcome::Ok).collect();
        prop_assert_eq!(read, outcomes);
        // Any log that breaks off before the last result is incomplete.
        let last = log.trim_end().rfind('\n').unwrap_or(0);
        prop_assert!(!parse(&log[..cut.index(last)]).errors.is_empty());
    }
}
