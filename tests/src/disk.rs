//! A small disk that really fills up: a file system in memory that only one node sees, and that goes with it.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use rustix::fs::statvfs;

use crate::program::command_of;

/// Mounts the disk, and becomes the node: its process is the one that was started. `$1`: bytes, `$2`: where.
const SCRIPT: &str = "mount -t tmpfs -o size=\"$1\" evenkeel \"$2\" && shift 2 && exec \"$@\"";

/// A piece of what fills it up.
const PIECE: usize = 256 << 10;

/// A disk of so many bytes.
#[derive(Debug, Clone, Copy)]
pub struct Disk(pub u64);

impl Disk {
    /// What starts a program, whose call is to be added, with the disk in place of this directory.
    ///
    /// # Panics
    /// If this system lets nobody mount anything.
    pub(crate) fn command(self, place: &Path) -> Command {
        std::fs::create_dir_all(place).expect("a temporary directory can be written");
        let works = |ways: &[&str]| {
            Command::new("unshare").args(ways).args(["mount", "-t", "tmpfs", "evenkeel"]).arg(place).output()
        };
        // In a user namespace anybody may mount; where there are none, root may.
        let ways = [["--user", "--map-root-user", "--mount"].as_slice(), ["--mount"].as_slice()];
        let mut refusals = Vec::new();
        for way in ways {
            match works(way) {
                Ok(output) if output.status.success() => {
                    let mut command = command_of("unshare", way);
                    command.args(["sh", "-c", SCRIPT, "sh", &self.0.to_string()]).arg(place);
                    return command;
                }
                Ok(output) => refusals.push(String::from_utf8_lossy(&output.stderr).into_owned()),
                Err(error) => refusals.push(format!("unshare: {error}")),
            }
        }
        panic!("this test mounts a tmpfs in a namespace: let it make user namespaces, or run it as root: {refusals:?}");
    }
}

/// A file that takes room on a disk until it is dropped.
#[derive(Debug)]
pub struct Filler(std::path::PathBuf);

impl Filler {
    /// Leaves so many bytes free in this directory, or as few as can be.
    pub fn leaving(free: u64, directory: &Path) -> Filler {
        let filler = Filler(directory.join("filler"));
        let mut file = std::fs::File::create(&filler.0).expect("a node's directory can be written");
        let piece = vec![7; PIECE];
        loop {
            let stat = statvfs(directory).expect("a disk tells how full it is");
            let left = (stat.f_bavail * stat.f_frsize).saturating_sub(free);
            let next = (left as usize).min(PIECE);
            // The last bytes may be somebody else's by now.
            if next == 0 || file.write_all(&piece[..next]).is_err() {
                return filler;
            }
        }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // It goes with its disk, which may be gone.
        let _ = std::fs::remove_file(&self.0);
    }
}
