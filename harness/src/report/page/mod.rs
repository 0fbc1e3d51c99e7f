//! `report.html`: one page that needs nothing but itself.
//!
//! What it says is plain HTML, written here and readable without any script; scripts add the charts, sorting and switches.
//! Invariants: everything from a results file passes the template's escaping or `data` below, and scripts use it as text only;
//! the page's own policy lets no other script run, by whatever way it may have come in, and nothing be loaded.

use std::fmt::Write as _;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::chart::Chart;
use super::contents::{Contents, Named, Table};

const D3: &str = include_str!("vendor/d3.min.js");
const PLOT: &str = include_str!("vendor/plot.umd.min.js");
const LICENCES: &str =
    concat!("D3\n\n", include_str!("vendor/d3.LICENSE"), "\nObservable Plot\n\n", include_str!("vendor/plot.LICENSE"));
const STYLE: &str = include_str!("page.css");
/// By whom a page says that it was made.
const GENERATOR: &str = "harness report";
/// Behind which the template has the data.
const DATA_BEGINS: &str = "<script type=\"application/json\" id=\"contents\">";
/// One script, in which each file may use what those before it define.
const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("script/figures.js"),
    include_str!("script/axes.js"),
    include_str!("script/chart.js"),
    include_str!("script/figure.js"),
    include_str!("script/table.js"),
    include_str!("script/page.js"),
    "})();\n"
);

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    contents: &'a Contents,
    policy: String,
    generator: &'a str,
    style: &'a str,
    colours: String,
    tables: Vec<Rows<'a>>,
    licence: &'a str,
    data: String,
    scripts: [&'a str; 3],
}

struct Rows<'a> {
    table: &'a Table,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    backend: Option<&'a str>,
    cells: Vec<Cell<'a>>,
}

struct Cell<'a> {
    text: &'a str,
    numeric: bool,
    value: Option<f64>,
    /// Of the backend that it names.
    colour: Option<usize>,
}

/// Draws it.
///
/// # Panics
///
/// Never: all of the contents has a form in JSON and in HTML.
#[must_use]
pub fn draw(contents: &Contents) -> String {
    let scripts = [D3, PLOT, SCRIPT];
    let page = Page {
        contents,
        policy: policy(&scripts),
        generator: GENERATOR,
        style: STYLE,
        colours: colours(&contents.backends),
        tables: contents.tables.iter().map(|table| Rows { table, rows: rows(table, &contents.backends) }).collect(),
        licence: LICENCES,
        data: data(contents),
        scripts,
    };
    page.render().expect("a template without filters that fail")
}

/// The charts of a page, by their ids; none where the text is no page of ours, whoever may have written it.
#[must_use]
pub fn charts_of(page: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Drawn {
        charts: Vec<Known>,
    }
    #[derive(Deserialize)]
    struct Known {
        id: String,
    }
    // Everything of a file is escaped, so that nothing in the head but the template says this.
    let (head, body) = page.split_once("</head>")?;
    if !head.contains(&format!("<meta name=\"generator\" content=\"{GENERATOR}\">")) {
        return None;
    }
    let data = body.split_once(DATA_BEGINS)?.1.split_once("</script>")?.0;
    let drawn: Drawn = serde_json::from_str(data).ok()?;
    Some(drawn.charts.into_iter().map(|chart| chart.id).collect())
}

/// What the page may do: run exactly its own scripts, and look as it says. Charts bring styles of their own.
fn policy(scripts: &[&str]) -> String {
    let mut policy = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data: blob:; \
                      style-src 'unsafe-inline'; script-src"
        .to_owned();
    for script in scripts {
        let _ = write!(policy, " 'sha256-{}'", STANDARD.encode(Sha256::digest(script)));
    }
    policy
}

/// The colour of each backend as a variable, so that one rule serves light and dark.
fn colours(backends: &[Named]) -> String {
    let mut css = String::from(":root {");
    for (index, Named { look, .. }) in backends.iter().enumerate() {
        let _ = write!(css, " --b{index}: light-dark({}, {});", look.light, look.dark);
    }
    css + " }"
}

fn rows<'a>(table: &'a Table, backends: &'a [Named]) -> Vec<Row<'a>> {
    let columns = &table.columns;
    let naming = columns.iter().position(|column| column.title == "backend");
    let place = |name: &str| backends.iter().position(|backend| backend.name == name);
    table
        .rows
        .iter()
        .map(|entries| {
            let backend = naming.and_then(|column| place(&entries.get(column)?.text));
            let cells = entries.iter().enumerate().map(|(column, entry)| Cell {
                text: &entry.text,
                numeric: columns.get(column).is_some_and(|column| column.numeric),
                value: entry.value.filter(|value| value.is_finite()),
                colour: backend.filter(|_| Some(column) == naming),
            });
            Row { cells: cells.collect(), backend: backend.map(|index| &*backends[index].name) }
        })
        .collect()
}

/// What the scripts draw, as JSON that cannot end the element that it stands in.
fn data(contents: &Contents) -> String {
    #[derive(Serialize)]
    struct Drawn<'a> {
        charts: &'a [Chart],
        backends: &'a [Named],
    }
    let drawn = Drawn { charts: &contents.charts, backends: &contents.backends };
    let json = serde_json::to_string(&drawn).expect("plain data");
    // Outside of its strings JSON has none of these.
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::contents::tests::contents;
    use super::*;

    /// What stands between the first `from` and the next `to`.
    fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
        text.split_once(from).unwrap().1.split_once(to).unwrap().0
    }

    #[test]
    fn what_is_vendored_is_what_was_published() {
        let files: [(&str, &str); 4] = [
            ("d3.min.js", D3),
            ("plot.umd.min.js", PLOT),
            ("d3.LICENSE", include_str!("vendor/d3.LICENSE")),
            ("plot.LICENSE", include_str!("vendor/plot.LICENSE")),
        ];
        let mut sums = String::new();
        for (name, text) in files {
            for byte in Sha256::digest(text) {
                write!(sums, "{byte:02x}").unwrap();
            }
            writeln!(sums, "  {name}").unwrap();
        }
        assert_eq!(sums, include_str!("vendor/SHA256SUMS"));
        let readme = include_str!("vendor/README.md");
        assert!(D3.contains("v7.9.0") && readme.contains("7.9.0"));
        assert!(PLOT.contains("v0.6.17") && readme.contains("0.6.17"));
    }

    #[test]
    fn no_script_can_end_its_own_element() {
        for script in [D3, PLOT, SCRIPT] {
            let script = script.to_lowercase();
            assert!(!script.contains("</script") && !script.contains("<!--") && !script.contains("<script"));
        }
        assert!(!STYLE.to_lowercase().contains("</style"));
    }

    #[test]
    fn the_page_holds_its_scripts_exactly_as_its_policy_names_them() {
        let page = draw(&contents());
        let policy = between(&page, "Content-Security-Policy\" content=\"", "\"").replace("&#39;", "'");
        let scripts: Vec<&str> =
            page.split("<script>").skip(1).map(|rest| rest.split_once("</script>").unwrap().0).collect();
        assert_eq!(scripts.len(), 3);
        for script in scripts {
            let sum = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script)));
            assert!(policy.contains(&sum), "{policy}");
        }
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("http"));
    }

    #[test]
    fn a_page_is_known_again_with_its_charts_and_no_other_is() {
        let mut contents = contents();
        let page = draw(&contents);
        let ids: Vec<String> = contents.charts.iter().map(|chart| chart.id.clone()).collect();
        assert_eq!(charts_of(&page), Some(ids));
        // What a file says does not make a page one of ours, nor another of it.
        let theirs = page.replacen("<meta name=\"generator\"", "<meta name=\"author\"", 1);
        assert_eq!(charts_of(&theirs), None);
        contents.title = "</head><meta name=\"generator\" content=\"harness report\">".to_owned();
        contents.charts.clear();
        assert_eq!(charts_of(&draw(&contents)), Some(Vec::new()));
        for other in ["", "<html><head></head></html>", &page[..page.find("id=\"contents\"").unwrap()]] {
            assert_eq!(charts_of(other), None);
        }
    }

    #[test]
    fn nothing_of_a_file_becomes_markup() {
        let mut contents = contents();
        contents.title = "</title><script>alert(1)</script>".to_owned();
        contents.runs[0].command = "\"><img src=x onerror=alert(1)>".to_owned();
        contents.charts[0].notes = vec!["</script>\u{2028}".to_owned()];
        contents.tables[0].rows[0][0].text = "\"'><b>&".to_owned();
        let page = draw(&contents);
        let count = |what: &str| page.matches(what).count();
        // Those of the page itself and no other: three scripts and one element of data.
        assert_eq!((count("<script"), count("</script>")), (4, 4));
        assert_eq!((count("<img"), count("<i>"), count("<b>"), count("\u{2028}")), (0, 0, 0, 0));
        let data: Value = serde_json::from_str(between(&page, "id=\"contents\">", "</script>")).unwrap();
        assert_eq!(data["charts"][0]["notes"][0], "</script>\u{2028}");
        assert_eq!(data["backends"][2]["name"], "<script>alert(1)</script>");
    }

    #[test]
    fn the_answer_the_table_and_the_facts_need_no_script() {
        let contents = contents();
        let page = draw(&contents);
        let html = page.split_once("<script type").unwrap().0;
        for said in [
            &contents.answer.findings[0],
            "<p class=\"told\">The intervals of 6 comparisons hold together",
            "Since 2026-01-02 epoll serves 0.80×",
            "From 64 connections on",
            "harness sweep --backends epoll,io_uring",
            "valid 40, suspect 8",
            "the load generator was busy (epoll 8)",
            "the file was cut off",
            "requests/s",
            "data-value=\"2\"",
        ] {
            assert!(html.contains(said), "{said}");
        }
    }

    #[test]
    fn a_report_of_nothing_says_so() {
        let mut contents = contents();
        contents.charts.clear();
        contents.backends.clear();
        contents.tables.clear();
        contents.runs[0].verdicts.clear();
        let page = draw(&contents);
        assert!(page.contains("There is nothing to draw.") && page.contains("No trial was measured."));
        assert!(page.contains("Trials: none"));
    }
}
