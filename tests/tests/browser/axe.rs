//! axe-core, which knows what makes a page hard to use for many. It is fetched from the npm registry when it is first needed,
//! in one version with one checksum, and is no part of the program: its licence is the MPL-2.0.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::chromium::{Browser, target};

const VERSION: &str = "4.14.1";
const SHA512: &str = "1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5";

/// Asserts that axe finds nothing wrong with the page as it is now.
pub(crate) async fn finds_nothing(browser: &Browser, what: &str) {
    if browser.js("return typeof axe").await != "object" {
        // The page's own policy forbids foreign scripts; the driver's are exempt.
        browser.js(&std::fs::read_to_string(script()).expect("axe is there")).await;
    }
    let found = browser
        .promised(
            "const { violations } = await axe.run(document, { resultTypes: ['violations'] });
             return violations.flatMap(({ id, help, nodes }) =>
                 nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target}: ${failureSummary}`))",
        )
        .await;
    let complaints = found.as_array().unwrap_or_else(|| panic!("axe did not run: {found}"));
    assert!(complaints.is_empty(), "{what}: {complaints:#?}");
}

/// The script, fetched if it is not there.
fn script() -> PathBuf {
    let directory = target().join(format!("axe-core-{VERSION}"));
    let script = directory.join("package/axe.min.js");
    if script.exists() {
        return script;
    }
    std::fs::create_dir_all(&directory).expect("the target directory can be written");
    let archive = format!("axe-core-{VERSION}.tgz");
    let run = |program: &str, arguments: &[&str]| -> Output {
        let ended = Command::new(program).args(arguments).current_dir(&directory).output();
        let output =
            ended.unwrap_or_else(|error| panic!("{program} does not start ({error}): apt-get install nodejs npm"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?} ended with {}: {said}", output.status);
        output
    };
    run("npm", &["pack", "--silent", &format!("axe-core@{VERSION}")]);
    let sum = run("sha512sum", &[&archive]).stdout;
    let sum = String::from_utf8_lossy(&sum);
    assert!(sum.starts_with(SHA512), "the registry gave another axe-core {VERSION} than the known one: {sum}");
    run("tar", &["xzf", &archive]);
    script
}
