//! A copy of the repository that defects are planted in, so that what people work on is never touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use walkdir::WalkDir;

use crate::defects::Defect;

/// What is not copied: what is built, what is remembered, and what is planted.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

/// The copy.
pub(crate) struct Tree {
    from: PathBuf,
    to: PathBuf,
}

impl Tree {
    /// Copies a repository. Files that are there already and alike are left alone: cargo tells by their times what it has to
    /// build again.
    pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<Tree> {
        let tree = Tree { from: from.to_owned(), to: to.to_owned() };
        fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
        let wanted = files(from)?;
        for file in files(to)?.difference(&wanted) {
            fs::remove_file(to.join(file)).with_context(|| format!("cannot remove {}", to.join(file).display()))?;
        }
        for file in &wanted {
            let path = from.join(file);
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            write_if_other(&to.join(file), &bytes)?;
        }
        Ok(tree)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.to
    }

    /// Plants a defect in it.
    ///
    /// # Errors
    /// If the defect does not fit. Nothing was changed then.
    pub(crate) fn plant(&self, defect: &Defect) -> anyhow::Result<()> {
        let path = self.from.join(&defect.file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        write_if_other(&self.to.join(&defect.file), defect.plant(&text)?.as_bytes())
    }

    /// Takes the defect out again.
    pub(crate) fn mend(&self, defect: &Defect) -> anyhow::Result<()> {
        let path = self.from.join(&defect.file);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        write_if_other(&self.to.join(&defect.file), &bytes)
    }
}

/// Paths of all files below, from there.
fn files(root: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let is_left_out = |entry: &walkdir::DirEntry| {
        entry.depth() == 1 && LEFT_OUT.iter().any(|left_out| entry.file_name() == *left_out)
    };
    let mut files = BTreeSet::new();
    for entry in WalkDir::new(root).into_iter().filter_entry(|entry| !is_left_out(entry)) {
        let entry = entry.with_context(|| format!("cannot look into {}", root.display()))?;
        if entry.file_type().is_file() {
            files.insert(entry.path().strip_prefix(root).expect("it was found below").to_owned());
        }
    }
    Ok(files)
}

fn write_if_other(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|known| known == bytes) {
        return Ok(());
    }
    let directory = path.parent().expect("a file is in a directory");
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
