//! A run, watched from one node: it levels, a node is killed, its documents go elsewhere, and every one has its story.

use evenkeel_core::batch::Allocate;
use evenkeel_tests::{Cluster, until};
use rustix::process::Signal;

use crate::chromium::{Browser, PATIENCE};
use crate::{GONE, axe, shell, submit, turn};

const DOCUMENTS: u32 = 600;

const TAB: &str = "\u{e004}";

/// Sleeps a third of a second, writes to both outputs, and fails once in fifty times.
const SCRIPT: &str = "sleep 0.3; echo \"read {}\"; echo 'low contrast' >&2; test $(({n} % 50)) -ne 49";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_watched_through_a_death_to_its_end() {
    let _turn = turn().await;
    let mut cluster = Cluster::start(&[1, 1, 3, 3], &[]).await;
    let browser = Browser::start().await;
    browser.open(cluster["n1"].api().base()).await;
    browser.is_live().await;
    browser.sees("document.querySelectorAll('#nodes tbody tr').length === 4").await;
    assert_eq!(browser.text("document.querySelector('#whose').textContent").await, "as n1 sees it");
    axe::finds_nothing(&browser, "nothing to do").await;
    keys_are_enough(&browser).await;

    // Arcs are gone after two seconds, in which a busy machine may not look.
    let note =
        "all.forEach((one) => one.addedNodes.forEach((node) => drawn.push(String(node.getAttribute?.('class')))))";
    let whole = "document.querySelector('.bars'), { subtree: true, childList: true }";
    browser.js(&format!("window.drawn = []; new MutationObserver((all) => {note}).observe({whole})")).await;
    // Each gets as many, though two have three times the slots: a lot has to move.
    let mut batch = shell(SCRIPT);
    batch.options.allocate = Allocate::Uniform;
    let id = submit(&cluster["n2"], batch, DOCUMENTS).await;
    browser.sees("document.querySelector('#batches tbody tr')").await;
    browser.sees("document.querySelector('#events [data-kind=moved]')").await;
    browser.sees("drawn.includes('arc')").await;
    browser.picture("levelling").await;
    let done = "Number(document.querySelector('#batches .progress').textContent.match(/^[0-9,]+/)[0].replace(',', ''))";
    browser.sees(&format!("{done} > 20")).await;
    let earlier: u32 = browser.text(done).await.parse().expect("a number");
    browser.sees(&format!("{done} > {earlier} + 20")).await;
    browser.sees("document.querySelector('#batches [data-title=Left]')?.textContent.match(/[0-9] (s|min)/)").await;
    browser.picture("run").await;
    axe::finds_nothing(&browser, "a run").await;

    // Dark because the system is.
    browser.prefers("dark").await;
    cluster["n4"].signal(Signal::KILL);
    browser.sees("document.querySelector('#nodes [data-state=dead]')?.textContent.includes('n4')").await;
    browser.sees("document.querySelector('.bar[data-state=dead]')").await;
    browser.sees("drawn.includes('arc claimed')").await;
    browser.picture("killed-dark").await;
    axe::finds_nothing(&browser, "the system's dark theme").await;
    browser.prefers("light").await;
    browser.sees("document.querySelector('#events [data-kind=node_dead]')").await;
    let claimed = browser.text("document.querySelector('#events [data-kind=claimed]').textContent").await;
    assert!(claimed.contains("of n4, which is gone"), "{claimed}");
    browser.picture("killed").await;
    browser.js("document.querySelector('#measure [value=level]').click()").await;
    browser.sees("document.querySelector('.line.mean')").await;

    // Dark because the reader wants it.
    browser.click("#theme").await;
    browser.click("#theme").await;
    assert_eq!(browser.text("getComputedStyle(document.body).backgroundColor").await, "rgb(19, 23, 26)");
    axe::finds_nothing(&browser, "the dark theme").await;
    browser.picture("level-dark").await;
    browser.click("#theme").await;

    browser.phone(true).await;
    browser.sees("document.documentElement.scrollWidth <= innerWidth").await;
    axe::finds_nothing(&browser, "a phone").await;
    browser.picture("phone").await;
    browser.phone(false).await;

    documents_are_found(&browser, &id.to_string()).await;

    until("the end", PATIENCE * 2, async || cluster["n1"].api().batch(id).await.ok()?.is_settled().then_some(())).await;
    browser.click(".mark").await;
    browser.sees("document.querySelector('#batches [data-state=finished]')").await;
    let batch = cluster["n1"].api().batch(id).await.expect("it is known");
    assert_eq!((batch.done, batch.failed), (DOCUMENTS - DOCUMENTS / 50, DOCUMENTS / 50));
    browser.sees("document.querySelector('#batches [data-title=Failed]')?.textContent.includes('12')").await;
    // That some have failed is seen however few they are, and said.
    browser.sees("getComputedStyle(document.querySelector('#batches .meter .failed')).minWidth === '4px'").await;
    browser.sees("document.querySelector('#batches .progress')?.textContent.includes('12 failed')").await;
    browser.sees("document.querySelector('#verdict').textContent.includes('In equilibrium')").await;
    let at_rest = "document.querySelector('#events [data-kind=equilibrium_changed]')?.textContent.includes('═')";
    browser.sees(at_rest).await;
    // Who comes later is told of the same.
    browser.open(cluster["n1"].api().base()).await;
    browser.is_live().await;
    browser.sees("document.querySelector('#events [data-kind=claimed]')?.textContent.includes('of n4')").await;
    browser.sees("document.querySelector('#ran').textContent.match(/^n1 has started [1-9]/)").await;
    browser.picture("ended").await;
    assert_eq!(browser.complaints(&GONE).await, [] as [String; 0]);
    browser.quit().await;
    cluster.forget("n4");
}

/// The first key leads past the head of the page, and all that can be clicked can be reached.
async fn keys_are_enough(browser: &Browser) {
    let focused = async |what: &str| browser.text(&format!("document.activeElement.{what}")).await;
    browser.press(TAB).await;
    assert_eq!(focused("className").await, "skip");
    browser.press("\n").await;
    assert_eq!(focused("id").await, "main");
    let mut reached = Vec::new();
    for _ in 0..40 {
        browser.press(TAB).await;
        reached.push(focused("outerHTML").await);
    }
    for wanted in
        ["name=\"measure\"", "id=\"find-node\"", ">Level<", "aria-label=\"Drain n3\"", "id=\"hold\"", "id=\"events\""]
    {
        assert!(reached.iter().any(|element| element.contains(wanted)), "{wanted} cannot be reached by keys");
    }
    browser.js("document.activeElement.blur()").await;
}

async fn documents_are_found(browser: &Browser, id: &str) {
    browser.click("#batches tbody th a").await;
    browser.sees("document.querySelectorAll('.documents tbody tr').length === 50").await;
    // Who came by keyboard goes on here.
    browser.sees("document.activeElement.tagName === 'H1'").await;
    let first = "document.querySelector('.documents tbody th').textContent";
    browser.click(".pages button:last-child").await;
    browser.sees(&format!("{first} === '50'")).await;
    browser.js("history.back()").await;
    browser.sees(&format!("{first} === '0'")).await;

    browser.js("const of = document.querySelector('#of-state'); of.value = 'failed'; of.dispatchEvent(new Event('change'))").await;
    browser.sees(&format!("{first} === '49'")).await;
    browser
        .sees("[...document.querySelectorAll('.documents tbody tr')].every((row) => row.dataset.state === 'failed')")
        .await;
    axe::finds_nothing(browser, "documents").await;
    browser.picture("batch").await;
    browser.phone(true).await;
    browser.sees("document.documentElement.scrollWidth <= innerWidth").await;
    browser.picture("batch-phone").await;
    browser.phone(false).await;

    browser.click("#number").await;
    browser.press("49\n").await;
    browser.sees("document.querySelector('pre[aria-label=\"standard output\"]')?.textContent === 'read /archive/scan-00049.tif\\n'").await;
    browser
        .sees("document.querySelector('pre[aria-label=\"standard error\"]')?.textContent === 'low contrast\\n'")
        .await;
    browser.sees("document.querySelector('pre[aria-label=payload]')?.textContent === '/archive/scan-00049.tif'").await;
    let told = browser.text("document.querySelector('#document').textContent").await;
    for words in ["every attempt failed", "status 1", "attempt 1 was started on n", "wall time"] {
        assert!(told.contains(words), "{words:?} in {told}");
    }
    assert_eq!(browser.text("document.title").await, format!("{id}/49 · Evenkeel"));
    axe::finds_nothing(browser, "a document").await;
    browser.picture("document").await;
    browser.prefers("dark").await;
    axe::finds_nothing(browser, "a document in the dark").await;
    browser.picture("document-dark").await;
    browser.prefers("light").await;

    browser.js(&format!("location.hash = '#/batches/{id}/documents/600'")).await;
    browser
        .sees("document.querySelector('#document .problem')?.textContent.includes('has 600, numbered from 0')")
        .await;
    // That it was asked for and is not there the browser notes as an error of its own.
    assert_eq!(browser.complaints(&["documents/600"]).await, [] as [String; 0]);
}
