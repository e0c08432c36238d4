//! Host side: what builds the image, runs it under QEMU and reads its log.
#![forbid(unsafe_code)]

pub mod bench; // what switches and calls cost, in guest instructions
pub mod bochs; // one boot in Bochs
pub mod book; // the pages of the book
pub mod compile; // kernel and ring-3 programs, compiled for the i386
pub mod copy; // a tree in which kernels with changes are compiled
pub mod exec; // a program of the user's own, as init
pub mod foreign; // real programs: busybox, and a C program with musl and with glibc
pub mod gdb; // gdb in batch against a machine that waits
pub mod golden; // text of which the numbers are not expected
pub mod harness; // what a test binary prints
pub mod image; // the ISO: kernel and initramfs, with GRUB before them
pub mod initramfs; // the archive of files that the kernel starts with
pub mod ktap; // the test report on the serial line, read strictly
pub mod labs; // `just lab`: a kernel to mend
pub mod libraries; // the shared libraries that a program needs
pub mod linux_source; // Linux's own tests, fetched and compiled
#[path = "../../tests/mutants/mod.rs"]
pub mod mutants; // how each step is taken out, and the test that notices
pub mod notice; // the run that must notice it
pub mod patch; // a change as a patch
pub mod paths; // where things lie in the tree and under target/
pub mod picture; // the pictures of the book, drawn from a few lines of text
pub mod program; // what a file is that a person wants to run
pub mod progress; // one line about what goes on
pub mod qemu; // one virtual machine: run, listened to, ended
mod qmp; // QEMU's monitor
pub mod quiet;
pub mod run; // how it ended, and what it said
pub mod scene; // the recorded switches of the book's stepper
pub mod screen; // the text screen of a machine, and its keyboard
pub mod selftests; // the names of the kernel's own tests
pub mod serial; // the serial line of a machine
pub mod site; // `just site`: the book and the machine, as static files
pub mod source; // what a Rust source file uses, for the rules of the tree
pub mod steer; // the slot of an ISO that steers one boot
pub mod suite; // `just test`: every suite in order, and the closing line
pub mod symbols; // the symbol table of the linked kernel
pub mod terminal; // a machine on this terminal
pub mod toolchain; // cargo, and the tools with the packages that have them
pub mod trace; // the timeline of a run
pub mod trial; // a test with a name and a time limit
pub mod verbs; // what `just run`, `shell`, `debug` do
pub mod verdict; // whether the tour held
pub mod web; // pages for tests: a server on localhost and a headless browser
pub mod words; // words that a person typed
