#![forbid(unsafe_code)]
//! The ACPI tables that name the processors: RSDT or XSDT, and the MADT.
//!
//! Parses bytes and trusts nothing in a table before its length and checksum are right.
//! `arch::x86::boot::acpi` maps the tables and passes them to this parser.
//!
//! Linux: 2.6.38 `arch/x86/kernel/acpi/boot.c` (`acpi_parse_madt`).
//! ACPI Specification 6.5, 5.2.6 "System Description Table Header", 5.2.12 "Multiple APIC
//! Description Table (MADT)".

use core::fmt;

use arrayvec::ArrayVec;

use super::apic::Trigger;

/// Size of the header of every table, in bytes.
pub const SDT_HEADER_BYTES: usize = 36;
/// Longest table that is read, in bytes.
pub const SDT_MAX_BYTES: u32 = 512 << 10;
/// Number of lines of the ISA bus.
pub const ISA_IRQS: usize = 16;
/// Largest number of processors that are noted.
pub const MAX_PROCESSORS: usize = 64;

const ENABLED: u32 = 1;

/// The error of a broken or missing table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SdtError {
    /// The table is shorter than its header, or than its header says; with the bytes found.
    CutOff(usize),
    /// The header has a length that no table can have.
    Length(u32),
    /// The table has another signature, given here.
    Signature([u8; 4]),
    /// The bytes do not add up to 0.
    Checksum,
    /// The entry at this offset ends outside the table.
    Entry(usize),
    /// The firmware has no such table.
    Missing,
}

impl fmt::Display for SdtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SdtError::CutOff(bytes) => write!(f, "cut off after {bytes} bytes"),
            SdtError::Length(length) => write!(f, "impossible length {length}"),
            SdtError::Signature(s) => write!(f, "unexpected signature {}", s.escape_ascii()),
            SdtError::Checksum => write!(f, "wrong checksum"),
            SdtError::Entry(at) => write!(f, "entry at offset {at} runs over the end"),
            SdtError::Missing => write!(f, "none"),
        }
    }
}

/// Returns the length of the table whose header is `header`, in bytes.
///
/// # Errors
/// Fails if the header is cut off, or has a length that no table can have.
pub fn sdt_length(header: &[u8]) -> Result<u32, SdtError> {
    let length = word(header, 4).ok_or(SdtError::CutOff(header.len()))?;
    if (SDT_HEADER_BYTES as u32..=SDT_MAX_BYTES).contains(&length) {
        Ok(length)
    } else {
        Err(SdtError::Length(length))
    }
}

/// Returns the table in `bytes` without its header.
///
/// # Errors
/// Fails if the table is cut off, has another signature than `signature`, or a wrong checksum.
pub fn sdt_body<'a>(bytes: &'a [u8], signature: &[u8; 4]) -> Result<&'a [u8], SdtError> {
    let length = sdt_length(bytes)? as usize;
    let table = bytes.get(..length).ok_or(SdtError::CutOff(bytes.len()))?;
    if table[..4] != *signature {
        return Err(SdtError::Signature([
            table[0], table[1], table[2], table[3],
        ]));
    }
    if table.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)) != 0 {
        return Err(SdtError::Checksum);
    }
    Ok(&table[SDT_HEADER_BYTES..])
}

/// The processors and interrupt controllers of the machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Madt {
    /// Physical address of every local APIC's registers.
    pub lapic_phys: u32,
    /// Numbers of the local APICs whose processors can be started, in the table's order.
    pub apic_ids: ArrayVec<u8, MAX_PROCESSORS>,
    /// The I/O APIC that has line 0: physical address of its registers.
    pub ioapic_phys: Option<u32>,
    /// For each line of the ISA bus, the line of the I/O APIC, its polarity and its trigger mode.
    pub isa_irqs: [IsaIrq; ISA_IRQS],
}

/// The I/O APIC line of a line of the ISA bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IsaIrq {
    /// Number of the line of the I/O APIC.
    pub gsi: u32,
    pub trigger: Trigger,
}

/// Parses a whole MADT, including its header.
///
/// # Errors
/// Fails if the table is broken.
pub fn parse_madt(bytes: &[u8]) -> Result<Madt, SdtError> {
    let body = sdt_body(bytes, b"APIC")?;
    let cut_off = SdtError::CutOff(bytes.len());
    let mut madt = Madt {
        lapic_phys: word(body, 0).ok_or(cut_off)?,
        ..Madt::default()
    };
    for (irq, line) in madt.isa_irqs.iter_mut().enumerate() {
        line.gsi = irq as u32;
    }
    // After the APIC's address come flags, then entries: type, length, data.
    let mut rest = body.get(8..).ok_or(cut_off)?;
    while let &[kind, length, ..] = rest {
        let at = SDT_HEADER_BYTES + body.len() - rest.len();
        let entry = match usize::from(length) {
            length @ 2.. => rest.get(..length).ok_or(SdtError::Entry(at))?,
            _ => return Err(SdtError::Entry(at)),
        };
        madt.add(kind, entry).ok_or(SdtError::Entry(at))?;
        rest = &rest[entry.len()..];
    }
    Ok(madt)
}

impl Madt {
    /// Notes one entry; returns `None` if it is too short for its kind.
    fn add(&mut self, kind: u8, entry: &[u8]) -> Option<()> {
        match kind {
            // Processor: ACPI number, APIC number, flags.
            0 => {
                let (id, flags) = (*entry.get(3)?, word(entry, 4)?);
                if flags & ENABLED != 0 {
                    // A machine may have more processors than are noted; those stay off.
                    let _noted = self.apic_ids.try_push(id);
                }
            }
            // I/O APIC: number, reserved, address, first line.
            1 => {
                if word(entry, 8)? == 0 {
                    self.ioapic_phys = Some(word(entry, 4)?);
                }
            }
            // Override: bus (0: ISA), line there, line here, flags.
            2 => {
                let flags = u16::from_le_bytes([*entry.get(8)?, *entry.get(9)?]);
                let gsi = word(entry, 4)?;
                if let (0, Some(line)) = (entry[2], self.isa_irqs.get_mut(usize::from(entry[3]))) {
                    let trigger = Trigger {
                        active_low: flags & 3 == 3,
                        level: flags >> 2 & 3 == 3,
                    };
                    *line = IsaIrq { gsi, trigger };
                }
            }
            _ => {}
        }
        Some(())
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A table with a right length and checksum.
    pub fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; SDT_HEADER_BYTES];
        bytes[..4].copy_from_slice(signature);
        bytes.extend(body);
        let length = bytes.len() as u32;
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        let sum = bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
        bytes[9] = sum.wrapping_neg();
        bytes
    }

    fn madt(entries: &[&[u8]]) -> Vec<u8> {
        let mut body = 0xfee0_0000u32.to_le_bytes().to_vec();
        body.extend([1, 0, 0, 0]);
        body.extend(entries.concat());
        table(b"APIC", &body)
    }

    #[test]
    fn processors_controllers_and_overrides_are_read() {
        let parsed = parse_madt(&madt(&[
            &[0, 8, 0, 0, 1, 0, 0, 0],
            &[0, 8, 1, 4, 1, 0, 0, 0],
            &[0, 8, 2, 5, 0, 0, 0, 0], // disabled: it may be plugged in later
            &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
            &[1, 12, 1, 0, 0, 0, 0xc1, 0xfe, 24, 0, 0, 0],
            &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
            &[2, 10, 0, 9, 9, 0, 0, 0, 0xf, 0],
            &[4, 6, 0xff, 0, 0, 1],
        ]))
        .unwrap();
        assert_eq!(parsed.lapic_phys, 0xfee0_0000);
        assert_eq!(parsed.apic_ids.as_slice(), [0, 4]);
        assert_eq!(parsed.ioapic_phys, Some(0xfec0_0000));
        assert_eq!(parsed.isa_irqs[0].gsi, 2);
        assert_eq!(
            parsed.isa_irqs[4],
            IsaIrq {
                gsi: 4,
                trigger: Trigger::default()
            }
        );
        let sci = Trigger {
            active_low: true,
            level: true,
        };
        assert_eq!(
            parsed.isa_irqs[9],
            IsaIrq {
                gsi: 9,
                trigger: sci
            }
        );
    }

    #[test]
    fn what_is_broken_is_named() {
        let good = madt(&[&[0, 8, 0, 0, 1, 0, 0, 0]]);
        assert_eq!(parse_madt(&good[..20]), Err(SdtError::CutOff(20)));
        assert_eq!(parse_madt(&good[..50]), Err(SdtError::CutOff(50)));
        let mut bad = good.clone();
        bad[10] ^= 1;
        assert_eq!(parse_madt(&bad), Err(SdtError::Checksum));
        assert_eq!(
            parse_madt(&table(b"FACP", &[])),
            Err(SdtError::Signature(*b"FACP"))
        );
        assert_eq!(parse_madt(&madt(&[&[0, 1]])), Err(SdtError::Entry(44)));
        assert_eq!(
            parse_madt(&madt(&[&[0, 9, 0, 0, 1, 0, 0, 0]])),
            Err(SdtError::Entry(44))
        );
        assert_eq!(
            parse_madt(&madt(&[&[0, 4, 0, 0]])),
            Err(SdtError::Entry(44))
        );
        let mut long = good;
        long[4..8].copy_from_slice(&8u32.to_le_bytes());
        assert_eq!(parse_madt(&long), Err(SdtError::Length(8)));
    }

    #[test]
    fn more_processors_than_are_noted_do_no_harm() {
        let many: Vec<[u8; 8]> = (0..100).map(|id| [0, 8, id, id, 1, 0, 0, 0]).collect();
        let entries: Vec<&[u8]> = many.iter().map(<[u8; 8]>::as_slice).collect();
        assert_eq!(
            parse_madt(&madt(&entries)).unwrap().apic_ids.len(),
            MAX_PROCESSORS
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_madt(&bytes);
            let _ = parse_madt(&table(b"APIC", &bytes));
        }
    }
}
