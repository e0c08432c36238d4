//! Linux's own tests of the state that a process switch carries, unmodified.
//!
//! They come with the kernel's source, which is fetched; therefore `just kselftest` runs them, not
//! `just test`. Each runs in a boot of its own, below a shell, and passes if it ends with status 0
//! and prints no line that tells of a failure. `docs/kselftest.md` says which are left out, and
//! why.

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::foreign;
use xtask::image::{Initramfs, IsoSpec, try_iso};
use xtask::initramfs::{Entry, newc};
use xtask::linux_source::{Program, fetch};
use xtask::qemu::{Medium, Vm};
use xtask::run::{End, Exit};
use xtask::trial::{Arguments, Trial, run_named, trial};

/// Time limit of a boot: the longest test computes for a minute.
const BOOT_LIMIT: Duration = Duration::from_secs(300);
/// Time limit of a test: the first one waits for the archive.
const LIMIT: Duration = Duration::from_secs(1200);

/// A program, and how it is called.
struct Case {
    name: &'static str,
    program: &'static str,
    arguments: &'static str,
}

const fn plain(program: &'static str) -> Case {
    Case {
        name: program,
        program,
        arguments: "",
    }
}

const fn with(name: &'static str, program: &'static str, arguments: &'static str) -> Case {
    Case {
        name,
        program,
        arguments,
    }
}

macro_rules! programs {
    ($($name:literal: $($source:literal)+ $(, $flag:literal)*;)*) => {
        &[$(Program { name: $name, sources: &[$($source),+], flags: &[$($flag),*] }),*]
    };
}

/// The programs; they are optimised where Linux's makefiles do so.
const PROGRAMS: &[Program] = programs! {
    "ioperm": "x86/ioperm.c";
    "ldt_gdt": "x86/ldt_gdt.c";
    "sigreturn": "x86/sigreturn.c";
    "sigaltstack": "x86/sigaltstack.c";
    "single_step_syscall": "x86/single_step_syscall.c" "x86/thunks_32.S";
    "syscall_arg_fault": "x86/syscall_arg_fault.c" "x86/thunks_32.S";
    "syscall_nt": "x86/syscall_nt.c";
    "sigtrap_loop": "x86/sigtrap_loop.c";
    "test_syscall_vdso": "x86/test_syscall_vdso.c" "x86/thunks_32.S";
    "unwind_vdso": "x86/unwind_vdso.c";
    "vdso_restorer": "x86/vdso_restorer.c";
    "check_initial_reg_state": "x86/check_initial_reg_state.c", "-Wl,-ereal_start";
    "test_FCMOV": "x86/test_FCMOV.c";
    "test_FCOMI": "x86/test_FCOMI.c";
    "test_FISTTP": "x86/test_FISTTP.c";
    "disable-tsc-test": "prctl/disable-tsc-test.c", "-O0";
    "disable-tsc-ctxt-sw-stress-test": "prctl/disable-tsc-ctxt-sw-stress-test.c", "-O0";
    "disable-tsc-on-off-stress-test": "prctl/disable-tsc-on-off-stress-test.c", "-O0";
    "membarrier_single_thread": "membarrier/membarrier_test_single_thread.c", "-O0";
    "membarrier_multi_thread": "membarrier/membarrier_test_multi_thread.c", "-O0";
    "rseq_basic_test": "rseq/basic_test.c" "rseq/rseq.c";
    "rseq_basic_percpu_ops": "rseq/basic_percpu_ops_test.c" "rseq/rseq.c";
    "rseq_param_test": "rseq/param_test.c" "rseq/rseq.c";
    "rseq_param_test_compare_twice": "rseq/param_test.c" "rseq/rseq.c", "-DRSEQ_COMPARE_TWICE";
    "futex_requeue": "futex/functional/futex_requeue.c";
    "futex_wait_uninitialized_heap": "futex/functional/futex_wait_uninitialized_heap.c";
    "sas": "sigaltstack/sas.c", "-O0";
    "nanosleep": "timers/nanosleep.c";
    "nsleep-lat": "timers/nsleep-lat.c";
    "inconsistency-check": "timers/inconsistency-check.c";
    "threadtest": "timers/threadtest.c";
};

const CASES: &[Case] = &[
    plain("ioperm"),
    plain("ldt_gdt"),
    plain("sigreturn"),
    plain("sigaltstack"),
    plain("single_step_syscall"),
    plain("syscall_arg_fault"),
    plain("syscall_nt"),
    plain("sigtrap_loop"),
    plain("test_syscall_vdso"),
    plain("unwind_vdso"),
    plain("vdso_restorer"),
    plain("check_initial_reg_state"),
    plain("test_FCMOV"),
    plain("test_FCOMI"),
    plain("test_FISTTP"),
    plain("disable-tsc-test"),
    plain("disable-tsc-ctxt-sw-stress-test"),
    plain("disable-tsc-on-off-stress-test"),
    plain("membarrier_single_thread"),
    plain("membarrier_multi_thread"),
    plain("rseq_basic_test"),
    plain("rseq_basic_percpu_ops"),
    with("rseq_spinlock", "rseq_param_test", "-T s -t 50 -r 5000"),
    with("rseq_list", "rseq_param_test", "-T l -t 50 -r 5000"),
    with("rseq_buffer", "rseq_param_test", "-T b -t 50 -r 5000"),
    with("rseq_memcpy", "rseq_param_test", "-T m -t 50 -r 5000"),
    with(
        "rseq_increment_signals",
        "rseq_param_test",
        "-T i -t 50 -r 5000 -D 3 -k -y",
    ),
    with(
        "rseq_compare_twice",
        "rseq_param_test_compare_twice",
        "-T b -t 50 -r 5000",
    ),
    plain("futex_requeue"),
    plain("futex_wait_uninitialized_heap"),
    plain("sas"),
    plain("nanosleep"),
    plain("nsleep-lat"),
    plain("inconsistency-check"),
    plain("threadtest"),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Some of them measure time.
    arguments.test_threads = Some(1);
    let trials: Vec<Trial> = CASES
        .iter()
        .map(|case| trial(case.name, LIMIT, move || passes(case)))
        .collect();
    run_named(&arguments, trials)
}

fn passes(case: &Case) -> Result<()> {
    let boot = IsoSpec {
        initramfs: Initramfs::Bytes(archive()?.to_vec()),
        ..IsoSpec::boot(&format!("init=/bin/busybox -- sh /run/{}", case.name))
    };
    let mut vm = Vm::new(Medium::Iso(try_iso(&boot)?));
    vm.cpus = 2;
    vm.timeout = BOOT_LIMIT;
    vm.silence = BOOT_LIMIT;
    let seen = vm.run()?;
    let failure = seen.log.lines().find(|line| {
        line.contains("[FAIL]") || line.contains("FATAL ERROR") || line.starts_with("not ok")
    });
    ensure!(
        failure.is_none() && matches!(seen.end, End::Exit(Exit::Success)),
        "{}\n{}",
        failure.unwrap_or("it did not end with status 0"),
        seen.explain(None)
    );
    Ok(())
}

/// Returns an archive of all programs and, for each case, a script: its shell stays as process 1
/// until the test ends.
fn archive() -> Result<&'static [u8]> {
    static ARCHIVE: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    ARCHIVE
        .get_or_init(|| make_archive().map_err(|error| format!("{error:#}")))
        .as_deref()
        .map_err(|error| anyhow::Error::msg(error.clone()))
}

fn make_archive() -> Result<Vec<u8>> {
    fetch()?;
    let mut entries = ["bin", "dev", "etc", "proc", "run", "tests", "tmp"]
        .map(Entry::folder)
        .to_vec();
    let busybox = std::fs::read(&foreign::programs()?.busybox)?;
    entries.push(Entry::program("bin/busybox", busybox));
    for program in PROGRAMS {
        entries.push(Entry::program(
            &format!("tests/{}", program.name),
            program.compile()?,
        ));
    }
    for case in CASES {
        let script = format!("/tests/{} {}\nexit $?\n", case.program, case.arguments);
        entries.push(Entry::program(
            &format!("run/{}", case.name),
            script.into_bytes(),
        ));
    }
    Ok(newc(&entries))
}
