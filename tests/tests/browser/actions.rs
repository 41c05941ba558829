//! What the reader may do: nothing happens before a question is answered, and the safe answer is the nearer one.

use std::time::Duration;

use evenkeel_node::api::types::BatchState;
use evenkeel_tests::{Cluster, until};

use crate::chromium::{Browser, PATIENCE};
use crate::{GONE, axe, shell, submit, turn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_cancelled_and_retried_and_nodes_drained_after_a_question() {
    let _turn = turn().await;
    let mut cluster = Cluster::start(&[2, 2], &[]).await;
    let browser = Browser::start().await;
    browser.open(cluster["n1"].api().base()).await;
    browser.is_live().await;

    let failing = submit(&cluster["n1"], shell("false"), 3).await;
    let retry = "button[aria-label^='Try the failures']";
    browser.sees(&format!("document.querySelector(\"{retry}\")?.hidden === false")).await;
    browser.click(retry).await;
    browser.click("#confirm-yes").await;
    browser.sees("document.querySelector('#toast')?.textContent.includes('3 documents to be tried again')").await;
    let retried = until("the second batch", PATIENCE, async || {
        let link = browser.text("document.querySelector('#toast').textContent.split(/[ :]/)[1]").await;
        cluster["n2"].api().batch(link.parse().ok()?).await.ok()
    });
    assert_eq!(retried.await.retry_of, Some(failing));

    let id = submit(&cluster["n1"], shell("sleep 1"), 400).await;
    let cancel = format!("button[aria-label='Cancel batch {id}']");
    browser.sees(&format!("document.querySelector(\"{cancel}\")")).await;
    browser.click(&cancel).await;
    browser.sees("document.querySelector('#confirm')?.open").await;
    assert_eq!(browser.text("document.activeElement.textContent").await, "Leave it");
    axe::finds_nothing(&browser, "a question").await;
    browser.picture("question").await;
    // The nearer answer, and the way out that every dialog has, leave things as they are.
    browser.press("\n").await;
    browser.sees("!document.querySelector('#confirm')?.open").await;
    browser.click(&cancel).await;
    browser.press("\u{e00c}").await;
    browser.sees("!document.querySelector('#confirm')?.open").await;
    assert_eq!(cluster["n1"].api().batch(id).await.expect("it is known").state, BatchState::Running);

    browser.click(&cancel).await;
    browser.click("#confirm-yes").await;
    until("the cancellation", PATIENCE, async || {
        let batch = cluster["n2"].api().batch(id).await.ok()?;
        (batch.state == BatchState::Cancelled).then_some(())
    })
    .await;
    browser
        .sees("document.querySelector('#batches [data-state=cancelled] .state')?.textContent === '⊘ cancelled'")
        .await;
    browser.sees("document.querySelector('#said')?.textContent.includes('cancelled')").await;

    browser.click("button[aria-label='Drain n2']").await;
    browser.click("#confirm-yes").await;
    let left = cluster["n2"].end(PATIENCE + Duration::from_secs(30)).await;
    assert!(left.success(), "a drained node ended with {left}");
    browser.sees("document.querySelector('#nodes [data-state=left]')?.textContent.includes('n2')").await;
    browser.sees("document.querySelector('#events [data-kind=node_left]')?.textContent.includes('n2 has left')").await;
    browser.sees("[...document.querySelectorAll('#nodes tbody tr')].filter((row) => row.dataset.state === 'live').length === 1").await;
    cluster.forget("n2");
    assert_eq!(browser.complaints(&GONE).await, [] as [String; 0]);
    browser.quit().await;
}
