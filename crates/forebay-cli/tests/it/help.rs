//! `--help` of each command, byte for byte, on a terminal of any width.

use crate::harness::Folder;

/// The width that every help text keeps.
const WIDTH: usize = 80;

fn help(arguments: &[&str], columns: &str) -> String {
    let ended = Folder::new()
        .forebay(arguments)
        .env("COLUMNS", columns)
        .ends(0);
    assert_eq!(ended.stderr, "");
    for line in ended.stdout.lines() {
        assert!(line.chars().count() <= WIDTH, "{arguments:?}: {line:?}");
        assert_eq!(line.trim_end(), line, "{arguments:?}: {line:?}");
    }
    ended.stdout
}

#[test]
fn of_each_command() {
    insta::assert_snapshot!("forebay", help(&["--help"], "100"));
    insta::assert_snapshot!("forebay_run", help(&["run", "--help"], "100"));
    insta::assert_snapshot!("forebay_status", help(&["status", "--help"], "100"));
    insta::assert_snapshot!("forebay_tune", help(&["tune", "--help"], "100"));
    insta::assert_snapshot!("forebay_ask", help(&["ask", "--help"], "100"));
    insta::assert_snapshot!("forebay_models", help(&["models", "--help"], "100"));
    insta::assert_snapshot!("forebay_providers", help(&["providers", "--help"], "100"));
    insta::assert_snapshot!("forebay_prices", help(&["prices", "--help"], "100"));
    insta::assert_snapshot!("forebay_sim", help(&["sim", "--help"], "100"));
    insta::assert_snapshot!(
        "forebay_sim_proxy",
        help(&["sim", "proxy", "--help"], "100")
    );
    insta::assert_snapshot!(
        "forebay_sim_check",
        help(&["sim", "check", "--help"], "100")
    );
}

#[test]
fn is_no_wider_on_a_wide_terminal() {
    for command in ["run", "status", "prices", "sim"] {
        let short = help(&[command, "-h"], "200");
        assert_eq!(short, help(&[command, "-h"], "80"));
    }
}

#[test]
fn without_arguments_it_is_help() {
    let ended = Folder::new().forebay(&[]).ends(2);
    ended.says(&["Usage: forebay", "run", "status", "prices", "sim"]);
}

#[test]
fn version_is_told() {
    let ended = Folder::new().forebay(&["--version"]).ends(0);
    assert_eq!(
        ended.stdout,
        concat!("forebay ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
