//! Host side: what builds the image, runs it under QEMU and reads its log.
#![forbid(unsafe_code)]

pub mod foreign; // real programs: busybox, and a C program with musl and with glibc
pub mod image; // kernel, initramfs, ISO
pub mod paths; // where things lie in the tree and under target/
pub mod suite; // `just test`: every suite in order, and the closing line
pub mod toolchain; // cargo, and the tools with the packages that have them
pub mod verbs; // what `just run`, `shell`, `debug` do
