//! Words that a person typed: what is like one that is not known, and which names match a pattern.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use anyhow::{Result, bail, ensure};
use switch_to::base::cmdline::{self, Glob, Job, Pauses, Warning};

/// Fails unless `word` is one of `known`, with the one that is most like it.
///
/// # Errors
/// `what` the word should have been, and the names that there are.
pub fn one_of(what: &str, word: &str, known: &[&str]) -> Result<()> {
    if known.contains(&word) {
        return Ok(());
    }
    match nearest(word, known) {
        Some(near) => bail!("there is no {what} {word:?}: did you mean {near:?}?"),
        None => bail!(
            "there is no {what} {word:?}; there are {}",
            known.join(", ")
        ),
    }
}

/// The known word that differs least, if it differs little.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let most = word.chars().count().div_ceil(3);
    let near = known
        .iter()
        .map(|known| (distance(word, known), *known))
        .min()?;
    (near.0 <= most).then_some(near.1)
}

/// Counts the letters to add, take away, change or exchange with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut best: HashMap<(usize, usize), usize> = HashMap::new();
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            let known = |i: usize, j: usize| best[&(i, j)];
            let least = if i == 0 || j == 0 {
                i + j
            } else {
                let differs = usize::from(a[i - 1] != b[j - 1]);
                let mut least = (known(i - 1, j) + 1)
                    .min(known(i, j - 1) + 1)
                    .min(known(i - 1, j - 1) + differs);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(known(i - 2, j - 2) + 1);
                }
                least
            };
            best.insert((i, j), least);
        }
    }
    best[&(a.len(), b.len())]
}

/// Whether a name matches: with `*` or `?` in the pattern as a whole, else if the pattern is in it.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.contains(['*', '?']) {
        true => Glob::new(pattern).matches(name),
        false => name.contains(pattern),
    }
}

/// Fails if the kernel would not know a word of its command line, or not like its value.
///
/// # Errors
/// The first such word, and what is most like it.
pub fn check_cmdline(line: &str) -> Result<()> {
    let (_, mut warnings) = cmdline::parse(line);
    let Some(warning) = warnings.next() else {
        return Ok(());
    };
    let said = warning.to_string();
    let said = said.trim_end_matches(" ignored").trim_end_matches(',');
    let Warning::Unknown(word) = warning else {
        bail!("the kernel command line has a {said}");
    };
    let word = word.to_string();
    let (key, value) = match word.split_once('=') {
        Some((key, value)) => (key, format!("={value}")),
        None => (&*word, String::new()),
    };
    match nearest(key, cmdline::WORDS) {
        Some(near) => {
            bail!("the kernel command line has an {said}: did you mean \"{near}{value}\"?")
        }
        None => bail!(
            "the kernel command line has an {said}; it knows {} (docs/cmdline.md)",
            cmdline::WORDS.join(", ")
        ),
    }
}

/// What the command line is for, with the tour if it names nothing to run.
///
/// # Errors
/// As [`check_cmdline`].
pub fn or_tour(line: &str) -> Result<String> {
    check_cmdline(line)?;
    let (parsed, _) = cmdline::parse(line);
    let names_init = parsed.init != cmdline::Cmdline::default().init
        || line
            .split_whitespace()
            .any(|word| word.starts_with("init=") || word == "--");
    match parsed.job {
        Job::Init if !names_init => Ok(format!("tour {line}").trim_end().to_owned()),
        _ => Ok(line.to_owned()),
    }
}

/// The same with a pause after each step, if it is for the tour: for a person at a terminal.
pub fn with_pauses(line: &str) -> String {
    let (parsed, _) = cmdline::parse(line);
    match parsed.job {
        Job::Tour(Pauses::Never) if parsed.init_args.count() == 0 => format!("{line} tour=pause"),
        _ => line.to_owned(),
    }
}

/// Fails if a pattern matches none of these names.
///
/// # Errors
/// The name that is most like it.
pub fn some_match(what: &str, pattern: &str, names: &[&str]) -> Result<()> {
    let matched = names.iter().any(|name| Glob::new(pattern).matches(name));
    ensure!(
        matched,
        "no {what} matches {pattern:?}{}",
        match names
            .iter()
            .find(|name| name.contains(pattern.trim_matches('*')))
        {
            Some(_) => format!(": did you mean \"*{}*\"?", pattern.trim_matches('*')),
            None => match nearest(pattern, names) {
                Some(near) => format!(": did you mean {near:?}?"),
                None => String::new(),
            },
        }
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        check_cmdline(line).unwrap_err().to_string()
    }

    #[test]
    fn a_typing_error_has_a_suggestion() {
        assert_eq!(nearest("tuor", &["tour", "trace"]), Some("tour"));
        assert_eq!(nearest("frobnicate", &["tour", "trace"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert!(refused("tuor").ends_with("did you mean \"tour\"?"));
        assert!(refused("tour fpv=eager").ends_with("did you mean \"fpu=eager\"?"));
        assert!(refused("loglevle=7").ends_with("did you mean \"loglevel=7\"?"));
        assert!(refused("frobnicate").contains("it knows tour, "));
    }

    #[test]
    fn a_wrong_value_is_told_with_the_right_ones() {
        assert_eq!(
            refused("fpu=never tour"),
            "the kernel command line has a bad value in \"fpu=never\", which takes lazy or eager"
        );
        assert!(refused("init=/a \"b").contains("no closing quote"));
        check_cmdline("quiet init=/bin/busybox -- any thing=at all").unwrap();
    }

    #[test]
    fn words_alone_are_words_of_the_tour() {
        let tour = |line| or_tour(line).unwrap();
        assert_eq!(tour(""), "tour");
        assert_eq!(tour("fpu=eager"), "tour fpu=eager");
        assert_eq!(tour("init=/init"), "init=/init");
        assert_eq!(tour("init=/init -- fpu=eager"), "init=/init -- fpu=eager");
        assert_eq!(tour("quiet selftest=a*"), "quiet selftest=a*");
        assert!(or_tour("fpu=eagre").is_err());
    }

    #[test]
    fn only_the_tour_gets_pauses() {
        assert_eq!(with_pauses("tour fpu=eager"), "tour fpu=eager tour=pause");
        for other in [
            "tour=ask",
            "tour=pause",
            "tour -- a",
            "selftest",
            "init=/init",
        ] {
            assert_eq!(with_pauses(other), other);
        }
    }

    #[test]
    fn a_pattern_matches_as_a_whole_a_word_as_a_part() {
        assert!(matches("fpu", "lazy_fpu_kept") && !matches("fpu*", "lazy_fpu_kept"));
        assert!(matches("*fpu*", "lazy_fpu_kept") && matches("lazy_f?u_*", "lazy_fpu_kept"));
        some_match("test", "a*", &["b", "ab"]).unwrap();
        let none = |pattern| {
            some_match("test", pattern, &["gs_reload"])
                .unwrap_err()
                .to_string()
        };
        assert!(none("gs_relaod").contains("\"gs_reload\"?"));
        assert!(none("reload").contains("\"*reload*\"?"));
        assert_eq!(none("sp0"), "no test matches \"sp0\"");
    }
}
