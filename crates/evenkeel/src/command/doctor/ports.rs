//! The two addresses on which a node listens: free, taken by the node that runs here, or by something else.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use evenkeel_net::Keyring;
use evenkeel_net::probe::{Found, probe};
use evenkeel_node::api::types::ErrorCode;

use super::finding::Finding;
use crate::client::{Client, ClientError};
use crate::input::printable;

/// The name of a node on this host, if its API could be asked.
type Running = Option<String>;

/// Looks at the UDP address.
pub(super) async fn udp(listen: SocketAddr, keyring: Option<&Keyring>) -> Finding {
    const CHECK: &str = "listen (UDP)";
    let error = match UdpSocket::bind(listen) {
        Ok(_) => return Finding::ok(CHECK, format!("{listen} is free")),
        Err(error) => error,
    };
    if error.kind() != ErrorKind::AddrInUse {
        return unusable(CHECK, listen, &error, "--listen");
    }
    let found = probe(reachable(listen), keyring).await;
    match found {
        Ok(Found::Node { id, .. }) => Finding::ok(CHECK, format!("{listen} is held by node {id}, which runs")),
        Ok(Found::Stranger) => Finding::problem(
            CHECK,
            format!("{listen} is held by a node with another secret"),
            "stop it, or choose another port with --listen (network.listen)",
        ),
        Ok(Found::OtherVersion) => Finding::warning(
            CHECK,
            format!("{listen} is held by a node of another version"),
            "start it again with this program, when the whole cluster is",
        ),
        _ => Finding::problem(
            CHECK,
            format!("{listen} is taken by something that is no node"),
            format!(
                "`ss -ulpn sport = :{}` tells which process has it; choose another port with --listen",
                listen.port()
            ),
        ),
    }
}

/// Looks at the TCP address, and asks whatever holds it whether it is a node.
pub(super) async fn http(listen: SocketAddr, client: &Client) -> (Finding, Running) {
    const CHECK: &str = "HTTP (TCP)";
    let error = match TcpListener::bind(listen) {
        Ok(_) => return (Finding::ok(CHECK, format!("{listen} is free: no node runs here")), None),
        Err(error) => error,
    };
    if error.kind() != ErrorKind::AddrInUse {
        return (unusable(CHECK, listen, &error, "--http"), None);
    }
    match client.nodes().await {
        Ok(nodes) => {
            let name = nodes.nodes.iter().find(|node| node.is_self).map(|node| printable(node.name.as_ref()));
            let name = name.unwrap_or_else(|| "a node".to_owned());
            (Finding::ok(CHECK, format!("{listen} is held by {name}, which runs")), Some(name))
        }
        Err(ClientError::Refused(problem)) if problem.error == ErrorCode::Unauthorized => {
            let message = format!("{listen} is held by a node, which asks for a token");
            (Finding::ok(CHECK, message), Some("the node here".to_owned()))
        }
        Err(ClientError::Refused(problem)) => {
            let advice = "see its log, and start it again if it does not recover";
            (Finding::warning(CHECK, format!("{listen} is held by a node that says: {problem}"), advice), None)
        }
        Err(error) => {
            let advice = format!(
                "`ss -tlpn sport = :{}` tells which process has it; choose another port with --http (http.listen)",
                listen.port()
            );
            let what = match error {
                ClientError::Silent { .. } => "does not answer",
                _ => "is no node",
            };
            (Finding::problem(CHECK, format!("{listen} is taken by something that {what}"), advice), None)
        }
    }
}

fn unusable(check: &'static str, listen: SocketAddr, error: &std::io::Error, flag: &str) -> Finding {
    let advice = match error.kind() {
        ErrorKind::AddrNotAvailable => {
            format!("it is no address of this host (`ip address` lists them): name one with {flag}")
        }
        ErrorKind::PermissionDenied => format!("ports below 1024 need privileges: choose a higher one with {flag}"),
        _ => format!("choose another with {flag}"),
    };
    Finding::problem(check, format!("cannot listen on {listen}: {}", crate::input::reason(error)), advice)
}

/// Where what listens on an address can be reached from here.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
