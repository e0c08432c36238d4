//! The symbol table of a linked kernel: which function an address lies in, and
//! where a symbol is.

use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSymbol, SymbolKind};

/// Functions and other symbols, sorted by address.
#[derive(Clone, Debug)]
pub struct Symbols {
    sorted: Vec<Symbol>,
}

/// One symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Demangled.
    pub name: String,
    /// Linear address; for an absolute symbol, its value.
    pub value: u32,
    /// In bytes; 0 for a bare label.
    pub size_bytes: u32,
    /// Whether it is marked as a function.
    pub function: bool,
}

impl Symbols {
    /// Reads the symbol table of an ELF file.
    pub fn read(elf: &Path) -> Result<Symbols> {
        let bytes = std::fs::read(elf).with_context(|| elf.display().to_string())?;
        Symbols::parse(&bytes).with_context(|| elf.display().to_string())
    }

    /// Reads the symbol table of an ELF image.
    pub fn parse(elf: &[u8]) -> Result<Symbols> {
        let file = object::File::parse(elf)?;
        let mut sorted = Vec::new();
        for symbol in file.symbols() {
            let name = symbol.name()?;
            if name.is_empty() || matches!(symbol.kind(), SymbolKind::File | SymbolKind::Section) {
                continue;
            }
            sorted.push(Symbol {
                name: format!("{:#}", rustc_demangle::demangle(name)),
                value: u32::try_from(symbol.address())?,
                size_bytes: u32::try_from(symbol.size())?,
                function: symbol.kind() == SymbolKind::Text && symbol.size() != 0,
            });
        }
        sorted.sort_by(|a, b| (a.value, &a.name).cmp(&(b.value, &b.name)));
        Ok(Symbols { sorted })
    }

    /// All of them, by address.
    pub fn all(&self) -> &[Symbol] {
        &self.sorted
    }

    /// The symbol of a name, if there is one.
    pub fn find(&self, name: &str) -> Option<&Symbol> {
        self.sorted.iter().find(|symbol| symbol.name == name)
    }

    /// The value of a symbol that must be there.
    pub fn value(&self, name: &str) -> Result<u32> {
        Ok(self
            .find(name)
            .with_context(|| format!("the kernel has no symbol {name}"))?
            .value)
    }

    /// The function that an address lies in.
    pub fn function_at(&self, address: u32) -> Option<&Symbol> {
        let end = self
            .sorted
            .partition_point(|symbol| symbol.value <= address);
        self.sorted[..end]
            .iter()
            .rev()
            .filter(|symbol| symbol.function)
            .find(|symbol| address - symbol.value < symbol.size_bytes)
    }

    /// `function+0x12`, for an address inside a function.
    pub fn place(&self, address: u32) -> Option<String> {
        let function = self.function_at(address)?;
        Some(format!("{}+{:#x}", function.name, address - function.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: &str, value: u32, size_bytes: u32) -> Symbol {
        Symbol {
            name: name.to_owned(),
            value,
            size_bytes,
            function: size_bytes != 0,
        }
    }

    #[test]
    fn an_address_belongs_to_the_function_around_it() {
        let symbols = Symbols {
            sorted: vec![
                symbol("THREAD_SP", 28, 0),
                symbol("switch_to", 0x100, 0x20),
                symbol("switch_to_1", 0x110, 0),
                symbol("schedule", 0x140, 8),
            ],
        };
        assert_eq!(symbols.place(0x110).as_deref(), Some("switch_to+0x10"));
        assert_eq!(symbols.place(0x120), None);
        assert_eq!(symbols.place(0x147).as_deref(), Some("schedule+0x7"));
        assert_eq!(symbols.place(0), None);
        assert_eq!(symbols.value("THREAD_SP").unwrap(), 28);
        assert!(
            symbols
                .value("nothing")
                .unwrap_err()
                .to_string()
                .contains("nothing")
        );
    }

    #[test]
    fn garbage_is_an_error() {
        assert!(Symbols::parse(b"not an ELF file").is_err());
    }
}
