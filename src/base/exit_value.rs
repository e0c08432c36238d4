#![forbid(unsafe_code)]
//! The value that the kernel writes to QEMU's exit device when it ends.
//!
//! Each way to end has a distinct value, so a test can tell them apart without reading the log.
//! QEMU exits with `(value << 1) | 1`.

/// The value written to the `isa-debug-exit` port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ExitValue {
    /// Init ended with status 0. QEMU's status: 33.
    Success = 0x10,
    /// A self-test or the tour failed, or init ended with another status. QEMU's status: 35.
    Failure = 0x11,
    /// The kernel panicked. QEMU's status: 65.
    Panic = 0x20,
    /// The loader is not a Multiboot2 loader, or its data are not readable. QEMU's status: 67.
    NotMultiboot2 = 0x21,
    /// The loader passed no memory map. QEMU's status: 69.
    NoMemoryMap = 0x22,
    /// Less than `boot_info::MIN_MEMORY_BYTES` of memory is usable. QEMU's status: 71.
    TooLittleMemory = 0x23,
    /// The CPU lacks a feature that the kernel needs. QEMU's status: 73.
    CpuLacksFeature = 0x24,
    /// The initramfs is missing or broken. QEMU's status: 75.
    Initramfs = 0x25,
    /// Init cannot be loaded. QEMU's status: 77.
    Init = 0x26,
}

impl ExitValue {
    /// Returns the exit status of QEMU for this value.
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
