//! The requests of one connection that have no answer yet.

/// When a request should have been sent, and when it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) due_ns: u64,
    pub(super) sent_ns: u64,
}

/// A queue of as many places as requests may be in flight, allocated once. Answers come in order, so a place is taken
/// by every `depth`-th request: when it was freed is the moment from which the next one that takes it had room.
#[derive(Debug)]
pub(super) struct InFlight {
    places: Box<[Place]>,
    oldest: usize,
    len: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    request: Request,
    freed_ns: u64,
}

impl InFlight {
    pub(super) fn new(depth: usize) -> Self {
        Self { places: vec![Place::default(); depth].into_boxed_slice(), oldest: 0, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// When the oldest request was sent.
    pub(super) fn oldest_sent_ns(&self) -> Option<u64> {
        (self.len > 0).then(|| self.places[self.oldest].request.sent_ns)
    }

    /// Since when the next request has had room; `None` while as many are in flight as may be.
    pub(super) fn room_since_ns(&self) -> Option<u64> {
        (self.len < self.places.len()).then(|| self.places[self.next()].freed_ns)
    }

    /// Takes the place that [`room_since_ns`](Self::room_since_ns) has shown to be free.
    pub(super) fn push(&mut self, request: Request) {
        debug_assert!(self.len < self.places.len());
        let next = self.next();
        self.places[next].request = request;
        self.len += 1;
    }

    /// The oldest request, answered at `now_ns`. There must be one.
    pub(super) fn pop(&mut self, now_ns: u64) -> Request {
        debug_assert!(self.len > 0);
        let place = &mut self.places[self.oldest];
        place.freed_ns = now_ns;
        let request = place.request;
        self.oldest = if self.oldest + 1 == self.places.len() { 0 } else { self.oldest + 1 };
        self.len -= 1;
        request
    }

    fn next(&self) -> usize {
        let next = self.oldest + self.len;
        if next < self.places.len() { next } else { next - self.places.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order_and_room_is_dated_by_the_request_whose_place_it_was() {
        let request = |ns| Request { due_ns: ns, sent_ns: ns + 1 };
        let mut in_flight = InFlight::new(2);
        assert_eq!(in_flight.room_since_ns(), Some(0));
        in_flight.push(request(10));
        in_flight.push(request(20));
        assert_eq!(in_flight.room_since_ns(), None);

        assert_eq!(in_flight.pop(30), request(10));
        assert_eq!(in_flight.pop(40), request(20));
        assert_eq!(in_flight.room_since_ns(), Some(30));
        in_flight.push(request(50));
        assert_eq!(in_flight.room_since_ns(), Some(40));
        assert_eq!(in_flight.pop(60), request(50));
        assert_eq!(in_flight.len(), 0);
    }
}
