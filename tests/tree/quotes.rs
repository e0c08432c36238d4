//! What a chapter quotes: lines of a file, or the change that a mutant makes.
//!
//! A comment above a fenced block says what the block holds:
//!
//! ```text
//! <!-- from src/sched/schedule.rs: let state = ... }; ;; clear_flag( -->
//! <!-- mutant last_is_next -->
//! ```
//! The first names lines by how they begin: from one to another, or a whole item, or one line of a text;
//! `# heading` is what stands below that line of a text up to the next heading, `all` the whole text. `;;` joins several
//! pieces, and a line `...` stands between them. The second is what that mutant changes.

use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use proc_macro2::{TokenStream, TokenTree};

use crate::rules::Tree;

/// A fenced block of a chapter.
pub struct Block<'a> {
    /// Line of the fence, counted from 1.
    pub line: usize,
    /// The word after the fence.
    pub language: &'a str,
    /// What the comment above it says it holds.
    pub source: Option<&'a str>,
    /// Its lines.
    pub text: String,
}

/// The fenced blocks of a chapter.
pub fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut above = "";
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inside = lines.by_ref().take_while(|(line, _)| *line != "```");
            let text = inside.map(|(line, _)| line.to_owned() + "\n").collect();
            found.push(Block {
                line: number,
                language,
                source: above
                    .strip_prefix("<!-- ")
                    .and_then(|rest| rest.strip_suffix(" -->")),
                text,
            });
        }
        above = line;
    }
    found
}

/// What a block with this comment above it must hold.
pub fn quoted(tree: &Tree, source: &str) -> Result<String> {
    if let Some(name) = source.strip_prefix("mutant ") {
        return change(tree, name);
    }
    let rest = source
        .strip_prefix("from ")
        .context("neither `from` nor `mutant`")?;
    let (path, pieces) = rest.split_once(": ").context("no `: ` after the file")?;
    let text = file(tree, path)?;
    let pieces: Vec<String> = pieces
        .split(" ;; ")
        .map(|piece| lines(text, piece, path.ends_with(".rs")).with_context(|| path.to_owned()))
        .collect::<Result<_>>()?;
    Ok(pieces.join("...\n"))
}

fn file<'a>(tree: &'a Tree, path: &str) -> Result<&'a str> {
    let found = tree.texts.iter().find(|(it, _)| it.as_os_str() == path);
    Ok(&found.with_context(|| format!("{path} does not exist"))?.1)
}

/// The lines from the one that begins with `first` to the next that begins with `last`.
fn lines(text: &str, piece: &str, is_code: bool) -> Result<String> {
    if piece == "all" && !is_code {
        return Ok(text.to_owned());
    }
    let (first, last) = match piece.split_once(" ... ") {
        Some((first, last)) => (first, Some(last)),
        None => (piece, None),
    };
    let all: Vec<&str> = text.lines().collect();
    let mut starts = (0..all.len()).filter(|&at| all[at].trim_start().starts_with(first));
    let start = starts
        .next()
        .with_context(|| format!("no line begins with {first:?}"))?;
    ensure!(
        starts.next().is_none(),
        "several lines begin with {first:?}"
    );
    if first.starts_with("# ") && !is_code {
        let section = all[start + 1..].iter();
        let section = section.take_while(|line| !line.starts_with('#'));
        return Ok(section.map(|line| (*line).to_owned() + "\n").collect());
    }
    let end = match last {
        Some(last) => (start..all.len())
            .skip(1)
            .find(|&at| all[at].trim_start().starts_with(last))
            .with_context(|| format!("no line after {first:?} begins with {last:?}"))?,
        None if is_code => end_of_item(&all, start),
        None => start,
    };
    let chosen = &all[start..=end];
    let shift = chosen
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| indentation(line))
        .min();
    let shift = if is_code { shift.unwrap_or(0) } else { 0 };
    Ok(chosen
        .iter()
        .map(|line| line.get(shift..).unwrap_or_default().to_owned() + "\n")
        .collect())
}

/// The last line of the item, statement or field that begins at `start`, perhaps with its comments.
fn end_of_item(all: &[&str], start: usize) -> usize {
    let is_head = |line: &str| line.trim_start().starts_with("//") || line.trim().starts_with("#[");
    let begin = (start..all.len())
        .find(|&at| !is_head(all[at]))
        .unwrap_or(start);
    if all[begin].ends_with([';', ',']) {
        return begin;
    }
    let closes = |line: &str| {
        indentation(line) == indentation(all[begin])
            && line.trim_start().starts_with(['}', ')', ']'])
            && line.ends_with(['}', ';', ','])
    };
    let end = (begin..all.len()).skip(1).find(|&at| closes(all[at]));
    end.unwrap_or(begin)
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The change that a mutant makes, each edit as the lines that go and the lines that come.
fn change(tree: &Tree, name: &str) -> Result<String> {
    let mut out = String::new();
    let mut shown = String::new();
    for [path, find, replace] in edits(tree, name)? {
        if path != shown {
            out += &format!("--- {path}\n");
            shown.clone_from(&path);
        }
        let before = file(tree, &path)?;
        ensure!(
            before.matches(&find).count() == 1,
            "{name} is stale: {find:?}"
        );
        let after = before.replacen(&find, &replace, 1);
        let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
        let same = |pairs: usize| pairs.min(old.len()).min(new.len());
        let head = (0..same(old.len()))
            .take_while(|&at| old[at] == new[at])
            .count();
        let tail = (0..same(old.len()) - head)
            .take_while(|&at| old[old.len() - 1 - at] == new[new.len() - 1 - at])
            .count();
        for line in &old[head..old.len() - tail] {
            out += &format!("-{line}\n");
        }
        for line in &new[head..new.len() - tail] {
            out += &format!("+{line}\n");
        }
    }
    Ok(out)
}

/// File, text and replacement of each edit of a mutant.
fn edits(tree: &Tree, name: &str) -> Result<Vec<[String; 3]>> {
    for (path, text) in &tree.texts {
        if !path.starts_with("tests/mutants") || !text.contains(&format!("\"{name}\"")) {
            continue;
        }
        let stream = TokenStream::from_str(text).ok().context("no Rust")?;
        let mut fields = Vec::new();
        literals(stream, &mut fields);
        let own: Vec<&String> = fields
            .iter()
            .skip_while(|(key, value)| !(key == "name" && value == name))
            .skip(1)
            .take_while(|(key, _)| key != "name")
            .filter(|(key, _)| ["file", "find", "replace"].contains(&key.as_str()))
            .map(|(_, value)| value)
            .collect();
        if !own.is_empty() {
            let edits = own.chunks_exact(3);
            return Ok(edits
                .map(|it| [it[0].clone(), it[1].clone(), it[2].clone()])
                .collect());
        }
    }
    bail!("there is no mutant {name}")
}

/// Each `key: "literal"`, in order.
fn literals(stream: TokenStream, found: &mut Vec<(String, String)>) {
    let mut key = String::new();
    for token in stream {
        match token {
            TokenTree::Group(group) => literals(group.stream(), found),
            TokenTree::Ident(ident) => key = ident.to_string(),
            TokenTree::Punct(_) => {}
            TokenTree::Literal(literal) => {
                found.push((std::mem::take(&mut key), unescaped(&literal.to_string())))
            }
        }
    }
}

/// The text of a string literal of the kinds that mutants are written in.
fn unescaped(literal: &str) -> String {
    let inner = literal.trim_start_matches(['r', '#']).trim_end_matches('#');
    let inner = inner.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let inner = inner.unwrap_or(literal);
    if literal.starts_with('r') {
        return inner.to_owned();
    }
    let mut text = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, false) => text.push(letter),
            _ => match letters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('\n') => letters = letters.as_str().trim_start().chars(),
                other => text.extend(other),
            },
        }
    }
    text
}
