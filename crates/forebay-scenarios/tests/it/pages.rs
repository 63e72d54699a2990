//! The pages that `pages` writes have what the files of `scenarios/` have.

use std::fs;
use std::path::{Path, PathBuf};

use forebay_scenarios::Scenario;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn names() -> Vec<String> {
    let all = Scenario::all().unwrap();
    all.into_iter().map(|scenario| scenario.name).collect()
}

#[test]
fn the_table_has_a_line_for_each_scenario_and_says_what_it_is() {
    let page = fs::read_to_string(docs().join("reference/scenarios.md")).unwrap();
    let hint = "run: cargo run --release -p forebay-scenarios -- pages";
    for scenario in Scenario::all().unwrap() {
        let line = format!(
            "- [{0}](../../scenarios/{0}.toml): {1}\n",
            scenario.name, scenario.about
        );
        assert!(page.contains(&line), "{line}{hint}");
    }
    let lines = page.lines().filter(|line| line.starts_with("- ["));
    assert_eq!(lines.count(), names().len(), "{hint}");
}

#[test]
fn there_is_a_drawing_of_each_scenario_and_of_no_other() {
    let folder = docs().join("concepts/concurrency");
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let svgs = entries.filter(|path| path.extension().is_some_and(|end| end == "svg"));
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut drawn: Vec<String> = svgs.map(stem).collect();
    drawn.sort();
    let hint = "run: cargo run --release -p forebay-scenarios -- pages";
    assert_eq!(drawn, names(), "{hint}");
}

#[test]
fn the_page_about_limits_shows_each_scenario() {
    let page = fs::read_to_string(docs().join("concepts/concurrency.md")).unwrap();
    for scenario in Scenario::all().unwrap() {
        let (name, about) = (scenario.name, scenario.about);
        let lines = format!("**{name}**: {about}\n\n![{name}](concurrency/{name}.svg)\n");
        assert!(page.contains(&lines), "{lines}");
    }
}
