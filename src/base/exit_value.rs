#![forbid(unsafe_code)]
//! What the kernel tells QEMU's exit device when it ends.
//!
//! Each way to end has a value of its own, so that a test can tell them apart
//! without reading the log. QEMU leaves with `(value << 1) | 1`.

/// The value written to the `isa-debug-exit` port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ExitValue {
    /// Init ended with status 0. QEMU's status: 33.
    Success = 0x10,
    /// A self-test or the tour failed, or init ended with another status. 35.
    Failure = 0x11,
    /// The kernel panicked. 65.
    Panic = 0x20,
    /// The loader is no Multiboot2 loader, or its data are not readable. 67.
    NotMultiboot2 = 0x21,
    /// The loader gave no memory map. 69.
    NoMemoryMap = 0x22,
    /// Less than `boot_info::MIN_MEMORY_BYTES` usable. 71.
    TooLittleMemory = 0x23,
    /// The CPU lacks a feature the kernel needs. 73.
    CpuLacksFeature = 0x24,
    /// The initramfs is missing or broken. 75.
    Initramfs = 0x25,
    /// Init cannot be loaded. 77.
    Init = 0x26,
}

impl ExitValue {
    /// The status with which QEMU ends.
    pub const fn qemu_status(self) -> u32 {
        (self as u32) << 1 | 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_documented_ones() {
        assert_eq!(ExitValue::Success.qemu_status(), 33);
        assert_eq!(ExitValue::Panic.qemu_status(), 65);
        assert_eq!(ExitValue::Init.qemu_status(), 77);
    }
}
