//! The verbs of the justfile: `cargo run -p xtask -- VERB`.
#![forbid(unsafe_code)]

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use xtask::compile::{self, Profile};
use xtask::image::{IsoSpec, try_iso};
use xtask::steer::quoted;
use xtask::{bench, book, exec, labs, selftests, site, suite, verbs, words};

/// The words that the justfile passes on.
const VERBS: &[&str] = &[
    "run", "book", "selftest", "stress", "fuzz", "exec", "trace", "timeline", "shell", "debug",
    "gdb", "bench", "test", "kernel", "iso", "lab", "site",
];

/// The status of a verb that runs a program, when it is not the program's: as `docker run` and
/// `timeout` have it.
const NOT_THE_PROGRAM: u8 = 125;

fn main() -> ExitCode {
    let (mut words, mut spoilt) = (Vec::new(), None);
    for word in std::env::args_os().skip(1) {
        match word.into_string() {
            Ok(word) => words.push(word),
            Err(word) => spoilt = Some(word),
        }
    }
    let ended = match spoilt {
        Some(word) => Err(anyhow::anyhow!("{word:?} is not UTF-8")),
        None => act(&words),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("\nerror: {error:#}");
        let runs_a_program = words.iter().take(2).any(|word| word == "exec")
            || words.first().is_some_and(|verb| verb == "shell");
        match runs_a_program {
            true => ExitCode::from(NOT_THE_PROGRAM),
            false => ExitCode::FAILURE,
        }
    })
}

fn act(words: &[String]) -> Result<ExitCode> {
    let Some((verb, rest)) = words.split_first() else {
        bail!("which verb? `just` names them")
    };
    words::one_of("verb", verb, VERBS)?;
    match verb.as_str() {
        "run" => verbs::run(&spec(&for_a_person(words::or_tour(&line(rest))?))?),
        "selftest" => verbs::run(&spec(&selftest(rest)?)?),
        // A length of time is the same in each run only if time is instructions.
        "stress" if std::env::var("VARIANT").is_ok_and(|name| name == "irqsoff") => {
            verbs::repeatable(&spec(&stress(rest)?)?)
        }
        "stress" => verbs::run(&spec(&stress(rest)?)?),
        "fuzz" => verbs::repeatable(&spec(&fuzz(rest)?)?),
        "exec" => verbs::run(&exec::boot(rest)?),
        "trace" => verbs::trace(&traced(rest)?),
        "timeline" => verbs::timeline(&traced(rest)?),
        "shell" => {
            none(verb, rest)?;
            verbs::interactive(&IsoSpec::boot("init=/bin/busybox loglevel=4 -- sh"))
        }
        "debug" => verbs::debug(&of_words(rest)?),
        "gdb" => {
            none(verb, rest)?;
            verbs::gdb(Profile::Dev)
        }
        "bench" => bench::bench(at_most_one(verb, rest)?),
        "test" => suite::run(rest),
        "book" => book::act(rest),
        "lab" => labs::act(rest),
        "site" => site::act(rest),
        "kernel" => show(compile::kernel(Profile::Dev)?),
        _ => {
            none(verb, rest)?;
            show(try_iso(&IsoSpec::default())?)
        }
    }
}

/// A command line as it is where somebody reads and types: the tour waits for a key after each step.
fn for_a_person(line: String) -> String {
    match std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        true => words::with_pauses(&line),
        false => line,
    }
}

/// A boot of the tree's kernel, or of the one that $VARIANT names.
fn spec(cmdline: &str) -> Result<IsoSpec> {
    let kernel = match std::env::var("VARIANT") {
        Ok(name) => Some(compile::variant(compile::variant_named(&name)?)?),
        Err(_) => None,
    };
    Ok(IsoSpec {
        kernel,
        ..IsoSpec::boot(cmdline)
    })
}

/// A boot of a command line, or of what `exec` would run.
fn of_words(words: &[String]) -> Result<IsoSpec> {
    match words {
        [verb, rest @ ..] if verb == "exec" => exec::boot(rest),
        _ => spec(&words::or_tour(&line(words))?),
    }
}

/// The same, traced.
fn traced(words: &[String]) -> Result<IsoSpec> {
    let mut spec = of_words(words)?;
    // Before any `--`.
    spec.cmdline = spec.cmdline.map(|cmdline| format!("trace=on {cmdline}"));
    Ok(spec)
}

/// Words as a command line; one alone can be a whole line.
fn line(words: &[String]) -> String {
    match words {
        [whole] => whole.clone(),
        words => words
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

fn selftest(words: &[String]) -> Result<String> {
    let Some(glob) = at_most_one("selftest", words)? else {
        return Ok("selftest".to_owned());
    };
    selftests::some_match(glob)?;
    Ok(quoted(&format!("selftest={glob}")))
}

fn stress(words: &[String]) -> Result<String> {
    let rounds = at_most_one("stress", words)?.unwrap_or("40");
    match rounds.parse() {
        Ok(1..=100_000) => Ok(format!("quiet stress={rounds}")),
        _ => bail!("{rounds:?} is no number of rounds: 1 to 100000"),
    }
}

/// The fuzzer's command line; without a seed it takes the time of day for one.
fn fuzz(words: &[String]) -> Result<String> {
    let (seed, rounds) = match words {
        [] => (
            SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos(),
            None,
        ),
        [seed, rest @ ..] => {
            let Ok(seed) = seed.parse() else {
                bail!("{seed:?} is no seed: 0 to {}", u32::MAX)
            };
            (seed, at_most_one("fuzz", rest)?)
        }
    };
    let rounds = rounds.unwrap_or("20");
    match rounds.parse() {
        Ok(1..=100_000) => Ok(format!("quiet fuzz={seed},{rounds}")),
        _ => bail!("{rounds:?} is no number of rounds: 1 to 100000"),
    }
}

/// Fails if a verb that takes no argument was given one.
fn none(verb: &str, words: &[String]) -> Result<()> {
    match words.first() {
        Some(first) => bail!("just {verb} takes no argument: what is {first:?} for?"),
        None => Ok(()),
    }
}

/// The argument of a verb that takes one, if it was given.
fn at_most_one<'a>(verb: &str, words: &'a [String]) -> Result<Option<&'a str>> {
    match words {
        [] => Ok(None),
        [word] => Ok(Some(word)),
        [_, second, ..] => bail!("just {verb} takes one argument: what is {second:?} for?"),
    }
}

fn show(path: std::path::PathBuf) -> Result<ExitCode> {
    println!("{}", path.canonicalize()?.display());
    Ok(ExitCode::SUCCESS)
}
