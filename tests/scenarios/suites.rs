//! Boots that report in KTAP: the kernel's own tests, and each ring-3 program.

use std::time::Duration;

use anyhow::Result;
use xtask::compile::{KCOV, Profile, STACK_PROTECTOR, Variant, program_names, variant};
use xtask::image::IsoSpec;
use xtask::ktap;
use xtask::qemu::Vm;

use super::{machine, repeatable, tour};
use crate::Suite;

/// Every suite.
pub fn suites() -> Result<Vec<Suite>> {
    let mut suites = vec![Suite {
        name: "selftest".to_owned(),
        vm: selftest,
        what: "selftest".to_owned(),
        report: ktap::parse,
    }];
    // The same cases, and those that need more than one CPU, with several CPUs.
    for (name, vm) in SEVERAL_CPUS {
        for word in ["selftest", "init=/init"] {
            let what = if word == "selftest" {
                "selftest"
            } else {
                "ring3"
            };
            suites.push(Suite {
                name: format!("{name}::{what}"),
                vm: *vm,
                what: word.to_owned(),
                report: ktap::parse,
            });
        }
    }
    // The same cases again: a program sees the same, whatever the switch does for it.
    for (name, word) in STRATEGIES {
        for (what, job) in [("selftest", "selftest"), ("ring3", "init=/init")] {
            suites.push(Suite {
                name: format!("{name}::{what}"),
                vm: selftest,
                what: format!("{word} {job}"),
                report: ktap::parse,
            });
        }
    }
    // A kernel in which %gs is not lazy, and one that reports its coverage: the same programs, and
    // the cases that exist only there.
    for (what, job) in [("selftest", "selftest"), ("ring3", "init=/init")] {
        for (name, vm) in VARIANTS {
            suites.push(Suite {
                name: format!("{name}::{what}"),
                vm: *vm,
                what: job.to_owned(),
                report: ktap::parse,
            });
        }
    }
    // The kernel as it is measured: without the checks, with less stack, in another order of
    // instructions.
    for (what, job) in [("selftest", "selftest"), ("ring3", "init=/init")] {
        suites.push(Suite {
            name: format!("release::{what}"),
            vm: release,
            what: job.to_owned(),
            report: ktap::parse,
        });
    }
    // CPUs that run side by side on the host's CPUs, not in turns: each run takes another course.
    suites.push(Suite {
        name: "stress".to_owned(),
        vm: stress,
        what: "quiet stress".to_owned(),
        report: ktap::parse,
    });
    // The fuzzer, on one CPU as `just fuzz` repeats it, and with the CPUs side by side.
    for (name, vm, what) in FUZZ {
        suites.push(Suite {
            name: (*name).to_owned(),
            vm: *vm,
            what: (*what).to_owned(),
            report: ktap::parse,
        });
    }
    // Every Nth allocation fails. With a small N no fork gets far; with a larger one each of its
    // allocations is the one that fails, now and then.
    for nth in [7, 23, 101] {
        suites.push(Suite {
            name: format!("fail_alloc_{nth}"),
            vm: selftest,
            what: format!("fail_alloc={nth} init=/tests/fail_alloc"),
            report: ktap::parse,
        });
    }
    // Threads as two C libraries make them, on one CPU and on several.
    for libc in ["musl", "glibc"] {
        for (name, vm) in [("cpu1", selftest as Machine)].iter().chain(SEVERAL_CPUS) {
            suites.push(Suite {
                name: format!("threads_{libc}::{name}"),
                vm: *vm,
                what: format!("init=/bin/threads-{libc}"),
                report: ktap::parse,
            });
        }
    }
    suites.push(tour::suite());
    for program in program_names()? {
        // `init` runs the others, `bench` measures, and the kernel itself runs `fuzz`.
        if !["init", "bench", "fuzz"].contains(&program.as_str()) {
            suites.push(Suite {
                name: format!("ring3::{program}"),
                vm: ring3,
                what: program,
                report: ktap::parse,
            });
        }
    }
    Ok(suites)
}

/// The machine for a kernel command line.
type Machine = fn(&str) -> Result<Vm>;

/// Other ways to switch the FPU and the ports, and to write the registers of a switch.
const STRATEGIES: &[(&str, &str)] = &[
    ("fpu_eager", "fpu=eager"),
    ("io_bitmap_lazy", "io_bitmap=lazy"),
    ("io_bitmap_invalidate", "io_bitmap=invalidate"),
    ("paravirt_batch", "paravirt=batch"),
    ("schedstats", "schedstats=on"),
];

/// Machines with several CPUs; the name and the function say how many.
const SEVERAL_CPUS: &[(&str, Machine)] = &[
    ("cpus2", |word| smp(word, 2)),
    ("cpus4", |word| smp(word, 4)),
    ("cpus8", |word| smp(word, 8)),
];

fn smp(word: &str, cpus: u32) -> Result<Vm> {
    let mut vm = selftest(word)?;
    vm.cpus = cpus;
    // In turns, and counted by instructions, QEMU can leave one CPU without any for long: a CPU
    // that waits for it would seem locked up. Side by side the host's scheduler is fair.
    vm.icount = None;
    Ok(vm)
}

/// About a minute of the fuzzer in all; a seed that has found a fault stays here.
const FUZZ: &[(&str, Machine, &str)] = &[
    ("fuzz_1_cpu", fuzz, "quiet fuzz=1,10"),
    ("fuzz_4_cpus", stress, "quiet fuzz=2,20"),
];

fn fuzz(words: &str) -> Result<Vm> {
    let mut vm = stress(words)?;
    vm.cpus = 1;
    repeatable(&mut vm);
    Ok(vm)
}

fn stress(words: &str) -> Result<Vm> {
    let mut vm = machine(&IsoSpec::boot(words))?;
    vm.cpus = 4;
    vm.timeout = Duration::from_secs(180);
    vm.silence = Duration::from_secs(100);
    Ok(vm)
}

/// Kernels that are built apart.
const VARIANTS: &[(&str, Machine)] = &[
    ("stack_protector", |word| built_apart(STACK_PROTECTOR, word)),
    ("kcov", |word| built_apart(KCOV, word)),
];

fn built_apart(kernel: Variant, word: &str) -> Result<Vm> {
    let spec = IsoSpec {
        kernel: Some(variant(kernel)?),
        ..IsoSpec::boot(word)
    };
    let mut vm = machine(&spec)?;
    vm.cpus = 2;
    vm.timeout = Duration::from_secs(180);
    Ok(vm)
}

fn selftest(word: &str) -> Result<Vm> {
    selftest_of(&IsoSpec::boot(word))
}

fn release(word: &str) -> Result<Vm> {
    selftest_of(&IsoSpec {
        profile: Profile::Release,
        ..IsoSpec::boot(word)
    })
}

fn selftest_of(spec: &IsoSpec) -> Result<Vm> {
    let mut vm = machine(spec)?;
    vm.timeout = Duration::from_secs(180);
    repeatable(&mut vm);
    Ok(vm)
}

/// Returns a machine for one program: a program that crashes hides no other. All of them together,
/// with the host's time, run in `real::init_runs_every_program`.
fn ring3(program: &str) -> Result<Vm> {
    let mut vm = machine(&IsoSpec::boot(&format!("init=/tests/{program}")))?;
    repeatable(&mut vm);
    Ok(vm)
}
