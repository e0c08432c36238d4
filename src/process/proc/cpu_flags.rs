#![forbid(unsafe_code)]
//! Names of CPUID's bits, as `/proc/cpuinfo` spells them.
//!
//! Linux: 5.4 `asm/cpufeatures.h`. SDM: vol. 2, "CPUID".

/// Bits of a register, with their names.
type Names = &'static [(u32, &'static str)];

/// Leaf, register (0 is eax) and names, in Linux's order.
pub const FLAGS: &[(u32, usize, Names)] = &[
    (1, 3, BASIC),
    (0x8000_0001, 3, EXTENDED),
    (0x8000_0007, 3, &[(8, "constant_tsc"), (8, "nonstop_tsc")]),
    (1, 2, BASIC_ECX),
    (0x8000_0001, 2, EXTENDED_ECX),
    (7, 1, STRUCTURED),
];

#[rustfmt::skip]
const BASIC: Names = &[
    (0, "fpu"), (1, "vme"), (2, "de"), (3, "pse"), (4, "tsc"), (5, "msr"), (6, "pae"), (7, "mce"),
    (8, "cx8"), (9, "apic"), (11, "sep"), (12, "mtrr"), (13, "pge"), (14, "mca"), (15, "cmov"),
    (16, "pat"), (17, "pse36"), (18, "pn"), (19, "clflush"), (21, "dts"), (22, "acpi"),
    (23, "mmx"), (24, "fxsr"), (25, "sse"), (26, "sse2"), (27, "ss"), (28, "ht"), (29, "tm"),
    (30, "ia64"), (31, "pbe"),
];

/// Only the bits that AMD does not copy from leaf 1.
#[rustfmt::skip]
const EXTENDED: Names = &[
    (11, "syscall"), (19, "mp"), (20, "nx"), (22, "mmxext"), (25, "fxsr_opt"), (26, "pdpe1gb"),
    (27, "rdtscp"), (29, "lm"), (30, "3dnowext"), (31, "3dnow"),
];

/// All bits except those that need XSAVE.
#[rustfmt::skip]
const BASIC_ECX: Names = &[
    (0, "pni"), (1, "pclmulqdq"), (2, "dtes64"), (3, "monitor"), (4, "ds_cpl"), (5, "vmx"),
    (6, "smx"), (7, "est"), (8, "tm2"), (9, "ssse3"), (10, "cid"), (11, "sdbg"), (13, "cx16"),
    (14, "xtpr"), (15, "pdcm"), (18, "dca"), (19, "sse4_1"), (20, "sse4_2"),
    (21, "x2apic"), (22, "movbe"), (23, "popcnt"), (24, "tsc_deadline_timer"), (25, "aes"),
    (30, "rdrand"), (31, "hypervisor"),
];

#[rustfmt::skip]
const EXTENDED_ECX: Names = &[
    (0, "lahf_lm"), (1, "cmp_legacy"), (2, "svm"), (3, "extapic"), (4, "cr8_legacy"), (5, "abm"),
    (6, "sse4a"), (7, "misalignsse"), (8, "3dnowprefetch"), (9, "osvw"), (10, "ibs"),
    (12, "skinit"), (13, "wdt"), (22, "topoext"),
];

/// The features that programs may use, except those that need XSAVE: the kernel would have to turn
/// on the rest.
#[rustfmt::skip]
const STRUCTURED: Names = &[
    (3, "bmi1"), (8, "bmi2"), (9, "erms"), (18, "rdseed"), (19, "adx"), (23, "clflushopt"),
    (24, "clwb"), (29, "sha_ni"),
];

/// Names of the bits of leaf 0x8000_0007, edx.
pub const POWER_FLAGS: [&str; 13] = [
    "ts",
    "fid",
    "vid",
    "ttp",
    "tm",
    "stc",
    "100mhzsteps",
    "hwpstate",
    "",
    "cpb",
    "eff_freq_ro",
    "proc_feedback",
    "acc_power",
];
