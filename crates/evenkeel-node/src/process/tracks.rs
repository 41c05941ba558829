//! Who is told of a worker's processes, so that none outlives its node unknown: the guardian, which is there when the node
//! dies, and the journal, which is there when both have.

use rustix::process::Pid;

use super::guardian::{Guardian, Row};
use super::journal::{Journal, Place};
use super::running::Run;

/// One worker's entries, of one run at a time.
#[derive(Debug)]
pub(super) struct Tracks {
    row: Option<Row>,
    place: Option<Place>,
}

impl Tracks {
    pub(super) fn new(guardian: Option<&Guardian>, journal: Option<&Journal>) -> Tracks {
        Tracks { row: guardian.map(Guardian::row), place: journal.map(Journal::place) }
    }

    /// A process for this run is about to be started.
    pub(super) fn starting(&self, run: Run) {
        self.row.iter().for_each(|row| row.starting(run));
        self.place.iter().for_each(|place| place.starting(run));
    }

    /// It has been started.
    pub(super) fn started(&self, leader: Pid) {
        self.row.iter().for_each(|row| row.started(leader));
        self.place.iter().for_each(|place| place.started(leader));
    }

    /// It has ended, or was not started. To be called before it is reaped: its id may be a stranger's afterwards.
    pub(super) fn ended(&self) {
        self.row.iter().for_each(Row::ended);
        self.place.iter().for_each(Place::ended);
    }
}
