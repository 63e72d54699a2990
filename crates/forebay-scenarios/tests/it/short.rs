use forebay_scenarios::Scenario;
use forebay_scenarios::check::check;

/// The best number runs where it takes at most this many requests for a row: where it takes more,
/// only the command `check` looks at it, as that takes minutes.
const MOST_REQUESTS: u64 = 3;

/// The statistics that every file has a range for.
const ALWAYS: [&str; 2] = ["goodput", "rejected"];

#[test]
fn each_scenario_stays_within_the_ranges_of_its_file() {
    let mut faults = Vec::new();
    for one in check(&Scenario::all().unwrap(), MOST_REQUESTS) {
        let told = one
            .faults
            .iter()
            .map(|fault| format!("{}: {fault}", one.name));
        faults.extend(told);
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn each_file_has_the_ranges_that_its_scenario_needs() {
    for scenario in Scenario::all().unwrap() {
        let has = |name: &str| scenario.ranges.contains_key(name);
        assert!(ALWAYS.into_iter().all(has), "{}", scenario.name);
        assert!(
            scenario.client.clients == 1 || has("fairness"),
            "{}",
            scenario.name
        );
        assert!(
            !scenario.is_self_hosted() || has("queue"),
            "{}",
            scenario.name
        );
    }
}
