//! Where settings come from, and how they are laid over each other: defaults < file < environment < flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::keys::{self, Key};
use super::problem::{Origin, Problem, Problems};
use super::value::Value;
use super::{Config, Credentials, file};

/// Environment variable that holds the cluster's secret itself, instead of a file.
pub const SECRET_VARIABLE: &str = "EVENKEEL_SECRET";

/// Environment variable that holds the token of the HTTP API itself, instead of a file.
pub const TOKEN_VARIABLE: &str = "EVENKEEL_TOKEN";

/// `EVENKEEL_SECTION__KEY`.
const PREFIX: &str = "EVENKEEL_";
const SEPARATOR: &str = "__";

/// One value for one key.
pub(super) struct Setting {
    pub(super) key: &'static Key,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// What the command line sets. Flags that were not given are not set.
#[derive(Debug, Clone, Default)]
pub struct Flags(Vec<(&'static str, &'static str, String)>);

impl Flags {
    /// No flags.
    pub fn new() -> Flags {
        Flags::default()
    }

    /// Sets `key` (`node.max_process`) to what was given with `flag` (`--max-process`). Lists are separated by commas.
    ///
    /// # Panics
    /// If there is no such key.
    pub fn set(&mut self, key: &'static str, flag: &'static str, value: impl Into<String>) -> &mut Flags {
        assert!(keys::find(key).is_some(), "{flag} sets {key}, which is no key");
        self.0.push((key, flag, value.into()));
        self
    }

    /// The same if the flag was given.
    pub fn set_some(&mut self, key: &'static str, flag: &'static str, value: Option<impl Into<String>>) -> &mut Flags {
        if let Some(value) = value {
            self.set(key, flag, value);
        }
        self
    }
}

/// Everything that a configuration is made of.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// The environment: all variables, of which those that begin with `EVENKEEL_` and hold `__` are settings.
    pub environment: Vec<(OsString, OsString)>,
    /// The command line.
    pub flags: Flags,
}

/// A configuration and where each of its values comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    origins: BTreeMap<&'static str, Origin>,
}

impl Loaded {
    /// Where the value of this key comes from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }
}

impl Sources {
    /// This file, this process's environment, and these flags.
    pub fn of_process(file: Option<PathBuf>, flags: Flags) -> Sources {
        Sources { file, environment: std::env::vars_os().collect(), flags }
    }

    /// Lays the sources over each other and checks the outcome.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first thing.
    pub fn load(&self) -> Result<Loaded, Problems> {
        let mut problems = Vec::new();
        let mut settings = Vec::new();
        if let Some(path) = &self.file {
            file::read(path, &mut settings, &mut problems);
        }
        self.read_environment(&mut settings, &mut problems);
        self.read_flags(&mut settings);

        let mut loaded = Loaded { config: Config::default(), origins: BTreeMap::new() };
        for Setting { key, value, origin } in settings {
            match (key.set)(&mut loaded.config, &value) {
                Ok(()) => {
                    loaded.origins.insert(key.name, origin);
                }
                Err(message) => problems.push(Problem { origin, key: Some(key.name.to_owned()), message }),
            }
        }
        let given = |variable: &str| self.environment.iter().any(|(name, value)| name == variable && !value.is_empty());
        let credentials = Credentials { secret: given(SECRET_VARIABLE), token: given(TOKEN_VARIABLE) };
        let refused = loaded.config.check(credentials).into_iter().map(|(key, message)| Problem {
            origin: blamed(&loaded, key, &message),
            key: Some(key.to_owned()),
            message,
        });
        problems.extend(refused);
        if problems.is_empty() { Ok(loaded) } else { Err(Problems(problems)) }
    }

    fn read_environment(&self, settings: &mut Vec<Setting>, problems: &mut Vec<Problem>) {
        for (variable, value) in &self.environment {
            let Some(variable) = variable.to_str() else { continue };
            let Some((section, field)) = variable.strip_prefix(PREFIX).and_then(|name| name.split_once(SEPARATOR))
            else {
                continue;
            };
            let name = format!("{section}.{field}").to_ascii_lowercase();
            let origin = Origin::Environment { variable: variable.to_owned() };
            match (keys::find(&name), value.to_str()) {
                (None, _) => problems.push(unknown_variable(&name, origin)),
                (Some(key), Some(value)) => {
                    settings.push(Setting { key, value: Value::Word(value.to_owned()), origin })
                }
                (Some(key), None) => {
                    let message = "the value is not UTF-8".to_owned();
                    problems.push(Problem { origin, key: Some(key.name.to_owned()), message });
                }
            }
        }
    }

    fn read_flags(&self, settings: &mut Vec<Setting>) {
        settings.extend(self.flags.0.iter().filter_map(|(name, flag, value)| {
            let key = keys::find(name)?;
            Some(Setting { key, value: Value::Word(value.clone()), origin: Origin::Flag { flag } })
        }));
    }
}

fn unknown_variable(name: &str, origin: Origin) -> Problem {
    match keys::nearest(name) {
        Some(nearest) => {
            let variable = format!("{PREFIX}{}", nearest.replace('.', SEPARATOR).to_ascii_uppercase());
            Problem { origin, key: None, message: format!("there is no key {name}; did you mean {variable}?") }
        }
        None => file::unknown(name, origin),
    }
}

/// Where to look for what makes a key wrong: where it was set or, if it has its default, where another key was that the
/// message names.
fn blamed(loaded: &Loaded, key: &str, message: &str) -> Origin {
    let named = |other: &&keys::Key| message.split([' ', ',', ';', ':']).any(|word| word == other.name);
    let own = loaded.origin(key);
    if own != Origin::Default {
        return own;
    }
    let others = keys::KEYS.iter().filter(named).map(|other| loaded.origin(other.name));
    others.into_iter().find(|origin| *origin != Origin::Default).unwrap_or(own)
}
