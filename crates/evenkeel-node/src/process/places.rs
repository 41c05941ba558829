//! Numbers for rows of a table: each somebody's alone, and given again when it comes back, so that the table stays short.

/// Which numbers are not in use.
#[derive(Debug, Default)]
pub(super) struct Places {
    free: Vec<u32>,
    /// The first that has never been in use.
    fresh: u32,
}

impl Places {
    pub(super) fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.fresh += 1;
            self.fresh - 1
        })
    }

    pub(super) fn give_back(&mut self, place: u32) {
        self.free.push(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_owner_and_is_used_again() {
        let mut places = Places::default();
        assert_eq!([places.take(), places.take(), places.take()], [0, 1, 2]);
        places.give_back(1);
        assert_eq!([places.take(), places.take()], [1, 3]);
    }
}
