# The verbs, in the order a newcomer needs them. What they do is written in
# Rust (xtask); which cargo that is, in xtask/cargo.

cargo := justfile_directory() / "xtask/cargo"
xtask := cargo + " run --quiet --package xtask --"

set positional-arguments

[private]
default:
    @just --list --unsorted

# Boot the tour of the switch in QEMU, on this terminal (or another kernel command line)
[no-exit-message]
run *CMDLINE:
    @{{xtask}} run "$@"

# Every test: lints, host logic, documentation, models, tree, binary, boots, gdb, mutants (or only the suites named)
[no-exit-message]
test *SUITES:
    @{{xtask}} test "$@"

# Run a static Linux/i386 program of yours as init, with its arguments
[no-exit-message]
exec FILE *ARGUMENTS:
    @{{xtask}} exec "$@"

# A run as `just run` or `just exec`, and a timeline of it for Perfetto, trace-cmd and KernelShark
[no-exit-message]
trace *CMDLINE:
    @{{xtask}} trace "$@"

# An interactive busybox shell on the kernel
[no-exit-message]
shell:
    @{{xtask}} shell

# QEMU waiting for gdb before the first instruction
[no-exit-message]
debug *CMDLINE:
    @{{xtask}} debug "$@"

# gdb with the kernel's symbols, attached to what `just debug` started in another terminal
[no-exit-message]
gdb:
    @{{xtask}} gdb

# The kernel's own tests, all or those that match a glob
[no-exit-message]
selftest *GLOB:
    @{{xtask}} selftest "$@"

# Hundreds of processes and threads on several CPUs (CPUS, else 4), so many rounds (else 40), then a count of what is left
[no-exit-message]
stress *ROUNDS:
    @CPUS="${CPUS:-4}" {{xtask}} stress "$@"

# Whatever ring 3 can do, at random, from SEED (else another each time), so many ROUNDS (else 20); one seed is one run
[no-exit-message]
fuzz *SEED_ROUNDS:
    @{{xtask}} fuzz "$@"

# What switches and calls cost in guest instructions (or run another static program that measures)
[no-exit-message]
bench *PROGRAM:
    @{{xtask}} bench "$@"

# Take each step of the switch out in turn: which test notices? (all, or those that match)
[no-exit-message]
mutants *NAME:
    @MUTANTS_ALL=1 {{cargo}} test --quiet --test mutants -- "$@"

# Linux's own tests of the process switch, unmodified, on the kernel (fetches 130 MB once)
[no-exit-message]
kselftest *NAME:
    @{{cargo}} test --quiet --test kselftest -- "$@"

# Write the golden files anew, after a change that is meant: see what git diff says
[no-exit-message]
bless:
    @BLESS=1 {{xtask}} test tree image boots

# Build the ISO with its menu, for a real machine or another emulator, and say where it is
[no-exit-message]
iso:
    @{{xtask}} iso

# Formatting and lints, for the host and for the kernel
check:
    {{cargo}} fmt --all --check
    {{cargo}} clippy --package switch-to --package xtask --package models --all-targets
    {{cargo}} clippy --target i686-kernel.json -Zjson-target-spec -Zbuild-std=core,alloc --package switch-to --package user --lib --bins

# The documentation of every item, private ones too, as HTML under target/
doc:
    {{cargo}} doc --no-deps --document-private-items --target i686-kernel.json -Zjson-target-spec -Zbuild-std=core,alloc

# Remove everything that was built
clean:
    {{cargo}} clean
