//! A hundred nodes and a million documents: however much happens, the page has a bound.

use std::time::{Duration, Instant};

use evenkeel_tests::Crowd;
use serde_json::json;

use crate::chromium::Browser;
use crate::{axe, turn};

/// Elements that the page may have with a hundred nodes. Each has a bar and a row, of some twenty elements together.
const ELEMENTS: u64 = 6_000;

/// Share of a processor that the page's own thread may take. It draws a frame or two a second.
const BUSY: f64 = 0.5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_nodes_and_a_million_documents_keep_the_page_quick() {
    let _turn = turn().await;
    let address = Crowd::new(100, 1_000_000).serve().await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{address}/")).await;
    browser.is_live().await;
    browser.sees("document.querySelectorAll('#nodes tbody tr').length === 100").await;
    browser.sees("document.querySelector('.arc')").await;
    browser.picture("crowd").await;
    axe::finds_nothing(&browser, "a crowd").await;
    let elements = browser.js("return document.querySelectorAll('*').length").await.as_u64().expect("a number");

    browser.devtools("Performance.enable", json!({})).await;
    let (begun, before) = (Instant::now(), busy(&browser).await);
    // Long enough for the list of events to be full, were it without a bound.
    let measured = Duration::from_secs(20);
    browser.promised("await new Promise((resolve) => setTimeout(resolve, 20000))").await;
    let share = (busy(&browser).await - before) / begun.elapsed().as_secs_f64();
    let later = browser.js("return document.querySelectorAll('*').length").await.as_u64().expect("a number");
    println!(
        "100 nodes, 1,000,000 documents: {elements} elements, {later} after {} s; busy {:.1} %",
        measured.as_secs(),
        share * 100.0
    );
    assert!(later < ELEMENTS, "{later} elements");
    assert!(share < BUSY, "the page is busy for {share} of the time");

    // Any page of a million documents is there at once, the last one too.
    browser.click("#batches tbody th a").await;
    browser.sees("document.querySelectorAll('.documents tbody tr').length === 50").await;
    browser.js("location.hash += '?from=999960'").await;
    browser.sees("document.querySelector('.documents tbody th')?.textContent === '999960'").await;
    browser.sees("document.querySelectorAll('.documents tbody tr').length === 40").await;
    browser.phone(true).await;
    browser.click(".mark").await;
    browser.sees("document.documentElement.scrollWidth <= innerWidth").await;
    browser.picture("crowd-phone").await;
    browser.phone(false).await;
    assert_eq!(browser.complaints(&[]).await, [] as [String; 0]);
    browser.quit().await;
}

/// Seconds for which the page's main thread has been busy.
async fn busy(browser: &Browser) -> f64 {
    let metrics = browser.devtools("Performance.getMetrics", json!({})).await;
    let metrics = metrics["metrics"].as_array().expect("a list");
    let busy = metrics.iter().find(|metric| metric["name"] == "TaskDuration").expect("it is measured");
    busy["value"].as_f64().expect("a number")
}
