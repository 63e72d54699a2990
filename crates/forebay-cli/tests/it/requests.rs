//! What a request is made of: templates, parameters, headers, keys, and where each comes from.

use serde_json::json;

use crate::harness::{Folder, THREE};
use crate::server::{Received, Server};
use crate::simulator::Simulator;

/// One item.
fn one() -> Folder {
    Folder::with("in.jsonl", "{\"text\":\"hello\",\"lang\":\"French\"}\n")
}

/// Runs `in.jsonl` with these arguments and returns the only request.
#[track_caller]
fn request(server: &Server, folder: &Folder, arguments: &[&str], env: &[(&str, &str)]) -> Received {
    let mut forebay = folder.forebay(&[&["run", "in.jsonl", "-q"], arguments].concat());
    for (name, value) in env {
        forebay = forebay.env(name, value);
    }
    let ended = forebay.ends(0);
    assert_eq!(ended.rows()[0]["output"], "fine");
    let received = server.next();
    assert!(server.is_idle());
    received
}

#[test]
fn of_openai() {
    let (server, folder) = (Server::start(), one());
    folder.write("p.txt", "Translate into {{ lang }}:\n{{ text }}\n");
    let url = server.url("/v1/");
    let received = request(
        &server,
        &folder,
        &[
            "-m",
            "gpt-4o-mini",
            "--base-url",
            &url,
            "--prompt-file",
            "p.txt",
            "-s",
            "Be {{ lang }}.",
            "--max-tokens",
            "50",
            "--temperature",
            "0.5",
            "--param",
            "top_p=0.9",
            "--param",
            "user=bob",
            "--param",
            "stop=[\"END\"]",
        ],
        &[
            ("OPENAI_API_KEY", "sk-1"),
            ("OPENAI_ORG_ID", "org-1"),
            ("OPENAI_PROJECT_ID", "proj-1"),
        ],
    );
    assert_eq!(received.path(), "/v1/chat/completions");
    assert_eq!(received.header("authorization"), ["Bearer sk-1"]);
    assert_eq!(received.header("openai-organization"), ["org-1"]);
    assert_eq!(received.header("openai-project"), ["proj-1"]);
    assert_eq!(received.header("content-type"), ["application/json"]);
    assert_eq!(
        received.body,
        json!({
            "model": "gpt-4o-mini",
            "messages": [
                {"role": "system", "content": "Be French."},
                {"role": "user", "content": "Translate into French:\nhello"},
            ],
            "max_tokens": 50,
            "temperature": 0.5,
            "top_p": 0.9,
            "user": "bob",
            "stop": ["END"],
        })
    );
}

#[test]
fn of_anthropic() {
    let (server, folder) = (Server::start(), one());
    let url = server.url("");
    let received = request(
        &server,
        &folder,
        &[
            "-m",
            "claude-sonnet-4-5",
            "-s",
            "Be brief.",
            "--max-tokens",
            "50",
        ],
        &[
            ("ANTHROPIC_API_KEY", "sk-ant-1"),
            ("ANTHROPIC_BASE_URL", &url),
            ("ANTHROPIC_CUSTOM_HEADERS", "x-team: data\nx-more: a: b\n"),
        ],
    );
    assert_eq!(received.path(), "/v1/messages");
    assert_eq!(received.header("x-api-key"), ["sk-ant-1"]);
    assert!(received.header("authorization").is_empty());
    assert_eq!(received.header("anthropic-version").len(), 1);
    assert_eq!(received.header("x-team"), ["data"]);
    assert_eq!(received.header("x-more"), ["a: b"]);
    assert_eq!(received.body["system"], "Be brief.");
    assert_eq!(received.body["max_tokens"], 50);
    assert_eq!(received.body["messages"][0]["content"], "hello");
}

#[test]
fn a_token_goes_as_bearer() {
    let (server, folder) = (Server::start(), one());
    let url = server.url("");
    let arguments = ["-m", "anthropic/claude-x", "--base-url", &url];
    let token = ("ANTHROPIC_AUTH_TOKEN", "tok-1");
    let received = request(&server, &folder, &arguments, &[token]);
    assert_eq!(received.header("authorization"), ["Bearer tok-1"]);
    assert!(received.header("x-api-key").is_empty());
    let both = [token, ("ANTHROPIC_API_KEY", "sk-ant-1")];
    let received = request(&server, &folder, &arguments, &both);
    assert_eq!(received.header("x-api-key"), ["sk-ant-1"]);
    assert!(received.header("authorization").is_empty());
}

#[test]
fn a_key_comes_from_where_it_is_said_to() {
    let (server, folder) = (Server::start(), one());
    folder.write("my.key", "sk-file\r\n");
    let url = server.url("/v1");
    let base = ["-m", "gpt-4o", "--base-url", &url];
    let own = ("OPENAI_API_KEY", "sk-own");
    let other = ("OTHER_KEY", "sk-other");
    let key = |more: &[&str], env: &[(&str, &str)]| {
        let received = request(&server, &folder, &[&base, more].concat(), env);
        received.header("authorization").join(", ")
    };
    assert_eq!(key(&[], &[own, other]), "Bearer sk-own");
    assert_eq!(
        key(&["--api-key-env", "OTHER_KEY"], &[own, other]),
        "Bearer sk-other"
    );
    assert_eq!(key(&["--api-key-file", "my.key"], &[own]), "Bearer sk-file");
    assert_eq!(key(&[], &[]), "");
    folder.write(
        "forebay.toml",
        "[endpoints.openai]\napi-key-env = \"OTHER_KEY\"\n",
    );
    assert_eq!(key(&[], &[own, other]), "Bearer sk-own");
    assert_eq!(key(&[], &[other]), "Bearer sk-other");
    assert_eq!(
        key(&["--api-key-file", "my.key"], &[own, other]),
        "Bearer sk-file"
    );
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let (by_file, by_env, by_flag) = (Server::start(), Server::start(), Server::start());
    let folder = one();
    let in_file = by_file.url("/file/v1");
    folder.write(
        "forebay.toml",
        format!(
            "[run]\nmodel = \"gpt-file\"\nprompt = \"file {{{{ text }}}}\"\nmax-tokens = 7\n\
             temperature = 0.1\nparams = {{ top_p = 0.5, seed = 1 }}\n\n\
             [endpoints.openai]\nbase-url = {in_file:?}\n\
             headers = {{ x-from = \"file\", openai-project = \"file\" }}\n"
        ),
    );
    let project = ("OPENAI_PROJECT_ID", "env");
    let received = request(&by_file, &folder, &[], &[project]);
    assert_eq!(received.path(), "/file/v1/chat/completions");
    assert_eq!(received.header("openai-project"), ["env"]);
    assert_eq!(received.header("x-from"), ["file"]);
    assert_eq!(
        received.body,
        json!({
            "model": "gpt-file", "messages": [{"role": "user", "content": "file hello"}],
            "max_tokens": 7, "temperature": 0.1, "top_p": 0.5, "seed": 1,
        })
    );
    let in_env = by_env.url("/env/v1");
    let env = [("OPENAI_BASE_URL", in_env.as_str()), project];
    let received = request(&by_env, &folder, &[], &env);
    assert_eq!(received.path(), "/env/v1/chat/completions");
    let in_flag = by_flag.url("/flag/v1");
    let flags = [
        "--base-url",
        &in_flag,
        "-m",
        "gpt-flag",
        "-p",
        "flag {{ text }}",
        "--max-tokens",
        "9",
        "--temperature",
        "0",
        "--param",
        "top_p=0.7",
        "--header",
        "X-From: flag",
        "--header",
        "openai-project: flag",
    ];
    let received = request(&by_flag, &folder, &flags, &env);
    assert_eq!(received.path(), "/flag/v1/chat/completions");
    assert_eq!(received.header("x-from"), ["flag"]);
    assert_eq!(received.header("openai-project"), ["flag"]);
    assert_eq!(received.body["model"], "gpt-flag");
    assert_eq!(received.body["messages"][0]["content"], "flag hello");
    assert_eq!(received.body["max_tokens"], 9);
    assert_eq!(received.body["temperature"].as_f64(), Some(0.0));
    assert_eq!(received.body["top_p"], 0.7);
    assert_eq!(received.body["seed"], 1);
    assert!(by_file.is_idle() && by_env.is_idle());
}

#[test]
fn a_configuration_is_found_by_flag_variable_or_name() {
    let (server, folder) = (Server::start(), one());
    let url = server.url("/v1");
    for (name, model) in [
        ("forebay.toml", "gpt-a"),
        ("b.toml", "gpt-b"),
        ("c.toml", "gpt-c"),
    ] {
        folder.write(name, format!("[run]\nmodel = {model:?}\n"));
    }
    let base = ["--base-url", &url];
    let model = |more: &[&str], env: &[(&str, &str)]| {
        let received = request(&server, &folder, &[&base, more].concat(), env);
        received.body["model"].as_str().unwrap().to_owned()
    };
    let variable = ("FOREBAY_CONFIG", "b.toml");
    assert_eq!(model(&[], &[]), "gpt-a");
    assert_eq!(model(&[], &[variable]), "gpt-b");
    assert_eq!(model(&["--config", "c.toml"], &[variable]), "gpt-c");
}

#[test]
fn an_endpoint_of_one_s_own() {
    let (server, folder) = (Server::start(), one());
    let url = server.url("/llm");
    folder.write(
        "forebay.toml",
        format!(
            "[endpoints.box]\nprovider = \"openai\"\nbase-url = {url:?}\napi-key-env = \"BOX_KEY\"\n\
             token-field = \"max_completion_tokens\"\nheaders = {{ x-team = \"data\" }}\n"
        ),
    );
    let env = [
        ("BOX_KEY", "sk-box"),
        ("OPENAI_API_KEY", "sk-own"),
        ("OPENAI_BASE_URL", "https://elsewhere.invalid/v1"),
        ("OPENAI_ORG_ID", "org-1"),
    ];
    let arguments = ["-m", "box/org/model", "--max-tokens", "5"];
    let received = request(&server, &folder, &arguments, &env);
    assert_eq!(received.path(), "/llm/chat/completions");
    assert_eq!(received.header("authorization"), ["Bearer sk-box"]);
    assert_eq!(received.header("x-team"), ["data"]);
    // What the environment says of OpenAI is no other server's business.
    assert!(received.header("openai-organization").is_empty());
    assert_eq!(received.body["model"], "org/model");
    assert_eq!(received.body["max_completion_tokens"], 5);
}

/// Fault 39: sends equal contents once with `--dedup`, and gives each item its row.
#[test]
fn identical_requests_in_flight_are_sent_once_on_request() {
    let folder = Folder::with("in.txt", "same\nsame\nother\nsame\n");
    let mut sim = Simulator::slow("100ms");
    let arguments = ["in.txt", "-o", "out.jsonl", "-q"];
    sim.run(&folder, &[&arguments[..], &["--dedup"]].concat())
        .ends(0);
    let rows = folder.rows("out.jsonl");
    let texts = crate::harness::column(&rows, "text");
    assert_eq!(texts, ["same", "same", "other", "same"]);
    assert_eq!(rows[0]["output"], rows[1]["output"]);
    crate::harness::assert_rows_ok(&rows);
    let mut prompts = sim.prompts();
    prompts.sort();
    assert_eq!(prompts, ["other", "same"]);
    sim.run(&folder, &[&arguments[..], &["--fresh"]].concat())
        .ends(0);
    assert_eq!(sim.prompts().len(), 2 + 4);
}

#[test]
fn the_log_of_the_simulator_is_a_file_on_request() {
    let folder = Folder::with("in.txt", THREE);
    let log = folder.path("sim.log");
    // The later flag of a name counts; only one log is written.
    let mut sim = std::process::Command::new(env!("CARGO_BIN_EXE_forebay"))
        .args(["sim", "--port", "0", "--latency", "0", "--log"])
        .arg(&log)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let stdout = sim.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut first).unwrap();
    let said = "forebay sim listens on http://127.0.0.1:";
    let port = first.trim_end().strip_prefix(said).unwrap();
    let url = format!("http://127.0.0.1:{port}/v1");
    folder
        .forebay(&["run", "in.txt", "-q", "-m", "gpt-4o", "--base-url", &url])
        .env("OPENAI_API_KEY", "any")
        .ends(0);
    sim.kill().unwrap();
    sim.wait().unwrap();
    // Prompts are in a log only when they are asked for.
    assert!(!folder.read("sim.log").contains("ticket"));
    assert_eq!(folder.mode("sim.log"), 0o600);
}

#[test]
fn of_providers_by_name() {
    let (server, folder) = (Server::start(), one());
    let v1 = server.url("/v1");
    // Azure's own place, its header, its token field.
    let received = request(
        &server,
        &folder,
        &["-m", "azure/my-deployment", "--max-tokens", "5"],
        &[
            ("AZURE_OPENAI_ENDPOINT", &server.url("/")),
            ("AZURE_OPENAI_API_KEY", "az-1"),
        ],
    );
    assert_eq!(received.path(), "/openai/v1/chat/completions");
    assert_eq!(received.header("api-key"), ["az-1"]);
    assert!(received.header("authorization").is_empty());
    assert_eq!(received.body["model"], "my-deployment");
    assert_eq!(received.body["max_completion_tokens"], 5);
    // A provider's key goes to a base URL that is named for it, and no other provider's does.
    let received = request(
        &server,
        &folder,
        &["-m", "a/b", "--provider", "groq", "--base-url", &v1],
        &[("GROQ_API_KEY", "gsk-1"), ("OPENAI_API_KEY", "sk-1")],
    );
    assert_eq!(received.header("authorization"), ["Bearer gsk-1"]);
    assert_eq!(received.body["model"], "a/b");
    // Ollama's host, without a key.
    let host = v1.trim_start_matches("http://").trim_end_matches("/v1");
    let ollama = ["-m", "ollama/llama3.2:1b", "--max-tokens", "5"];
    let received = request(&server, &folder, &ollama, &[("OLLAMA_HOST", host)]);
    assert_eq!(received.path(), "/v1/chat/completions");
    assert!(received.header("authorization").is_empty());
    assert_eq!(received.body["model"], "llama3.2:1b");
    assert_eq!(received.body["max_tokens"], 5);
}

#[test]
fn the_file_names_providers_too() {
    let (server, folder) = (Server::start(), one());
    folder.write(
        "forebay.toml",
        format!(
            "[endpoints.box]\nprovider = \"azure\"\nbase-url = {0:?}\napi-key-env = \"BOX_KEY\"\n\
             [endpoints.vllm]\nbase-url = {0:?}\nheaders = {{ x-from = \"file\" }}\n",
            server.url("/v1")
        ),
    );
    let env = [("BOX_KEY", "k-1"), ("AZURE_OPENAI_API_KEY", "az-1")];
    let received = request(&server, &folder, &["-m", "box/llama"], &env);
    assert_eq!(received.header("api-key"), ["k-1"]);
    let received = request(&server, &folder, &["-m", "a/b", "--provider", "box"], &env);
    assert_eq!(received.header("api-key"), ["k-1"]);
    assert_eq!(received.body["model"], "a/b");
    let env = [("VLLM_API_KEY", "v-1")];
    let received = request(&server, &folder, &["-m", "vllm/llama"], &env);
    assert_eq!(received.header("authorization"), ["Bearer v-1"]);
    assert_eq!(received.header("x-from"), ["file"]);
}
