//! System calls of a request, in words.

/// Fewer calls for a request than this are told by [`MORE`]: they are no `0.01`.
const LEAST_SHOWN: f64 = 0.005;
/// Stands for the calls that are not shown.
const MORE: &str = "…";

/// `recvfrom 1.00 sendto 1.00 epoll_pwait 0.02 …`: those that are made most first, as many as `room` characters hold where
/// that is given. `None` where nothing is known.
pub(super) fn text(calls: &[(String, f64)], room: Option<usize>) -> Option<String> {
    if calls.is_empty() {
        return None;
    }
    let shown: Vec<String> = calls
        .iter()
        .take_while(|(_, calls)| *calls >= LEAST_SHOWN)
        .map(|(name, calls)| format!("{name} {calls:.2}"))
        .collect();
    // The fewer are shown, the more of the room is left for the sign that there are others.
    let fitting = (0..=shown.len()).rev().map(|count| {
        let more = (count < calls.len()).then(|| MORE.to_owned());
        shown[..count].iter().cloned().chain(more).collect::<Vec<_>>().join(" ")
    });
    let mut fitting = fitting.filter(|text| room.is_none_or(|room| text.chars().count() <= room));
    Some(fitting.next().unwrap_or_else(|| MORE.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_most_is_told_and_the_rest_is_hinted_at() {
        let calls = [("recvfrom", 1.0), ("sendto", 0.994), ("epoll_pwait", 0.02), ("accept4", 0.004)];
        let calls = calls.map(|(name, calls)| (name.to_owned(), calls));
        let whole = "recvfrom 1.00 sendto 0.99 epoll_pwait 0.02 …";
        assert_eq!(text(&calls, None).unwrap(), whole);
        assert_eq!(text(&calls, Some(44)).unwrap(), whole);
        assert_eq!(text(&calls, Some(43)).unwrap(), "recvfrom 1.00 sendto 0.99 …");
        assert_eq!(text(&calls, Some(3)).unwrap(), "…");
        assert_eq!(text(&calls[..2], Some(25)).unwrap(), "recvfrom 1.00 sendto 0.99");
        assert_eq!(text(&[], None), None);
    }
}
