//! Braces in file patterns: `{a,b}` stands for `a` and for `b`, wherever it is and whatever is in it.

/// Most patterns that the braces of one may stand for.
const MOST_ALTERNATIVES: usize = 1_024;

/// Writes out the choices of `{a,b}`, nested ones included, in the order of a shell.
pub(super) fn expand(text: &str) -> Result<Vec<String>, String> {
    let mut finished = Vec::new();
    let mut waiting = vec![text.to_owned()];
    while let Some(text) = waiting.pop() {
        match first_group(&text)? {
            None => finished.push(text),
            Some(group) => {
                let (before, after) = (&text[..group.open], &text[group.close + 1..]);
                let mut choices: Vec<String> =
                    group.choices.iter().map(|choice| format!("{before}{choice}{after}")).collect();
                choices.reverse();
                waiting.append(&mut choices);
            }
        }
        if finished.len() + waiting.len() > MOST_ALTERNATIVES {
            return Err(format!("its braces stand for more than {MOST_ALTERNATIVES} patterns"));
        }
    }
    Ok(finished)
}

struct Group<'t> {
    open: usize,
    close: usize,
    choices: Vec<&'t str>,
}

/// The first outermost `{...}` that is neither escaped nor inside brackets.
fn first_group(text: &str) -> Result<Option<Group<'_>>, String> {
    let mut open = None;
    let mut depth = 0u32;
    let mut choice_begins = 0;
    let mut choices = Vec::new();
    let mut letters = text.char_indices();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            '[' => skip_class(&mut letters),
            '{' => {
                depth += 1;
                if depth == 1 {
                    open = Some(place);
                    choice_begins = place + 1;
                }
            }
            ',' if depth == 1 => {
                choices.push(&text[choice_begins..place]);
                choice_begins = place + 1;
            }
            '}' => match (depth, open) {
                (1, Some(open)) => {
                    choices.push(&text[choice_begins..place]);
                    return Ok(Some(Group { open, close: place, choices }));
                }
                (0, _) => return Err("a } without its {: escape it with a backslash".to_owned()),
                _ => depth -= 1,
            },
            _ => {}
        }
    }
    if depth > 0 { Err("a { without its }: escape it with a backslash".to_owned()) } else { Ok(None) }
}

/// Goes past a `[...]` if it ends; its first character is never its end.
fn skip_class(letters: &mut std::str::CharIndices<'_>) {
    let mut ahead = letters.clone();
    if let Some((_, '!' | '^')) = ahead.clone().next() {
        ahead.next();
    }
    ahead.next();
    while let Some((_, letter)) = ahead.next() {
        if letter == ']' {
            *letters = ahead;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_come_in_the_order_of_a_shell() {
        assert_eq!(expand("a").unwrap(), ["a"]);
        assert_eq!(expand("{a,b}{c,d}").unwrap(), ["ac", "ad", "bc", "bd"]);
        assert_eq!(expand("x{a,{b,c}d,}y").unwrap(), ["xay", "xbdy", "xcdy", "xy"]);
        assert_eq!(expand(r"\{a,b\}").unwrap(), [r"\{a,b\}"]);
        assert_eq!(expand("[{]a,b[}]").unwrap(), ["[{]a,b[}]"]);
    }
}
