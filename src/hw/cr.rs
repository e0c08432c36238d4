#![forbid(unsafe_code)]
//! CR0, CR3 and CR4: the processor's modes, and its address space.
//!
//! CR0.TS makes the first FPU instruction after a switch raise #NM; CR4.TSD makes `rdtsc` fault for
//! tasks that requested it. The boot code sets the other bits once.
//!
//! Book: ch. 2, "Paging in Hardware"; ch. 3, "Saving and Loading the FPU, MMX, and XMM Registers".
//! Linux: `asm/processor-flags.h` (`X86_CR0_*`, `X86_CR4_*`).
//! SDM: vol. 3, 2.5 "Control Registers".

use bitflags::bitflags;

bitflags! {
    /// Control register 0.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
    #[repr(transparent)]
    pub struct Cr0: u32 {
        /// Protection enable.
        const PE = 1 << 0;
        /// Monitor coprocessor: `wait` obeys TS.
        const MP = 1 << 1;
        /// Emulation: every x87 instruction raises #NM.
        const EM = 1 << 2;
        /// Task switched: the next FPU instruction raises #NM.
        const TS = 1 << 3;
        /// Extension type; always 1.
        const ET = 1 << 4;
        /// Numeric error: x87 errors raise #MF, not an interrupt.
        const NE = 1 << 5;
        /// Write protect: ring 0 obeys read-only pages too (copy on write needs it).
        const WP = 1 << 16;
        /// Alignment mask: lets EFLAGS.AC take effect.
        const AM = 1 << 18;
        /// Not write-through: disables write-back caching.
        const NW = 1 << 29;
        /// Cache disable.
        const CD = 1 << 30;
        /// Paging enable.
        const PG = 1 << 31;
    }
}

bitflags! {
    /// Control bits of CR3; the rest is the page directory's physical address.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
    #[repr(transparent)]
    pub struct Cr3: u32 {
        /// Page-level write-through for the page directory.
        const PWT = 1 << 3;
        /// Page-level cache disable for the page directory.
        const PCD = 1 << 4;
    }
}

bitflags! {
    /// Control register 4.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
    #[repr(transparent)]
    pub struct Cr4: u32 {
        /// Virtual-8086 extensions.
        const VME = 1 << 0;
        /// Protected-mode virtual interrupts.
        const PVI = 1 << 1;
        /// Time stamp disable: `rdtsc` in ring 3 raises #GP.
        const TSD = 1 << 2;
        /// Debugging extensions: DR4 and DR5 raise #UD.
        const DE = 1 << 3;
        /// Page-size extensions: allows 4 MiB pages.
        const PSE = 1 << 4;
        /// 36-bit physical addresses by a third table level.
        const PAE = 1 << 5;
        /// Machine-check exception.
        const MCE = 1 << 6;
        /// Global pages survive a CR3 write.
        const PGE = 1 << 7;
        /// Allows `rdpmc` in ring 3.
        const PCE = 1 << 8;
        /// FXSAVE and FXRSTOR keep SSE state; SSE may be used.
        const OSFXSR = 1 << 9;
        /// Unmasked SSE exceptions raise #XM.
        const OSXMMEXCPT = 1 << 10;
        /// `sgdt`, `sidt`, `sldt`, `smsw` and `str` raise #GP in ring 3.
        const UMIP = 1 << 11;
        /// Virtual-machine extensions.
        const VMXE = 1 << 13;
        /// Safer-mode extensions.
        const SMXE = 1 << 14;
        /// XSAVE and its registers.
        const OSXSAVE = 1 << 18;
        /// Ring 0 may not execute user pages.
        const SMEP = 1 << 20;
        /// Ring 0 may not touch user pages unless EFLAGS.AC is set.
        const SMAP = 1 << 21;
    }
}

impl Cr0 {
    /// Returns whether loading this value does not raise #GP: paging needs protection, NW needs CD.
    pub const fn is_valid(self) -> bool {
        let paging = !self.contains(Cr0::PG) || self.contains(Cr0::PE);
        let cache = !self.contains(Cr0::NW) || self.contains(Cr0::CD);
        paging && cache
    }
}

/// CR0 of every CPU from its first instruction with paging on (Linux: `CR0_STATE`).
pub const CR0_STATE: u32 = Cr0::PE
    .union(Cr0::MP)
    .union(Cr0::ET)
    .union(Cr0::NE)
    .union(Cr0::WP)
    .union(Cr0::AM)
    .union(Cr0::PG)
    .bits();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_the_manuals_bits() {
        assert_eq!(Cr0::all().bits(), 0xe005_003f);
        assert_eq!(Cr0::TS.bits(), 8);
        assert_eq!(Cr3::all().bits(), 0x18);
        assert_eq!(Cr4::TSD.bits(), 4);
        assert_eq!((Cr4::OSFXSR | Cr4::OSXMMEXCPT).bits(), 0x600);
        assert_eq!(Cr4::all().bits(), 0x0034_6fff);
    }

    #[test]
    fn impossible_combinations_are_told() {
        assert!((Cr0::PG | Cr0::PE).is_valid());
        assert!(!Cr0::PG.is_valid());
        assert!(!(Cr0::PE | Cr0::NW).is_valid());
        assert!((Cr0::PE | Cr0::NW | Cr0::CD).is_valid());
    }
}
