//! The defects that are planted: `defects.toml`, each a piece of text that is replaced by another in one file.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// All defects.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    defect: Vec<Defect>,
}

/// One defect.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Defect {
    /// What it is called.
    pub(crate) name: String,
    /// The promise that it should break.
    pub(crate) breaks: String,
    /// What it does, and why somebody might make such a mistake.
    pub(crate) why: String,
    /// The file that it is in, from the root of the repository.
    pub(crate) file: PathBuf,
    /// What is replaced; it occurs once in the file.
    find: String,
    /// By what.
    replace: String,
    /// The unit tests, of the crate that the file is in, that must find it, by a part of their names; `None`: the simulations.
    #[serde(default)]
    tests: Option<String>,
}

/// The repository that this program was built from.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the manifest is in a directory of the repository")
}

/// Reads the defects.
pub(crate) fn read() -> anyhow::Result<Vec<Defect>> {
    let path = root().join("xtask/defects.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let defects = toml::from_str::<File>(&text).with_context(|| format!("{} is no list of defects", path.display()))?;
    Ok(defects.defect)
}

impl Defect {
    /// What must find it: unit tests, by their package and a part of their names; `None`: the simulations.
    ///
    /// # Errors
    /// If there are to be tests, and its file is in no crate.
    pub(crate) fn way(&self) -> anyhow::Result<Option<(&str, &str)>> {
        self.tests.as_deref().map(|filter| Ok((self.package()?, filter))).transpose()
    }

    fn package(&self) -> anyhow::Result<&str> {
        let mut parts = self.file.iter().filter_map(|part| part.to_str());
        match (parts.next(), parts.next()) {
            (Some("crates"), Some(package)) => Ok(package),
            _ => bail!("the defect {} is in no crate: {}", self.name, self.file.display()),
        }
    }

    /// The file with the defect in it.
    ///
    /// # Errors
    /// If the text that it replaces is not there exactly once: the code has changed, and the defect must be adapted.
    pub(crate) fn plant(&self, text: &str) -> anyhow::Result<String> {
        let Defect { name, find, replace, .. } = self;
        let file = self.file.display();
        match text.matches(find.as_str()).count() {
            1 => {}
            0 => bail!("the defect {name} no longer fits: what it replaces is not in {file} any more"),
            times => bail!("the defect {name} no longer fits: what it replaces is {times} times in {file}"),
        }
        ensure!(find != replace, "the defect {name} changes nothing");
        Ok(text.replacen(find.as_str(), replace, 1))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn defect(find: &str, replace: &str) -> Defect {
        Defect {
            name: "example".to_owned(),
            breaks: "S1".to_owned(),
            why: "an example".to_owned(),
            file: PathBuf::from("some.rs"),
            find: find.to_owned(),
            replace: replace.to_owned(),
            tests: None,
        }
    }

    #[test]
    fn every_defect_still_fits() {
        for defect in read().expect("the defects can be read") {
            let path = root().join(&defect.file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            if let Err(why) = defect.plant(&text) {
                panic!("{why}");
            }
            if let Err(why) = defect.way() {
                panic!("{why}");
            }
        }
    }

    #[test]
    fn no_defect_is_called_like_another_and_there_are_enough() {
        let defects = read().expect("the defects can be read");
        let names: BTreeSet<_> = defects.iter().map(|defect| &defect.name).collect();
        assert_eq!(names.len(), defects.len());
        assert!(names.len() >= 20, "only {}", names.len());
    }

    #[test]
    fn a_defect_that_does_not_fit_says_so() {
        assert_eq!(defect("b", "x").plant("abc").unwrap(), "axc");
        let why = |find, text| defect(find, "x").plant(text).unwrap_err().to_string();
        assert!(why("b", "ac").contains("not in some.rs any more"));
        assert!(why("b", "abba").contains("2 times"));
        assert!(defect("b", "b").plant("abc").unwrap_err().to_string().contains("nothing"));
    }
}
