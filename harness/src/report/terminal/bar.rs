//! Bars in a column of text.

use super::look::Look;

/// From an eighth of a place to all of it.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// `share` of `places`. A doubtful one is hatched, whole places at a time; ASCII where the screen has no blocks.
#[must_use]
pub(super) fn draw(share: f64, places: usize, is_doubtful: bool, look: Look) -> String {
    let exact = share.clamp(0.0, 1.0) * places as f64;
    let whole = |mark: char| -> String {
        // What is there is seen, however little.
        (0..places)
            .take_while(|place| (*place as f64) + 0.5 <= exact || (*place == 0 && exact > 0.0))
            .map(|_| mark)
            .collect()
    };
    match (look.blocks, is_doubtful) {
        (false, false) => whole('#'),
        (false, true) => whole('~'),
        (true, true) => whole('▒'),
        (true, false) => (0..places)
            .filter_map(|place| {
                let eighths = ((exact - place as f64) * 8.0).round();
                let count = (1..=8).rev().find(|count| f64::from(*count) <= eighths);
                let least = place == 0 && exact > 0.0;
                count.or(least.then_some(1)).map(|count: u8| EIGHTHS[usize::from(count) - 1])
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        let blocks = [1.0, 0.5, 0.125, 0.03, 0.0001, 0.0, 2.0].map(|share| draw(share, 4, false, Look::PLAIN));
        assert_eq!(blocks, ["████", "██", "▌", "▏", "▏", "", "████"]);
        let ascii = Look { blocks: false, ..Look::PLAIN };
        assert_eq!((draw(0.6, 4, false, ascii), draw(0.6, 4, true, ascii)), ("##".to_owned(), "~~".to_owned()));
    }

    #[test]
    fn a_doubtful_one_looks_otherwise() {
        assert_eq!(draw(0.75, 4, true, Look::PLAIN), "▒▒▒");
    }
}
