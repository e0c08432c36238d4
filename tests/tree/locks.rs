//! Rules about locks: the table agrees with the source and the documentation, and no statement
//! takes one lock while a temporary still holds another.

use std::path::Path;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use switch_to::sync::lock_class::{Context, LOCK_CLASSES, LockClass, Several};
use xtask::paths;

use crate::rules::Tree;

/// The document that shows the table.
const DOCS: &str = "docs/locks.md";
/// The lines around the table in that document.
const MARKS: [&str; 2] = ["<!-- table -->\n", "<!-- end of the table -->\n"];

/// The documentation shows the table of the lock checker. `BLESS=1` writes it anew.
pub fn docs(_: &Tree) -> Vec<String> {
    let file = paths::root().join(DOCS);
    let replaced = std::fs::read_to_string(&file).map(|text| {
        let (before, rest) = text.split_once(MARKS[0])?;
        let (_, after) = rest.split_once(MARKS[1])?;
        let now = format!("{before}{}{}{}{after}", MARKS[0], table(), MARKS[1]);
        Some((text, now))
    });
    match replaced {
        Ok(Some((text, now))) if text == now => Vec::new(),
        Ok(Some((_, now))) if std::env::var_os("BLESS").is_some() => std::fs::write(&file, now)
            .err()
            .map(|error| format!("{DOCS}: {error}"))
            .into_iter()
            .collect(),
        Ok(Some(_)) => vec![format!("{DOCS}: not the table of lock_class.rs: BLESS=1")],
        Ok(None) => vec![format!("{DOCS}: the marks of the table are missing")],
        Err(error) => vec![format!("{DOCS}: {error}")],
    }
}

fn table() -> String {
    let mut text =
        String::from("| class | context | several | made in | guards |\n|---|---|---|---|---|\n");
    for class in LOCK_CLASSES {
        let row = class.row();
        let context = match row.context {
            Context::Task => "task",
            Context::Any => "any",
        };
        let several = match row.several {
            Several::No => "",
            Several::ByAddress => "by address",
        };
        let files = row.files.join("`, `");
        text += &format!(
            "| `{}` | {context} | {several} | `{files}` | {} |\n",
            row.name, row.guards
        );
    }
    text
}

/// A lock class is named only where the table says that its locks are made.
pub fn classes(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for class in LOCK_CLASSES {
        let row = class.row();
        let name = format!("LockClass::{}", row.name);
        let users = tree
            .kernel
            .iter()
            .filter(|source| !source.path.starts_with("src/sync"))
            .filter(|source| names(&source.text, &name));
        let mut users: Vec<&Path> = users.map(|source| source.path.as_path()).collect();
        for file in row.files {
            if !users.iter().any(|user| user.starts_with(file)) {
                violations.push(format!("{file}: makes no lock of class {}", row.name));
            }
        }
        users.retain(|user| !row.files.iter().any(|file| user.starts_with(file)));
        for user in users {
            violations.push(format!("{}: {name} belongs elsewhere", user.display()));
        }
    }
    violations
}

fn names(text: &str, name: &str) -> bool {
    let continues = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    text.match_indices(name)
        .any(|(at, _)| !continues(&text[at + name.len()..]))
}

/// No statement has two unnamed guards at once, and none holds a guard over a body without saying
/// so.
pub fn guards(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for source in &tree.kernel {
        let Ok(stream) = TokenStream::from_str(&source.text) else {
            continue; // such a file fails when the tree is read
        };
        for (line, what) in two_guards(stream) {
            violations.push(format!("{}:{line}: {what}", source.path.display()));
        }
    }
    violations
}

/// Returns the lines of a source at which a second guard, or a body, meets the temporary of a
/// first.
fn two_guards(stream: TokenStream) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    Walk { found: &mut found }.block(stream, false);
    found
}

struct Walk<'a> {
    found: &'a mut Vec<(usize, &'static str)>,
}

/// What is known of the statement so far.
#[derive(Default)]
struct Statement {
    /// The first word of the statement.
    first: Option<String>,
    /// Whether the condition has a `let`, which makes its temporaries live as long as the body.
    has_let: bool,
    guards: u32,
}

impl Walk<'_> {
    /// Reads the statements of a block, or the arms of a `match`.
    fn block(&mut self, stream: TokenStream, arms: bool) {
        let mut statement = Statement::default();
        self.tokens(stream, arms, &mut statement);
    }

    fn tokens(&mut self, stream: TokenStream, arms: bool, statement: &mut Statement) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Ident(word) => {
                    let word = word.to_string();
                    if word == "else" {
                        *statement = Statement::default();
                    }
                    statement.has_let |= word == "let" && statement.first.is_some();
                    if word == "lock" && is_call(&tokens, at) {
                        statement.guards += 1;
                        if statement.guards == 2 {
                            let line = token.span().start().line;
                            self.found.push((line, "a second guard in one statement"));
                        }
                    }
                    statement.first.get_or_insert(word);
                }
                TokenTree::Punct(punct) => {
                    let ends_arm = arms && matches!(punct.as_char(), ',' | '>');
                    if punct.as_char() == ';' || ends_arm {
                        *statement = Statement::default();
                    }
                }
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let first = statement.first.as_deref();
                    let is_match = first == Some("match") || has_match(&tokens[..at]);
                    let holds = match first {
                        Some("for" | "match") => true,
                        Some("if" | "while") => statement.has_let,
                        _ => is_match,
                    };
                    if holds && statement.guards > 0 {
                        let line = group.span_open().start().line;
                        self.found
                            .push((line, "a body under a guard without a name"));
                    }
                    self.block(group.stream(), is_match);
                    if goes_on(tokens.get(at + 1)) {
                        continue;
                    }
                    *statement = Statement::default();
                }
                TokenTree::Group(group) => self.tokens(group.stream(), false, statement),
                TokenTree::Literal(_) => {}
            }
        }
    }
}

/// Returns whether `.lock()`, the call, stands at `at`.
fn is_call(tokens: &[TokenTree], at: usize) -> bool {
    let dot = at.checked_sub(1).map(|before| &tokens[before]);
    let is_dot = matches!(dot, Some(TokenTree::Punct(punct)) if punct.as_char() == '.');
    let group = tokens.get(at + 1);
    is_dot && matches!(group, Some(TokenTree::Group(group)) if group.stream().is_empty())
}

/// Returns whether the next brace is the body of a `match` in the middle of a statement.
fn has_match(before: &[TokenTree]) -> bool {
    for token in before.iter().rev() {
        match token {
            TokenTree::Ident(word) if word == "match" => return true,
            TokenTree::Punct(punct) if punct.as_char() == ';' => return false,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return false,
            _ => {}
        }
    }
    false
}

/// Returns whether the statement goes on after the brace before `next`.
fn goes_on(next: Option<&TokenTree>) -> bool {
    match next {
        Some(TokenTree::Ident(word)) => word == "else" || word == "as",
        Some(TokenTree::Punct(punct)) => punct.as_char() != '#',
        Some(TokenTree::Group(_) | TokenTree::Literal(_)) | None => false,
    }
}

/// The rule finds faulty statements and accepts good ones.
pub fn guards_are_seen(_: &Tree) -> Vec<String> {
    const RED: &[&str] = &[
        "fn f() { let (a, b) = (*x.lock(), *y.lock()); }",
        "fn f() { g(&a.lock(), h(&b.lock())); }",
        "fn f() -> bool { a.lock().x && b.lock().y }",
        "fn f() { match a.lock().x { _ => g() } }",
        "fn f() { if let Some(x) = a.lock().x { g(x) } }",
        "fn f() { let x = match a.lock().x { _ => 1 }; }",
        "fn f() { for x in &a.lock().list { g(x) } }",
        "fn f() -> S { S { a: x.lock().a, b: y.lock().b } }",
    ];
    const GREEN: &[&str] = &[
        "fn f() { let a = *x.lock(); let b = *y.lock(); }",
        "fn f() { if a.lock().x { b.lock().y = 1; } else { c.lock().z = 1; } }",
        "fn f() { if a.lock().x { return; } if b.lock().y { return; } }",
        "fn f() { match x { A => a.lock().x, B => b.lock().y, } }",
        "fn f() { if let Some(x) = { a.lock().x.take() } { b.lock().y = x; } }",
        "fn f() { let a = x.lock(); for i in &a.list { g(i.lock().y); } }",
        "static A: L = L::new(LockClass::Zone); fn f() { A.lock().x = 1 }",
    ];
    let is_red = |code: &&&str| {
        TokenStream::from_str(code).is_ok_and(|stream| !two_guards(stream).is_empty())
    };
    let unseen = RED.iter().filter(|code| !is_red(code));
    let wrong = GREEN.iter().filter(|code| is_red(code));
    unseen
        .map(|code| format!("not seen: {code}"))
        .chain(wrong.map(|code| format!("no such thing: {code}")))
        .collect()
}

/// Only the classes whose rows say so have several locks.
pub fn several(_: &Tree) -> Vec<String> {
    let nested = [LockClass::FutexBucket, LockClass::RunQueue];
    LOCK_CLASSES
        .iter()
        .filter(|class| (class.row().several != Several::No) != nested.contains(class))
        .map(|class| format!("{class:?}: whether a CPU may hold several is not what is reviewed"))
        .collect()
}
