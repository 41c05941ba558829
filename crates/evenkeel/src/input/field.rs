//! Finds one field of a JSON object without building the object.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Checks that `json` is one JSON value, and finds the text of the field `path` in it.
///
/// `path` is a field's name, or names from the outside in, joined by dots; where a name itself has dots, the longest name
/// that fits wins. `None` if the value is no object or has no such field.
pub(super) fn find(json: &str, path: Option<&str>) -> Result<Option<String>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let found = Seek { path }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(found)
}

/// Looks for a path in whatever value comes.
#[derive(Clone, Copy)]
struct Seek<'p> {
    path: Option<&'p str>,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.path {
            Some(_) => deserializer.deserialize_any(self),
            // Skipping checks the syntax too, and does not recurse.
            None => deserializer.deserialize_ignored_any(IgnoredAny).map(|_| None),
        }
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut whole = None;
        let mut nested = None;
        while let Some(key) = map.next_key::<String>()? {
            match self.path.and_then(|path| path.strip_prefix(key.as_str())) {
                Some("") => whole = Some(map.next_value::<Box<RawValue>>()?.get().to_owned()),
                Some(rest) if rest.starts_with('.') => {
                    let found = map.next_value_seed(Seek { path: Some(&rest[1..]) })?;
                    nested = found.or(nested);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(whole.or(nested))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(json: &str, path: &str) -> Option<String> {
        find(json, Some(path)).expect("valid JSON")
    }

    #[test]
    fn fields_are_found_by_name_by_path_and_by_dotted_name() {
        assert_eq!(found(r#"{"a":1,"pages":12}"#, "pages"), Some("12".into()));
        assert_eq!(found(r#"{"size":{"bytes":7,"x":[1,{"bytes":9}]}}"#, "size.bytes"), Some("7".into()));
        assert_eq!(found(r#"{"size.bytes":3,"size":{"bytes":7}}"#, "size.bytes"), Some("3".into()));
        assert_eq!(found(r#"{"a.b":{"c":1}}"#, "a.b.c"), Some("1".into()));
        assert_eq!(found(r#"{"pages":18446744073709551616}"#, "pages"), Some("18446744073709551616".into()));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for json in ["{}", "[]", "1", "null", "true", "\"pages\"", r#"{"size":3}"#, r#"[{"pages":1}]"#] {
            assert_eq!(found(json, "pages"), None, "{json}");
            assert_eq!(found(json, "size.pages"), None, "{json}");
        }
    }

    #[test]
    fn broken_json_is_refused_wherever_it_breaks() {
        for json in ["", "{", r#"{"pages":}"#, r#"{"pages":1}x"#, r#"{"pages":1 "b":2}"#, "{\"a\":\"\u{1}\"}", "NaN"] {
            assert!(find(json, Some("pages")).is_err(), "{json}");
            assert!(find(json, None).is_err(), "{json}");
        }
    }

    #[test]
    fn depth_does_not_overflow_the_stack() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let _ = find(&deep, None);
        let _ = find(&deep, Some("a"));
        let deep = "{\"a\":".repeat(200_000);
        let _ = find(&deep, Some(&vec!["a"; 200_000].join(".")));
    }

    proptest! {
        #[test]
        fn any_text_is_json_or_refused(text in "[{}\\[\\]a:\",0-9.e]{0,20}|\\PC{0,20}", path in "[a.]{0,5}") {
            let _ = find(&text, Some(&path));
            let _ = find(&text, None);
        }

        #[test]
        fn a_field_that_was_written_is_read(name in "[^.]{1,8}", number: u64, other in "[a-z]{1,4}") {
            prop_assume!(name != other);
            let json = serde_json::json!({ &other: [1], &name: number }).to_string();
            prop_assert_eq!(found(&json, &name), Some(number.to_string()));
        }
    }
}
