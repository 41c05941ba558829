use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;

use super::*;

/// A file that holds `bytes`, as a place.
fn file(bytes: impl AsRef<[u8]>) -> (tempfile::TempDir, Place) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("input");
    std::fs::write(&path, bytes).unwrap();
    (directory, Place::File(path))
}

fn field(name: &str) -> Options {
    Options { measure: Some(Measure::Field(name.into())), ..Options::default() }
}

fn read(source: Source, options: Options) -> Result<Vec<Document>, InputError> {
    Documents::open(source, options)?.collect()
}

/// The message, with the file's name as `FILE`.
fn error(source: Source, options: Options) -> String {
    let place = source.place().to_string();
    read(source, options).expect_err("must be refused").to_string().replace(&place, "FILE")
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (_directory, place) = file(bytes);
    read(Source::Lines(place), Options::default()).unwrap().into_iter().map(|document| document.payload).collect()
}

fn json_error(bytes: &[u8], options: Options) -> String {
    let (_directory, place) = file(bytes);
    error(Source::JsonLines(place), options)
}

fn csv_error(bytes: &[u8], options: Options) -> String {
    let (_directory, place) = file(bytes);
    error(Source::Csv(place), options)
}

fn csv(bytes: &[u8], options: Options) -> Vec<(String, u64)> {
    let (_directory, place) = file(bytes);
    read(Source::Csv(place), options)
        .unwrap()
        .into_iter()
        .map(|document| (String::from_utf8(document.payload).unwrap(), document.length.0))
        .collect()
}

#[test]
fn a_line_is_a_document_whatever_its_bytes() {
    assert_eq!(lines(b"a\nb c\n"), [b"a".to_vec(), b"b c".to_vec()]);
    assert_eq!(lines(b"a\n\nb"), [b"a".to_vec(), b"".to_vec(), b"b".to_vec()]);
    assert_eq!(lines(b"a\r\nb\r\r\nc\r"), [b"a".to_vec(), b"b\r".to_vec(), b"c\r".to_vec()]);
    assert_eq!(lines(b"\xff\0\n"), [b"\xff\0".to_vec()]);
}

#[test]
fn a_line_over_the_limit_is_refused_by_number() {
    let options = || Options { document_limit: 4, ..Options::default() };
    let (_directory, place) = file("1234\r\n1234\n12345\n");
    let mut documents = Documents::open(Source::Lines(place), options()).unwrap();
    assert!(documents.next().unwrap().is_ok() && documents.next().unwrap().is_ok());
    let message = documents.next().unwrap().unwrap_err().to_string();
    assert!(message.contains("line 3: longer than a document may be (4 B)"), "{message}");
    assert!(documents.next().is_none(), "nothing follows an error");
    let (_directory, place) = file("x".repeat(1_000_000));
    assert!(error(Source::Lines(place), options()).contains("line 1"));
    let long = vec![OsString::from("12345")];
    assert!(error(Source::Arguments(long), options()).contains("line 1"));
}

#[test]
fn no_documents_is_an_error() {
    let (_directory, place) = file("");
    assert_eq!(
        error(Source::Lines(place.clone()), Options::default()),
        "FILE holds no documents: there is nothing to run"
    );
    assert!(error(Source::JsonLines(place.clone()), Options::default()).contains("no documents"));
    assert!(error(Source::Csv(place), Options::default()).contains("no header"));
    assert!(error(Source::Arguments(vec![]), Options::default()).contains("no documents"));
    assert!(csv_error(b"a,b\n", Options::default()).contains("no documents"));
}

#[test]
fn a_file_that_is_not_there_is_named_with_the_reason() {
    let message = read(Source::Lines(Place::File("/no/such/file".into())), Options::default()).unwrap_err().to_string();
    assert_eq!(message, "cannot open /no/such/file: no such file or directory");
    let directory = tempfile::tempdir().unwrap();
    let message = error(Source::Lines(Place::File(directory.path().into())), Options::default());
    assert_eq!(
        message,
        "cannot open FILE: is a directory; to run one document for each file in it, use --files 'DIR/**'"
    );
}

#[test]
fn json_lines_are_carried_as_they_stand() {
    let (_directory, place) = file("\u{feff}{\"pages\": 3}\n\n  \r\n[1, 2]\r\n\"x\"");
    let documents = read(Source::JsonLines(place), Options::default()).unwrap();
    let payloads: Vec<_> = documents.iter().map(|document| String::from_utf8_lossy(&document.payload)).collect();
    assert_eq!(payloads, ["{\"pages\": 3}", "[1, 2]", "\"x\""]);
    assert_eq!(documents[1].length, Length(6));
}

#[test]
fn broken_json_is_refused_by_line_and_column() {
    let message = json_error(b"{\"a\":1}\n{\"a\":}\n", Options::default());
    assert_eq!(message, "FILE, line 2, column 6: not JSON: expected value; every line must hold one JSON value");
    assert!(json_error(b"{\"a\":1} x\n", Options::default()).contains("line 1, column 9"));
    assert!(
        json_error(b"\n\n{\"a\":\"\xff\"}\n", Options::default()).contains("line 3, column 7: not JSON: not UTF-8")
    );
}

#[test]
fn lengths_come_from_the_named_field() {
    let (_directory, place) = file("{\"pages\":3}\n{\"pages\":\"12\"}\n{\"pages\":1e3}\n");
    let lengths: Vec<u64> =
        read(Source::JsonLines(place), field("pages")).unwrap().iter().map(|document| document.length.0).collect();
    assert_eq!(lengths, [3, 12, 1000]);
    let (_directory, place) = file("{\"size\":{\"bytes\":3}}\n");
    assert_eq!(read(Source::JsonLines(place), field("size.bytes")).unwrap()[0].length, Length(3));
}

#[test]
fn what_is_no_length_is_refused_by_line_field_and_value() {
    let cases: [(&str, &str); 9] = [
        ("-4", "field `pages` is -4, which is negative: a length is 0 or more"),
        ("18446744073709551616", "is 18446744073709551616, which is more than a length may be (9007199254740992)"),
        ("9007199254740993", "more than a length may be"),
        ("1e999", "is 1e999, which is more than"),
        ("\"many\"", "field `pages` is \"many\", which is not a number"),
        ("\"NaN\"", "not a number"),
        ("null", "is null, which is not a number"),
        ("[1]", "is [1], which is not a number"),
        ("0.5", "not a whole number"),
    ];
    for (value, expected) in cases {
        let message = json_error(format!("{{\"pages\":1}}\n{{\"pages\":{value}}}\n").as_bytes(), field("pages"));
        assert!(message.starts_with("FILE, line 2: field `pages` is ") && message.contains(expected), "{message}");
    }
    assert!(json_error(b"{\"pages\":NaN}", field("pages")).contains("line 1, column 10: not JSON"));
    assert_eq!(
        json_error(b"{\"size\":1}", field("pages")),
        "FILE, line 1: there is no field `pages` to take the length from"
    );
    assert_eq!(
        json_error(b"{\"pages\":1}\n7\n", field("pages")),
        "FILE, line 2: a number where a JSON object is needed, because a field of it is asked for"
    );
    let objects_only = Options { fields: vec!["a".to_owned()], ..Options::default() };
    assert!(json_error(b"[1]", objects_only).contains("an array where a JSON object is needed"));
}

#[test]
fn measures_that_do_not_fit_the_source_are_refused() {
    let (_directory, place) = file("x\n");
    let by_size = Options { measure: Some(Measure::FileSize), ..Options::default() };
    assert!(error(Source::Lines(place.clone()), field("pages")).contains("--jsonl or --csv"));
    assert!(error(Source::JsonLines(place.clone()), by_size.clone()).contains("--length file needs payloads"));
    assert!(
        error(Source::Lines(place.clone()), by_size.clone())
            .contains("line 1: cannot measure the file x: no such file")
    );
    let Place::File(path) = place else { unreachable!("made above") };
    let documents = read(Source::Arguments(vec![path.into()]), by_size).unwrap();
    assert_eq!(documents[0].length, Length(2));
}

#[test]
fn rows_are_carried_as_objects_in_the_order_of_the_header() {
    let text = b"\xef\xbb\xbfid,pages,note\r\n1,12,\"a, \"\"b\"\"\"\n\n2,0,\"two\nlines\"\n";
    assert_eq!(
        csv(text, field("pages")),
        [
            (r#"{"id":"1","pages":"12","note":"a, \"b\""}"#.to_owned(), 12),
            (r#"{"id":"2","pages":"0","note":"two\nlines"}"#.to_owned(), 0)
        ]
    );
    assert_eq!(csv(b"a\nxy\n", Options::default()), [(r#"{"a":"xy"}"#.to_owned(), 10)]);
}

#[test]
fn broken_tables_are_refused_by_line_and_row() {
    assert_eq!(
        csv_error(b"a,b\n1,2\n\n3\n", Options::default()),
        "FILE, line 4 (row 2): 1 field where the header has 2: a field that holds a comma or a line break must be quoted"
    );
    assert!(csv_error(b"a,b\r\n\"1\r\n\",2\r\n\r\n3\r\n", Options::default()).contains("line 5 (row 2): 1 field"));
    assert!(csv_error(b"a,b\n1,2,3\n", Options::default()).contains("line 2 (row 1): 3 fields where the header has 2"));
    assert!(csv_error(b"a,b,a\n", Options::default()).contains("columns 1 and 3 of the header are both named `a`"));
    assert!(csv_error(b"a,,b\n", Options::default()).contains("column 2 of the header has no name"));
    assert!(
        csv_error(b"1,2\n3,4\n", field("pages")).contains("no column `pages` to take the length from; it has 1, 2;")
    );
    assert!(csv_error(b"a\n\xff\n", Options::default()).contains("line 2, field 1: not UTF-8"));
    assert!(
        csv_error(b"pages\n1\nfew\n", field("pages")).contains("line 3: field `pages` is few, which is not a number")
    );
    assert!(csv_error(b"pages,b\n-1,\n", field("pages")).contains("is -1, which is negative"));
    assert!(csv_error(b"pages,b\n,\n", field("pages")).contains("is empty, which is not a number"));
}

#[test]
fn an_unclosed_quote_does_not_swallow_the_file() {
    let options = Options { document_limit: 1_000, ..Options::default() };
    let mut text = b"a,b\n1,2\n3,\"4\n".to_vec();
    text.resize(10_000_000, b'x');
    assert!(csv_error(&text, options.clone()).contains("line 3: longer than a document may be (1000 B)"));
    let mut text = b"a\n".to_vec();
    text.resize(2_000, b'x');
    assert!(csv_error(&text, options).contains("line 2: longer"));
}

fn files(root: &Path, patterns: &[&str]) -> Source {
    Source::Files(patterns.iter().map(|pattern| root.join(pattern).into()).collect())
}

#[test]
fn files_are_documents_and_the_rest_is_counted() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    std::fs::write(at("b"), "12345").unwrap();
    std::fs::create_dir(at("d")).unwrap();
    std::fs::write(at("d/c"), "").unwrap();
    std::os::unix::fs::symlink("b", at("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", at("broken")).unwrap();
    std::os::unix::fs::symlink("itself", at("itself")).unwrap();
    std::fs::write(at(".hidden"), "").unwrap();
    std::fs::create_dir(at("d/.git")).unwrap();
    std::fs::write(at("d/.git/config"), "").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let odd = root.path().join(OsString::from_vec(b"odd\xff".to_vec()));
    std::fs::write(&odd, "1").unwrap();

    let mut documents = Documents::open(files(root.path(), &["**"]), Options::default()).unwrap();
    let found: Vec<(OsString, u64)> = documents
        .by_ref()
        .map(|document| document.map(|document| (OsString::from_vec(document.payload), document.length.0)).unwrap())
        .collect();
    let expected = [(at("b").into(), 5), (at("d/c").into(), 0), (at("link").into(), 5), (odd.into_os_string(), 1)];
    assert_eq!(found, expected);
    let skipped = documents.skipped().unwrap();
    assert_eq!(
        skipped.summary().unwrap(),
        "skipped 1 directory, 1 socket, pipe or device, 1 broken symbolic link, 2 hidden files and directories"
    );
    assert_eq!(skipped.problems.len(), 1);
    let problem = skipped.problems[0].to_string();
    assert!(problem.ends_with("itself: too many levels of symbolic links; skipped"), "{problem}");
}

#[test]
fn unreadable_files_and_directories_are_problems() {
    let root = tempfile::tempdir().unwrap();
    let lock = |name: &str| {
        let path = root.path().join(name);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
        path
    };
    std::fs::write(root.path().join("open"), "").unwrap();
    std::fs::write(root.path().join("closed"), "").unwrap();
    std::fs::create_dir(root.path().join("dir")).unwrap();
    let closed = [lock("closed"), lock("dir")];
    if std::fs::File::open(&closed[0]).is_ok() {
        return; // The superuser reads everything.
    }
    let mut documents = Documents::open(files(root.path(), &["**"]), Options::default()).unwrap();
    assert_eq!(documents.by_ref().map(Result::unwrap).count(), 1);
    let problems = &documents.skipped().unwrap().problems;
    assert_eq!(problems.iter().map(|problem| problem.path.clone()).collect::<Vec<_>>(), closed);
    assert!(problems[0].to_string().ends_with("closed: permission denied; skipped"));
    // Else the directory could not be removed.
    std::fs::set_permissions(&closed[1], std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn patterns_without_a_file_say_what_there_was() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("d")).unwrap();
    std::os::unix::fs::symlink("itself", root.path().join("itself")).unwrap();
    assert!(error(files(root.path(), &["*.txt"]), Options::default()).contains("no file matches"));
    assert!(error(files(root.path(), &["d"]), Options::default()).contains("only directories: use 'DIR/**'"));
    assert!(error(files(root.path(), &["itself"]), Options::default()).contains("can be read: "));
    std::fs::write(root.path().join("d/.env"), "").unwrap();
    assert!(error(files(root.path(), &["d/*"]), Options::default()).contains("only what is hidden"));
    assert!(error(files(root.path(), &["a["]), Options::default()).contains("unclosed character class"));
}

#[test]
fn patterns_are_walked_in_the_order_given() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        std::fs::write(root.path().join(name), name).unwrap();
    }
    let documents = read(files(root.path(), &["c", "[ab]"]), Options::default()).unwrap();
    let last: Vec<u8> = documents.iter().map(|document| *document.payload.last().unwrap()).collect();
    assert_eq!(last, b"cab");
}

proptest! {
    #[test]
    fn any_bytes_are_documents_or_refused(bytes: Vec<u8>, limit in 0u64..20, named: bool) {
        let options = Options {
            measure: named.then(|| Measure::Field("a".into())),
            document_limit: limit,
            ..Options::default()
        };
        let (_directory, place) = file(&bytes);
        for source in [Source::Lines(place.clone()), Source::JsonLines(place.clone()), Source::Csv(place)] {
            let _ = read(source, options.clone());
        }
    }

    #[test]
    fn lines_survive_writing_and_reading(payloads in prop::collection::vec("[^\r\n]{0,20}", 1..20)) {
        let read = lines((payloads.join("\n") + "\n").as_bytes());
        prop_assert_eq!(read, payloads.into_iter().map(String::into_bytes).collect::<Vec<_>>());
    }

    #[test]
    fn rows_survive_writing_and_reading(rows in prop::collection::vec(("\\PC{0,9}|[\",\r\n]{0,4}", any::<u32>()), 1..20)) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["text \"x\"", "size"]).unwrap();
        for (text, size) in &rows {
            writer.write_record([text, &size.to_string()]).unwrap();
        }
        let read = csv(&writer.into_inner().unwrap(), field("size"));
        let expected: Vec<(String, u64)> = rows
            .iter()
            .map(|(text, size)| {
                let text = serde_json::Value::from(text.as_str());
                (format!("{{\"text \\\"x\\\"\":{text},\"size\":\"{size}\"}}"), u64::from(*size))
            })
            .collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn json_survives_writing_and_reading(values in prop::collection::vec((any::<String>(), 0u64..1 << 53), 1..20)) {
        let text: Vec<String> =
            values.iter().map(|(text, size)| serde_json::json!({ "text": text, "size": size }).to_string()).collect();
        let (_directory, place) = file(text.join("\n"));
        let read = read(Source::JsonLines(place), field("size")).unwrap();
        for ((document, text), (_, size)) in read.iter().zip(&text).zip(&values) {
            prop_assert_eq!(&document.payload, text.as_bytes());
            prop_assert_eq!(document.length, Length(*size));
        }
        prop_assert_eq!(read.len(), values.len());
    }
}
