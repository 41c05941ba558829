//! Reads the configuration file into single settings, each with its line.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::keys;
use super::problem::{Origin, Problem, WHOLE};
use super::sources::Setting;
use super::value::Value;

/// Largest file that is read: the example has a few kilobytes.
const LARGEST: u64 = 1 << 20;

/// What the file at `path` sets, and what is wrong with it.
pub(super) fn read(path: &Path, settings: &mut Vec<Setting>, problems: &mut Vec<Problem>) {
    let origin = |line| Origin::File { path: path.to_owned(), line };
    let text = match text_of(path) {
        Ok(text) => text,
        Err(message) => return problems.push(Problem { origin: origin(WHOLE), key: None, message }),
    };
    let line_of = |offset: usize| text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1;
    let at = |offset: usize| origin(line_of(offset));

    let (table, errors) = DeTable::parse_recoverable(&text);
    problems.extend(errors.iter().map(|error| Problem {
        origin: at(error.span().map_or(0, |span| span.start)),
        key: None,
        message: format!("not TOML: {}", error.message().trim_end()),
    }));
    if !errors.is_empty() {
        // What the parser made of the rest is guesswork.
        return;
    }
    for (section, value) in table.get_ref() {
        let DeValue::Table(fields) = value.get_ref() else {
            problems.push(unknown(section.get_ref(), at(section.span().start)));
            continue;
        };
        if fields.is_empty() && !is_section(section.get_ref()) {
            problems.push(unknown(section.get_ref(), at(section.span().start)));
        }
        for (field, value) in fields {
            let name = format!("{}.{}", section.get_ref(), field.get_ref());
            let origin = at(field.span().start);
            match keys::find(&name) {
                Some(key) => settings.push(Setting { key, value: Value::from_toml(value.get_ref()), origin }),
                None => problems.push(unknown(&name, origin)),
            }
        }
    }
}

/// A key that does not exist, with the one that was probably meant.
pub(super) fn unknown(name: &str, origin: Origin) -> Problem {
    let message = match keys::nearest(name) {
        Some(nearest) => format!("unknown key; did you mean {nearest}?"),
        None => match name.split_once('.').filter(|(section, _)| is_section(section)) {
            Some((section, _)) => format!(
                "unknown key; [{section}] has {}",
                names(|key| { key.split_once('.').filter(|(its, _)| *its == section).map(|(_, field)| field) })
            ),
            None => format!(
                "unknown key; the sections are {}",
                names(|key| key.split_once('.').map(|(section, _)| section))
            ),
        },
    };
    Problem { origin, key: Some(name.to_owned()), message }
}

fn is_section(name: &str) -> bool {
    keys::KEYS.iter().any(|key| key.name.split_once('.').is_some_and(|(section, _)| section == name))
}

fn names(part: impl Fn(&'static str) -> Option<&'static str>) -> String {
    let mut names: Vec<&str> = keys::KEYS.iter().filter_map(|key| part(key.name)).collect();
    names.dedup();
    names.join(", ")
}

fn text_of(path: &Path) -> Result<String, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("cannot be read: {error}");
    let size = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if size > LARGEST {
        return Err(format!("has {size} bytes: this is not a configuration file"));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(&error))
}
