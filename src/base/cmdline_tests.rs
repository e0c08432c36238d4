//! Unit and property tests of [`super`].

use super::*;
use crate::base::consoles::Consoles;
use proptest::prelude::*;

fn warnings(line: &str) -> Vec<String> {
    parse(line).1.map(|warning| warning.to_string()).collect()
}

fn quietly(line: &str) -> Cmdline<'_> {
    assert_eq!(warnings(line), [""; 0], "{line}");
    parse(line).0
}

fn args(cmdline: &Cmdline<'_>) -> Vec<String> {
    cmdline
        .init_args
        .clone()
        .map(|arg| arg.to_string())
        .collect()
}

#[test]
fn an_empty_line_means_the_defaults() {
    for line in ["", "   ", "\t\n "] {
        assert_eq!(quietly(line), Cmdline::default());
    }
    assert_eq!(quietly("").init.to_string(), "/init");
    assert_eq!((quietly("").job, quietly("").loglevel), (Job::Init, 6));
}

#[test]
fn every_word_of_the_table_is_known() {
    assert_eq!(quietly("tour").job, Job::Tour(Pauses::Never));
    assert_eq!(quietly("tour=pause").job, Job::Tour(Pauses::Always));
    assert_eq!(quietly("tour=ask tour").job, Job::Tour(Pauses::Never));
    assert_eq!(quietly("selftest").job, Job::Selftest(Glob::ALL));
    let Job::Selftest(glob) = quietly("selftest=gs_*").job else {
        panic!()
    };
    assert!(glob.matches("gs_reload") && !glob.matches("sp0"));
    assert_eq!(
        quietly("init=/bin/busybox").init.to_string(),
        "/bin/busybox"
    );
    assert_eq!(quietly("fpu=eager").fpu, Fpu::Eager);
    assert_eq!(quietly("fpu=eager fpu=lazy").fpu, Fpu::Lazy);
    assert_eq!(quietly("io_bitmap=lazy").io_bitmap, IoBitmapMode::Lazy);
    assert_eq!(
        quietly("io_bitmap=invalidate").io_bitmap,
        IoBitmapMode::Invalidate
    );
    assert_eq!(
        quietly("io_bitmap=lazy io_bitmap=copy").io_bitmap,
        IoBitmapMode::Copy
    );
    assert_eq!(quietly("paravirt=batch").paravirt, Paravirt::Batch);
    assert_eq!(
        quietly("paravirt=batch paravirt=native").paravirt,
        Paravirt::Native
    );
    assert_eq!(quietly("loglevel=0").loglevel, 0);
    assert_eq!(quietly("loglevel=7").loglevel, 7);
    assert_eq!(quietly("quiet").loglevel, 4);
    assert_eq!(quietly("quiet loglevel=5").loglevel, 5);
    assert_eq!(quietly("panic=halt").panic, OnPanic::Halt);
    assert_eq!(quietly("panic=halt panic=exit").panic, OnPanic::Exit);
}

#[test]
fn each_console_has_messages_and_the_last_is_the_terminal() {
    let (serial, screen) = (Consoles::SERIAL, Consoles::SCREEN);
    for (line, messages, terminal) in [
        ("console=ttyS0", serial, serial),
        ("console=tty0", screen, screen),
        (
            "console=tty0 console=ttyS0,115200n8",
            Consoles::all(),
            serial,
        ),
        ("console=ttyS0 console=tty0", Consoles::all(), screen),
        ("console=tty0 console=tty0", screen, screen),
    ] {
        let chosen = Chosen { messages, terminal };
        assert_eq!(quietly(line).consoles, Some(chosen), "{line}");
    }
    assert_eq!(quietly("").consoles, None);
    for word in ["console", "console=", "console=tty1", "console=ttyS0,9600"] {
        let said = format!("bad value in {word:?}, which takes tty0 or ttyS0, ignored");
        assert_eq!(warnings(word), [said]);
    }
}

#[test]
fn what_has_no_effect_is_reported() {
    assert_eq!(warnings("foo"), [r#"unknown word "foo" ignored"#]);
    assert_eq!(
        warnings("tour foo=1 quiet bar"),
        [
            r#"unknown word "foo=1" ignored"#,
            r#"unknown word "bar" ignored"#,
        ]
    );
    assert_eq!(
        warnings("fpu=fast"),
        [r#"bad value in "fpu=fast", which takes lazy or eager, ignored"#]
    );
    for line in [
        "fpu",
        "fpu=",
        "FPU=lazy",
        "io_bitmap=all",
        "paravirt=xen",
        "panic=reboot",
        "loglevel=8",
        "loglevel=-1",
        "loglevel=+1",
        "loglevel=07",
        "loglevel",
        "init=",
        "init",
        "init=sh",
        "tour=1",
        "quiet=",
        "=",
        "=x",
        "\"\"",
        "-",
        "---",
        "tour\"\"s",
        "\\tour",
    ] {
        assert_eq!(warnings(line).len(), 1, "{line}");
        assert_eq!(parse(line).0, Cmdline::default(), "{line}");
    }
    assert_eq!(
        warnings("\u{1b}[2J"),
        [r#"unknown word "\u{1b}[2J" ignored"#]
    );
}

#[test]
fn quotes_keep_blanks_together() {
    for line in [
        r#"init="/a b""#,
        r#""init=/a b""#,
        r#"init=/a" "b"#,
        r"init=/a\ b",
    ] {
        assert_eq!(quietly(line).init.to_string(), "/a b", "{line}");
    }
    assert_eq!(quietly(r#""fpu=eager""#).fpu, Fpu::Eager);
    assert_eq!(
        quietly(r#"init=/say\"hi\""#).init.to_string(),
        r#"/say"hi""#
    );
    assert_eq!(
        warnings(r#"quiet "tour fpu=eager"#),
        [r#"no closing quote in "tour fpu=eager" ignored"#]
    );
    assert_eq!(parse(r#"quiet "tour fpu=eager"#).0, quietly("quiet"));
}

#[test]
fn what_follows_two_dashes_belongs_to_init() {
    let cmdline = quietly(r#"init=/bin/busybox quiet -- sh -c "echo hi" "" -- it\'s fpu=eager"#);
    assert_eq!(
        args(&cmdline),
        ["sh", "-c", "echo hi", "", "--", "it's", "fpu=eager"]
    );
    assert_eq!((cmdline.fpu, cmdline.loglevel), (Fpu::Lazy, 4));
    assert_eq!(args(&quietly("tour --")), [""; 0]);
    assert_eq!(warnings(r#"-- sh "open"#).len(), 1);
}

#[test]
fn a_star_is_no_exact_name() {
    let is_exactly = |line: &str, name: &str| match parse(line).0.job {
        Job::Selftest(glob) => glob.is_exactly(name),
        _ => panic!("{line}"),
    };
    assert!(is_exactly("selftest=panic!", "panic!"));
    for line in [
        "selftest",
        "selftest=*",
        "selftest=panic?",
        "selftest=panic",
        "selftest=panic!!",
    ] {
        assert!(!is_exactly(line, "panic!"), "{line}");
    }
}

#[test]
fn patterns_match_whole_names() {
    let matches = |pattern: &str, name: &str| {
        let line = format!("selftest={pattern}");
        let Job::Selftest(glob) = parse(&line).0.job else {
            panic!("{pattern}")
        };
        glob.matches(name)
    };
    for (pattern, name) in [
        ("*", ""),
        ("a*", "a"),
        ("*b*", "abc"),
        ("a?c", "abc"),
        ("a*b*c", "aXbXbXc"),
        ("*ab", "aab"),
    ] {
        assert!(matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [
        ("", "a"),
        ("a", ""),
        ("a", "ab"),
        ("?", ""),
        ("a*b", "abc"),
        ("*ab", "aba"),
        ("b*", "ab"),
    ] {
        assert!(!matches(pattern, name), "{pattern} {name}");
    }
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(line in prop_oneof![
        any::<String>(),
        r#"((tour|init=/|fpu=|loglevel=|selftest=|--|["\\ =*?x7])){0,12}"#,
    ]) {
        let (cmdline, warnings) = parse(&line);
        prop_assert!(cmdline.loglevel <= 7);
        for warning in warnings {
            prop_assert!(warning.to_string().ends_with(" ignored"));
        }
        for arg in cmdline.init_args {
            prop_assert!(arg.chars().count() <= line.chars().count());
        }
    }

    #[test]
    fn quoted_arguments_arrive_as_they_were(wanted in proptest::collection::vec(any::<String>(), 0..6)) {
        let quoted = wanted.iter().map(|arg| {
            let escaped = arg.replace('\\', r"\\").replace('"', r#"\""#);
            format!(r#" "{escaped}""#)
        });
        let line = format!("--{}", quoted.collect::<String>());
        prop_assert_eq!(warnings(&line), [""; 0]);
        prop_assert_eq!(args(&parse(&line).0), wanted);
    }

    #[test]
    fn patterns_with_the_name_itself_match(name in "[a-z_]{0,12}", cut in 0usize..13, len in 0usize..13) {
        let start = cut.min(name.len());
        let end = (start + len).min(name.len());
        let pattern = format!("{}*{}", &name[..start], &name[end..]);
        let glob = Glob { pattern: Word { raw: &pattern } };
        prop_assert!(glob.matches(&name), "{} {}", pattern, name);
    }
}

#[test]
fn the_list_of_words_is_that_of_the_table() {
    let table = include_str!("cmdline.rs").lines();
    let mut rows: Vec<&str> = table
        .filter_map(|line| line.strip_prefix("//! | `"))
        .map(|row| row.split(['`', '=']).next().unwrap())
        .filter(|word| *word != "--")
        .collect();
    let mut words = WORDS.to_vec();
    rows.sort();
    words.sort();
    assert_eq!(rows, words);
    for word in WORDS {
        let is_known = |line: &str| !parse(line).1.any(|it| matches!(it, Warning::Unknown(_)));
        assert!(is_known(word) && !is_known(&format!("{word}x")), "{word}");
    }
}
