//! Pictures as an XML reader sees them, and whether what is written in them can be read.

use roxmltree::{Document, Node};

use super::ink::{LARGE, SIZE, SMALL};
use super::labels::width;
use super::*;
use crate::report::chart::{Axis, Look, Mark, Point, Scale, Series, Symbol, Unit};
use crate::report::contents::tests::contents;

const LOOK: Look = Look { light: "#0072b2", dark: "#56b4e9", symbol: Symbol::Cross, dash: &[6, 3] };

#[test]
fn what_counts_is_joined_and_what_does_not_is_crossed_out_or_missing() {
    for chart in &contents().charts {
        let picture = draw(chart);
        let document = Document::parse(&picture).unwrap();
        let shapes = |series: usize| {
            let group = with_class(&document, &format!("series s{series}")).remove(0);
            let joined = descendants(group, "line").iter().map(|line| places(*line).len()).collect::<Vec<_>>();
            let states = ["point valid", "point suspect", "point invalid"];
            (joined, states.map(|class| descendants(group, class).len()), descendants(group, "cross").len())
        };
        assert_eq!(shapes(0), (vec![4], [4, 0, 0], 0), "{}", chart.id);
        // The third of the second is missing, which leaves the fourth alone.
        assert_eq!(shapes(1), (vec![2], [3, 0, 0], 0), "{}", chart.id);
        // The second of the third is invalid and joined to nothing, the third suspect.
        assert_eq!(shapes(2), (vec![2], [2, 1, 1], 2), "{}", chart.id);
        let suspect = with_class(&document, "point suspect").remove(0);
        assert_eq!((descendants(suspect, "hollow").len(), descendants(suspect, "full").len()), (1, 0));
        assert_eq!(with_class(&document, "bar").len(), 10, "an interval for each value that counts");
        assert_eq!(with_class(&document, "mark").len(), 1);
        assert!(texts(&document).contains(&"epoll: capacity 182,000/s"), "{picture}");
    }
}

#[test]
fn points_lie_where_the_axes_say() {
    let chart = &contents().charts[0];
    let picture = draw(chart);
    let document = Document::parse(&picture).unwrap();
    let ticks = |axis: &str, attribute: &str| -> Vec<(String, f64)> {
        let ticks = with_class(&document, &format!("tick {axis}"));
        ticks.iter().map(|tick| (tick.text().unwrap().trim().to_owned(), number(*tick, attribute))).collect()
    };
    let (across, up) = (ticks("x", "x"), ticks("y", "y"));
    let names: Vec<&str> = across.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["1", "64", "512", "4,000"], "the numbers of connections that were measured");
    assert_eq!(up.first().unwrap().0, "0/s");
    // The first of three series stands a little to the left of its tick; 400,000/s is a tick.
    let line = places(with_class(&document, "line")[0]);
    for ((x, _), (_, tick)) in line.iter().zip(&across) {
        assert!((tick - 6.0..=*tick).contains(x), "{line:?} {across:?}");
    }
    let highest = up.iter().find(|(name, _)| name == "400,000/s").unwrap().1 - 6.0;
    assert!((line[3].1 - highest).abs() < 0.2, "{line:?} {up:?}");
}

#[test]
fn no_text_covers_another_or_leaves_the_picture() {
    let charts = contents().charts.into_iter().chain([
        many(6, |_| 1e5, "io_uring-oneshot"),
        many(9, |series| 1e5 + series as f64, "x"),
        many(16, |series| 1e4 * series as f64, "io_uring-oneshot"),
        many(200, |_| 5.0, "a backend with a name that is far too long for any of the places where it stands"),
        marked(12, 0.0),
        marked(12, 0.3),
        rates(),
    ]);
    for chart in charts {
        let picture = draw(&chart);
        let document = Document::parse(&picture).unwrap();
        let boxes: Vec<(&str, [f64; 4])> =
            document.descendants().filter(|node| node.has_tag_name("text")).map(bounds).collect();
        for (index, (text, one)) in boxes.iter().enumerate() {
            let inside = one[0] >= 0.0 && one[1] <= WIDTH && one[2] >= 0.0 && one[3] <= HEIGHT;
            assert!(inside, "{}: {text} lies at {one:?}", chart.id);
            for (other_text, other) in &boxes[index + 1..] {
                let apart = one[1] <= other[0] || other[1] <= one[0] || one[3] <= other[2] || other[3] <= one[2];
                assert!(apart, "{}: {text} at {one:?} covers {other_text} at {other:?}", chart.id);
            }
        }
    }
}

#[test]
fn lines_from_words_pass_none_that_stand_lower() {
    let mut at_the_edge = marked(2, 0.0);
    for (series, x) in at_the_edge.series.iter_mut().zip([1020.0, 1024.0]) {
        series.marks[0].x = x;
    }
    for chart in [rates(), marked(12, 0.3), marked(12, 0.0), at_the_edge] {
        let picture = draw(&chart);
        let document = Document::parse(&picture).unwrap();
        let words: Vec<[f64; 4]> =
            with_class(&document, "small words").into_iter().map(|text| bounds(text).1).collect();
        for line in with_class(&document, "mark") {
            let (x, top) = (number(line, "x1"), number(line, "y1"));
            let crossed = |words: &[f64; 4]| words[0] < x && x < words[1] && top < words[3];
            assert!(!words.iter().any(crossed), "{}: {x} {top} {words:?}", chart.id);
        }
    }
}

#[test]
fn rates_that_all_were_offered_are_named() {
    let picture = draw(&rates());
    let document = Document::parse(&picture).unwrap();
    let names: Vec<&str> = with_class(&document, "tick x").iter().map(|tick| tick.text().unwrap().trim()).collect();
    assert_eq!(names, ["10,000/s", "30,000/s", "60,000/s", "200,000/s"], "90,000/s would touch 60,000/s");
    let mut chart = rates();
    for point in chart.series.iter_mut().flat_map(|series| &mut series.points) {
        point.x = point.x.min(1e5);
    }
    let picture = draw(&chart);
    let document = Document::parse(&picture).unwrap();
    let names: Vec<&str> = with_class(&document, "tick x").iter().map(|tick| tick.text().unwrap().trim()).collect();
    assert_eq!(names.last(), Some(&"100,000/s"), "the last is there, and 90,000/s would touch it, too");
}

#[test]
fn names_stand_beside_the_lines_or_above_them() {
    let legend = |count| {
        let picture = draw(&many(count, |series| 1e4 * (series + 1) as f64, "b"));
        let document = Document::parse(&picture).unwrap();
        let names = with_class(&document, "label");
        (names.len(), names.iter().map(|name| number(*name, "x")).fold(f64::INFINITY, f64::min) > WIDTH / 2.0)
    };
    assert_eq!(legend(6), (6, true));
    assert_eq!(legend(16), (16, false));
}

#[test]
fn what_several_say_of_a_place_is_said_once() {
    let said = |marked: &[usize]| {
        let mut chart = many(3, |_| 1e5, "b");
        for &index in marked {
            chart.series[index].marks = vec![Mark { x: 64.0, interval: None, label: "took all".to_owned() }];
        }
        let picture = draw(&chart);
        let document = Document::parse(&picture).unwrap();
        let words = with_class(&document, "small words");
        assert_eq!((words.len(), with_class(&document, "mark").len()), (1, 1), "{picture}");
        words[0].text().unwrap().trim().to_owned()
    };
    assert_eq!(said(&[1]), "b1: took all", "one of several series");
    assert_eq!(said(&[0, 2]), "b0, b2: took all");
    assert_eq!(said(&[0, 1, 2]), "all: took all");
}

#[test]
fn a_picture_grows_with_its_notes_up_to_a_bound_and_counts_those_that_it_leaves_out() {
    let mut chart = contents().charts.remove(0);
    chart.notes = (0..40).map(|index| format!("note {index} about something that is missing")).collect();
    let picture = draw(&chart);
    let document = Document::parse(&picture).unwrap();
    let lines = descendants(with_class(&document, "notes").remove(0), "small muted");
    assert_eq!(lines.len(), 12);
    let height: f64 =
        document.root_element().attribute("viewBox").unwrap().split(' ').next_back().unwrap().parse().unwrap();
    assert!(height > HEIGHT && lines.iter().all(|line| bounds(*line).1[1] <= WIDTH && bounds(*line).1[3] <= height));
    assert!(lines[11].text().unwrap().trim().ends_with("more notes in the description"), "{picture}");
    assert!(picture.contains("note 39 about"), "all are in the description");
}

#[test]
fn why_something_is_missing_is_never_cut() {
    let mut chart = contents().charts.remove(0);
    let reason = "too few requests for this percentile, at least 10 must lie above it";
    chart.notes = ["points: medians", "bars: where they lie"].map(|note| [note; 8].join(", and ")).into();
    chart.notes.push(format!("missing: {reason} ({})", ["io_uring-oneshot at 1, 8, 64"; 16].join("; ")));
    let picture = draw(&chart);
    let document = Document::parse(&picture).unwrap();
    let lines = descendants(with_class(&document, "notes").remove(0), "small muted");
    let notes: Vec<&str> = lines.iter().map(|line| line.text().unwrap().trim()).collect();
    assert!(notes.join(" ").contains(reason), "{notes:?}");
    assert!(notes.last().unwrap().ends_with('…'), "{notes:?}");
}

#[test]
fn a_line_of_a_thousand_points_has_few_symbols() {
    let point = |index: u32| Point {
        x: f64::from(index) / 1000.0,
        y: Some(1e5),
        interval: None,
        state: State::Valid,
        said: Vec::new(),
    };
    let mut chart = contents().charts.remove(1);
    chart.series[0].points = (0..1000).map(point).collect();
    let picture = draw(&chart);
    let document = Document::parse(&picture).unwrap();
    let series = with_class(&document, "series s0").remove(0);
    assert_eq!(places(descendants(series, "line")[0]).len(), 1000);
    assert!((2..25).contains(&descendants(series, "point valid").len()));
}

#[test]
fn what_comes_from_a_file_is_text_and_nothing_else() {
    let harm = "\"'><script>alert(1)</script>]]>&amp;<!--\u{0}\u{1b}\u{ffff}";
    let mut chart = contents().charts.remove(0);
    let axes = [&mut chart.x.label, &mut chart.y.label];
    for text in [&mut chart.title, &mut chart.cells, &mut chart.id, &mut chart.kind].into_iter().chain(axes) {
        text.push_str(harm);
    }
    chart.notes.push(harm.to_owned());
    for series in &mut chart.series {
        series.backend = harm.to_owned();
        series.points[0].said.push(harm.to_owned());
        series.marks.push(Mark { x: 64.0, interval: Some([1.0, 512.0]), label: harm.to_owned() });
    }
    let picture = draw(&chart);
    let document = Document::parse(&picture).unwrap();
    let known = "svg g title desc style rect line polyline polygon path circle text";
    let names = document.descendants().filter(Node::is_element).map(|node| node.tag_name().name());
    for name in names {
        assert!(known.split(' ').any(|known| known == name), "{name}");
    }
    let shown = harm.replace(['\u{0}', '\u{1b}', '\u{ffff}'], "\u{fffd}");
    assert!(texts(&document).iter().any(|text| text.contains("<script>")), "{picture}");
    assert!(document.descendants().any(|node| node.text().is_some_and(|text| text.contains(&shown))), "{picture}");
    assert!(!picture.contains("href") && !picture.contains("url(") && !picture.contains("@import"), "{picture}");
}

#[test]
fn values_of_any_size_make_a_picture() {
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1.0, f64::MIN_POSITIVE, f64::MAX, 1e299];
    let scales = [Scale::Linear, Scale::Log, Scale::Nines, Scale::Time];
    let units = [Unit::Count, Unit::PerSecond, Unit::Nanoseconds, Unit::Bytes, Unit::Quantile, Unit::Time];
    for (scale, unit) in scales.into_iter().flat_map(|scale| units.map(|unit| (scale, unit))) {
        let mut chart = many(2, |_| 1.0, "x");
        chart.x = Axis { label: "x".to_owned(), unit, scale };
        chart.y = Axis { label: "y".to_owned(), unit, scale };
        for (point, value) in chart.series[0].points.iter_mut().zip(values) {
            (point.x, point.y, point.interval) = (value, Some(value), Some([-value, value]));
        }
        let picture = draw(&chart);
        Document::parse(&picture).unwrap_or_else(|error| panic!("{scale:?} {unit:?}: {error}"));
        assert!(!picture.contains("NaN") && !picture.contains("\"inf"), "{scale:?} {unit:?}: {picture}");
    }
}

#[test]
fn a_chart_of_nothing_says_so() {
    let mut chart = contents().charts.remove(0);
    for point in chart.series.iter_mut().flat_map(|series| &mut series.points) {
        (point.y, point.state) = (None, State::Missing);
    }
    for series in [chart.series.clone(), Vec::new()] {
        let picture = draw(&Chart { series, ..chart.clone() });
        let document = Document::parse(&picture).unwrap();
        assert!(texts(&document).contains(&"There is nothing to draw: no trial gave a value."), "{picture}");
        assert!(with_class(&document, "line").is_empty());
    }
}

#[test]
fn the_same_chart_is_the_same_picture() {
    let (one, other) = (contents().charts, contents().charts);
    assert!(one.iter().map(draw).eq(other.iter().map(draw)));
}

#[test]
fn it_is_drawn_in_both_modes_and_told_to_those_who_do_not_see_it() {
    let picture = draw(&contents().charts[0]);
    let document = Document::parse(&picture).unwrap();
    let style = document.descendants().find(|node| node.has_tag_name("style")).unwrap().text().unwrap();
    let (light, dark) = style.split_once("@media (prefers-color-scheme:dark)").unwrap();
    assert!(light.contains(".s1{color:#d55e00}") && dark.contains(".s1{color:#e69f00}"), "{style}");
    assert!(light.contains("#ffffff") && dark.contains("#0d1117"), "{style}");
    let root = document.root_element();
    assert_eq!((root.attribute("viewBox"), root.attribute("width")), (Some("0 0 960 540"), None));
    let told = document.descendants().find(|node| node.has_tag_name("desc")).unwrap().text().unwrap();
    assert!(told.contains("epoll: 100,000/s at 1, 200,000/s at 64, "), "{told}");
    assert!(told.contains("260,000/s at 64,") && told.contains("(invalid)") && told.contains("(suspect)"), "{told}");
}

/// So many series that all end at their `value`.
fn many(count: usize, value: impl Fn(usize) -> f64, name: &str) -> Chart {
    let point =
        |x, y| Point { x, y: Some(y), interval: Some([y * 0.9, y * 1.1]), state: State::Valid, said: Vec::new() };
    let series = |index| Series {
        backend: format!("{name}{index}"),
        look: LOOK,
        points: [1.0, 2.0, 3.0, 4.0, 8.0, 64.0, 512.0, 1000.0, 1024.0].map(|x| point(x, value(index))).into(),
        marks: Vec::new(),
    };
    let series: Vec<Series> = (0..count).map(series).collect();
    Chart { id: format!("many-{count}"), series, ..contents().charts.remove(0) }
}

/// So many series that each point out a place, `step` of the axis from one to the next.
fn marked(count: usize, step: f64) -> Chart {
    let mut chart = many(count, |_| 1e5, "io_uring-");
    for (index, series) in chart.series.iter_mut().enumerate() {
        let x = (2.0 + step * index as f64).exp2();
        series.marks = vec![Mark { x, interval: Some([x * 0.9, x * 1.1]), label: "capacity 182,000/s".to_owned() }];
    }
    chart
}

/// Few rates that all have in common, lines that end at the bottom, and one with nothing; all say something of the last rate.
fn rates() -> Chart {
    let mut chart = many(6, |_| 0.0, "io_uring-");
    chart.x = Axis { label: "offered load".to_owned(), unit: Unit::PerSecond, scale: Scale::Log };
    for series in &mut chart.series {
        series.points.truncate(5);
        for (point, x) in series.points.iter_mut().zip([1e4, 3e4, 6e4, 9e4, 2e5]) {
            point.x = x;
        }
        let label = format!("took 200,000/s, the most that was offered to {}", series.backend);
        series.marks = vec![Mark { x: 2e5, interval: None, label }];
    }
    for point in &mut chart.series[5].points {
        (point.y, point.state) = (None, State::Missing);
    }
    Chart { id: "rates".to_owned(), ..chart }
}

/// A text and where it lies: left, right, top, bottom.
fn bounds<'a>(text: Node<'a, '_>) -> (&'a str, [f64; 4]) {
    let class = text.attribute("class").unwrap_or_default();
    let size = match class {
        "title" => LARGE * 1.06,
        class if class.contains("small") => SMALL,
        _ => SIZE,
    };
    let content = text.text().unwrap_or_default().trim();
    let (x, y, width) = (number(text, "x"), number(text, "y"), width(content, size));
    let left = match text.attribute("text-anchor") {
        Some("end") => x - width,
        Some("middle") => x - width / 2.0,
        _ => x,
    };
    (content, [left, left + width, y - 0.75 * size, y + 0.2 * size])
}

fn texts<'a>(document: &'a Document<'_>) -> Vec<&'a str> {
    document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .filter_map(|node| node.text())
        .map(str::trim)
        .collect()
}

fn with_class<'a, 'input>(document: &'a Document<'input>, class: &str) -> Vec<Node<'a, 'input>> {
    descendants(document.root_element(), class)
}

fn descendants<'a, 'input>(node: Node<'a, 'input>, class: &str) -> Vec<Node<'a, 'input>> {
    node.descendants().filter(|node| node.attribute("class") == Some(class)).collect()
}

fn places(line: Node) -> Vec<(f64, f64)> {
    let numbers: Vec<f64> =
        line.attribute("points").unwrap().split([' ', ',']).map(|number| number.parse().unwrap()).collect();
    numbers.chunks(2).map(|place| (place[0], place[1])).collect()
}

fn number(node: Node, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}
