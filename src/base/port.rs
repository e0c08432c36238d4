//! I/O ports: `in` and `out`, in three widths.
//!
//! Linux: 2.6.38 `asm/io.h`. SDM: vol. 2, IN and OUT.

use core::arch::asm;

/// Makes the two functions of one width of port.
macro_rules! port {
    ($in:ident, $out:ident, $type:ty, $register:tt, $bits:literal) => {
        #[doc = concat!("Reads ", $bits, " bits from the I/O port `port`.")]
        ///
        /// # Safety
        /// 1. A read of the port has no effect on the device that memory or another device relies
        ///    on.
        #[inline(always)]
        pub unsafe fn $in(port: u16) -> $type {
            let value: $type;
            // SAFETY: by 1. Memory is a clobber, so reads stay in order with it.
            unsafe {
                asm!(concat!("in ", $register, ", dx"), in("dx") port, out($register) value,
                     options(nostack, preserves_flags));
            }
            value
        }

        #[doc = concat!("Writes ", $bits, " bits to the I/O port `port`.")]
        ///
        /// # Safety
        /// 1. The caller answers for the effect of `value` on the device.
        #[inline(always)]
        pub unsafe fn $out(port: u16, value: $type) {
            // SAFETY: by 1. Memory is a clobber, so the device sees earlier writes to memory.
            unsafe {
                asm!(concat!("out dx, ", $register), in("dx") port, in($register) value,
                     options(nostack, preserves_flags));
            }
        }
    };
}

port!(inb, outb, u8, "al", "8");
port!(inw, outw, u16, "ax", "16");
port!(inl, outl, u32, "eax", "32");
