//! Words as a person would type them in a shell.

use std::os::unix::ffi::OsStrExt;

/// Joins words with spaces, each quoted if a POSIX shell would not take it literally.
pub fn join<W: AsRef<std::ffi::OsStr>>(words: impl IntoIterator<Item = W>) -> Vec<u8> {
    let mut line = Vec::new();
    for (place, word) in words.into_iter().enumerate() {
        if place > 0 {
            line.push(b' ');
        }
        quote(word.as_ref().as_bytes(), &mut line);
    }
    line
}

fn quote(word: &[u8], line: &mut Vec<u8>) {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(byte) || !byte.is_ascii();
    if !word.is_empty() && word.iter().all(plain) {
        line.extend_from_slice(word);
        return;
    }
    line.push(b'\'');
    for byte in word {
        match byte {
            b'\'' => line.extend_from_slice(b"'\\''"),
            _ => line.push(*byte),
        }
    }
    line.push(b'\'');
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_words_stay_plain() {
        assert_eq!(join(["sha256sum", "a/b.txt", "-j4"]), b"sha256sum a/b.txt -j4");
        assert_eq!(join(["echo", "", "a b", "it's", "{}"]), b"echo '' 'a b' 'it'\\''s' '{}'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        #[test]
        fn a_shell_reads_the_same_words(words in prop::collection::vec(prop::collection::vec(1u8.., 0..12), 1..6)) {
            let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
            let mut script = b"printf '%s\\0' ".to_vec();
            script.extend(join(&words));
            let output = Command::new("sh").arg("-c").arg(OsString::from_vec(script)).output().unwrap();
            let expected: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
            prop_assert_eq!(output.stdout, expected);
        }
    }
}
