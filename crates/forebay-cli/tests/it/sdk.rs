use std::path::Path;
use std::process::{Command, Stdio};

/// The script installs what it needs, so that a missing Python is a failure and no excuse.
#[test]
fn the_official_sdks_accept_whatever_the_simulator_answers() {
    let binary = Path::new(env!("CARGO_BIN_EXE_forebay"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // The environment that it makes is kept in the target folder, and used again.
    let target = binary.ancestors().nth(2).unwrap();
    let output = Command::new(root.join("scripts/sdk-tests"))
        .env("FOREBAY_BIN", binary)
        .env("CARGO_TARGET_DIR", target)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{complaints}");
    let summary = printed.lines().last().unwrap();
    let passed = summary.strip_suffix(" passed, 0 failed");
    let passed: u32 = passed
        .unwrap_or_else(|| panic!("{printed}"))
        .parse()
        .unwrap();
    // Each SDK has its tests: none was left out.
    for sdk in ["anthropic", "batch", "genai", "openai"] {
        assert!(printed.contains(&format!("({sdk}_sdk.")), "{printed}");
    }
    assert!(passed > 0);
}
