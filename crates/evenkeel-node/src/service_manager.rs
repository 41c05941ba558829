//! Talks to the service manager that has started the node, in systemd's protocol (sd_notify(3)): datagrams of words to the
//! socket that the environment names.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::seldom::Seldom;

/// What a service manager tells a service in its environment. None of it is for the documents that the node runs.
pub(crate) const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// A service manager that listens.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Duration>,
    line: Seldom,
}

impl Notifier {
    /// The one that the environment names, if any.
    ///
    /// # Errors
    /// If what it names cannot be a socket.
    pub fn of_environment() -> io::Result<Option<Notifier>> {
        let [socket, patience, pid] = VARIABLES.map(std::env::var_os);
        let Some(socket) = socket.filter(|socket| !socket.is_empty()) else { return Ok(None) };
        // It may be meant for a process that has started this one.
        let mine = pid.is_none_or(|pid| pid.to_str() == Some(&std::process::id().to_string()));
        let patience = patience.filter(|_| mine).and_then(|patience| patience.to_str()?.parse().ok());
        Notifier::new(&socket, patience.map(Duration::from_micros)).map(Some)
    }

    /// One that listens at this address, a path or, with an `@`, a name. `watchdog`: how long it waits for a sign of life.
    ///
    /// # Errors
    /// If that is no address of a socket.
    pub fn new(address: &OsStr, watchdog: Option<Duration>) -> io::Result<Notifier> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not hold the watchdog up.
        socket.set_nonblocking(true)?;
        let watchdog = watchdog.filter(|patience| !patience.is_zero());
        Ok(Notifier { socket, address, watchdog, line: Seldom::default() })
    }

    /// How long it waits for a sign of life before it kills the node; `None`: for ever.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Says a word, such as `READY=1`. A manager that is gone is no reason to go as well.
    pub fn notify(&self, word: &str) {
        if let Err(error) = self.socket.send_to_addr(word.as_bytes(), &self.address)
            && let Some(unsaid) = self.line.due()
        {
            tracing::warn!(%error, unsaid, "the service manager does not listen");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_arrive_at_a_path_and_at_a_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let at_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("evenkeel-test-{}", std::process::id());
        let at_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (address, listener) in [(path.into_os_string(), at_path), (format!("@{name}").into(), at_name)] {
            let notifier = Notifier::new(&address, Some(Duration::ZERO)).unwrap();
            assert_eq!(notifier.watchdog(), None);
            notifier.notify("READY=1");
            let mut buffer = [0; 16];
            let length = listener.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1");
        }
    }

    #[test]
    fn nobody_there_is_no_trouble_and_what_is_no_address_is_an_error() {
        let notifier = Notifier::new(OsStr::new("/nowhere/at/all"), Some(Duration::from_secs(1))).unwrap();
        notifier.notify("READY=1");
        assert_eq!(notifier.watchdog(), Some(Duration::from_secs(1)));
        assert!(Notifier::new(OsStr::new(&"x".repeat(300)), None).is_err());
    }
}
