//! What a Rust source file says about itself: the paths it uses, its modules,
//! its `unsafe`, its assembly. `tests/tree.rs` holds these against the rules.
//!
//! The file is read as tokens, so comments and strings do not deceive, and code
//! inside macros counts as well. Unit tests (`#[cfg(test)]`) are left out.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A source file.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Relative to the root of the tree.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
    /// Its own place among the modules: `["task", "task_struct"]`.
    pub module: Vec<String>,
    /// Every `crate::…` and `super::…`, absolute, one for each leaf of a group.
    pub uses: Vec<Use>,
    /// `mod x;`
    pub mods: Vec<Mod>,
    /// `unsafe` blocks, functions, impls and externs.
    pub unsafes: Vec<Unsafe>,
    /// Lines with `asm!`, `naked_asm!` or `global_asm!`.
    pub asm: Vec<usize>,
    /// Lines with a `cfg` about `target_os` that is not above a `mod x;`, nor above a `const _` (an
    /// assertion that holds for the machine only), nor, in a folder's table of contents, above a
    /// `use` that gives out what such a module has.
    pub gates: Vec<usize>,
    /// The file begins with `#![forbid(unsafe_code)]`.
    pub forbids_unsafe: bool,
}

/// A path that a file uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// From the crate's root: `["task", "state", "TASK_DEAD"]`.
    pub path: Vec<String>,
    /// Counted from 1.
    pub line: usize,
}

/// A module that a file declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mod {
    /// Its name.
    pub name: String,
    /// Declared `#[cfg(target_os = "none")]`: it is for the machine only.
    pub machine: bool,
    /// Declared `#[cfg(test)]`.
    pub test: bool,
}

/// A use of the word `unsafe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsafe {
    /// `{`, `fn`, `impl`, `extern` or `trait`.
    pub what: String,
    /// Counted from 1.
    pub line: usize,
}

impl Source {
    /// Reads the file at `root`/`path`; `module` is where it stands in its crate.
    pub fn read(root: &Path, path: &Path, module: Vec<String>) -> Result<Source> {
        let text =
            std::fs::read_to_string(root.join(path)).with_context(|| path.display().to_string())?;
        Source::parse(path, module, text)
    }

    /// Reads a file's text.
    pub fn parse(path: &Path, module: Vec<String>, text: String) -> Result<Source> {
        let stream = TokenStream::from_str(&text).map_err(|error| {
            anyhow!("{}:{}: {error}", path.display(), error.span().start().line)
        })?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let mut source = Source {
            path: path.to_owned(),
            module,
            text,
            ..Source::default()
        };
        source.forbids_unsafe = source.text.starts_with("#![forbid(unsafe_code)]\n");
        Scan {
            tokens: &tokens,
            source: &mut source,
            inline: Vec::new(),
        }
        .run();
        Ok(source)
    }

    /// Whether the unsafe block or impl at this line (from 1) has a `// SAFETY:` comment: above
    /// the statement that it stands in, or on its own line.
    pub fn has_safety_comment(&self, line: usize) -> bool {
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let Some(own) = line.checked_sub(1).and_then(|index| lines.get(index)) else {
            return false;
        };
        if own.contains("// SAFETY:") {
            return true;
        }
        for above in lines[..line - 1].iter().rev() {
            if above.starts_with("//") {
                if above.contains("SAFETY:") {
                    return true;
                }
            } else if above.is_empty() || above.ends_with([';', '}']) {
                return false;
            } else if above.ends_with('{') && !above.contains('=') {
                // Of a block that opens here only the first statement is meant.
                return false;
            }
        }
        false
    }
}

/// A token with its line; groups are flat, between `Open` and `Close`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    kind: Kind,
    line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Ident(String),
    Punct(char),
    Literal(String),
    Open(Delimiter),
    Close,
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Ident(ident) => tokens.push(Token {
                kind: Kind::Ident(ident.to_string()),
                line,
            }),
            TokenTree::Punct(punct) => tokens.push(Token {
                kind: Kind::Punct(punct.as_char()),
                line,
            }),
            TokenTree::Literal(literal) => {
                tokens.push(Token {
                    kind: Kind::Literal(literal.to_string()),
                    line,
                });
            }
            TokenTree::Group(group) => {
                tokens.push(Token {
                    kind: Kind::Open(group.delimiter()),
                    line,
                });
                flatten(group.stream(), tokens);
                tokens.push(Token {
                    kind: Kind::Close,
                    line: group.span_close().start().line,
                });
            }
        }
    }
}

struct Scan<'a> {
    tokens: &'a [Token],
    source: &'a mut Source,
    /// Modules in braces around the current token, and where each ends.
    inline: Vec<(String, usize)>,
}

impl Scan<'_> {
    fn run(mut self) {
        let mut at = 0;
        // Attributes since the last item began: (first token, token after).
        let mut attributes: Vec<(usize, usize)> = Vec::new();
        while at < self.tokens.len() {
            while self.inline.last().is_some_and(|(_, end)| at >= *end) {
                self.inline.pop();
            }
            if self.punct(at, '#') && self.open(at + 1, Delimiter::Bracket) {
                let end = self.end(at + 1);
                attributes.push((at, end));
                at = end;
                continue;
            }
            let about_test = attributes
                .iter()
                .any(|&(from, to)| self.says(from, to, &["cfg", "test"]));
            let gates: Vec<usize> = attributes
                .iter()
                .filter(|&&(from, to)| {
                    self.says(from, to, &["cfg", "target_os"])
                        || self.says(from, to, &["cfg_attr", "target_os"])
                })
                .map(|&(from, _)| self.tokens[from].line)
                .collect();
            let item = self.after_visibility(at);
            if self.ident(item) == Some("mod") {
                let name = self.ident(item + 1).unwrap_or_default().to_owned();
                if self.punct(item + 2, ';') {
                    self.source.mods.push(Mod {
                        name,
                        machine: !gates.is_empty(),
                        test: about_test,
                    });
                    attributes.clear();
                    at = item + 3;
                    continue;
                }
                if self.open(item + 2, Delimiter::Brace) {
                    let end = self.end(item + 2);
                    self.source.gates.extend(gates);
                    attributes.clear();
                    if about_test {
                        at = end;
                    } else {
                        self.inline.push((name, end));
                        at = item + 3;
                    }
                    continue;
                }
            }
            if about_test {
                at = self.skip_item(item);
                attributes.clear();
                continue;
            }
            let contents = self.source.path.ends_with("mod.rs");
            let assertion = self.ident(item) == Some("const") && self.ident(item + 1) == Some("_");
            if !(assertion || contents && self.ident(item) == Some("use")) {
                self.source.gates.extend(gates);
            }
            attributes.clear();
            at = self.token(at);
        }
    }

    /// What one token that is no attribute means; where to go on.
    fn token(&mut self, at: usize) -> usize {
        let line = self.tokens[at].line;
        let Some(word) = self.ident(at) else {
            return at + 1;
        };
        match word {
            "unsafe" => {
                let what = match self.tokens.get(at + 1).map(|token| &token.kind) {
                    Some(Kind::Open(Delimiter::Brace)) => "{".to_owned(),
                    Some(Kind::Ident(next)) => next.clone(),
                    _ => return at + 1,
                };
                self.source.unsafes.push(Unsafe { what, line });
            }
            "asm" | "naked_asm" | "global_asm" if self.punct(at + 1, '!') => {
                self.source.asm.push(line)
            }
            "cfg" if self.punct(at + 1, '!') && self.says(at, self.end(at + 2), &["target_os"]) => {
                self.source.gates.push(line);
            }
            "crate" | "super" if self.colons(at + 1) => {
                let mut path = Vec::new();
                let mut next = at + 3;
                if word == "super" {
                    path = self.source.module.clone();
                    path.extend(self.inline.iter().map(|(name, _)| name.clone()));
                    path.pop();
                    while self.ident(next) == Some("super") && self.colons(next + 1) {
                        path.pop();
                        next += 3;
                    }
                }
                return self.tree(&path, next);
            }
            _ => {}
        }
        at + 1
    }

    /// Reads the rest of a path, which may be a group; where to go on.
    fn tree(&mut self, prefix: &[String], at: usize) -> usize {
        let Some(token) = self.tokens.get(at) else {
            return at;
        };
        match &token.kind {
            Kind::Ident(name) => {
                let mut path = prefix.to_vec();
                if name != "self" {
                    path.push(name.clone());
                }
                if self.colons(at + 1)
                    && matches!(self.tokens.get(at + 3), Some(token) if matches!(token.kind, Kind::Ident(_) | Kind::Open(Delimiter::Brace)) || token.kind == Kind::Punct('*'))
                {
                    return self.tree(&path, at + 3);
                }
                self.source.uses.push(Use {
                    path,
                    line: token.line,
                });
                at + 1
            }
            Kind::Open(Delimiter::Brace) => {
                let end = self.end(at);
                let mut next = at + 1;
                while next + 1 < end {
                    next = self.tree(prefix, next);
                    while next + 1 < end && !self.punct(next, ',') {
                        next += 1; // `as name`
                    }
                    next += 1;
                }
                end
            }
            _ => {
                self.source.uses.push(Use {
                    path: prefix.to_vec(),
                    line: token.line,
                });
                at + 1
            }
        }
    }

    fn ident(&self, at: usize) -> Option<&str> {
        match &self.tokens.get(at)?.kind {
            Kind::Ident(name) => Some(name),
            _ => None,
        }
    }

    fn punct(&self, at: usize, letter: char) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|token| token.kind == Kind::Punct(letter))
    }

    fn colons(&self, at: usize) -> bool {
        self.punct(at, ':') && self.punct(at + 1, ':')
    }

    fn open(&self, at: usize, delimiter: Delimiter) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|token| token.kind == Kind::Open(delimiter))
    }

    /// The token after the group that opens here.
    fn end(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().skip(open) {
            match token.kind {
                Kind::Open(_) => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return at + 1;
            }
        }
        self.tokens.len()
    }

    /// The token after `pub` and `pub(…)`.
    fn after_visibility(&self, at: usize) -> usize {
        if self.ident(at) != Some("pub") {
            return at;
        }
        if self.open(at + 1, Delimiter::Parenthesis) {
            self.end(at + 1)
        } else {
            at + 1
        }
    }

    /// The token after the item that begins here: after its `;` or its braces.
    fn skip_item(&self, mut at: usize) -> usize {
        while let Some(token) = self.tokens.get(at) {
            match token.kind {
                Kind::Punct(';') => return at + 1,
                Kind::Open(Delimiter::Brace) => return self.end(at),
                Kind::Open(_) => at = self.end(at),
                Kind::Close => return at,
                _ => at += 1,
            }
        }
        at
    }

    /// Whether all these words occur between two tokens, and `test` not behind a `not`.
    fn says(&self, from: usize, to: usize, words: &[&str]) -> bool {
        let there: Vec<&str> = (from..to).filter_map(|at| self.ident(at)).collect();
        words.iter().all(|word| there.contains(word))
            && !(words.contains(&"test") && there.contains(&"not"))
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
