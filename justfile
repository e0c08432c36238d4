# The verbs, in the order a newcomer needs them. What they do is written in
# Rust (xtask); which cargo that is, in xtask/cargo. Those that take
# a file take it from where you stand.

cargo := justfile_directory() / "xtask/cargo"
xtask := justfile_directory() / "xtask/verb"

set positional-arguments

[private]
default:
    @just --list --unsorted

# Boot the tour of the switch in QEMU, on this terminal (or another kernel command line)
[no-exit-message]
run *CMDLINE:
    @exec "{{xtask}}" run "$@"

# Every test: lints, host logic, documentation, models, tree, binary, boots, gdb, the book's pages, mutants, the page in v86, Bochs (or only the suites named; --verbose shows every line)
[no-exit-message]
test *SUITES:
    @exec "{{xtask}}" test "$@"

# Run a program of yours as init, with its arguments: C source, a Linux/i386 executable, a script for /bin/sh
[no-cd, no-exit-message]
exec FILE *ARGUMENTS:
    @exec "{{xtask}}" exec "$@"

# A run as `just run` or `just exec`, and a timeline of it for Perfetto, trace-cmd and KernelShark
[no-cd, no-exit-message]
trace *CMDLINE:
    @exec "{{xtask}}" trace "$@"

# The same run, and its timeline as one picture: lanes of CPUs and tasks, four kinds of switch, wake-ups
[no-cd, no-exit-message]
timeline *CMDLINE:
    @exec "{{xtask}}" timeline "$@"

# An interactive busybox shell on the kernel
[no-exit-message]
shell:
    @exec "{{xtask}}" shell

# A run as `just run` or `just exec`, QEMU waiting for gdb before the first instruction (on GDB_PORT, else one that is free)
[no-cd, no-exit-message]
debug *CMDLINE:
    @exec "{{xtask}}" debug "$@"

# gdb with the kernel's symbols, attached to what `just debug` started in another terminal
[no-exit-message]
gdb:
    @exec "{{xtask}}" gdb

# The kernel's own tests, all or those that match a glob
[no-exit-message]
selftest *GLOB:
    @exec "{{xtask}}" selftest "$@"

# Hundreds of processes and threads on several CPUs (CPUS, else 4), so many rounds (else 40), then a count of what is left
[no-exit-message]
stress *ROUNDS:
    @CPUS="${CPUS:-4}" exec "{{xtask}}" stress "$@"

# Whatever ring 3 can do, at random, from SEED (else another each time), so many ROUNDS (else 20); one seed is one run
[no-exit-message]
fuzz *SEED_ROUNDS:
    @exec "{{xtask}}" fuzz "$@"

# What switches and calls cost in guest instructions (or run another static program that measures)
[no-cd, no-exit-message]
bench *PROGRAM:
    @exec "{{xtask}}" bench "$@"

# Take each step of the switch out in turn: which test notices? (all, or those that match a part of a name or a glob)
[no-exit-message]
mutants *NAME:
    @exec "{{justfile_directory()}}/xtask/mutants" "$@"

# The book and the kernel in an emulated PC, as static files under target/site; `serve` shows them on localhost, `quick` builds one broken kernel only
[no-exit-message]
site *ACTION:
    @exec "{{xtask}}" site "$@"

# Exercises on the kernel that check themselves: list them, or `start`, `check`, `hint`, `solution` NAME; `test` checks the exercises
[no-exit-message]
lab *ACTION:
    @exec "{{xtask}}" lab "$@"

# Linux's own tests of the process switch, unmodified, on the kernel (fetches 130 MB once)
[no-exit-message]
kselftest *NAME:
    @exec "{{cargo}}" test --test kselftest -- "$@"

# The book as static files under target/book; `serve` shows it on localhost, `bless` takes its quotes anew, `record` its stepper's switches
[no-exit-message]
book *ACTION:
    @exec "{{xtask}}" book "$@"

# Write the golden files anew, after a change that is meant: see what git diff says
[no-exit-message]
bless:
    @BLESS=1 exec "{{xtask}}" test tree image boots gdb

# Build the ISO with its menu, for a real machine or another emulator, and say where it is
[no-exit-message]
iso:
    @exec "{{xtask}}" iso

# Formatting and lints, for the host and for the kernel
check:
    "{{cargo}}" fmt --all --check
    "{{cargo}}" clippy --package switch-to --package xtask --package models --all-targets
    "{{cargo}}" clippy --target i686-kernel.json -Zjson-target-spec -Zbuild-std=core,alloc --package switch-to --package user --lib --bins

# The documentation of every item, private ones too, as HTML, and where its first page is
doc:
    "{{cargo}}" doc --no-deps --document-private-items --target i686-kernel.json -Zjson-target-spec -Zbuild-std=core,alloc --package switch-to --lib
    @echo "start at ${CARGO_TARGET_DIR:-{{justfile_directory()}}/target}/i686-kernel/doc/switch_to/index.html"

# Remove everything that was built
clean:
    "{{cargo}}" clean
