//! Builds the vDSO, and passes the kernel's linker script to the linker of the kernel only.

use std::path::{Path, PathBuf};
use std::{env, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=linker.ld");
    println!("cargo:rerun-if-changed=build.rs");
    let root =
        PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    // The host's tests read it too.
    build_vdso(&root.join("src/arch/vdso"));
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    // The target's own configuration says so; a RUSTFLAGS of the environment would hide it.
    assert!(
        env::var_os("CARGO_CFG_NO_GLOBAL_OOM_HANDLING").is_some(),
        "the kernel is built with `--cfg no_global_oom_handling`: see .cargo/config.toml"
    );
    // From the root of the workspace, where cargo links: a tree that is moved with its target/ still builds.
    println!("cargo:rustc-link-arg-bins=-Tlinker.ld");
    println!("cargo:rustc-link-arg-bins=-zmax-page-size=4096");
}

/// Assembles and links `vdso.S` to `vdso.so` in cargo's output folder, with binutils and lld.
fn build_vdso(sources: &Path) {
    println!("cargo:rerun-if-changed={}", sources.display());
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let (object, image) = (out.join("vdso.o"), out.join("vdso.so"));
    run(Command::new("as")
        .args(["--32", "--fatal-warnings", "-o"])
        .arg(&object)
        .arg(sources.join("vdso.S")));
    run(Command::new("ld.lld")
        .args(["-m", "elf_i386", "-shared", "-Bsymbolic", "-z", "rodynamic"])
        .args(["-soname", "linux-gate.so.1", "--hash-style=both"])
        .args(["--eh-frame-hdr", "--build-id=none", "-T"])
        .arg(sources.join("vdso.lds"))
        .arg("-o")
        .args([&image, &object]));
}

/// Runs a tool; ends the build if it cannot be run or fails.
fn run(command: &mut Command) {
    let status = command.status();
    assert!(
        status.as_ref().is_ok_and(|status| status.success()),
        "{command:?}: {status:?}: the vDSO needs an assembler for i386 (binutils) and ld.lld (lld)"
    );
}
