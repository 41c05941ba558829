//! Files as documents: every regular file of a real tree, and what a user would expect of all else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use evenkeel_tests::Scratch;

/// A tree of files with all that makes names difficult. Returns those that are documents.
fn tree(scratch: &Scratch) -> Vec<OsString> {
    let mut names: Vec<OsString> = Vec::new();
    for number in 0..120_usize {
        let name = format!("tree/part {}/deep/{number}.txt", number % 7);
        scratch.file(&name, "x".repeat(number * number * 7));
        names.push(name.into());
    }
    let odd: [&[u8]; 7] =
        [b"empty", b"two  spaces", b"new\nline", b"quote'\"$(x)", b"--help", b"{}", b"not \xff text \xc3"];
    for name in odd {
        let name = OsStr::from_bytes(&[b"tree/", name].concat()).to_owned();
        scratch.file(&name, name.as_bytes());
        names.push(name);
    }
    scratch.file("tree/.hidden", "hidden");
    scratch.file("tree/.hidden-directory/file", "hidden");
    let tree = scratch.path().join("tree");
    std::fs::create_dir(tree.join("empty directory")).expect("a new directory");
    symlink("empty", tree.join("link")).expect("a new link");
    names.push("tree/link".into());
    symlink("nowhere", tree.join("broken")).expect("a new link");
    rustix::fs::mknodat(rustix::fs::CWD, tree.join("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .expect("a new pipe");
    names
}

/// What `sha256sum` itself writes.
fn sha256sum(scratch: &Scratch, name: &OsStr) -> Vec<u8> {
    let output = Command::new("sha256sum").arg("--").arg(name).current_dir(scratch.path()).output().expect("sha256sum");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[test]
fn every_regular_file_is_summed_as_sha256sum_does() {
    let scratch = Scratch::new();
    let names = tree(&scratch);
    let command = ["run", "--nodes", "4", "--files", "tree/**", "--results", "sums", "--", "sha256sum", "--", "{}"];
    let ended = scratch.call(command).with(0);

    let mut expected: Vec<Vec<u8>> = names.iter().map(|name| sha256sum(&scratch, name)).collect();
    expected.sort_unstable();
    assert_eq!(ended.sorted(), expected);
    let mut filed: Vec<Vec<u8>> = std::fs::read_dir(scratch.path().join("sums"))
        .expect("the results are there")
        .map(|entry| entry.expect("a directory can be read").path())
        .filter(|path| path.extension() == Some(OsStr::new("out")))
        .map(|path| std::fs::read(path).expect("a result can be read"))
        .collect();
    filed.sort_unstable();
    assert_eq!(filed, expected);

    let said = &ended.stderr;
    // Seven with parts in two levels, and the empty one.
    assert!(said.contains("skipped 15 directories, 1 socket, pipe or device, 1 broken symbolic link"), "{said}");
    assert!(said.contains(&format!("{} documents: {} done", names.len(), names.len())), "{said}");
    assert_eq!(scratch.left_behind(), [] as [std::path::PathBuf; 0]);
}

#[test]
fn longer_files_start_first() {
    let scratch = Scratch::new();
    for size in [3, 1, 4, 5, 9, 2, 6] {
        scratch.file(format!("f/{size}"), "x".repeat(size * 1000));
    }
    let ended = scratch.call(["run", "-j", "1", "--files", "f/*", "--", "basename", "{}"]).with(0);
    assert_eq!(ended.text(), "9\n6\n5\n4\n3\n2\n1\n");
}

#[test]
fn an_unreadable_file_is_named_and_the_others_are_done() {
    if rustix::process::geteuid().is_root() {
        // Nothing is unreadable to root.
        return;
    }
    let scratch = Scratch::new();
    scratch.file("d/open", "1");
    let closed = scratch.file("d/closed", "2");
    std::fs::set_permissions(&closed, Permissions::from_mode(0o0)).expect("an own file");
    let ended = scratch.call(["run", "--files", "d/*", "--", "cat", "{}"]).with(1);
    assert_eq!(ended.text(), "1");
    assert!(ended.stderr.contains("d/closed: permission denied; skipped"), "{}", ended.stderr);
}

#[test]
fn hidden_files_are_asked_for_by_their_dot() {
    let scratch = Scratch::new();
    for name in ["d/.a", "d/b", "d/.c/e", "d/.c/.f"] {
        scratch.file(name, name);
    }
    let expected: BTreeMap<&str, &[&[u8]]> = BTreeMap::from([
        ("d/**", &[b"d/b\n" as &[u8]] as &[&[u8]]),
        ("d/.*", &[b"d/.a\n"]),
        ("d/.c/**", &[b"d/.c/e\n"]),
        ("d/{b,.c/.f}", &[b"d/.c/.f\n", b"d/b\n"]),
    ]);
    for (pattern, names) in expected {
        let ended = scratch.call(["run", "--files", pattern, "--", "echo", "{}"]).with(0);
        assert_eq!(ended.sorted(), names, "{pattern}");
    }
}
