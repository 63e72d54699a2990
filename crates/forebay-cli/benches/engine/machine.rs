//! Where the numbers come from, in general words, and how quiet it was.

use std::fs;

/// One line: cores, processor, kernel, and what else the machine has to do.
pub(crate) fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processors = read("/proc/cpuinfo");
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let kernel = read("/proc/sys/kernel/osrelease");
    // "6.18.44-vendor-name" says more about the vendor than about the kernel.
    let kernel = kernel.split('-').next().unwrap_or_default();
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("machine: {cores} cores, {model}, Linux {kernel}; load before: {load}")
}

fn read(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}
