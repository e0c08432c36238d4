//! The kernel's ELF file, parsed once.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use iced_x86::{Decoder, DecoderOptions, Formatter, GasFormatter, Instruction};
use object::{Object, ObjectSection, SectionKind};
use xtask::symbols::{Symbol, Symbols};

/// The linked kernel.
pub struct Kernel {
    /// The path of the ELF file.
    pub path: PathBuf,
    /// The whole file.
    pub bytes: Vec<u8>,
    /// Its symbol table.
    pub symbols: Symbols,
    /// The sections with code.
    code: Vec<Code>,
}

/// A section with code.
struct Code {
    name: String,
    start: u32,
    bytes: Vec<u8>,
}

impl Kernel {
    /// Reads and parses the file at `path`.
    pub fn read(path: &Path) -> Result<Kernel> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let symbols = Symbols::parse(&bytes)?;
        let file = object::File::parse(&*bytes)?;
        let mut code = Vec::new();
        for section in file
            .sections()
            .filter(|section| section.kind() == SectionKind::Text)
        {
            code.push(Code {
                name: section.name()?.to_owned(),
                start: u32::try_from(section.address())?,
                bytes: section.data()?.to_vec(),
            });
        }
        drop(file);
        if !code.iter().any(|code| code.name == ".text") {
            bail!("{} has no .text", path.display());
        }
        Ok(Kernel {
            path: path.to_owned(),
            bytes,
            symbols,
            code,
        })
    }

    /// Returns the parsed ELF file.
    pub fn file(&self) -> Result<object::File<'_>> {
        Ok(object::File::parse(&*self.bytes)?)
    }

    /// Returns the functions that lie in a section with code.
    pub fn functions(&self) -> impl Iterator<Item = &Symbol> {
        self.symbols
            .all()
            .iter()
            .filter(|symbol| symbol.function && self.code_at(symbol.value).is_some())
    }

    /// Returns the instructions from a function's first to its last byte.
    pub fn instructions(&self, function: &Symbol) -> Vec<Instruction> {
        self.decode(function.value, function.value + function.size_bytes)
    }

    /// Returns the instructions from address `start` to address `end`.
    pub fn decode(&self, start: u32, end: u32) -> Vec<Instruction> {
        let Some(code) = self.code_at(start) else {
            return Vec::new();
        };
        let from = (start - code.start) as usize;
        let to = ((end - code.start) as usize).min(code.bytes.len());
        let bytes = code.bytes.get(from..to).unwrap_or_default();
        Decoder::with_ip(32, bytes, u64::from(start), DecoderOptions::NONE)
            .into_iter()
            .collect()
    }

    /// Returns the symbol of a named function.
    pub fn function(&self, name: &str) -> Result<&Symbol> {
        let symbol = self
            .symbols
            .find(name)
            .with_context(|| format!("no function {name}"))?;
        anyhow::ensure!(
            symbol.function,
            "{name} is not marked as a function with a size"
        );
        Ok(symbol)
    }

    fn code_at(&self, address: u32) -> Option<&Code> {
        self.code.iter().find(|code| {
            address >= code.start && ((address - code.start) as usize) < code.bytes.len()
        })
    }
}

/// Returns an instruction in the book's notation.
pub fn att(instruction: &Instruction) -> String {
    let mut formatter = GasFormatter::new();
    formatter
        .options_mut()
        .set_gas_show_mnemonic_size_suffix(true);
    formatter
        .options_mut()
        .set_space_after_operand_separator(true);
    formatter.options_mut().set_uppercase_hex(false);
    let mut text = String::new();
    formatter.format(instruction, &mut text);
    text
}
