//! The verbs of the justfile: `cargo run -p xtask -- VERB`.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use xtask::compile::{self, Profile};
use xtask::image::{IsoSpec, try_iso};
use xtask::steer::quoted;
use xtask::{bench, exec, suite, verbs};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    act(&words).unwrap_or_else(|error| {
        eprintln!("\nerror: {error:#}");
        ExitCode::FAILURE
    })
}

fn act(words: &[String]) -> Result<ExitCode> {
    let Some((verb, rest)) = words.split_first() else {
        bail!("which verb? `just` names them")
    };
    match verb.as_str() {
        "run" => verbs::run(&spec(&or(rest, "tour"))?),
        "selftest" => verbs::run(&spec(&selftest(rest)?)?),
        "stress" => verbs::run(&spec(&stress(rest)?)?),
        "fuzz" => verbs::repeatable(&spec(&fuzz(rest)?)?),
        "exec" => verbs::run(&exec::boot(rest)?),
        "trace" => verbs::trace(&traced(rest)?),
        "shell" => verbs::interactive(&IsoSpec::boot("init=/bin/busybox loglevel=4 -- sh")),
        "debug" => verbs::debug(&IsoSpec::boot(&or(rest, "tour"))),
        "gdb" => verbs::gdb(Profile::Dev),
        "bench" => bench::bench(at_most_one(verb, rest)?),
        "test" => suite::run(rest),
        "kernel" => show(compile::kernel(Profile::Dev)?),
        "iso" => show(try_iso(&IsoSpec::default())?),
        _ => bail!("unknown verb {verb:?}: `just` names them"),
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

/// A boot that is traced: of a command line, or of what `exec` would run.
fn traced(words: &[String]) -> Result<IsoSpec> {
    let mut spec = match words {
        [verb, rest @ ..] if verb == "exec" => exec::boot(rest)?,
        _ => spec(&or(words, "tour"))?,
    };
    // Before any `--`.
    spec.cmdline = spec.cmdline.map(|cmdline| format!("trace=on {cmdline}"));
    Ok(spec)
}

/// The command line that was asked for.
fn or(words: &[String], usual: &str) -> String {
    match words {
        [] => usual.to_owned(),
        [whole] => whole.clone(),
        words => words
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

fn selftest(words: &[String]) -> Result<String> {
    Ok(match at_most_one("selftest", words)? {
        Some(glob) => format!("selftest={glob}"),
        None => "selftest".to_owned(),
    })
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
