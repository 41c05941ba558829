//! What is read of machines of different makes, as files in a directory.

use std::fs;

use proptest::prelude::*;

use super::*;

const MEMINFO: &str = "MemTotal:       8000000 kB\nMemFree:         100 kB\nMemAvailable:   6000000 kB\n";
const STAT: &str =
    "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 50 0 50 350 50 0 0 0 0 0\ncpu1 50 0 50 350 50 0 0 0 0 0\nintr 1 2\n";

fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, ThisHost) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = directory.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let host = ThisHost::below(directory.path());
    (directory, host)
}

#[test]
fn a_machine_that_tells_nothing_is_no_error() {
    let (_directory, host) = machine(&[]);
    assert_eq!(host.read(), Reading::default());
}

#[test]
fn without_control_groups_it_is_the_machines() {
    let pressure =
        "some avg10=1.50 avg60=0.47 avg300=1.15 total=2000000\nfull avg10=0.25 avg60=0.01 avg300=0.31 total=1\n";
    let (directory, host) = machine(&[
        ("proc/meminfo", MEMINFO),
        ("proc/stat", STAT),
        ("proc/pressure/memory", pressure),
        ("proc/pressure/cpu", "some avg10=50.00 avg60=0.00 avg300=0.00 total=1000000\n"),
        ("proc/vmstat", "pgfault 1\noom_kill 3\n"),
    ]);
    let before = host.read();
    assert_eq!(before.memory, Some(Memory { limit: 8_000_000 << 10, available: 6_000_000 << 10 }));
    let stall = before.memory_stall.unwrap();
    assert_eq!((stall.some, stall.full, before.killed), (0.015, 0.0025, Some(3)));

    // In a second on two processors, one was busy for half of it.
    fs::write(directory.path().join("proc/stat"), STAT.replace("cpu  100 0 100 700", "cpu  150 0 100 850")).unwrap();
    let later = "some avg10=50.00 avg60=0.00 avg300=0.00 total=1250000\n";
    fs::write(directory.path().join("proc/pressure/cpu"), later).unwrap();
    let after = host.read();
    assert_eq!(after.busy_since(&before), Some(0.25));
    assert_eq!(after.waited_since(&before, Duration::from_secs(1)), Some(0.25));
    assert_eq!(after.busy_since(&after), None);
}

#[test]
fn the_narrowest_group_of_version_two_counts() {
    let (directory, host) = machine(&[
        ("proc/meminfo", MEMINFO),
        ("proc/stat", STAT),
        ("proc/self/cgroup", "0::/system.slice/node.service\n"),
        ("sys/fs/cgroup/system.slice/memory.max", "2000000000\n"),
        ("sys/fs/cgroup/system.slice/memory.current", "1500000000\n"),
        ("sys/fs/cgroup/system.slice/memory.stat", "anon 5\ninactive_file 400000000\n"),
        ("sys/fs/cgroup/system.slice/node.service/memory.max", "max\n"),
        ("sys/fs/cgroup/system.slice/node.service/memory.current", "1000\n"),
        ("sys/fs/cgroup/system.slice/node.service/memory.events", "low 0\noom 2\noom_kill 2\n"),
        ("sys/fs/cgroup/system.slice/node.service/cpu.max", "50000 100000\n"),
        ("sys/fs/cgroup/system.slice/node.service/cpu.stat", "usage_usec 1000000\nuser_usec 1\n"),
    ]);
    let before = host.read();
    assert_eq!(before.memory, Some(Memory { limit: 2_000_000_000, available: 900_000_000 }));
    assert_eq!(before.killed, Some(2));
    // A second passes on both processors; of the half processor that it may have, the group had four fifths.
    fs::write(directory.path().join("proc/stat"), STAT.replace("700", "900")).unwrap();
    let stat = directory.path().join("sys/fs/cgroup/system.slice/node.service/cpu.stat");
    fs::write(stat, "usage_usec 1400000\n").unwrap();
    let busy = host.read().busy_since(&before).unwrap();
    assert!((busy - 0.8).abs() < 1e-9, "{busy}");
}

#[test]
fn groups_of_version_one_are_found_too_also_under_other_names() {
    let (_directory, host) = machine(&[
        ("proc/meminfo", MEMINFO),
        ("proc/stat", STAT),
        ("proc/self/cgroup", "4:memory:/docker/abc\n3:cpu,cpuacct:/\n0::/\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000000\n"),
        ("sys/fs/cgroup/memory/memory.usage_in_bytes", "700000000\n"),
        ("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 100000000\n"),
        ("sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"),
        ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
        ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/unified/cgroup.procs", "\n"),
    ]);
    let reading = host.read();
    assert_eq!(reading.memory, Some(Memory { limit: 1_000_000_000, available: 400_000_000 }));
    assert_eq!(reading.killed, Some(7));
    assert!(reading.processors.is_some());
}

#[test]
fn this_very_machine_can_be_read() {
    let reading = ThisHost::below(Path::new("/")).read();
    assert!(reading.memory.is_some_and(|memory| memory.limit > 0 && memory.available <= memory.limit), "{reading:?}");
    assert!(reading.processors.is_some());
    assert!(usable_processors() >= 1);
}

proptest! {
    #[test]
    fn any_files_are_read_or_left_out(texts in prop::collection::vec("(\\PC|\n|[a-z0-9=. ]){0,60}", 8)) {
        let names = [
            "proc/meminfo", "proc/stat", "proc/self/cgroup", "proc/pressure/cpu", "proc/pressure/memory",
            "sys/fs/cgroup/memory.max", "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/cpu.stat",
        ];
        let files: Vec<(&str, &str)> = names.into_iter().zip(texts.iter().map(String::as_str)).collect();
        let (_directory, host) = machine(&files);
        let reading = host.read();
        let _ = (reading.busy_since(&reading), reading.memory.map(|memory| memory.left()));
    }
}
