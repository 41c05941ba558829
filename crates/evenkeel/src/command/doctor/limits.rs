//! What the system allows a node: files, processes, memory, and room for datagrams.
//!
//! Of a node that runs here its own limits are looked at, and else those of this program, which may have others than a
//! service has that is started elsewhere: it is said whose they are.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use indicatif::{HumanBytes, HumanCount};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use super::finding::Finding;

/// Files of one document: its three streams and its handle. Files beside them: peers share one socket, each client of the API
/// has one.
const FILES_EACH: u64 = 4;
const FILES_BESIDE: u64 = 256;

/// Processes of one document: itself and the thread that attends to it. Those beside them: the node's threads, the guardian.
const TASKS_EACH: u64 = 2;
const TASKS_BESIDE: u64 = 64;

/// Memory of one document below which a word is due: even an interpreter takes more.
const LITTLE_MEMORY: u64 = 32 << 20;

/// Bytes of received datagrams that the kernel keeps by default; with less, bursts are lost and sent again.
const USUAL_BUFFER: u64 = 212_992;

/// Looks at what a process is allowed. `process`: the node that runs here.
pub(super) fn check(max_process: u32, process: Option<&str>) -> Vec<Finding> {
    let (whose, directory) = match process.map(|process| (process, Path::new("/proc").join(process))) {
        Some((process, directory)) if read_to_string(directory.join("limits")).is_ok() => {
            (format!("process {process}"), directory)
        }
        _ => ("a program started from here".to_owned(), PathBuf::from("/proc/self")),
    };
    let limits = read_to_string(directory.join("limits")).unwrap_or_default();
    let groups = read_to_string(directory.join("cgroup")).unwrap_or_default();
    let group = |file: &str| group_limit(Path::new("/sys/fs/cgroup"), &groups, file);
    let mut findings = vec![
        files(max_process, limit(&limits, "Max open files"), &whose),
        tasks(max_process, limit(&limits, "Max processes"), group("pids.max"), &whose),
        memory(max_process, available(&read_to_string("/proc/meminfo").unwrap_or_default()), group("memory.max")),
        buffer(
            read_to_string("/proc/sys/net/core/rmem_default").ok().and_then(|text| text.trim().parse().ok()),
            lost_datagrams(&read_to_string("/proc/net/snmp").unwrap_or_default()),
        ),
    ];
    if let Err(error) = pidfd_open(getpid(), PidfdFlags::empty()) {
        findings.push(Finding::warning(
            "kernel",
            format!("processes have no handles here (pidfd_open: {error})"),
            "ends of documents are seen some milliseconds late; Linux 5.3 has them, and a sandbox may forbid them",
        ));
    }
    findings
}

/// A soft and a hard limit; `None`: no limit.
type Limit = Option<(Option<u64>, Option<u64>)>;

/// A line of `/proc/PID/limits`.
fn limit(limits: &str, name: &str) -> Limit {
    let mut words = limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace();
    let mut number = || words.next().map(|word| word.parse().ok());
    Some((number()?, number()?))
}

fn files(max_process: u32, limit: Limit, whose: &str) -> Finding {
    const CHECK: &str = "open files";
    let needed = u64::from(max_process) * FILES_EACH + FILES_BESIDE;
    // A node raises its soft limit to the hard one by itself.
    match limit {
        None => Finding::warning(CHECK, "the limit cannot be read", "look at `ulimit -Hn`"),
        Some((_, Some(hard))) if hard < needed => Finding::problem(
            CHECK,
            format!(
                "{whose} may have {}, and {max_process} documents at once need {}",
                HumanCount(hard),
                HumanCount(needed)
            ),
            format!(
                "raise the hard limit (LimitNOFILE={} in the service, or /etc/security/limits.conf), or lower max_process",
                needed.next_power_of_two()
            ),
        ),
        Some((_, hard)) => {
            let allowed = hard.map_or("any number".to_owned(), |hard| HumanCount(hard).to_string());
            Finding::ok(
                CHECK,
                format!("{whose} may have {allowed}; {max_process} documents at once need {}", HumanCount(needed)),
            )
        }
    }
}

fn tasks(max_process: u32, limit: Limit, group: Option<u64>, whose: &str) -> Finding {
    const CHECK: &str = "processes";
    let needed = u64::from(max_process) * TASKS_EACH + TASKS_BESIDE;
    let soft = limit.and_then(|(soft, _)| soft);
    let allowed = [soft, group].into_iter().flatten().min();
    match allowed {
        Some(allowed) if allowed < needed => Finding::problem(
            CHECK,
            format!(
                "{whose} may have {} with its threads, and {max_process} documents at once need {} and what they start themselves",
                HumanCount(allowed),
                HumanCount(needed)
            ),
            if group == Some(allowed) {
                "raise TasksMax of the service (pids.max), or lower max_process"
            } else {
                "raise LimitNPROC of the service (ulimit -u), or lower max_process"
            },
        ),
        Some(allowed) => Finding::ok(
            CHECK,
            format!("{whose} may have {} with its threads; {} are needed", HumanCount(allowed), HumanCount(needed)),
        ),
        None => Finding::ok(CHECK, "no limit"),
    }
}

fn memory(max_process: u32, available: Option<u64>, group: Option<u64>) -> Finding {
    const CHECK: &str = "memory";
    let Some(bytes) = [available, group].into_iter().flatten().min() else {
        return Finding::warning(CHECK, "it cannot be told how much there is", "look at `free`");
    };
    let each = bytes / u64::from(max_process.max(1));
    let whence = if group == Some(bytes) { "allowed by the control group" } else { "available" };
    let message =
        format!("{} {whence}: {} for each of {max_process} documents at once", HumanBytes(bytes), HumanBytes(each));
    if each < LITTLE_MEMORY {
        return Finding::warning(
            CHECK,
            message,
            "lower max_process to what memory allows: the kernel kills what goes beyond",
        );
    }
    Finding::ok(CHECK, message)
}

fn buffer(bytes: Option<u64>, lost: Option<u64>) -> Finding {
    const CHECK: &str = "UDP buffer";
    let advice =
        "sysctl -w net.core.rmem_default=1048576 (and in /etc/sysctl.d): what is lost is sent again, which costs time";
    let Some(bytes) = bytes else {
        return Finding::ok(CHECK, "its size is not told here");
    };
    let lost = lost
        .filter(|lost| *lost > 0)
        .map(|lost| format!("; {} datagrams of all programs found it full since boot", HumanCount(lost)));
    let message = format!("{}{}", HumanBytes(bytes), lost.unwrap_or_default());
    if bytes < USUAL_BUFFER { Finding::warning(CHECK, message, advice) } else { Finding::ok(CHECK, message) }
}

/// Memory that can be had, from `/proc/meminfo`.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1_024)
}

/// Datagrams for which there was no room, from `/proc/net/snmp`.
fn lost_datagrams(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|name| name == "RcvbufErrors")?;
    values.split_whitespace().nth(place)?.parse().ok()
}

/// The least of a limit that a control group and those around it have (cgroup v2), from `/proc/PID/cgroup`.
fn group_limit(root: &Path, groups: &str, file: &str) -> Option<u64> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group = root.join(group);
    let around = group.ancestors().take_while(|group| group.starts_with(root));
    around.filter_map(|group| read_to_string(group.join(file)).ok()?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::finding::Verdict;

    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
                          Max processes             95933                unlimited            processes \n\
                          Max open files            1024                 4096                 files     \n";

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        assert_eq!(limit(LIMITS, "Max open files"), Some((Some(1_024), Some(4_096))));
        assert_eq!(limit(LIMITS, "Max processes"), Some((Some(95_933), None)));
        assert_eq!(limit(LIMITS, "Max locked memory"), None);
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
        let snmp = "Udp: InDatagrams NoPorts RcvbufErrors SndbufErrors\nUdp: 7 6 5 4\nUdpLite: a\nUdpLite: 1\n";
        assert_eq!((lost_datagrams(snmp), lost_datagrams("Udp: x\n")), (Some(5), None));
    }

    #[test]
    fn the_narrowest_control_group_counts() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("system.slice/evenkeel.service");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("memory.max"), "max\n").unwrap();
        std::fs::write(deep.parent().unwrap().join("memory.max"), "1048576\n").unwrap();
        let groups = "1:name=systemd:/x\n0::/system.slice/evenkeel.service\n";
        assert_eq!(group_limit(root.path(), groups, "memory.max"), Some(1 << 20));
        assert_eq!(group_limit(root.path(), groups, "pids.max"), None);
        assert_eq!(group_limit(root.path(), "", "memory.max"), None);
    }

    #[test]
    fn what_does_not_suffice_is_said_with_what_would() {
        let hard = |hard| Some((Some(64), Some(hard)));
        assert_eq!(files(100, hard(656), "it").verdict, Verdict::Ok);
        let few = files(100, hard(655), "it");
        assert_eq!(few.verdict, Verdict::Problem);
        assert!(few.advice.unwrap().contains("LimitNOFILE=1024"));
        assert_eq!(files(100, Some((Some(64), None)), "it").verdict, Verdict::Ok);

        let soft = |soft| Some((Some(soft), None));
        assert_eq!(tasks(100, soft(264), None, "it").verdict, Verdict::Ok);
        assert!(tasks(100, soft(263), None, "it").advice.unwrap().contains("LimitNPROC"));
        assert!(tasks(100, soft(1_000), Some(50), "it").advice.unwrap().contains("TasksMax"));
        assert_eq!(tasks(100, Some((None, None)), None, "it").verdict, Verdict::Ok);

        assert_eq!(memory(4, Some(8 << 30), None).verdict, Verdict::Ok);
        let little = memory(64, Some(8 << 30), Some(1 << 30));
        assert_eq!(little.verdict, Verdict::Warning);
        assert!(
            little.message.contains("control group") && little.message.contains("16.00 MiB for each"),
            "{}",
            little.message
        );

        assert_eq!(buffer(Some(212_992), Some(0)).verdict, Verdict::Ok);
        assert_eq!(buffer(Some(65_536), None).verdict, Verdict::Warning);
        assert!(buffer(Some(212_992), Some(5)).message.contains("5 datagrams"));
    }
}
