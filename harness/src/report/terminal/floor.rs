//! What the kernel charges, as two tables and how to read them.

use std::fmt::Write;

use super::grid::{Column, Grid, left_out_note};
use super::look::Look;
use crate::environment::Build;
use crate::figures::{NONE, bytes, counted, duration, exact_bytes, grouped, percent};
use crate::floor::{BATCH_OF_NOPS, EchoPrice, Floor, Price, TwoCpus};
use crate::statistics::CONFIDENCE;

/// From here on most of the time of the server went into looking in vain, so that its cost rests on what a look costs.
const MUCH_IN_VAIN: f64 = 0.5;

/// Draws it.
#[must_use]
pub fn draw(floor: &Floor, build: &Build, look: Look) -> String {
    let mut text = String::new();
    let mut left_out = Vec::new();
    for mut table in [calls(floor), echoes(floor)] {
        for name in table.fit(look) {
            if !left_out.contains(&name) {
                left_out.push(name);
            }
        }
        text.push_str(&table.draw(look));
        text.push('\n');
    }
    let notes = left_out_note(&left_out).into_iter().chain(notes(floor, build));
    for note in notes {
        let _ = writeln!(text, "{}", look.prose(&note, 2));
    }
    text.trim_end().to_owned()
}

/// Names of what is there, and their prices.
fn calls(floor: &Floor) -> Grid {
    let switch = format!("context switch on CPU {}", floor.server_cpu);
    let wake_up = floor.client_cpu.map_or("wake-up of another CPU".to_owned(), |cpu| format!("wake-up of CPU {cpu}"));
    let rows = [
        ("system call (getppid)".to_owned(), Some(&floor.system_call)),
        ("epoll_wait, one event ready".to_owned(), Some(&floor.epoll_wait_ready)),
        ("io_uring NOP".to_owned(), floor.io_uring_nop.as_ref()),
        (format!("io_uring NOP, one of {BATCH_OF_NOPS}"), floor.io_uring_nop_in_batch.as_ref()),
        ("eventfd write + read".to_owned(), Some(&floor.eventfd_write_read)),
        (switch, Some(&floor.context_switch)),
        (wake_up, floor.cross_cpu_wake_up.as_ref()),
    ];
    let figures = |figure: fn(&Price) -> String| {
        rows.iter().map(move |(_, price)| price.map_or(NONE.to_owned(), figure)).collect::<Vec<_>>()
    };
    Grid::new(vec![
        Column::plain("one", rows.iter().map(|(name, _)| name.clone())).left(),
        Column::plain("median", figures(|price| duration(price.median_ns))),
        Column::plain(&interval_title(), figures(|price| interval(price.interval_ns, duration))).leaves(3),
        Column::plain("least", figures(|price| duration(price.min_ns))).leaves(2),
        Column::plain("calls", figures(|price| grouped(price.calls as f64))).leaves(1),
    ])
}

fn echoes(floor: &Floor) -> Grid {
    let one = |figure: fn(&Price) -> String| floor.echoes.iter().map(|echo| figure(&echo.one_cpu)).collect::<Vec<_>>();
    let two = |figure: fn(&TwoCpus) -> String| {
        let figure = |echo: &EchoPrice| echo.two_cpus.as_ref().map_or(NONE.to_owned(), figure);
        floor.echoes.iter().map(figure).collect::<Vec<_>>()
    };
    let payloads = floor.echoes.iter().map(|echo| exact_bytes(echo.payload_bytes.into()));
    let interval_title = format!("\n{}", interval_title());
    Grid::new(vec![
        Column::plain("one echo\nof payload", payloads),
        Column::plain("one CPU\nCPU/echo", one(|price| duration(price.median_ns))),
        Column::plain(&interval_title, one(|price| interval(price.interval_ns, duration))).leaves(1),
        Column::plain("two CPUs\nCPU/echo", two(|two| duration(two.price.median_ns))),
        Column::plain(&interval_title, two(|two| interval(two.price.interval_ns, duration))).leaves(3),
        Column::plain("ceiling\nechoes/s", two(|two| grouped(two.echoes_per_s))),
        Column::plain(&interval_title, two(|two| interval(two.echoes_per_s_interval, grouped))).leaves(2),
    ])
}

fn interval_title() -> String {
    format!("{} interval", percent(CONFIDENCE))
}

fn interval(interval: Option<[f64; 2]>, figure: fn(f64) -> String) -> String {
    interval.map_or(NONE.to_owned(), |[low, high]| format!("{} to {}", figure(low), figure(high)))
}

fn notes(floor: &Floor, build: &Build) -> Vec<String> {
    let slice = duration(floor.slice_ns as f64);
    let mut notes = vec![
        format!(
            "medians of {} of {slice}, in CPU time; a wake-up by the clock, as half of a round trip with its calls; a context \
             switch without the eventfd write + read that goes with it",
            counted(floor.rounds, "round")
        ),
        "an echo is what its server pays: a send and a recv. On two CPUs both ends poll, the looks in vain are taken off, and \
         the ceiling is that of one CPU against one"
            .to_owned(),
        "how to read it: a server's CPU per request ÷ CPU/echo on two CPUs at the same payload is what the server adds; 1.0 \
         adds nothing to single calls. Requests that come together (depth above 1) and batched calls can go below it"
            .to_owned(),
    ];
    let missing = [&floor.two_cpus_missing, &floor.io_uring_missing].into_iter().zip(["two CPUs", "io_uring"]);
    notes.extend(missing.filter_map(|(why, what)| why.as_ref().map(|why| format!("{what}: not measured: {why}"))));
    notes.extend(floor.echoes.iter().flat_map(doubts));
    if floor.rounds < 6 {
        notes.push("intervals take 6 rounds at least".to_owned());
    }
    if build.build_profile == "debug" {
        notes.push("this build is unoptimised: what is outside of the kernel costs too much here".to_owned());
    }
    notes
}

/// What a reader should know of an echo before relying on it.
fn doubts(echo: &EchoPrice) -> Vec<String> {
    let payload = bytes(echo.payload_bytes.into());
    let Some(two) = &echo.two_cpus else { return Vec::new() };
    let mut doubts = Vec::new();
    if two.in_vain > MUCH_IN_VAIN {
        doubts.push(format!(
            "{payload} on two CPUs: the client was slower, and {} of the server's time was looking in vain",
            percent(two.in_vain)
        ));
    }
    if two.rounds_left_out > 0 {
        doubts.push(format!(
            "{payload} on two CPUs: {} left out, as the client's CPU was busy with something else",
            counted(two.rounds_left_out, "round")
        ));
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(median_ns: f64) -> Price {
        Price {
            median_ns,
            interval_ns: Some([median_ns * 0.95, median_ns * 1.05]),
            min_ns: median_ns * 0.9,
            calls: 1_234_500,
            rounds_ns: vec![median_ns; 15],
        }
    }

    fn floor() -> Floor {
        let echo = |payload_bytes: u32, ns: f64| EchoPrice {
            payload_bytes,
            one_cpu: price(ns / 2.0),
            two_cpus: Some(TwoCpus {
                price: price(ns),
                echoes_per_s: 1e9 / ns,
                echoes_per_s_interval: Some([0.9e9 / ns, 1.1e9 / ns]),
                rounds_echoes_per_s: vec![1e9 / ns; 15],
                in_vain: 0.1,
                rounds_left_out: 0,
            }),
        };
        Floor {
            server_cpu: 0,
            client_cpu: Some(1),
            two_cpus_missing: None,
            rounds: 15,
            slice_ns: 20_000_000,
            system_call: price(98.0),
            epoll_wait_ready: price(230.0),
            io_uring_nop: Some(price(310.0)),
            io_uring_nop_in_batch: Some(price(45.0)),
            io_uring_missing: None,
            eventfd_write_read: price(330.0),
            context_switch: price(1200.0),
            cross_cpu_wake_up: Some(price(48_000.0)),
            echoes: vec![echo(64, 3300.0), echo(65_536, 21_000.0)],
        }
    }

    fn release() -> Build {
        Build { git_revision: "abc".to_owned(), git_dirty: None, build_profile: "release".to_owned() }
    }

    #[test]
    fn every_price_stands_beside_its_name() {
        let text = draw(&floor(), &release(), Look::PLAIN);
        for line in [
            " context switch on CPU 0      1.20 µs  1.14 µs to 1.26 µs  1.08 µs  1,234,500",
            " io_uring NOP, one of 32      45.0 ns  42.8 ns to 47.2 ns  40.5 ns  1,234,500",
            " wake-up of CPU 1             48.0 µs  45.6 µs to 50.4 µs  43.2 µs  1,234,500",
        ] {
            assert!(text.lines().any(|drawn| drawn == line), "{line}\n{text}");
        }
        assert!(text.contains("303,030  272,727 to 333,333"), "{text}");
        assert!(!text.contains("not measured") && !text.contains("in vain was"), "{text}");
    }

    #[test]
    fn it_fits_a_terminal_and_keeps_what_matters_most() {
        for columns in [60, 80, 110] {
            let text = draw(&floor(), &release(), Look { columns: Some(columns), ..Look::PLAIN });
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns}\n{text}");
            assert!(text.contains("98.0 ns") && text.contains("3.30 µs") && text.contains("303,030"), "{text}");
            assert!(text.contains("no room for") == (columns < 110), "{text}");
        }
    }

    #[test]
    fn what_is_missing_says_why() {
        let mut floor = Floor {
            client_cpu: None,
            two_cpus_missing: Some("there is one".to_owned()),
            io_uring_nop: None,
            io_uring_nop_in_batch: None,
            io_uring_missing: Some("forbidden".to_owned()),
            cross_cpu_wake_up: None,
            ..floor()
        };
        floor.echoes[0].two_cpus = None;
        let two = floor.echoes[1].two_cpus.as_mut().unwrap();
        (two.in_vain, two.rounds_left_out) = (0.7, 2);
        let text = draw(&floor, &release(), Look::PLAIN);
        for note in [
            "two CPUs: not measured: there is one",
            "io_uring: not measured: forbidden",
            "64.0 KiB on two CPUs: the client was slower, and 70 % of the server's time was looking in vain",
            "64.0 KiB on two CPUs: 2 rounds left out",
        ] {
            assert!(text.contains(note), "{note}\n{text}");
        }
        assert!(text.lines().any(|line| line.starts_with(" io_uring NOP  ") && line.contains(NONE)), "{text}");
    }
}
