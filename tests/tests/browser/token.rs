//! The token: asked for, refused, taken, kept in this tab only, forgotten.

use std::os::unix::fs::OpenOptionsExt;

use evenkeel_tests::Node;

use crate::chromium::Browser;
use crate::{axe, turn};

const TOKEN: &str = "correct-horse-battery-staple";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_asked_for_until_it_is_right_and_kept_in_this_tab_only() {
    let _turn = turn().await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("token");
    let mut made = std::fs::File::options().create_new(true).write(true).mode(0o600).open(&file).expect("a new file");
    std::io::Write::write_all(&mut made, TOKEN.as_bytes()).expect("a small file can be written");
    let settings = [("EVENKEEL_HTTP__TOKEN_FILE", file.to_str().expect("a plain name"))];
    let node = Node::start("n1", directory.path(), &[], &settings).await;

    let browser = Browser::start().await;
    browser.open(node.api().base()).await;
    browser.sees("document.querySelector('#token')?.open").await;
    axe::finds_nothing(&browser, "the question for the token").await;
    assert_eq!(browser.text("document.activeElement.id").await, "token-value");
    browser.press("wrong-horse-battery-staple\n").await;
    browser.sees("document.querySelector('#token-problem')?.textContent.includes('not the token of this node')").await;
    browser.picture("token").await;
    browser.sees("document.activeElement.id === 'token-value'").await;
    browser.press(&format!("{TOKEN}\n")).await;
    browser.is_live().await;
    browser.sees("document.querySelectorAll('#nodes tbody tr').length === 1").await;

    let kept =
        browser.text("JSON.stringify([Object.values(sessionStorage), Object.values(localStorage), document.cookie])");
    assert_eq!(kept.await, format!("[[\"{TOKEN}\"],[\"system\"],\"\"]"));
    browser.js("location.reload()").await;
    browser.is_live().await;
    assert_eq!(browser.text("document.querySelector('#token').open").await, "false");

    browser.click("#lock").await;
    browser.sees("document.querySelector('#token')?.open").await;
    browser.press("\u{e00c}").await;
    browser.sees("document.querySelector('#link')?.dataset.state === 'locked'").await;
    browser.click("#lock").await;
    browser.sees("document.querySelector('#token')?.open").await;
    browser.press(&format!("{TOKEN}\n")).await;
    browser.is_live().await;
    assert_eq!(browser.complaints(&["status of 401"]).await, [] as [String; 0]);
    browser.quit().await;
}
