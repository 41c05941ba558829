//! `node`: the daemon.

use std::io::Write;

use anyhow::Context;
use evenkeel_node::api::Token;
use evenkeel_node::config::{Flags, Sources};
use evenkeel_node::daemon::{Daemon, Options};
use evenkeel_node::process::{guardian_command, raise_file_limit};
use evenkeel_node::service_manager::Notifier;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::node::NodeArgs;
use crate::cli::secret::SecretFileArgs;
use crate::output::exit::{CommandResult, ExitStatus, Failure};

/// Runs a node until it has left or is stopped.
pub(super) fn node(arguments: NodeArgs) -> CommandResult {
    let loaded = Sources::of_process(arguments.config.clone(), flags(&arguments)).load().map_err(Failure::usage)?;
    let config = loaded.config;
    let keyring = SecretFileArgs { secret_file: config.network.secret_file.clone() }.keyring()?;
    let token = Token::find(config.http.token_file.as_deref()).map_err(Failure::usage)?;
    super::log(&config.log.level, config.log.format);
    raise_file_limit();
    let runtime = runtime().map_err(|error| Failure::says(ExitStatus::Failure, error))?;
    let options = Options {
        config,
        keyring,
        token,
        http: true,
        keep_identity: true,
        outcomes: None,
        guardian: Some(guardian_command()),
    };
    runtime.block_on(serve(options))
}

fn flags(arguments: &NodeArgs) -> Flags {
    let seeds: Vec<&str> = arguments.seeds.iter().map(|seed| seed.as_str()).collect();
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let mut flags = Flags::new();
    flags
        .set_some("network.seeds", "--seed", (!seeds.is_empty()).then(|| seeds.join(",")))
        .set_some("node.max_process", "--max-process", arguments.max_process.map(|slots| slots.to_string()))
        .set_some(
            "node.max_process_limit",
            "--max-process-limit",
            arguments.max_process_limit.map(|most| most.to_string()),
        )
        .set_some("network.listen", "--listen", arguments.listen.map(|address| address.to_string()))
        .set_some("network.advertise", "--advertise", arguments.advertise.map(|address| address.to_string()))
        .set_some("http.listen", "--http", arguments.http.map(|address| address.to_string()))
        .set_some("node.data_dir", "--data-dir", path(&arguments.data_dir))
        .set_some("network.secret_file", "--secret-file", path(&arguments.secret.secret_file))
        .set_some("telemetry.otlp", "--otlp", arguments.otlp.clone())
        .set_some("node.name", "--name", arguments.name.clone());
    flags
}

/// At least two threads, on one processor too: while the node's loop holds one, probes are to be answered.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(2, |processors| processors.get().max(2));
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}

async fn serve(options: Options) -> CommandResult {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let manager = Notifier::of_environment().context("$NOTIFY_SOCKET names no socket")?;
    let daemon = Daemon::start(options).await?;
    let watchdog = daemon.watch(manager)?;
    if let Some(http) = daemon.http() {
        // For people and scripts alike: where to reach it, also with a port that the system chose. Whether anybody reads
        // it does not matter.
        let _ = writeln!(
            std::io::stdout(),
            "node {} listens on {}, HTTP on http://{http}",
            daemon.name(),
            daemon.address()
        );
    }
    let left = tokio::select! {
        left_behind = daemon.left() => Some(left_behind),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    let left = match left {
        Some(left_behind) => Some(left_behind),
        None => {
            tracing::info!("draining; a second signal stops at once");
            tokio::select! {
                left_behind = daemon.drain() => Some(left_behind),
                _ = terminate.recv() => None,
                _ = interrupt.recv() => None,
            }
        }
    };
    drop(watchdog);
    daemon.stop().await;
    match left.transpose()? {
        Some(0) => tracing::info!("left"),
        Some(documents) => tracing::warn!(documents, "left, and there was no node to take these documents"),
        None => tracing::warn!("stopped at once; heirs will claim what this node had"),
    }
    Ok(ExitStatus::Ok)
}
