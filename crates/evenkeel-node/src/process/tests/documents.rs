//! What a process is given, and what is reported of it.

use super::*;

#[test]
fn placeholders_reach_the_process() {
    let bench = bench();
    let payload = br#"{"name": "a b'c", "size": 12}"#;
    let ended = bench.ends(job(7, &["printf", "%s|", "{n}", "{.name}", "<{.size}>", "{}"], payload));
    assert_eq!(ended.exit, Exit::Status(0));
    assert_eq!(text(&ended.stdout), r#"7|a b'c|<12>|{"name": "a b'c", "size": 12}|"#);
}

#[test]
fn a_payload_that_is_no_text_reaches_the_process() {
    let payload = b"\xff\xfe\x80 \n";
    assert_eq!(bench().ends(job(0, &["printf", "%s", "{}"], payload)).stdout.bytes, payload.as_slice());
}

#[test]
fn without_placeholders_the_payload_is_standard_input_and_with_them_that_is_empty() {
    let bench = bench();
    assert_eq!(text(&bench.ends(job(0, &["cat"], b"hello")).stdout), "hello");
    assert_eq!(text(&bench.ends(job(0, &["cat"], b"")).stdout), "");
    assert_eq!(text(&bench.ends(job(0, &["sh", "-c", "cat; echo done", "{}"], b"hello")).stdout), "done\n");
}

#[test]
fn ten_megabytes_go_in_and_come_back() {
    let payload: Vec<u8> = (0..10_000_000u32).map(|number| (number % 251) as u8).collect();
    let ended = bench().ends(Job { capture_bytes: 1 << 30, ..job(0, &["cat"], &payload) });
    assert_eq!(ended.exit, Exit::Status(0));
    assert!(ended.stdout.bytes == payload, "what comes out is what went in");
}

#[test]
fn a_process_need_not_read_its_input() {
    let payload = vec![b'x'; 5_000_000];
    let bench = bench();
    assert_eq!(bench.ends(job(0, &["true"], &payload)).exit, Exit::Status(0));
    let ended = bench.ends(job(0, &["sh", "-c", "exec <&-; exec sleep 0.05"], &payload));
    assert_eq!(ended.exit, Exit::Status(0));
}

#[test]
fn the_environment_tells_the_process_what_it_is() {
    let ended = bench().ends(job(7, &["sh", "-c", "env | grep ^EVENKEEL_ | sort"], b""));
    let batch = BatchId(42);
    assert_eq!(
        text(&ended.stdout),
        format!(
            "EVENKEEL_ATTEMPT=2\nEVENKEEL_BATCH={batch}\nEVENKEEL_DOCUMENT=7\nEVENKEEL_EPOCH=3\nEVENKEEL_NODE=tester\n"
        )
    );
    assert_eq!((ended.doc.number, ended.epoch, ended.attempt), (DocNumber(7), Epoch(3), Attempt(2)));
}

#[test]
fn status_signal_and_both_outputs_are_reported() {
    let bench = bench();
    let ended = bench.ends(shell("echo out; echo err >&2; exit 3"));
    assert_eq!((ended.exit, ended.stopped), (Exit::Status(3), false));
    assert_eq!((text(&ended.stdout), text(&ended.stderr)), ("out\n", "err\n"));
    assert_eq!(bench.ends(shell("kill -9 $$")).exit, Exit::Signal(9));
}

#[test]
fn output_over_the_limit_is_cut_and_counted() {
    let ended = bench().ends(Job { capture_bytes: 1_000, ..shell("head -c 3000000 /dev/zero; echo short >&2") });
    assert_eq!((ended.stdout.bytes.len(), ended.stdout.dropped), (1_000, 2_999_000));
    assert_eq!((text(&ended.stderr), ended.stderr.dropped), ("short\n", 0));
}

#[test]
fn times_and_memory_are_plausible() {
    let bench = bench();
    let ended = bench.ends(shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"));
    assert!(ended.user_micros > 10_000, "{ended:?}");
    assert!(ended.wall_micros >= ended.user_micros, "one thread uses no more than the wall clock: {ended:?}");
    assert!(ended.started_unix_micros > 1_600_000_000_000_000);

    let ended = bench.ends(shell("sleep 0.2"));
    assert!(ended.wall_micros >= 200_000, "{ended:?}");
    assert!(ended.user_micros + ended.system_micros < 150_000, "{ended:?}");
    assert!((100_000..20_000_000).contains(&ended.max_rss_bytes), "a shell's own memory, not the agent's: {ended:?}");

    // Holds 300 MB in one process.
    let ended = bench.ends(shell("head -c 300000000 /dev/zero | tail -c 300000000 | wc -c"));
    assert!(ended.max_rss_bytes > 290_000_000, "{ended:?}");
}

#[test]
fn processes_are_nice() {
    let own = rustix::process::getpriority_process(None).unwrap();
    let ended = bench().ends(shell("exec nice"));
    assert_eq!(text(&ended.stdout).trim().parse(), Ok((own + 5).min(19)));
}
