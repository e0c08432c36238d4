#![forbid(unsafe_code)]
//! The core and the package of a logical processor, from CPUID and its APIC number.
//!
//! An APIC number consists of the bits of the package, of the core within it, and of the thread
//! within the core. Leaf 11 gives the number of bits of each; otherwise it follows from the counts
//! of older leaves. `/proc/cpuinfo` uses this.
//!
//! Linux: 5.4 `detect_extended_topology`, `detect_ht`, `detect_num_cpu_cores`.
//! SDM: vol. 3, 8.9 "Programming Considerations for Hardware Multi-Threading Capable Processors".

/// The registers of a CPUID leaf: eax, ebx, ecx, edx.
pub type Leaf = [u32; 4];

/// CPUID 1, edx: the package may have several logical processors.
const HTT: u32 = 1 << 28;
/// Leaf 11: the type of a level.
const LEVEL_SMT: u32 = 1;
const LEVEL_CORE: u32 = 2;

/// The positions of the parts of an APIC number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Topology {
    /// Number of bits of the thread within its core.
    pub thread_bits: u32,
    /// Number of bits below those of the package: the thread's and the core's.
    pub package_shift: u32,
}

impl Topology {
    /// Reads the positions with `cpuid`, which takes a leaf and a subleaf.
    pub fn read(cpuid: impl Fn(u32, u32) -> Leaf) -> Self {
        let [max_leaf, ..] = cpuid(0, 0);
        extended(&cpuid, max_leaf).unwrap_or_else(|| legacy(&cpuid, max_leaf))
    }

    /// Returns whether a package can have more than one logical processor.
    pub fn is_shared(&self) -> bool {
        self.package_shift != 0
    }

    /// Returns the number of the core within its package.
    pub fn core(&self, apic_id: u32) -> u32 {
        (apic_id & !(u32::MAX << self.package_shift)) >> self.thread_bits
    }

    /// Returns the number of the package.
    pub fn package(&self, apic_id: u32) -> u32 {
        apic_id >> self.package_shift
    }
}

fn extended(cpuid: &impl Fn(u32, u32) -> Leaf, max_leaf: u32) -> Option<Topology> {
    let level = |subleaf| {
        let [eax, ebx, ecx, _] = cpuid(11, subleaf);
        (eax & 31, ebx & 0xffff, ecx >> 8 & 0xff)
    };
    if max_leaf < 11 {
        return None;
    }
    let (thread_bits, count, kind) = level(0);
    if count == 0 || kind != LEVEL_SMT {
        return None;
    }
    let core = (1..8).map(level).take_while(|(_, _, kind)| *kind != 0);
    let core = core.filter(|(_, _, kind)| *kind == LEVEL_CORE).last();
    Some(Topology {
        thread_bits,
        package_shift: core.map_or(thread_bits, |(shift, ..)| shift),
    })
}

fn legacy(cpuid: &impl Fn(u32, u32) -> Leaf, max_leaf: u32) -> Topology {
    let [_, ebx, _, edx] = cpuid(1, 0);
    let logical = ebx >> 16 & 0xff;
    if edx & HTT == 0 || logical <= 1 {
        return Topology::default();
    }
    let bits = |count: u32| count.next_power_of_two().trailing_zeros();
    let [max_extended, ..] = cpuid(0x8000_0000, 0);
    let of_leaf_4 = if max_leaf >= 4 { cpuid(4, 0)[0] } else { 0 };
    let cores = match of_leaf_4 & 31 {
        0 if max_extended >= 0x8000_0008 => (cpuid(0x8000_0008, 0)[2] & 0xff) + 1,
        0 => 1,
        _ => (of_leaf_4 >> 26) + 1,
    };
    Topology {
        thread_bits: bits((logical / cores).max(1)),
        package_shift: bits(logical),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(leaves: &[((u32, u32), Leaf)]) -> Topology {
        Topology::read(|leaf, subleaf| {
            let found = leaves.iter().find(|(key, _)| *key == (leaf, subleaf));
            found.map_or([0; 4], |(_, leaf)| *leaf)
        })
    }

    #[test]
    fn a_processor_alone_is_its_package() {
        let alone = machine(&[((0, 0), [1, 0, 0, 0])]);
        assert!(!alone.is_shared());
        assert_eq!((alone.core(3), alone.package(3)), (0, 3));
    }

    #[test]
    fn leaf_11_says_where_core_and_package_begin() {
        let two_threads_of_four_cores = machine(&[
            ((0, 0), [13, 0, 0, 0]),
            ((11, 0), [1, 2, 0x100, 0]),
            ((11, 1), [3, 8, 0x201, 0]),
        ]);
        let place = |id| {
            let t = &two_threads_of_four_cores;
            (t.package(id), t.core(id))
        };
        assert_eq!(
            [0, 1, 2, 7, 8, 13].map(place),
            [(0, 0), (0, 0), (0, 1), (0, 3), (1, 0), (1, 2)]
        );
    }

    #[test]
    fn counts_say_it_without_leaf_11() {
        // Two threads, one core, like a Pentium 4.
        let threads = machine(&[((0, 0), [2, 0, 0, 0]), ((1, 0), [0, 2 << 16, 0, HTT])]);
        assert_eq!((threads.package(3), threads.core(3)), (1, 0));
        // Four cores by leaf 4, and by AMD's leaf.
        let ids = |t: Topology| [0, 3, 5].map(|id| (t.package(id), t.core(id)));
        let intel = machine(&[
            ((0, 0), [4, 0, 0, 0]),
            ((1, 0), [0, 4 << 16, 0, HTT]),
            ((4, 0), [3 << 26 | 1, 0, 0, 0]),
        ]);
        assert_eq!(ids(intel), [(0, 0), (0, 3), (1, 1)]);
        let amd = machine(&[
            ((0, 0), [1, 0, 0, 0]),
            ((1, 0), [0, 4 << 16, 0, HTT]),
            ((0x8000_0000, 0), [0x8000_0008, 0, 0, 0]),
            ((0x8000_0008, 0), [0, 0, 3, 0]),
        ]);
        assert_eq!(ids(amd), [(0, 0), (0, 3), (1, 1)]);
    }
}
