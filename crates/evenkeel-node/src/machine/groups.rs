//! The control groups of this process: directories with limits and counts, from its own up to that of all.

use std::path::{Path, PathBuf};

/// Directories of one controller, the narrowest first. Empty where there is none.
type Chain = Vec<PathBuf>;

/// See above. Version 2 has all controllers in one place, version 1 a place for each; many machines have both.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    pub(super) unified: Chain,
    pub(super) memory: Chain,
    pub(super) cpu: Chain,
    pub(super) cpuacct: Chain,
}

impl Groups {
    /// Those of this process, below this root.
    pub(super) fn of_process(root: &Path) -> Groups {
        let mounts = root.join("sys/fs/cgroup");
        let listed = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let mut groups = Groups::default();
        for (controllers, path) in listed.lines().filter_map(parts) {
            if controllers.is_empty() {
                // Beside version 1, version 2 is mounted in a directory of its own.
                let alone = chain(&mounts, path);
                groups.unified =
                    if mounts.join("unified").is_dir() { chain(&mounts.join("unified"), path) } else { alone };
            }
            for controller in controllers.split(',') {
                let place = match controller {
                    "memory" => &mut groups.memory,
                    "cpu" => &mut groups.cpu,
                    "cpuacct" => &mut groups.cpuacct,
                    _ => continue,
                };
                *place = chain(&mounts.join(controller), path);
            }
        }
        groups
    }
}

/// `4:memory:/a/b` is the number of a hierarchy, its controllers, and the group in it.
fn parts(line: &str) -> Option<(&str, &str)> {
    line.split_once(':')?.1.split_once(':')
}

/// The group's directory and those above it. In a container the names may be those that the host sees, and the group's own
/// directory is the mounted one.
fn chain(mount: &Path, path: &str) -> Chain {
    let own = mount.join(path.trim_start_matches('/'));
    let start = if own.is_dir() && own.starts_with(mount) { own } else { mount.to_owned() };
    start.ancestors().take_while(|place| place.starts_with(mount)).map(Path::to_owned).collect()
}

/// The text of a file in a group, if it is there.
pub(super) fn text(place: &Path, file: &str) -> Option<String> {
    std::fs::read_to_string(place.join(file)).ok()
}

/// The one number in a file of a group.
pub(super) fn number(place: &Path, file: &str) -> Option<u64> {
    text(place, file)?.trim().parse().ok()
}
