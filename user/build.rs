//! Passes the programs' own linker script to the linker. A host build links nothing here.

fn main() {
    println!("cargo:rerun-if-changed=program.ld");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        // From the root of the workspace, where cargo links: a tree that is moved with its target/ still builds.
        println!("cargo:rustc-link-arg-bins=-Tuser/program.ld");
        println!("cargo:rustc-link-arg-bins=--strip-debug");
        println!("cargo:rustc-link-arg-bins=--build-id=none");
    }
}
