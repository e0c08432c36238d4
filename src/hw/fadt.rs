#![forbid(unsafe_code)]
//! The ACPI tables that tell how a machine is switched off: the FADT, and `\_S5` in the DSDT.
//!
//! To switch off, software writes the sleep type of state S5, with the enable bit, to the PM1
//! control registers. The FADT has the registers' ports. The types stand in the DSDT, a program for
//! an interpreter; but `\_S5` is a constant, whose few bytes are recognised here without one.
//!
//! Parses bytes and trusts nothing in a table before its length and checksum are right.
//!
//! Linux: 2.6.38 `drivers/acpi/acpica/hwxface.c` (`acpi_get_sleep_type_data`), `hwsleep.c`.
//! ACPI Specification 6.5, 4.8.3.2.1 "PM1 Control Registers", 5.2.9 "Fixed ACPI Description Table",
//! 7.4.2 "\_Sx (System States)", 20.2 "AML Grammar Definition".

use super::madt::{SdtError, sdt_body};

/// PM1 control: the machine is in ACPI mode.
pub const SCI_EN: u16 = 1;
/// PM1 control: enter the sleep state now.
pub const SLP_EN: u16 = 1 << 13;
/// PM1 control: place of the sleep type.
const SLP_TYP_SHIFT: u32 = 10;

/// The contents of a FADT that are needed to switch off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fadt {
    /// Physical address of the DSDT.
    pub dsdt_phys: u32,
    /// Port that takes requests to the firmware; 0 if there is none.
    pub smi_command: u16,
    /// Request to the firmware to enter ACPI mode.
    pub acpi_enable: u8,
    /// Ports of the PM1 control registers; the second is 0 on most machines, which have one.
    pub pm1_control: [u16; 2],
}

/// All that is written to switch a machine off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PowerOff {
    /// Ports and requests.
    pub fadt: Fadt,
    /// Sleep type of S5 for each PM1 control register, at its place in the register.
    pub sleep_types: [u16; 2],
}

/// Parses a whole FADT, including its header.
///
/// # Errors
/// Fails if the table is broken, or names a register that is not an I/O port.
pub fn parse_fadt(bytes: &[u8]) -> Result<Fadt, SdtError> {
    let body = sdt_body(bytes, b"FACP")?;
    let cut_off = SdtError::CutOff(bytes.len());
    // Offsets of the specification count from the header's start.
    let word = |offset: usize| {
        let at = offset - super::madt::SDT_HEADER_BYTES;
        let bytes = body.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let port = |offset: usize| {
        let port = word(offset).ok_or(cut_off)?;
        u16::try_from(port).map_err(|_| SdtError::Entry(offset))
    };
    let [enable, ..] = word(52).ok_or(cut_off)?.to_le_bytes();
    let fadt = Fadt {
        dsdt_phys: word(40).ok_or(cut_off)?,
        smi_command: port(48)?,
        acpi_enable: enable,
        pm1_control: [port(64)?, port(68)?],
    };
    match (fadt.dsdt_phys, fadt.pm1_control[0]) {
        (0, _) | (_, 0) => Err(SdtError::Missing),
        _ => Ok(fadt),
    }
}

/// Finds the sleep types of S5 in a whole DSDT, including its header.
///
/// # Errors
/// Fails if the table is broken, or does not define `\_S5` as a package of constants.
pub fn parse_s5(bytes: &[u8]) -> Result<[u16; 2], SdtError> {
    const NAME: &[u8] = b"_S5_";
    let body = sdt_body(bytes, b"DSDT")?;
    let mut places = body.windows(NAME.len()).enumerate();
    let types = places.find_map(|(at, bytes)| {
        let (before, rest) = (body.get(..at)?, body.get(at + NAME.len()..)?);
        (bytes == NAME && defines_a_name(before)).then(|| package(rest))?
    });
    types.ok_or(SdtError::Missing)
}

/// Returns whether the bytes before a name define it: NameOp, and perhaps the root's `\`.
fn defines_a_name(before: &[u8]) -> bool {
    const NAME_OP: u8 = 0x08;
    matches!(before, [.., NAME_OP] | [.., NAME_OP, b'\\'])
}

/// Reads a package whose first elements are one or two small constants, as sleep types. A second
/// that is missing is the first.
fn package(bytes: &[u8]) -> Option<[u16; 2]> {
    const PACKAGE_OP: u8 = 0x12;
    let (&first, rest) = bytes.strip_prefix(&[PACKAGE_OP])?.split_first()?;
    // The two upper bits are the number of further bytes of the length.
    let (&count, rest) = rest.get(usize::from(first >> 6)..)?.split_first()?;
    let (a, rest) = constant(rest)?;
    let b = match count {
        0 => return None,
        1 => a,
        _ => constant(rest)?.0,
    };
    // Three bits each.
    let place = |value: u8| (value < 8).then_some(u16::from(value) << SLP_TYP_SHIFT);
    Some([place(a)?, place(b)?])
}

/// Reads a constant below 256; returns it and the bytes after it.
fn constant(bytes: &[u8]) -> Option<(u8, &[u8])> {
    match bytes {
        // ZeroOp, OneOp.
        [value @ 0..=1, rest @ ..] => Some((*value, rest)),
        // BytePrefix, WordPrefix, DWordPrefix.
        [0x0a, value, rest @ ..]
        | [0x0b, value, 0, rest @ ..]
        | [0x0c, value, 0, 0, 0, rest @ ..] => Some((*value, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::madt::tests::table;
    use super::*;
    use proptest::prelude::*;

    fn fadt_body() -> Vec<u8> {
        let mut body = vec![0; 100];
        let mut put = |offset: usize, value: u32| {
            body[offset - 36..offset - 32].copy_from_slice(&value.to_le_bytes());
        };
        put(40, 0x7fe_0040);
        put(48, 0xb2);
        put(52, 0xf1);
        put(64, 0x604);
        body
    }

    #[test]
    fn the_registers_of_a_machine_are_read() {
        let fadt = parse_fadt(&table(b"FACP", &fadt_body())).unwrap();
        let expected = Fadt {
            dsdt_phys: 0x7fe_0040,
            smi_command: 0xb2,
            acpi_enable: 0xf1,
            pm1_control: [0x604, 0],
        };
        assert_eq!(fadt, expected);
    }

    #[test]
    fn a_table_without_a_register_is_refused() {
        let none = table(b"FACP", &[0; 100]);
        assert_eq!(parse_fadt(&none), Err(SdtError::Missing));
        let short = table(b"FACP", &[0; 20]);
        assert_eq!(parse_fadt(&short), Err(SdtError::CutOff(56)));
        let mut far = fadt_body();
        far[30] = 1;
        let far = table(b"FACP", &far);
        assert_eq!(parse_fadt(&far), Err(SdtError::Entry(64)));
    }

    fn s5(definition: &[u8]) -> Result<[u16; 2], SdtError> {
        let body = [b"_S5_ and \x10\x05_S5_ ", definition, b"\x12\0"].concat();
        parse_s5(&table(b"DSDT", &body))
    }

    #[test]
    fn the_sleep_types_are_found_in_every_form() {
        // QEMU's, with four elements; a root name; a long length; bytes and words.
        assert_eq!(s5(b"\x08_S5_\x12\x06\x04\0\0\0\0"), Ok([0, 0]));
        assert_eq!(
            s5(b"\x08\\_S5_\x12\x08\x04\x0a\x05\x0a\x05\0\0"),
            Ok([5 << 10; 2])
        );
        assert_eq!(
            s5(b"\x08_S5_\x12\x47\0\x02\x0a\x07\x01"),
            Ok([7 << 10, 1 << 10])
        );
        assert_eq!(s5(b"\x08_S5_\x12\x05\x01\x0b\x03\0"), Ok([3 << 10; 2]));
    }

    #[test]
    fn what_is_no_constant_is_not_taken_for_one() {
        for wrong in [
            &b"_S5_\x12\x06\x04\0\0\0\0"[..],
            b"\x08_S5_\x13\x06\x04\0\0",
            b"\x08_S5_\x12\x06\x00",
            b"\x08_S5_\x12\x06\x02\x0a\x08\0",
            b"\x08_S5_\x12\x06\x02\x0b\x01\x01\0",
            b"\x08_S5_\x12\x06\x02\x5c\0",
        ] {
            assert_eq!(s5(wrong), Err(SdtError::Missing), "{wrong:x?}");
        }
        assert_eq!(
            parse_s5(&table(b"DSDT", b"\x08_S5_\x12\xc6")),
            Err(SdtError::Missing)
        );
    }

    proptest! {
        #[test]
        fn no_table_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cut in 0usize..40,
        ) {
            let _ = parse_fadt(&bytes);
            let _ = parse_fadt(&table(b"FACP", &bytes));
            let _ = parse_s5(&table(b"DSDT", &bytes));
            let after = [&b"\x08_S5_\x12\x06\x04\x0a\x05\x0a\x05"[..cut.min(11)], &bytes].concat();
            let _ = parse_s5(&table(b"DSDT", &after));
        }
    }
}
