//! Child processes: on which core they run, how long they take, and how much memory.
//!
//! Owns the one way in which this program starts itself again to play another role.

use std::fs;
use std::io::{Read as _, Seek as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::options::Http;
use crate::server;
use crate::yardstick::{self, Load};

/// The core that the measured client has for itself.
pub(crate) const CLIENT_CORE: usize = 0;
/// The core of the server.
pub(crate) const SERVER_CORE: usize = 1;
/// Names the role that this program shall play instead of measuring.
const ROLE: &str = "FOREBAY_BENCH_ROLE";
/// What a child may take at the most, so that nothing hangs for ever; the longest one, of
/// 10,000,000 rows, takes some minutes, and more than half an hour on a machine that is busy.
const LONGEST: Duration = Duration::from_secs(7_200);
/// Open files that 20,000 connections and the rest need.
const OPEN_FILES: u64 = 65_536;
/// Files that a client has open besides its sockets.
const OTHER_FILES: usize = 100;
/// Ticks per second of the times in `/proc/*/stat`, fixed by Linux for user space.
const TICKS: f64 = 100.0;

/// What a child took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    pub(crate) user_s: f64,
    pub(crate) system_s: f64,
    pub(crate) wall_s: f64,
    /// CPU time of the server meanwhile.
    pub(crate) server_s: f64,
}

impl Measured {
    pub(crate) fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }

    /// The share of its core that the server worked.
    pub(crate) fn server_busy(&self) -> f64 {
        self.server_s / self.wall_s
    }
}

/// What a client took for so many requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lap {
    pub(crate) measured: Measured,
    pub(crate) requests: f64,
}

impl Lap {
    /// CPU microseconds of a request.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.measured.cpu_s() * 1e6 / self.requests
    }
}

/// Plays the role that the environment asks for; `false` when it asks for none.
pub(crate) fn play_role() -> bool {
    let Ok(role) = std::env::var(ROLE) else {
        return false;
    };
    match role.split_once(' ') {
        Some(("server", orders)) => server::play(orders),
        Some(("client", orders)) => yardstick::play(&Load::read(orders)),
        _ => panic!("no role is called {role}"),
    }
    true
}

/// This program in another role, on a core.
pub(crate) fn in_role(core: usize, role: &str) -> Command {
    let own = std::env::current_exe().expect("this program");
    let mut command = on_core(core, own.to_str().expect("a path in UTF-8"));
    command.env(ROLE, role);
    command
}

/// A command on one core, when the machine can pin and has more than one.
pub(crate) fn on_core(core: usize, program: &str) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 || !is_installed("taskset", "-V") {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string(), program]);
    command
}

/// Whether a program is found and runs.
pub(crate) fn is_installed(program: &str, harmless: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(harmless);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// Runs a command to its end; its CPU time is user and system time as the kernel accounts it.
///
/// # Panics
/// When the command fails or takes longer than two hours.
pub(crate) fn measure(command: &mut Command, server: u32) -> Measured {
    let (user, system) = children_cpu_s();
    let (server_before, began) = (cpu_s(server), Instant::now());
    let child = command.spawn().expect("the command starts");
    let status = wait(child, |_| ());
    let wall_s = began.elapsed().as_secs_f64();
    assert!(status.success(), "{command:?}: {status}");
    let (user_after, system_after) = children_cpu_s();
    Measured {
        user_s: user_after - user,
        system_s: system_after - system,
        wall_s,
        server_s: cpu_s(server) - server_before,
    }
}

/// Runs a command to its end and takes what it prints.
///
/// # Panics
/// As [`measure`].
pub(crate) fn measure_output(command: &mut Command, server: u32) -> (Measured, String) {
    let mut printed = tempfile::tempfile().expect("a temporary file");
    let out = printed.try_clone().expect("a temporary file");
    let measured = measure(command.stdout(out), server);
    let mut text = String::new();
    printed.rewind().expect("a temporary file");
    printed.read_to_string(&mut text).expect("text");
    (measured, text)
}

/// Waits for a child, which is ended when it takes too long; `meanwhile` is called ten times a
/// second.
pub(crate) fn wait(mut child: Child, mut meanwhile: impl FnMut(u32)) -> std::process::ExitStatus {
    let pid = child.id();
    let (ended, end) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let status = child.wait().expect("a child can be waited for");
        // Nobody listens any more when it took too long.
        let _ = ended.send(());
        status
    });
    let began = Instant::now();
    while end.recv_timeout(Duration::from_millis(100)) == Err(mpsc::RecvTimeoutError::Timeout) {
        meanwhile(pid);
        if began.elapsed() > LONGEST {
            kill(pid);
        }
    }
    waiter.join().expect("the waiting thread")
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    // It may have ended at this very moment.
    let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
}

/// User and system time of all children that ended, in seconds.
fn children_cpu_s() -> (f64, f64) {
    let fields = stat("self");
    (fields[13] / TICKS, fields[14] / TICKS)
}

/// User and system time of a process that runs, in seconds.
pub(crate) fn cpu_s(pid: u32) -> f64 {
    let fields = stat(&pid.to_string());
    (fields[11] + fields[12]) / TICKS
}

/// The fields of `/proc/PID/stat` after the name, which may hold spaces.
fn stat(process: &str) -> Vec<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux");
    let after = stat.rsplit_once(')').expect("a name").1;
    let fields = after.split_whitespace();
    fields.map(|field| field.parse().unwrap_or(0.0)).collect()
}

/// A size in `/proc/PID/status`, in MB: `VmHWM` is the peak, `VmRSS` what is resident now.
pub(crate) fn memory_mb(pid: u32, field: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    let kb: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kb / 1024.0)
}

/// Lets this process and its children open as many files as 20,000 connections need, as far as
/// the system allows it.
pub(crate) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    if now.current.is_some_and(|limit| limit < OPEN_FILES) {
        let most = now.maximum.map_or(OPEN_FILES, |most| most.max(OPEN_FILES));
        let wanted = Rlimit {
            current: Some(OPEN_FILES),
            maximum: Some(most),
        };
        let within = Rlimit {
            current: now.maximum.map(|most| most.min(OPEN_FILES)),
            maximum: now.maximum,
        };
        // Whoever may not raise the hard limit goes up to it.
        let _ =
            setrlimit(Resource::Nofile, wanted).or_else(|_| setrlimit(Resource::Nofile, within));
    }
}

/// How many requests a client can really have in flight of those that are wanted: HTTP/1.1 takes
/// an open file for each, and a machine may allow no more than a few too few.
pub(crate) fn possible(http: Http, wanted: usize) -> usize {
    use rustix::process::{Resource, getrlimit};
    let files = getrlimit(Resource::Nofile).current;
    let files = files.and_then(|files| usize::try_from(files).ok());
    match http {
        Http::One => wanted.min(files.unwrap_or(usize::MAX).saturating_sub(OTHER_FILES)),
        Http::Two => wanted,
    }
}

/// The median of what clients took over what the bare loop of the same round did: both saw the same
/// machine.
pub(crate) fn ratio(laps: &[Lap], bare: &[Lap]) -> f64 {
    let ratios = laps.iter().zip(bare);
    median(
        ratios
            .map(|(lap, bare)| lap.cpu_us() / bare.cpu_us())
            .collect(),
    )
}

/// The middle one of some numbers.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
