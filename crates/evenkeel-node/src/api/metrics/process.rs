//! The node as a process of its host, under the names that Prometheus' own clients have for it: what it runs is not in it.

use std::time::Duration;

use super::text::Text;

/// What the system tells of this process. What it does not tell is left out.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Process {
    /// Time on processors, in the program and in the system.
    pub cpu: Option<Duration>,
    /// Memory that is in use and not swapped out.
    pub resident_bytes: Option<u64>,
    /// Address space.
    pub virtual_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// File descriptors in use.
    pub open_files: Option<u64>,
    /// Most file descriptors that it may have.
    pub max_files: Option<u64>,
    /// Seconds since 1970 at which it was started.
    pub started: Option<f64>,
}

impl Process {
    /// This process, now.
    pub fn read() -> Process {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let boot = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        Process {
            open_files: std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
            max_files: limit.current,
            ..Process::parse(&stat, &boot, rustix::param::clock_ticks_per_second(), rustix::param::page_size() as u64)
        }
    }

    /// From what proc(5) calls `/proc/self/stat` and `/proc/stat`.
    fn parse(stat: &str, boot: &str, ticks: u64, page: u64) -> Process {
        // The program's name stands in brackets, and may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace().collect();
        // proc(5) counts from 1, and the first of these is its third.
        let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<u64>().ok());
        let seconds = |field: Option<u64>| field.map(|field| field as f64 / ticks as f64);
        let booted = boot.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok());
        let cpu = field(14).zip(field(15)).map(|(user, system)| user + system);
        Process {
            cpu: seconds(cpu).map(Duration::from_secs_f64),
            threads: field(20),
            started: seconds(field(22)).zip(booted).map(|(since, booted)| booted + since),
            virtual_bytes: field(23),
            resident_bytes: field(24).map(|pages| pages * page),
            ..Process::default()
        }
    }

    pub(super) fn write(&self, out: &mut Text) {
        if let Some(cpu) = self.cpu {
            let help = "Time of this node on processors, without the documents that it runs.";
            out.counter("process_cpu_seconds_total", help, cpu.as_secs_f64());
        }
        let gauges = [
            ("process_resident_memory_bytes", "Memory of this node.", self.resident_bytes),
            ("process_virtual_memory_bytes", "Address space of this node.", self.virtual_bytes),
            ("process_threads", "Threads of this node.", self.threads),
            ("process_open_fds", "File descriptors of this node.", self.open_files),
            ("process_max_fds", "Most file descriptors that this node may have.", self.max_files),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                out.gauge(name, help, value);
            }
        }
        if let Some(started) = self.started {
            out.gauge("process_start_time_seconds", "Seconds since 1970 at which this node was started.", started);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_of_this_process() {
        let process = Process::read();
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{process:?}");
        assert!(process.virtual_bytes > process.resident_bytes, "{process:?}");
        assert!(process.threads.is_some_and(|threads| threads >= 1), "{process:?}");
        assert!(process.open_files.is_some_and(|files| files >= 3) && process.max_files >= process.open_files);
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs_f64();
        assert!(process.started.is_some_and(|started| (now - 3_600.0..now + 2.0).contains(&started)), "{process:?}");
    }

    #[test]
    fn the_name_of_the_program_may_be_anything_and_what_is_missing_is_left_out() {
        let tail = (3..=24).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        let process = Process::parse(&format!("7 (a ) (b) {tail} 25"), "cpu 1\nbtime 1000\n", 100, 4_096);
        assert_eq!(process.cpu, Some(Duration::from_millis(290)));
        assert_eq!((process.threads, process.virtual_bytes), (Some(20), Some(23)));
        assert_eq!((process.resident_bytes, process.started), (Some(24 * 4_096), Some(1000.22)));
        for nonsense in ["", "7 (a", "7 (a) x y", ")"] {
            assert_eq!(Process::parse(nonsense, "", 100, 4_096), Process::default(), "{nonsense:?}");
        }
    }
}
