//! Where a median lies, whatever the values are distributed like.
//!
//! Of n independent values each lies below the median of what they are drawn from as often as a coin shows heads, so the k-th
//! least and the k-th greatest enclose it with a probability that follows from coin tosses alone (Le Boudec, "Performance
//! Evaluation of Computer and Communication Systems", 2.2.2; Hahn and Meeker, "Statistical Intervals", 5.2).

use super::interval::CONFIDENCE;

/// The narrowest two of the values, the same number of places from either end, that enclose the median at least as often as
/// [`CONFIDENCE`] says; none where not even the least and the greatest do, which is below 6 values.
#[must_use]
pub fn median_interval(values: &[f64]) -> Option<[f64; 2]> {
    let depth = depth(values.len())?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Some([sorted[depth - 1], sorted[sorted.len() - depth]])
}

/// How many places from either end, from 1.
fn depth(count: usize) -> Option<usize> {
    // The ways to toss `heads` heads, as logarithms: their numbers have no place in a float from a thousand tosses on.
    let (mut ways, mut tail) = (-(count as f64) * std::f64::consts::LN_2, 0.0);
    let mut depth = None;
    for heads in 0..count / 2 {
        tail += f64::exp(ways);
        if 1.0 - 2.0 * tail < CONFIDENCE {
            break;
        }
        depth = Some(heads + 1);
        ways += ((count - heads) as f64 / (heads + 1) as f64).ln();
    }
    depth
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    #[test]
    fn the_places_are_those_of_the_tables() {
        // Le Boudec, table A.1: 95 % intervals of the median.
        let table = [(5, None), (6, Some(1)), (8, Some(1)), (9, Some(2)), (12, Some(3)), (20, Some(6)), (70, Some(27))];
        for (count, expected) in table {
            assert_eq!(depth(count), expected, "of {count}");
        }
        assert_eq!(depth(0), None);
        // The normal approximation, n/2 - 0.98 √n, with thousands of values.
        assert!((4900..=4903).contains(&depth(10_000).unwrap()), "{:?}", depth(10_000));
    }

    #[test]
    fn six_values_are_enclosed_by_the_least_and_the_greatest() {
        assert_eq!(median_interval(&[6.0, 1.0, 5.0, 2.0, 4.0, 3.0]), Some([1.0, 6.0]));
        assert_eq!(median_interval(&[1.0; 5]), None);
        assert_eq!(median_interval(&[9.0, 1.0, 5.0, 2.0, 4.0, 3.0, 7.0, 6.0, 8.0]), Some([2.0, 8.0]));
    }

    #[test]
    fn it_encloses_the_median_of_what_values_are_drawn_from_as_often_as_it_says() {
        let mut random = Pcg64Mcg::seed_from_u64(5);
        for count in [6, 9, 20] {
            // Far from symmetric: the median of e^(8u) is e^4.
            let mut draw = || (0..count).map(|_| (8.0 * random.random::<f64>()).exp()).collect::<Vec<f64>>();
            let holds = (0..4000).filter(|_| {
                let [low, high] = median_interval(&draw()).unwrap();
                (low..=high).contains(&4_f64.exp())
            });
            let holds = holds.count() as f64 / 4000.0;
            assert!((0.94..0.985).contains(&holds), "{holds} of {count}");
        }
    }
}
