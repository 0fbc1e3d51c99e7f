//! What was probably meant by a word that means nothing.

/// Letters that may be wrong, missing, too many or in another order.
const MOST_MISTAKES: usize = 2;

/// The one of `known` that is nearest to `word`, where it is near.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let mistakes = |known: &str| strsim::osa_distance(&word, &known.to_lowercase());
    let near = known.into_iter().map(|known| (mistakes(known), known));
    let near = near.filter(|(mistakes, known)| *mistakes <= MOST_MISTAKES && *mistakes < known.chars().count());
    near.min_by_key(|(mistakes, _)| *mistakes).map(|(_, known)| known)
}

/// ` (did you mean 'epoll'?)`, or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |known| format!(" (did you mean '{known}'?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_a_slip_has_a_suggestion_and_another_word_has_none() {
        let known = ["threads", "poll", "epoll", "epoll-et", "io_uring"];
        for (word, expected) in [
            ("eppol", Some("epoll")),
            ("EPOLL", Some("epoll")),
            ("epol", Some("epoll")),
            ("io-uring", Some("io_uring")),
            ("thread", Some("threads")),
            ("kqueue", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
