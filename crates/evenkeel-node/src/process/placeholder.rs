//! Finds the placeholders in one argument of a command.
//!
//! Only `{}`, `{n}` and `{.name}` are placeholders. Braces are common in what commands are given (shell, awk, regular
//! expressions, JSON, Go templates), so everything else is left exactly as it is:
//!
//! - anything after `$` or `@` (`${n}`, `@{u}`), and any run of two or more braces (`{{.Name}}`);
//! - a name after `%` or `#` (`%{http_code}`, `#{x}`), where placeholders of ours are as good as elsewhere (`issue #{n}`);
//! - anything that holds more than a name (`{print $1}`, `{1..3}`, `{a,b}`, `{"a": 1}`, `[0-9]{4}`).
//!
//! What looks like a placeholder of ours with a slip (`{field}`, `{ }`) or of GNU parallel (`{#}`, `{/.}`, `{1}`) is refused,
//! for it would otherwise be passed on as text to every document. A backslash right before makes it text: `\{}`
//! gives `{}`, and `\\{}` a backslash and the payload. Other backslashes are left alone.

/// A part of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text as it is.
    Text(String),
    /// `{}`: the payload.
    Payload,
    /// `{n}`: the number of the document in its batch.
    Number,
    /// `{.name}`: a field of the payload.
    Field(String),
}

/// Something in braces that is not a placeholder but must have been meant as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    /// The text between the braces.
    pub(super) inside: String,
    /// The placeholder that was probably meant.
    pub(super) meant: Option<String>,
}

enum Kind {
    Known(Piece),
    Unknown(Unknown),
    Text,
}

/// Splits an argument into its pieces. Adjacent text is one piece; an empty argument has none.
pub(super) fn pieces(argument: &str) -> Result<Vec<Piece>, Unknown> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = argument;
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        let braces = rest[open..].len() - rest[open..].trim_start_matches('{').len();
        rest = &rest[open + braces..];
        let inside =
            rest.find(['{', '}']).filter(|&end| braces == 1 && rest.as_bytes()[end] == b'}').map(|end| &rest[..end]);
        let before = text.trim_end_matches('\\');
        let backslashes = text.len() - before.len();
        let kind = inside.map_or(Kind::Text, |inside| kind(inside, preceding(before, &pieces)));
        if matches!(kind, Kind::Text) {
            text.extend(std::iter::repeat_n('{', braces));
            continue;
        }
        let inside = inside.unwrap_or_default();
        rest = &rest[inside.len() + 1..];
        text.truncate(text.len() - backslashes.div_ceil(2));
        match kind {
            Kind::Known(_) | Kind::Unknown(_) if backslashes % 2 == 1 => {
                text.push('{');
                text.push_str(inside);
                text.push('}');
            }
            Kind::Known(piece) => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(piece);
            }
            Kind::Unknown(unknown) => return Err(unknown),
            Kind::Text => {}
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// The character before a brace, backslashes aside. A placeholder counts as a letter, which its value may end in.
fn preceding(before: &str, pieces: &[Piece]) -> Option<char> {
    before.chars().next_back().or(if pieces.is_empty() { None } else { Some('x') })
}

fn kind(inside: &str, preceding: Option<char>) -> Kind {
    if matches!(preceding, Some('$' | '@')) {
        return Kind::Text;
    }
    let unknown = |meant: Option<String>| Kind::Unknown(Unknown { inside: inside.to_owned(), meant });
    match inside {
        "" => return Kind::Known(Piece::Payload),
        "n" => return Kind::Known(Piece::Number),
        "N" | "#" => return unknown(Some("{n}".to_owned())),
        "." => return unknown(None),
        blank if blank.trim().is_empty() => return unknown(Some("{}".to_owned())),
        // Statements of awk that stand alone, as in `awk '/x/{print}'`.
        "print" | "next" | "nextfile" | "exit" | "getline" => return Kind::Text,
        _ => {}
    }
    if let Some(name) = inside.strip_prefix('.').filter(|name| is_field(name)) {
        return Kind::Known(Piece::Field(name.to_owned()));
    }
    if inside.bytes().all(|byte| b"#%/.+".contains(&byte)) {
        return unknown(None);
    }
    if inside.bytes().all(|byte| byte.is_ascii_digit()) {
        // `{2}` after an atom is how regular expressions count; elsewhere it is GNU parallel's second source.
        let apart = preceding.is_none_or(|before| before.is_whitespace() || "/=,:-_\"'".contains(before));
        return if apart { unknown(None) } else { Kind::Text };
    }
    // As curl, rpm and Ruby write their own.
    if matches!(preceding, Some('%' | '#')) {
        return Kind::Text;
    }
    if is_identifier(inside) { unknown(Some(format!("{{.{inside}}}"))) } else { Kind::Text }
}

/// Whether this can name a field in a placeholder. Headers of CSV have spaces and signs in them; what begins or
/// ends otherwise, or holds quotes or lines, is somebody else's syntax.
fn is_field(name: &str) -> bool {
    let word = |letter: char| letter.is_alphanumeric() || letter == '_';
    name.starts_with(word)
        && !name.ends_with(char::is_whitespace)
        && !name.contains(|letter: char| letter.is_control() || "\"'`\\$;|<>[]".contains(letter))
}

/// Names, also with dots: what one writes when one means a field and forgets the first dot.
fn is_identifier(text: &str) -> bool {
    text.split('.').all(|part| {
        part.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
            && part.chars().all(|letter| letter.is_alphanumeric() || "_-".contains(letter))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn placeholders_are_found() {
        assert_eq!(pieces("{}").unwrap(), [Piece::Payload]);
        assert_eq!(pieces("a{n}b{}").unwrap(), [text("a"), Piece::Number, text("b"), Piece::Payload]);
        assert_eq!(pieces("{.x}{.a.b}").unwrap(), [Piece::Field("x".into()), Piece::Field("a.b".into())]);
        assert_eq!(pieces("{.First name}").unwrap(), [Piece::Field("First name".into())]);
        assert_eq!(pieces("#{n}%{}").unwrap(), [text("#"), Piece::Number, text("%"), Piece::Payload]);
        assert_eq!(pieces(r#"{"id":{n}}"#).unwrap(), [text(r#"{"id":"#), Piece::Number, text("}")]);
        assert_eq!(pieces("").unwrap(), []);
    }

    #[test]
    fn usual_text_is_left_alone() {
        for usual in [
            "{print $1}",
            "{ print }",
            "/x/{print}",
            "${HOME}",
            "${n}",
            "${}",
            "@{u}",
            "%{http_code}\\n",
            "#{x}",
            "HEAD@{1}",
            "{1..3}",
            "{a,b}",
            r#"{"a": 1}"#,
            "{ n; }",
            "{{.Name}}",
            "{{}}",
            "{{n}}",
            "[0-9]{4}",
            r"a\{2\}",
            "x{1,2}",
            "f(){ :; }",
            "{",
            "}",
            "{a",
            "a}",
            "{./run.sh}",
            "{.[0]}",
            "{\"x\"}",
            r"a\b",
            r"\\",
            r"\{ x }",
        ] {
            assert_eq!(pieces(usual), Ok(vec![text(usual)]), "{usual}");
        }
    }

    #[test]
    fn what_must_have_been_meant_as_a_placeholder_is_refused() {
        for (slip, meant) in [
            ("{field}", Some("{.field}")),
            ("{p}", Some("{.p}")),
            ("{ }", Some("{}")),
            ("a={user.name}", Some("{.user.name}")),
            ("{N}", Some("{n}")),
            ("{#}", Some("{n}")),
            ("{/}", None),
            ("{.}", None),
            ("{/.}", None),
            ("{//}", None),
            ("{%}", None),
            ("{1}", None),
            ("out/{2}", None),
        ] {
            assert_eq!(pieces(slip).unwrap_err().meant.as_deref(), meant, "{slip}");
        }
    }

    #[test]
    fn a_backslash_makes_text() {
        assert_eq!(pieces(r"\{}").unwrap(), [text("{}")]);
        assert_eq!(pieces(r"\{field}").unwrap(), [text("{field}")]);
        assert_eq!(pieces(r"\{1}").unwrap(), [text("{1}")]);
        assert_eq!(pieces(r"\\{}").unwrap(), [text(r"\"), Piece::Payload]);
        assert_eq!(pieces(r"\\\{.a}{n}").unwrap(), [text(r"\{.a}"), Piece::Number]);
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(text in "[{}.nab1$@\\\\# é]{0,24}") {
            let _ = pieces(&text);
        }

        #[test]
        fn text_without_braces_is_one_piece(words in "[^{]{1,40}") {
            prop_assert_eq!(pieces(&words), Ok(vec![text(&words)]));
        }

        /// Nothing but backslashes before placeholders is ever lost.
        #[test]
        fn pieces_add_up_to_the_argument(argument in "[{}.na\\\\ $]{0,24}") {
            if let Ok(pieces) = pieces(&argument) {
                let whole: String = pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Payload => "{}".to_owned(),
                    Piece::Number => "{n}".to_owned(),
                    Piece::Field(name) => format!("{{.{name}}}"),
                }).collect();
                let bare = |text: &str| text.replace('\\', "");
                prop_assert_eq!(bare(&whole), bare(&argument));
            }
        }
    }
}
