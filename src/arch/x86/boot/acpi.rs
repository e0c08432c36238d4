//! The firmware's ACPI tables: the list of processors, and how the machine is switched off.
//!
//! The boot CPU calls this once. A broken table is reported and not used.
//!
//! Linux: 2.6.38 `drivers/acpi/tables.c` (`acpi_table_parse`).
//! ACPI Specification 6.5, 5.2.7 "Root System Description Table (RSDT)", 5.2.8 XSDT.

use crate::boot_info::Rsdt;
use crate::hw::fadt::{PowerOff, parse_fadt, parse_s5};
use crate::hw::madt::{Madt, SDT_HEADER_BYTES, SdtError, parse_madt, sdt_body, sdt_length};
use crate::mm::ioremap::ioremap_cache;

/// Reads the MADT that `rsdt` lists.
///
/// # Errors
/// Fails if a table is broken or there is no MADT.
pub fn find_madt(rsdt: Rsdt) -> Result<Madt, SdtError> {
    parse_madt(find_table(rsdt, b"APIC")?)
}

/// Reads from the tables that `rsdt` lists how the machine is switched off.
///
/// # Errors
/// Fails if a table is broken, or they do not tell.
pub fn find_power_off(rsdt: Rsdt) -> Result<PowerOff, SdtError> {
    let fadt = parse_fadt(find_table(rsdt, b"FACP")?)?;
    Ok(PowerOff {
        fadt,
        sleep_types: parse_s5(map_sdt(fadt.dsdt_phys)?)?,
    })
}

/// Maps the whole table with this signature, which `rsdt` lists.
fn find_table(rsdt: Rsdt, wanted: &[u8; 4]) -> Result<&'static [u8], SdtError> {
    let signature = if rsdt.entry_bytes == 8 {
        b"XSDT"
    } else {
        b"RSDT"
    };
    let entries = sdt_body(map_sdt(rsdt.phys)?, signature)?;
    for entry in entries.chunks_exact(rsdt.entry_bytes) {
        let (low, high) = entry.split_at(4);
        let &[a, b, c, d] = low else { continue };
        // A table above 4 GiB is out of our reach.
        if high.iter().any(|&byte| byte != 0) {
            continue;
        }
        let phys = u32::from_le_bytes([a, b, c, d]);
        if map(phys, SDT_HEADER_BYTES as u32)?.starts_with(wanted) {
            return map_sdt(phys);
        }
    }
    Err(SdtError::Missing)
}

/// Maps the whole table at physical address `phys`.
fn map_sdt(phys: u32) -> Result<&'static [u8], SdtError> {
    let length = sdt_length(map(phys, SDT_HEADER_BYTES as u32)?)?;
    map(phys, length)
}

fn map(phys: u32, length: u32) -> Result<&'static [u8], SdtError> {
    let start = ioremap_cache(phys, length).ok_or(SdtError::CutOff(0))?;
    // SAFETY: mapped just above, for reading and for ever; the firmware's tables do not change.
    Ok(unsafe { core::slice::from_raw_parts(start.as_ptr(), length as usize) })
}
