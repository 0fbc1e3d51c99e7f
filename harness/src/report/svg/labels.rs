//! Texts: how wide they are, as nearly as that is known without a font, and how they keep out of each other's way.

/// How wide a text is in letters of `size`. Fonts differ; this is what the wide ones among the usual take.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em: f64 = text.chars().map(letter).sum();
    em * size
}

/// How wide a letter is, as a share of its height.
fn letter(letter: char) -> f64 {
    match letter {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '·' => 0.36,
        'f' | 'r' | 't' | '(' | ')' | '[' | ']' | '/' | '-' => 0.42,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.98,
        'A'..='Z' | '<' | '>' | '=' | '+' | '×' | '±' | '~' => 0.78,
        _ if letter.is_ascii() => 0.64,
        // Scripts whose letters fill a square, and pictures.
        '\u{1100}'.. => 1.0,
        _ => 0.7,
    }
}

/// As much of a text as there is room for.
pub(super) fn shortened(text: &str, size: f64, room: f64) -> String {
    let text = clean(text);
    if width(&text, size) <= room {
        return text;
    }
    let mut taken = width("…", size);
    let fits = |letter: &char| {
        taken += self::letter(*letter) * size;
        taken <= room
    };
    let mut short: String = text.chars().take_while(fits).collect();
    short.push('…');
    short
}

/// A text without letters that a document must not have.
pub(super) fn clean(text: &str) -> String {
    let forbidden = |letter: char| letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|letter| if forbidden(letter) { '\u{fffd}' } else { letter }).collect()
}

/// Breaks parts, joined by `joint`, into lines.
pub(super) fn lines(parts: impl Iterator<Item = String>, joint: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(joint, size) + width(&part, size) <= room => {
                line.push_str(joint);
                line.push_str(&part);
            }
            _ => lines.push(part),
        }
    }
    lines
}

/// Where things of one `height` are put that would like to be centred at `wanted`: as near as they can be without overlap,
/// between `low` and `high`, in the order of what they want.
pub(super) fn apart(wanted: &[f64], height: f64, low: f64, high: f64) -> Vec<f64> {
    /// Things that touch, from the first to the last.
    struct Pile {
        members: Vec<usize>,
        /// Of where the first would be if only each member were asked.
        sum: f64,
    }
    let first = |pile: &Pile| {
        let count = pile.members.len() as f64;
        let highest = (high - (count - 0.5) * height).max(low + height / 2.0);
        (pile.sum / count).clamp(low + height / 2.0, highest)
    };
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&one, &other| wanted[one].total_cmp(&wanted[other]));
    let mut piles: Vec<Pile> = Vec::new();
    for index in order {
        let mut pile = Pile { members: vec![index], sum: wanted[index] };
        while let Some(above) = piles.pop_if(|above| first(above) + above.members.len() as f64 * height > first(&pile))
        {
            let count = above.members.len() as f64;
            let sum = above.sum + pile.sum - count * height * pile.members.len() as f64;
            pile = Pile { members: [above.members, pile.members].concat(), sum };
        }
        piles.push(pile);
    }
    let mut places = vec![0.0; wanted.len()];
    for pile in &piles {
        for (place, &member) in pile.members.iter().enumerate() {
            places[member] = first(pile) + place as f64 * height;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_room_stays_where_it_wants_to_be() {
        assert_eq!(apart(&[90.0, 10.0, 50.0], 20.0, 0.0, 100.0), [90.0, 10.0, 50.0]);
    }

    #[test]
    fn what_has_none_makes_room_on_both_sides() {
        assert_eq!(apart(&[50.0, 50.0, 50.0], 20.0, 0.0, 100.0), [30.0, 50.0, 70.0]);
        assert_eq!(apart(&[0.0, 1.0], 20.0, 0.0, 100.0), [10.0, 30.0]);
        assert_eq!(apart(&[100.0, 100.0], 20.0, 0.0, 100.0), [70.0, 90.0]);
        // The third pushes the first two, who have already moved.
        assert_eq!(apart(&[40.0, 40.0, 52.0], 20.0, 0.0, 100.0), [24.0, 44.0, 64.0]);
    }

    #[test]
    fn texts_that_are_too_long_end_in_dots() {
        assert_eq!(shortened("epoll", 10.0, 100.0), "epoll");
        let short = shortened(&"x".repeat(1000), 10.0, 100.0);
        assert!(short.ends_with("x…") && width(&short, 10.0) <= 100.0, "{short}");
        assert_eq!(shortened("a\u{0}b\u{1b}", 10.0, 100.0), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn lines_break_between_parts() {
        let parts = ["aaaa", "bbbb", "cccc"].map(str::to_owned);
        assert_eq!(lines(parts.into_iter(), " · ", 10.0, 70.0), ["aaaa · bbbb", "cccc"]);
    }
}
