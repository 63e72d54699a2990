//! The layers of the house, enforced.
//!
//! Imports point down only, and the three layers in the middle never import each other. What a
//! layer must not know (a clock, a socket, a terminal) is looked for by name.

use std::fs;
use std::path::{Path, PathBuf};

const VOCABULARY: [&str; 16] = [
    "answers",
    "item",
    "message",
    "schema",
    "outcome",
    "row",
    "event",
    "config",
    "error",
    "money",
    "told",
    "fields",
    "headers",
    "scan",
    "endpoint",
    "catalogue",
];
const POLICY: [&str; 5] = ["limit", "retry", "queue", "route", "price"];
const WIRE: [&str; 2] = ["provider", "transport"];
const EDGES: [&str; 6] = ["source", "sink", "table", "journal", "disk", "cache"];

/// Words of the vocabulary that name policy's answers: an event says what limited the run.
const EXCEPTIONS: [(&str, &str); 1] = [("event", "limit")];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The part of a file that ships: comments and the unit tests at its end left out.
fn shipped(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The first folder or file name below `src`: the room that a file belongs to.
fn room(path: &Path, source: &Path) -> String {
    let first = path
        .strip_prefix(source)
        .unwrap()
        .components()
        .next()
        .unwrap();
    let name = first.as_os_str().to_str().unwrap();
    name.trim_end_matches(".rs").to_owned()
}

fn imported_rooms(code: &str) -> Vec<String> {
    code.match_indices("crate::")
        .map(|(at, word)| {
            let rest = &code[at + word.len()..];
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            rest[..end].to_owned()
        })
        .filter(|room| !room.is_empty())
        .collect()
}

fn library_files() -> Vec<(String, PathBuf)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    rust_files(&source)
        .into_iter()
        .filter(|path| !path.ends_with("lib.rs") && !path.ends_with("tests.rs"))
        .map(|path| (room(&path, &source), path))
        .collect()
}

#[test]
fn imports_point_down_only() {
    let mut wrong = Vec::new();
    for (room, path) in library_files() {
        let own: &[&str] = match room.as_str() {
            "engine" => {
                let imported = imported_rooms(&shipped(&path));
                if imported.iter().any(|room| room == "client") {
                    wrong.push(format!("{} imports client", path.display()));
                }
                continue;
            }
            // A program's calls have nothing to do with files of items.
            "client" => &[
                "engine",
                "limit",
                "retry",
                "route",
                "price",
                "provider",
                "transport",
            ],
            room if VOCABULARY.contains(&room) => &[],
            room if POLICY.contains(&room) => &POLICY,
            room if WIRE.contains(&room) => &WIRE,
            room if EDGES.contains(&room) => &EDGES,
            other => panic!("{other} belongs to no layer: name it in this test and in DESIGN"),
        };
        for imported in imported_rooms(&shipped(&path)) {
            let fine = imported == room
                || VOCABULARY.contains(&imported.as_str())
                || own.contains(&imported.as_str())
                || EXCEPTIONS.contains(&(room.as_str(), imported.as_str()));
            if !fine {
                wrong.push(format!("{} imports {imported}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn policy_knows_no_clock_no_runtime_and_no_wire() {
    for (room, path) in library_files() {
        let code = shipped(&path);
        let forbidden: &[&str] = match room.as_str() {
            room if POLICY.contains(&room) => &[
                "tokio",
                "hyper",
                "Instant",
                "SystemTime",
                "std::fs",
                "std::net",
                "thread",
            ],
            "provider" => &["tokio", "hyper", "Instant::now", "SystemTime::now", "sleep"],
            room if EDGES.contains(&room) => &["tokio", "hyper"],
            _ => &[],
        };
        for word in forbidden {
            assert!(!code.contains(word), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn the_library_never_prints_exits_or_reads_the_environment() {
    for (_, path) in library_files() {
        let code = shipped(&path);
        let reads_env = path.ends_with("client/env.rs");
        for word in [
            "println!",
            "eprintln!",
            "print!",
            "process::exit",
            "env::var",
            "clap",
            "axum",
        ] {
            let is_fine = reads_env && word == "env::var";
            assert!(
                is_fine || !code.contains(word),
                "{} uses {word}",
                path.display()
            );
        }
    }
}

#[test]
fn the_simulator_never_imports_the_library() {
    let manifest = fs::read_to_string(root().join("crates/forebay-sim/Cargo.toml")).unwrap();
    assert!(
        !manifest.lines().any(|line| line.starts_with("forebay.")),
        "{manifest}"
    );
    for path in rust_files(&root().join("crates/forebay-sim/src")) {
        let code = shipped(&path);
        assert!(!code.contains("forebay::"), "{}", path.display());
    }
}

#[test]
fn nothing_is_silenced_or_left_unfinished() {
    let words = [
        concat!("#[", "allow("),
        concat!("#[", "ignore"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("FIX", "ME"),
        concat!("std::thread::", "sleep"),
    ];
    for path in rust_files(&root().join("crates")) {
        let code = fs::read_to_string(&path).unwrap();
        for word in words {
            assert!(!code.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn every_module_says_what_it_is() {
    for name in ["forebay", "forebay-sim", "forebay-cli"] {
        for path in rust_files(&root().join("crates").join(name).join("src")) {
            let code = fs::read_to_string(&path).unwrap();
            let first = code.lines().next().unwrap_or_default();
            assert!(
                first.starts_with("//! "),
                "{} has no opening line",
                path.display()
            );
        }
    }
}

/// The front page says how many crates the smallest build takes.
#[test]
#[cfg(target_os = "linux")]
fn the_smallest_build_is_as_small_as_it_says() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let tree = std::process::Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--offline", "--locked", "-p", "forebay"])
        .args(["--no-default-features", "-e", "normal", "--prefix", "none"])
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let crates: std::collections::BTreeSet<&str> = names.filter(|name| !name.is_empty()).collect();
    let others = crates.len() - 1;
    let page = fs::read_to_string(root().join("crates/forebay/src/lib.rs")).unwrap();
    let said = format!("{others} other crates");
    assert!(page.contains(&said), "the page does not say: {said}");
}
