//! How backends look: every one that exists has its colour, symbol and dash, the same in every report.
//!
//! The colours of the main six are those of Okabe and Ito ("Color Universal Design", 2008), darkened or lightened where they
//! would be too faint. More than that cannot be told apart by colour alone, so no two looks share both symbol and dash.

use super::{Look, Symbol};
use crate::plan::server_of;

use Symbol::{Circle, Cross, Diamond, Square, Star, Triangle};

/// Lengths drawn and left out; what the main ones, their variants and then all others have. With each the one of a twin.
const DASHES: [(&[u8], &[u8]); 6] = [
    (&[], &[1, 3]),
    (&[6, 3], &[6, 3, 1, 3]),
    (&[2, 2], &[2, 2, 6, 2]),
    (&[8, 3, 2, 3], &[8, 3, 1, 2, 1, 3]),
    (&[12, 4], &[12, 4, 1, 4]),
    (&[8, 3, 2, 3, 2, 3], &[8, 3, 8, 3, 2, 3]),
];

/// Name, colours, symbol, and which of the dashes.
type Fixed = (&'static str, &'static str, &'static str, Symbol, usize);

const FIXED: [Fixed; 17] = [
    ("threads", "#009e73", "#009e73", Triangle, 0),
    ("select", "#000000", "#ffffff", Cross, 0),
    ("poll", "#cc79a7", "#cc79a7", Diamond, 0),
    ("epoll", "#0072b2", "#56b4e9", Circle, 0),
    ("polling", "#704800", "#e69f00", Star, 0),
    ("io_uring", "#d55e00", "#d55e00", Square, 0),
    ("epoll-et", "#4a5fc1", "#8fa2ff", Circle, 1),
    ("spin", "#007c91", "#3fc6db", Diamond, 1),
    ("thread-pool", "#4f7a28", "#9ccb6b", Triangle, 1),
    ("io_uring-oneshot", "#a8324a", "#ff8095", Square, 1),
    ("io_uring-accept", "#8c5a2b", "#d2a679", Cross, 1),
    ("io_uring-provided", "#7b3fa0", "#c99bea", Star, 1),
    ("io_uring-defer", "#b0207c", "#ff7cc4", Square, 2),
    ("io_uring-direct", "#5b5b5b", "#b5b5b5", Circle, 2),
    ("io_uring-zc", "#6b6b00", "#f0e442", Triangle, 2),
    ("io_uring-sqpoll", "#00684a", "#66e0b0", Diamond, 2),
    ("io_uring-bundle", "#8a0000", "#ff9d73", Star, 2),
];

/// Of servers that are not ours.
const OTHER_COLOURS: [(&str, &str); 6] = [
    ("#1f6f8b", "#7fd0ec"),
    ("#a0522d", "#e8a87c"),
    ("#6a4c93", "#b39ddb"),
    ("#7d6200", "#e0c060"),
    ("#2e7d32", "#81c784"),
    ("#ad1457", "#f48fb1"),
];

const SYMBOLS: [Symbol; 6] = [Circle, Square, Triangle, Diamond, Cross, Star];

/// The dashes from here on are of servers that are not ours.
const FIRST_OTHER_DASH: usize = 3;

/// One for each of those that entered, twins among them. Servers that are not ours take what is left, in their order.
#[must_use]
pub fn looks(entrants: &[String]) -> Vec<Look> {
    let mut others: Vec<&str> = Vec::new();
    let mut looks = Vec::with_capacity(entrants.len());
    for entrant in entrants {
        let server = server_of(entrant);
        let fixed = FIXED.iter().find(|fixed| fixed.0 == server);
        let fixed = fixed.map(|&(_, light, dark, symbol, dash)| (light, dark, symbol, dash));
        let (light, dark, symbol, dash) = fixed.unwrap_or_else(|| {
            let known = others.iter().position(|other| *other == server);
            other(known.unwrap_or_else(|| {
                others.push(server);
                others.len() - 1
            }))
        });
        let (own, twin) = DASHES[dash];
        looks.push(Look { light, dark, symbol, dash: if server == entrant { own } else { twin } });
    }
    looks
}

/// After all symbols with all dashes it begins again: nobody tells so many lines apart, whatever they look like.
fn other(place: usize) -> (&'static str, &'static str, Symbol, usize) {
    let round = place / SYMBOLS.len();
    let (light, dark) = OTHER_COLOURS[(place + round) % OTHER_COLOURS.len()];
    let dash = FIRST_OTHER_DASH + round % (DASHES.len() - FIRST_OTHER_DASH);
    (light, dark, SYMBOLS[place % SYMBOLS.len()], dash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::twin_of;

    type Rgb = [f64; 3];

    /// Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), at
    /// full severity: nobody, protanopia, deuteranopia, tritanopia. For linear RGB.
    const VISIONS: [[Rgb; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[0.152_286, 1.052_583, -0.204_868], [0.114_503, 0.786_281, 0.099_216], [-0.003_882, -0.048_116, 1.051_998]],
        [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]],
        [[1.255_528, -0.076_749, -0.178_779], [-0.078_411, 0.930_809, 0.147_602], [0.004_733, 0.691_367, 0.303_900]],
    ];

    /// Nearer to each other than this (CIE 1976) two lines in a legend may be taken for one another.
    const CONFUSABLE: f64 = 20.0;

    fn linear(colour: &str) -> Rgb {
        assert!(colour.len() == 7 && colour.starts_with('#'), "{colour}");
        [1, 3, 5].map(|at| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn dot(row: Rgb, rgb: Rgb) -> f64 {
        row.iter().zip(rgb).map(|(a, b)| a * b).sum()
    }

    fn lab(rgb: Rgb) -> Rgb {
        const TO_XYZ: [Rgb; 3] = [
            [0.412_456_4, 0.357_576_1, 0.180_437_5],
            [0.212_672_9, 0.715_152_2, 0.072_175_0],
            [0.019_333_9, 0.119_192_0, 0.950_304_1],
        ];
        let f = |value: f64| {
            if value > 216.0 / 24389.0 { value.cbrt() } else { (24389.0 / 27.0 * value + 16.0) / 116.0 }
        };
        let [x, y, z] = TO_XYZ.map(|row| dot(row, rgb));
        let [x, y, z] = [f(x / 0.950_47), f(y), f(z / 1.088_83)];
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    /// The least that two colours differ by to any of the visions.
    fn difference(a: &str, b: &str) -> f64 {
        let seen = |colour, vision: [Rgb; 3]| lab(vision.map(|row| dot(row, linear(colour)).clamp(0.0, 1.0)));
        let in_vision = |vision| {
            let (a, b) = (seen(a, vision), seen(b, vision));
            a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        VISIONS.map(in_vision).into_iter().fold(f64::INFINITY, f64::min)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |colour| dot([0.212_6, 0.715_2, 0.072_2], linear(colour)) + 0.05;
        let (a, b) = (luminance(a), luminance(b));
        a.max(b) / a.min(b)
    }

    /// All that exist, a few that are not ours, and a twin of each.
    fn all() -> Vec<String> {
        let ours = backends::BACKENDS.iter().map(|backend| backend.info().name.to_owned());
        let mut names: Vec<String> = ours.chain((0..18).map(|place| format!("other-{place}"))).collect();
        names.extend(names.clone().iter().map(|name| twin_of(name)));
        names
    }

    #[test]
    fn every_backend_that_exists_has_a_look_of_its_own() {
        for backend in backends::BACKENDS {
            let name = backend.info().name;
            assert!(FIXED.iter().any(|fixed| fixed.0 == name), "{name} needs a line in the table");
        }
    }

    #[test]
    fn who_may_be_confused_by_colour_differs_in_symbol_or_dash() {
        let names = all();
        let looks = looks(&names);
        let mut confusable = 0;
        for (place, a) in looks.iter().enumerate() {
            for (other, b) in looks.iter().enumerate().take(place) {
                let least = difference(a.light, b.light).min(difference(a.dark, b.dark));
                confusable += usize::from(least < CONFUSABLE);
                assert!(
                    least >= CONFUSABLE || (a.symbol, a.dash) != (b.symbol, b.dash),
                    "{} and {}: {least}",
                    names[place],
                    names[other]
                );
            }
        }
        assert!(confusable > 0, "the simulation finds none at all");
        assert!(difference("#d55e00", "#9a6700") < CONFUSABLE && difference("#000000", "#ffffff") > 90.0);
    }

    #[test]
    fn the_main_ones_can_be_told_apart_by_colour_alone() {
        let main = &FIXED[..6];
        for (place, a) in main.iter().enumerate() {
            for b in &main[..place] {
                let least = difference(a.1, b.1).min(difference(a.2, b.2));
                assert!(least > 15.0, "{} and {}: {least}", a.0, b.0);
            }
        }
        let names: Vec<&str> =
            backends::BACKENDS.iter().map(|one| one.info()).filter(|info| info.is_main).map(|info| info.name).collect();
        assert_eq!(names, main.iter().map(|fixed| fixed.0).collect::<Vec<_>>());
    }

    #[test]
    fn every_colour_stands_out_from_its_ground() {
        for look in looks(&all()) {
            assert!(contrast(look.light, "#ffffff") >= 3.0, "{} on white", look.light);
            assert!(contrast(look.dark, "#121212") >= 3.0, "{} on black", look.dark);
        }
    }

    #[test]
    fn a_backend_looks_the_same_whoever_is_beside_it_and_a_twin_is_its_dashed_self() {
        let of = |names: &[&str]| looks(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        let (alone, among) = (of(&["epoll"]), of(&["tokio", "poll", "epoll", "epoll#2", "tokio#2", "monoio"]));
        assert_eq!(alone[0], among[2]);
        for (own, twin) in [(2, 3), (0, 4)] {
            let (own, twin) = (among[own], among[twin]);
            assert_eq!((own.light, own.dark, own.symbol), (twin.light, twin.dark, twin.symbol));
            assert_ne!(own.dash, twin.dash);
        }
        assert_ne!(among[0], among[5]);
        assert_eq!(of(&["x"; 100]).len(), 100);
    }
}
