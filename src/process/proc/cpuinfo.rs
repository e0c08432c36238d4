//! `/proc/cpuinfo`: what CPUID reports for each processor.
//!
//! All processors are alike except for their APIC IDs, as Linux expects too: the reading CPU asks
//! its own CPUID for all of them. Flags that need XSAVE or long mode's page tables are not shown,
//! since the kernel turns on neither.
//!
//! Linux: 5.4 `arch/x86/kernel/cpu/proc.c` (`show_cpuinfo`), `cacheinfo.c`.

use super::cpu_flags::{FLAGS, POWER_FLAGS};
use super::system_files::online;
use crate::arch::x86::irq::smp::cpu_apic_id;
use crate::base::errno::Errno;
use crate::base::insn::cpuid;
use crate::drivers::tsc::khz;
use crate::hw::topology::{Leaf, Topology};
use crate::mm::fallible::Text;

fn leaf(leaf: u32, subleaf: u32) -> Leaf {
    let answer = cpuid(leaf, subleaf);
    [answer.eax, answer.ebx, answer.ecx, answer.edx]
}

/// Returns a leaf from 0x8000_0000 on; zeroes if it does not exist.
fn extended(number: u32) -> Leaf {
    match leaf(0x8000_0000, 0)[0] {
        last if (0x8000_0000..0x8001_0000).contains(&last) && number <= last => leaf(number, 0),
        _ => [0; 4],
    }
}

/// Returns the text of `/proc/cpuinfo`.
///
/// # Errors
/// ENOMEM.
pub fn cpuinfo() -> Result<Text, Errno> {
    let mut out = Text::new();
    online().try_for_each(|cpu| put_processor(&mut out, cpu))?;
    Ok(out)
}

fn put_processor(out: &mut Text, cpu: u32) -> Result<(), Errno> {
    let [max_leaf, v0, v2, v1] = leaf(0, 0);
    let [signature, ebx, _, edx] = leaf(1, 0);
    let vendor = bytes([v0, v1, v2]);
    let (family, model, stepping) = family_model_stepping(signature);
    writeln!(out, "processor\t: {cpu}")?;
    writeln!(out, "vendor_id\t: {}", text(&vendor))?;
    writeln!(out, "cpu family\t: {family}\nmodel\t\t: {model}")?;
    put_model_name(out, family, model)?;
    writeln!(out, "stepping\t: {stepping}")?;
    writeln!(out, "cpu MHz\t\t: {}.{:03}", khz() / 1000, khz() % 1000)?;
    let cache_kb = cache_size_kb(&vendor, max_leaf);
    if cache_kb != 0 {
        writeln!(out, "cache size\t: {cache_kb} KB")?;
    }
    put_place(out, cpu)?;
    // A processor with one of these bugs lacks CMOV, without which the kernel does not start.
    writeln!(out, "fdiv_bug\t: no\nf00f_bug\t: no\ncoma_bug\t: no")?;
    writeln!(out, "fpu\t\t: yes\nfpu_exception\t: yes")?;
    writeln!(out, "cpuid level\t: {max_leaf}\nwp\t\t: yes")?;
    put_flags(out)?;
    // A delay loop takes two instructions a turn, and one turn per count of the clock.
    let khz = khz();
    writeln!(out, "bogomips\t: {}.{:02}", khz / 500, khz / 5 % 100)?;
    let line = match edx & CLFLUSH {
        0 => 32,
        _ => (ebx >> 8 & 0xff) << 3,
    };
    writeln!(out, "clflush size\t: {line}\ncache_alignment\t: {line}")?;
    let (physical, linear) = address_bits(edx);
    writeln!(
        out,
        "address sizes\t: {physical} bits physical, {linear} bits virtual"
    )?;
    put_power_management(out)
}

/// Bits of CPUID leaf 1, edx.
const PAE: u32 = 1 << 6;
const PSE36: u32 = 1 << 17;
const CLFLUSH: u32 = 1 << 19;

fn bytes<const N: usize>(words: [u32; N]) -> [u8; 48] {
    let mut bytes = [0; 48];
    for (word, to) in words.iter().zip(bytes.chunks_exact_mut(4)) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Returns the text up to the first zero, without surrounding blanks.
fn text(bytes: &[u8]) -> &str {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    core::str::from_utf8(bytes).unwrap_or("unknown").trim()
}

fn family_model_stepping(signature: u32) -> (u32, u32, u32) {
    let family = signature >> 8 & 15;
    let of_extension = signature >> 16 & 15;
    let model = signature >> 4 & 15;
    (
        family.wrapping_add(match family {
            15 => signature >> 20 & 0xff,
            _ => 0,
        }),
        model | if family >= 6 { of_extension << 4 } else { 0 },
        signature & 15,
    )
}

/// Writes the processor's own name, or its numbers if it has no name.
fn put_model_name(out: &mut Text, family: u32, model: u32) -> Result<(), Errno> {
    let [a, b, c] = [0x8000_0002, 0x8000_0003, 0x8000_0004].map(extended);
    let words = [
        a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c[0], c[1], c[2], c[3],
    ];
    match text(&bytes(words)) {
        "" => writeln!(out, "model name\t: {family:02x}/{model:02x}"),
        name => writeln!(out, "model name\t: {name}"),
    }
}

/// Returns the size of the largest cache: Intel's leaf 4 lists all caches, other vendors report the
/// second-level cache.
fn cache_size_kb(vendor: &[u8], max_leaf: u32) -> u32 {
    if text(vendor) != "GenuineIntel" || max_leaf < 4 {
        return extended(0x8000_0006)[2] >> 16;
    }
    let caches = (0..16).map(|index| leaf(4, index));
    let caches = caches.take_while(|[eax, ..]| eax & 31 != 0);
    let size = |[_, ebx, ecx, _]: Leaf| {
        let (ways, partitions, line) = (ebx >> 22, ebx >> 12 & 0x3ff, ebx & 0xfff);
        [ways, partitions, line, ecx]
            .map(|most| u64::from(most).saturating_add(1))
            .into_iter()
            .fold(1, u64::saturating_mul)
            / 1024
    };
    let largest = caches.map(size).max().unwrap_or(0);
    u32::try_from(largest).unwrap_or(u32::MAX)
}

/// If there are several processors, writes the package and core of this one.
fn put_place(out: &mut Text, cpu: u32) -> Result<(), Errno> {
    let topology = Topology::read(leaf);
    if !topology.is_shared() {
        return Ok(());
    }
    let id = |cpu: u32| u32::from(cpu_apic_id(cpu));
    let package = topology.package(id(cpu));
    let siblings = || online().filter(|other| topology.package(id(*other)) == package);
    // A core is counted at the first of its threads.
    let is_first = |cpu: &u32| {
        !siblings().any(|it| it < *cpu && topology.core(id(it)) == topology.core(id(*cpu)))
    };
    let cores = siblings().filter(is_first).count();
    writeln!(
        out,
        "physical id\t: {package}\nsiblings\t: {}",
        siblings().count()
    )?;
    writeln!(
        out,
        "core id\t\t: {}\ncpu cores\t: {cores}",
        topology.core(id(cpu))
    )?;
    writeln!(out, "apicid\t\t: {0}\ninitial apicid\t: {0}", id(cpu))
}

fn put_flags(out: &mut Text) -> Result<(), Errno> {
    write!(out, "flags\t\t:")?;
    for (number, register, names) in FLAGS {
        let leaf = match *number {
            0x8000_0000.. => extended(*number),
            7 if leaf(0, 0)[0] < 7 => [0; 4],
            number => leaf(number, 0),
        };
        for (bit, name) in names.iter() {
            if leaf[*register] & 1 << bit != 0 {
                write!(out, " {name}")?;
            }
        }
    }
    out.put("\n")
}

/// Returns the number of bits of physical and of linear addresses.
fn address_bits(features: u32) -> (u32, u32) {
    match extended(0x8000_0008)[0] {
        0 if features & (PAE | PSE36) != 0 => (36, 32),
        0 => (32, 32),
        eax => (eax & 0xff, eax >> 8 & 0xff),
    }
}

fn put_power_management(out: &mut Text) -> Result<(), Errno> {
    write!(out, "power management:")?;
    let power = extended(0x8000_0007)[3];
    for bit in (0..u32::BITS).filter(|bit| power & 1 << bit != 0) {
        match POWER_FLAGS.get(bit as usize) {
            // The counter that never stops is shown as a flag.
            Some(&"") => {}
            Some(name) => write!(out, " {name}")?,
            None => write!(out, " [{bit}]")?,
        }
    }
    out.put("\n\n")
}
