//! Rules about safe functions that safe code could misuse.
//!
//! They refuse what the text of a file shows: a safe function that makes a reference of any
//! lifetime out of nothing, one that returns a `&'static mut`, and one that follows a raw pointer
//! from its caller.

use crate::rules::Tree;

/// The head of a function, and its body.
struct Function<'t> {
    /// The number of its first line, counted from 1.
    line: usize,
    is_unsafe: bool,
    /// The text from the name to the body: `name<'a>(x: T) -> U`.
    signature: String,
    body: &'t str,
}

/// Safe functions that break one of the rules.
pub fn safe_functions(tree: &Tree) -> Vec<String> {
    tree.kernel
        .iter()
        .flat_map(|source| {
            violations(&source.text)
                .into_iter()
                .map(|(line, what)| format!("{}:{line}: {what}", source.path.display()))
        })
        .collect()
}

/// The rules find the faults that the kernel once had, and nothing else.
pub fn the_rules_see(_: &Tree) -> Vec<String> {
    const REFUSED: &[&str] = &[
        "fn tss<'a>() -> &'a mut Tss {\n    unsafe { &mut *this_cpu() }\n}\n",
        "fn file<'a>(fd: u32) -> Option<&'a File> {\n    None\n}\n",
        "pub fn all() -> &'static mut Table {\n    unsafe { &mut *at() }\n}\n",
        "fn key(mm: *mut Mm, at: u32) -> u32 {\n    unsafe { (*mm).map }\n}\n",
        "pub extern \"C\" fn tail(last: *mut Task) {\n    finish(unsafe { &*last });\n}\n",
        "fn look(\n    at: *const u32,\n) -> u32 {\n    unsafe { at.read() }\n}\n",
        "fn word(at: usize) -> u32 {\n    unsafe { *(at as *const u32) }\n}\n",
    ];
    const ALLOWED: &[&str] = &[
        "unsafe fn tss<'a>() -> &'a mut Tss {\n    unsafe { &mut *this_cpu() }\n}\n",
        "fn part<'a>(whole: &'a [u8], n: usize) -> &'a [u8] {\n    &whole[n..]\n}\n",
        "fn same(a: *mut Mm, b: *mut Mm) -> bool {\n    a == b\n}\n",
        "unsafe fn grab(mm: *mut Mm) {\n    unsafe { (*mm).count += 1 };\n}\n",
        "fn get(&self) -> &T {\n    unsafe { &*self.0 }\n}\n",
    ];
    let missed = REFUSED
        .iter()
        .filter(|text| violations(text).is_empty())
        .map(|text| format!("not refused:\n{text}"));
    let wrong = ALLOWED
        .iter()
        .filter(|text| !violations(text).is_empty())
        .map(|text| format!("refused:\n{text}"));
    missed.chain(wrong).collect()
}

/// Returns line and fault of each safe function that has one.
fn violations(text: &str) -> Vec<(usize, String)> {
    functions(text)
        .into_iter()
        .filter(|function| !function.is_unsafe)
        .filter_map(|function| Some((function.line, fault(&function)?)))
        .collect()
}

fn fault(function: &Function<'_>) -> Option<String> {
    let signature = &function.signature;
    let (before, result) = signature.split_once("->").unwrap_or((signature, ""));
    let (head, parameters) = before.split_once('(').unwrap_or((before, ""));
    if result.contains("&'static mut") {
        return Some("a safe function gives a `&'static mut`".to_owned());
    }
    for lifetime in head.split('<').nth(1).unwrap_or("").split(['>', ',', ':']) {
        let lifetime = lifetime.trim();
        if lifetime.starts_with('\'') && result.contains(lifetime) && !parameters.contains(lifetime)
        {
            return Some(format!(
                "a safe function gives a reference of any lifetime, {lifetime}"
            ));
        }
    }
    for parameter in parameters.split(',') {
        let (name, kind) = parameter.split_once(':').unwrap_or((parameter, ""));
        let name = name.trim().trim_start_matches("mut ");
        if name.is_empty() {
            continue;
        }
        let kind = kind.trim().trim_end_matches(')').trim_end();
        let follows = match () {
            () if kind.starts_with("*mut ") || kind.starts_with("*const ") => [
                format!("*{name})"),
                format!("*{name} "),
                format!("*{name};"),
                format!("{name}.read"),
                format!("{name}.write"),
                format!("{name}.as_ref()"),
                format!("{name}.as_mut()"),
            ]
            .iter()
            .any(|access| function.body.contains(access)),
            () if kind == "usize" || kind == "u32" => ["*const ", "*mut "]
                .iter()
                .any(|pointer| function.body.contains(&format!("*({name} as {pointer}"))),
            () => false,
        };
        if follows {
            return Some(format!(
                "a safe function follows `{name}`, which the caller has chosen"
            ));
        }
    }
    None
}

/// Returns the functions of a file that have a body.
fn functions(text: &str) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    for (number, line) in text.lines().enumerate() {
        let here = start;
        start += line.len() + 1;
        let code = line.trim_start();
        let Some(at) = head_of_function(code) else {
            continue;
        };
        let rest = &text[here..];
        let from = rest.find(&code[at..]).unwrap_or(0);
        let Some(end) = rest[from..].find(['{', ';']) else {
            continue;
        };
        if rest.as_bytes()[from + end] == b';' {
            continue;
        }
        let indent = &line[..line.len() - code.len()];
        // rustfmt ends the body with a brace below the function's own beginning.
        let body = &rest[from + end..];
        let length = body.find(&format!("\n{indent}}}")).unwrap_or(body.len());
        found.push(Function {
            line: number + 1,
            is_unsafe: code[..at].contains("unsafe "),
            signature: rest[from..from + end]
                .trim_start_matches("fn ")
                .replace('\n', " "),
            body: &body[..length],
        });
    }
    found
}

/// Returns where `fn` stands in a line that begins a function.
fn head_of_function(code: &str) -> Option<usize> {
    let at = code.find("fn ")?;
    code[..at]
        .split_whitespace()
        .all(|word| {
            matches!(word, "pub" | "const" | "unsafe" | "extern")
                || word.starts_with("pub(")
                || word.starts_with('"')
        })
        .then_some(at)
}
