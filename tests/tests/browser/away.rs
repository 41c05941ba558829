//! A node that goes away and comes back: the page says so, waits, and goes on.

use evenkeel_tests::Cluster;

use crate::chromium::Browser;
use crate::{GONE, shell, submit, turn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_goes_on_when_its_node_has_been_restarted() {
    let _turn = turn().await;
    let mut cluster = Cluster::start(&[2], &[]).await;
    let before = submit(&cluster["n1"], shell("true"), 3).await;
    let browser = Browser::start().await;
    browser.open(cluster["n1"].api().base()).await;
    browser.is_live().await;
    browser.sees(&format!("document.querySelector('#batches')?.textContent.includes('{before}')")).await;

    cluster["n1"].kill();
    browser.sees("document.querySelector('#link')?.dataset.state === 'lost'").await;
    browser.sees("document.querySelector('#link')?.textContent.includes('no answer; next try in')").await;
    browser.picture("lost").await;
    assert!(browser.text("document.querySelector('#batches').textContent").await.contains(&before.to_string()));

    cluster.again("n1", 2).await;
    browser.is_live().await;
    let after = submit(&cluster["n1"], shell("true"), 5).await;
    browser.sees(&format!("document.querySelector('#batches')?.textContent.includes('{after}')")).await;
    browser.sees("document.querySelector('#events [data-kind=missed]')").await;
    assert_eq!(browser.complaints(&GONE).await, [] as [String; 0]);
    browser.quit().await;
}
