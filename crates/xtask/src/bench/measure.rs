//! Times, medians, and what a process costs.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{is_interrupted, last_lines};

/// Measures two sides in turns, so that whatever else the machine does falls on both. Gives the two medians in seconds.
pub(super) fn in_turns(
    runs: usize,
    mut ours: impl FnMut() -> Result<Duration>,
    mut peer: impl FnMut() -> Result<Duration>,
) -> Result<(f64, f64)> {
    let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
    for _ in 0..runs.max(1) {
        our_times.push(ours()?.as_secs_f64());
        peer_times.push(peer()?.as_secs_f64());
    }
    Ok((median(&mut our_times), median(&mut peer_times)))
}

/// The middle one, or the mean of the two in the middle.
pub(super) fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[middle] } else { f64::midpoint(figures[middle - 1], figures[middle]) }
}

/// Runs a command and gives how long it took; its complaint when it fails.
pub(super) fn time(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let elapsed = start.elapsed();
    if is_interrupted() {
        bail!("interrupted");
    }
    if !output.status.success() {
        bail!("{} {}", output.status, last_lines(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(elapsed)
}

/// Runs `from | to` and gives how long both took.
pub(super) fn time_pipe(from: &mut Command, to: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let mut writer =
        from.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().context("cannot start the writer")?;
    let pipe = writer.stdout.take().context("a pipe was asked for")?;
    let reader = to.stdin(pipe).stdout(Stdio::null()).status().context("cannot start the reader")?;
    let writer = writer.wait()?;
    if !writer.success() || !reader.success() {
        bail!("the pipe failed: writer {writer}, reader {reader}");
    }
    Ok(start.elapsed())
}

/// What a process cost by itself, without the server that worked for it.
pub(super) struct Cost {
    pub(super) processor: Duration,
    pub(super) peak_mebibytes: f64,
}

/// Runs a command and gives what it cost. Only where there is a `/proc`.
pub(super) fn cost(command: &mut Command) -> Result<Cost> {
    let before = children_processor_time()?;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let status_file = format!("/proc/{}/status", child.id());
    // The kernel keeps the peak, so the last look before the end is enough, and looking often makes it a late one.
    let watch = thread::spawn(move || {
        let mut peak = 0;
        while let Some(now) = fs::read_to_string(&status_file).ok().as_deref().and_then(peak_kibibytes) {
            peak = peak.max(now);
            thread::sleep(Duration::from_millis(2));
        }
        peak
    });
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said)?;
    }
    let status = child.wait()?;
    let peak = watch.join().map_err(|_| anyhow::anyhow!("the watching thread panicked"))?;
    if !status.success() {
        bail!("{status} {}", last_lines(&said));
    }
    let processor = children_processor_time()?.saturating_sub(before);
    Ok(Cost { processor, peak_mebibytes: f64::from(peak) / 1024.0 })
}

/// `VmHWM` of a `/proc/PID/status`; nothing once the process is a zombie.
fn peak_kibibytes(status: &str) -> Option<u32> {
    kibibytes(status, "VmHWM:")
}

fn kibibytes(status: &str, what: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The most memory that a process has had.
pub(super) fn peak_mebibytes(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("this needs a /proc")?;
    let peak = peak_kibibytes(&status).context("the process is gone")?;
    Ok(f64::from(peak) / 1024.0)
}

/// The memory that a process has.
pub(crate) fn memory_mebibytes(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("this needs a /proc")?;
    let memory = kibibytes(&status, "VmRSS:").context("the process is gone")?;
    Ok(f64::from(memory) / 1024.0)
}

/// User and system time of a process.
pub(crate) fn processor_time(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).context("this needs a /proc")?;
    own(&stat).context("/proc/PID/stat reads unlike proc(5)")
}

/// User and system time of all children that this process has waited for.
fn children_processor_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("this needs a /proc")?;
    waited_for(&stat).context("/proc/self/stat reads unlike proc(5)")
}

/// User and system time of all children that a process has waited for: for a postmaster, of all sessions that ended.
pub(super) fn ended_sessions_processor_time(postmaster: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{postmaster}/stat")).context("this needs a /proc")?;
    waited_for(&stat).context("/proc/PID/stat reads unlike proc(5)")
}

/// `cutime` and `cstime` of a `/proc/PID/stat`. The kernel counts them in hundredths of a second for all programs.
fn waited_for(stat: &str) -> Option<Duration> {
    ticks(stat, 13)
}

/// `utime` and `stime`.
fn own(stat: &str) -> Option<Duration> {
    ticks(stat, 11)
}

fn ticks(stat: &str, first: usize) -> Option<Duration> {
    // The second field, a name in parentheses, may itself hold blanks and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = fields.get(first)?.parse::<u64>().ok()? + fields.get(first + 1)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn proc_files_are_read() {
        assert_eq!(peak_kibibytes("Name:\tx\nVmHWM:\t    1234 kB\n"), Some(1234));
        assert_eq!(peak_kibibytes("Name:\tx\nState:\tZ (zombie)\n"), None);
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 111 222 33 44 20 0";
        assert_eq!(waited_for(stat), Some(Duration::from_millis(770)));
        assert_eq!(own(stat), Some(Duration::from_millis(3330)));
    }

    #[test]
    fn a_failing_command_says_why() {
        let error = time(Command::new("sh").args(["-c", "echo no such table >&2; exit 4"])).unwrap_err();
        assert_eq!(error.to_string(), "exit status: 4 no such table");
        assert!(time_pipe(&mut Command::new("true"), &mut Command::new("false")).is_err());
    }

    #[test]
    fn the_cost_of_a_process_is_its_own() {
        let cost = cost(Command::new("sh").args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"]))
            .unwrap();
        assert!(cost.processor > Duration::ZERO);
        assert!(cost.peak_mebibytes > 0.1 && cost.peak_mebibytes < 64.0);
    }
}
