//! Proxies, as flags, the file and the environment name them.

use crate::harness::{Ended, Folder, Forebay};
use crate::server::Server;

const LOGIN: &str = "me:hidden-word";
const FAR: [&str; 5] = [
    "--base-url",
    "http://provider.example/v1",
    "--insecure-http",
    "--max-attempts",
    "1",
];

/// A server that takes what is meant for any host, as a proxy does, and its address.
fn proxy() -> (Server, String) {
    let server = Server::start();
    let address = server.url("").trim_start_matches("http://").to_owned();
    (server, address)
}

fn input() -> Folder {
    let folder = Folder::new();
    folder.write("in.txt", "one\n");
    folder
}

fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "run",
        "in.txt",
        "-m",
        "gpt-4o-mini",
        "-o",
        "out.jsonl",
        "--prompt",
        "{{text}}",
    ];
    arguments.extend(FAR);
    arguments.extend(more);
    arguments
}

/// Nothing that was printed or written holds the password.
fn is_kept(folder: &Folder, ended: &Ended) {
    assert!(!ended.stderr.contains("hidden"), "{}", ended.stderr);
    assert!(!ended.stdout.contains("hidden"), "{}", ended.stdout);
    for name in folder.names() {
        let bytes = std::fs::read(folder.path(&name)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            name == "forebay.toml" || !text.contains("hidden"),
            "{name}: {text}"
        );
    }
}

#[test]
fn a_run_goes_through_the_proxy_that_a_flag_names() {
    let (server, address) = proxy();
    let folder = input();
    let url = format!("http://{LOGIN}@{address}");
    let flags = ["--proxy", &url, "--keep-journal"];
    let ended = folder
        .forebay(&run(&flags))
        .env("OPENAI_API_KEY", "k")
        .ends(0);
    let request = server.next();
    let line = "POST http://provider.example/v1/chat/completions HTTP/1.1\r\n";
    assert!(request.head.starts_with(line), "{}", request.head);
    assert_eq!(request.header("host"), ["provider.example"]);
    let login = request.header("proxy-authorization").concat();
    assert_eq!(login, "Basic bWU6aGlkZGVuLXdvcmQ=");
    is_kept(&folder, &ended);
}

#[test]
fn a_question_goes_through_the_proxy_of_the_file() {
    let (server, address) = proxy();
    let folder = Folder::new();
    folder.write(
        "forebay.toml",
        format!("proxy = \"http://{LOGIN}@{address}\"\n"),
    );
    let mut arguments = vec!["ask", "-m", "gpt-4o-mini", "--no-stream", "hi"];
    arguments.extend(&FAR[..3]);
    let command = folder.forebay(&arguments).env("OPENAI_API_KEY", "k");
    let ended = command.ends(0);
    assert_eq!(
        server.next().path(),
        "http://provider.example/v1/chat/completions"
    );
    is_kept(&folder, &ended);
}

/// A command in an environment that names this proxy in every way.
fn surrounded(folder: &Folder, arguments: &[&str], url: &str) -> Forebay {
    let names = [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "all_proxy",
    ];
    names
        .iter()
        .fold(folder.forebay(arguments), |command, name| {
            command.env(name, url)
        })
        .env("OPENAI_API_KEY", "k")
}

/// Prompts go to no proxy that nobody asked for.
#[test]
fn the_environment_counts_only_when_it_is_asked_for() {
    let (server, address) = proxy();
    let url = format!("http://{LOGIN}@{address}");
    for (flags, file, no_proxy, is_used) in [
        (&[][..], "", "", false),
        (&["--proxy", "none"], "proxy = \"env\"\n", "", false),
        (&["--proxy", "env"], "", "provider.example", false),
        (&["--proxy", "env"], "", "other.example", true),
        (&[], "proxy = \"env\"\n", "", true),
    ] {
        let folder = input();
        folder.write("forebay.toml", file);
        let mut dry = run(flags);
        dry.push("--dry-run");
        let ended = surrounded(&folder, &dry, &url)
            .env("NO_PROXY", no_proxy)
            .ends(0);
        let line = format!("proxy          http://{address}\n");
        assert_eq!(ended.stdout.contains(&line), is_used, "{flags:?} {file}");
        is_kept(&folder, &ended);
    }
    assert!(server.is_idle());
    let folder = input();
    let ended = surrounded(&folder, &run(&["--proxy", "env"]), &url).ends(0);
    assert_eq!(
        server.next().path(),
        "http://provider.example/v1/chat/completions"
    );
    is_kept(&folder, &ended);
}

#[test]
fn a_flag_beats_the_file() {
    let (server, address) = proxy();
    let folder = input();
    folder.write("forebay.toml", "proxy = \"http://127.0.0.1:1\"\n");
    let url = format!("http://{address}");
    folder
        .forebay(&run(&["--proxy", &url]))
        .env("OPENAI_API_KEY", "k")
        .ends(0);
    assert!(server.next().path().starts_with("http://provider.example/"));
}

#[test]
fn a_dry_run_names_the_proxy_without_its_log_in() {
    let folder = input();
    let flags = [
        "--proxy",
        "https://me:hidden-word@proxy.example:3128",
        "--dry-run",
    ];
    let ended = folder
        .forebay(&run(&flags))
        .env("OPENAI_API_KEY", "k")
        .ends(0);
    let line = "proxy          https://proxy.example:3128\n";
    assert!(ended.stdout.contains(line), "{}", ended.stdout);
    is_kept(&folder, &ended);
}

#[test]
fn a_proxy_that_cannot_be_one_is_refused_without_its_log_in() {
    for (flag, file, words) in [
        ("ftp://me:hidden-word@proxy", "", "scheme"),
        ("http://me:hidden-word@proxy:0", "", "1 to 65535"),
        ("env", "", "in HTTP_PROXY"),
        (
            "",
            "proxy = \"gopher://me:hidden-word@proxy\"\n",
            "in the configuration file",
        ),
        ("", "proxy = 5 # hidden\n", "expected a string"),
    ] {
        let folder = input();
        folder.write("forebay.toml", file);
        let flags: &[&str] = if flag.is_empty() {
            &[]
        } else {
            &["--proxy", flag]
        };
        let command = folder.forebay(&run(flags)).env("OPENAI_API_KEY", "k");
        let ended = command.env("HTTP_PROXY", "me:hidden-word@").ends(2);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
        is_kept(&folder, &ended);
    }
}

#[test]
fn a_proxy_that_nobody_is_says_so() {
    let folder = input();
    let url = format!("socks5h://{LOGIN}@127.0.0.1:1");
    let ended = folder
        .forebay(&run(&["--proxy", &url]))
        .env("OPENAI_API_KEY", "k")
        .ends(4);
    let words = "no way to the proxy socks5h://127.0.0.1:1";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    is_kept(&folder, &ended);
}

/// Answers of the simulated provider come from this process.
#[test]
fn simulated_answers_need_no_proxy() {
    let folder = Folder::new();
    folder
        .forebay(&[
            "ask",
            "-m",
            "sim/gpt-4o",
            "--proxy",
            "http://127.0.0.1:1",
            "hi",
        ])
        .ends(0);
}
