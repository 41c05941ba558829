//! `evenkeel doctor`: what is wrong on this host, and what to do; a line for each check.
//!
//! Each file is one kind of check, and gives [`Finding`]s. Nothing is changed: what must be written to look at a disk is taken
//! away again, and a peer that is dialled sees a connection that ends.

mod clock;
mod disk;
mod finding;
mod limits;
mod ports;
mod secret;
mod seeds;

use std::io;

use evenkeel_node::config::{Config, Flags, Sources};
use reqwest::Url;

use crate::cli::client::ClientArgs;
use crate::cli::doctor::DoctorArgs;
use crate::cli::secret::SecretFileArgs;
use crate::client::{self, Client};
use crate::output::exit::{CommandResult, ExitStatus, Failure};
use crate::output::{table, tell};
use finding::{Finding, Verdict};

/// Looks at everything.
pub(super) fn doctor(arguments: DoctorArgs) -> CommandResult {
    client::run(async {
        let findings = look(&arguments).await?;
        table::list(io::stdout().lock(), arguments.format.output, &findings)?;
        let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
        let (problems, warnings) = (count(Verdict::Problem), count(Verdict::Warning));
        tell(match (problems, warnings) {
            (0, 0) => "all is well".to_owned(),
            (0, _) => format!("no problem; {}", number(warnings, "warning")),
            (_, 0) => number(problems, "problem"),
            _ => format!("{}, {}", number(problems, "problem"), number(warnings, "warning")),
        });
        Ok(if problems > 0 { ExitStatus::Failure } else { ExitStatus::Ok })
    })
}

fn number(count: usize, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}

async fn look(arguments: &DoctorArgs) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let Some(config) = configuration(arguments, &mut findings) else { return Ok(findings) };
    let from = SecretFileArgs { secret_file: config.network.secret_file.clone() };
    let keyring = secret::check(&from, &mut findings);
    // Without the secret that there should be, every node would look like a stranger.
    let secret_known = !findings
        .iter()
        .any(|finding| finding.check == "secret" && finding.verdict == Verdict::Problem && keyring.is_none());

    let here = ports::reachable(config.http.listen);
    let here = Url::parse(&format!("http://{here}")).expect("an address makes a URL");
    let client = Client::new(&ClientArgs { http: here, token_file: arguments.token_file.clone() })?;
    if secret_known {
        findings.push(ports::udp(config.network.listen, keyring.as_ref()).await);
    }
    let (http, running) = ports::http(config.http.listen, &client).await;
    findings.push(http);
    if secret_known {
        findings.extend(seeds::check(&config.network.seeds, keyring.as_ref()).await);
    }

    let mut named: Vec<Client> = arguments.http.iter().map(|url| client.at(url.clone())).collect();
    if named.is_empty() && running.is_some() {
        named.push(client);
    }
    findings.extend(clock::check(named, running.is_some()).await);

    let directory = config.node.data_dir_or_default();
    findings.extend(disk::check(&directory, config.store.low_water));
    let process = evenkeel_node::daemon::user_of(&directory);
    findings.extend(limits::check(config.node.most_slots(), process.as_deref()));
    Ok(findings)
}

/// What a node would be told that is started here like this.
fn configuration(arguments: &DoctorArgs, findings: &mut Vec<Finding>) -> Option<Config> {
    const CHECK: &str = "configuration";
    let advice = "mend it; what follows from it has not been looked at";
    match Sources::of_process(arguments.config.clone(), flags(arguments)).load() {
        Ok(loaded) => {
            let what = match &arguments.config {
                Some(file) => format!("{} is good", crate::input::printable(file.as_os_str())),
                None => "no file: the defaults, the environment and the flags are good".to_owned(),
            };
            findings.push(Finding::ok(CHECK, what));
            Some(loaded.config)
        }
        Err(problems) => {
            findings.extend(problems.0.iter().map(|problem| Finding::problem(CHECK, problem.to_string(), advice)));
            None
        }
    }
}

fn flags(arguments: &DoctorArgs) -> Flags {
    let seeds: Vec<&str> = arguments.seeds.iter().map(|seed| seed.as_str()).collect();
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let mut flags = Flags::new();
    flags
        .set_some("network.seeds", "--seed", (!seeds.is_empty()).then(|| seeds.join(",")))
        .set_some("node.max_process", "--max-process", arguments.max_process.map(|slots| slots.to_string()))
        .set_some("network.listen", "--listen", arguments.listen.map(|address| address.to_string()))
        .set_some("network.advertise", "--advertise", arguments.advertise.map(|address| address.to_string()))
        .set_some("node.data_dir", "--data-dir", path(&arguments.data_dir))
        .set_some("network.secret_file", "--secret-file", path(&arguments.secret.secret_file));
    flags
}
