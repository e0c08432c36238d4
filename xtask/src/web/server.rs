//! A web server for tests: the files below one folder, on a free port of localhost.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

/// Content types, by the ending of a file's name.
const TYPES: &[(&str, &str)] = &[
    ("css", "text/css"),
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("wasm", "application/wasm"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
];

/// A server, which serves until the test process ends.
pub struct Server {
    port: u16,
}

impl Server {
    /// Serves the files below `folder`.
    ///
    /// # Errors
    /// The folder does not exist, or no port is free.
    pub fn start(folder: impl AsRef<Path>) -> Result<Server> {
        let folder = folder.as_ref();
        let folder = folder
            .canonicalize()
            .with_context(|| folder.display().to_string())?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let folder = folder.clone();
                // A browser that closes a connection early is no concern of the server's.
                std::thread::spawn(move || drop(answer(&folder, &stream)));
            }
        });
        Ok(Server { port })
    }

    /// Returns the address of a file.
    pub fn url(&self, file: &str) -> String {
        format!("http://127.0.0.1:{}/{file}", self.port)
    }
}

/// Reads one request and answers it with a file; the connection then ends.
fn answer(folder: &Path, mut stream: &TcpStream) -> Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().context("nothing was asked")??;
    // The head ends with an empty line.
    while !lines.next().context("the head has no end")??.is_empty() {}
    let target = first.split(' ').nth(1).context("no target")?;
    let found = file(folder, target).and_then(|path| Some((fs::read(&path).ok()?, path)));
    let (status, kind, body) = match &found {
        Some((body, path)) => ("200 OK", kind(path), body.as_slice()),
        None => ("404 Not Found", "text/plain", &b"not found"[..]),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if !first.starts_with("HEAD ") {
        stream.write_all(body)?;
    }
    Ok(())
}

/// Returns the file that a request names, if it can lie below the folder.
fn file(folder: &Path, target: &str) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?.trim_start_matches('/');
    let path = Path::new(if path.is_empty() { "index.html" } else { path });
    let is_below = path
        .components()
        .all(|it| matches!(it, Component::Normal(_)));
    is_below.then(|| folder.join(path))
}

fn kind(path: &Path) -> &'static str {
    let ending = path.extension().unwrap_or_default();
    let found = TYPES.iter().find(|(name, _)| *name == ending);
    found.map_or("application/octet-stream", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn get(server: &Server, target: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        write!(stream, "GET /{target} HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn files_of_the_folder_are_served_and_no_others() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("pages");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("index.html"), "<p>here").unwrap();
        fs::write(outer.path().join("secret"), "hidden").unwrap();
        let server = Server::start(&folder).unwrap();
        for target in ["", "index.html", "index.html?x=1"] {
            let said = get(&server, target);
            assert!(said.starts_with("HTTP/1.1 200 ") && said.ends_with("<p>here"));
            assert!(said.contains("Content-Type: text/html"));
        }
        for target in ["../secret", "none.html", "./../secret"] {
            let said = get(&server, target);
            assert!(said.starts_with("HTTP/1.1 404 "), "{target}: {said}");
        }
    }
}
