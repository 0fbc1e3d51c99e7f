use super::*;
use crate::report::contents::tests::contents;
use crate::report::contents::{Column, Entry, Reason};
use crate::report::tests::run;

#[test]
fn the_answer_comes_first_and_everything_has_its_place() {
    let text = draw(&contents());
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
    let order = [
        "## 3 backends on Linux 6.18 &amp; a CPU",
        "- At 512 connections io\\_uring serves 1.31× \\[1.24, 1.38\\] the requests of epoll.",
        "**Where the order changes**",
        "**What could not be concluded**",
        "**Every backend in every cell**",
        "| backend | requests/s |\n| --- | ---: |",
        "| io\\_uring | 1 |",
        "**run.jsonl** 2026-01-02T03:04:05Z: valid 40, suspect 8",
        "- the file was cut off",
        "- suspect: the load generator was busy (epoll 8)",
        "<details><summary>Environment</summary>",
        "- kernel: 6.18 &lt;b&gt;",
        "```sh\nharness sweep --backends epoll,io_uring\n```",
    ];
    let places = order.map(place);
    assert!(places.is_sorted(), "{text}");
    assert!(!text.contains("Left out"));
}

#[test]
fn nothing_in_a_file_is_more_than_text() {
    let hostile = "<script>|`x`\n# @someone [a](https://evil.example) ![b](c) www.evil.example #1 *b* _i_ ~s~ \u{202e}\u{7}$x$ &lt;";
    let mut contents = contents();
    contents.title = hostile.to_owned();
    contents.answer.findings = vec![hostile.to_owned()];
    contents.tables[0].title = hostile.to_owned();
    contents.tables[0].rows[0][0].text = hostile.to_owned();
    contents.tables[0].columns[0].title = hostile.to_owned();
    let run = &mut contents.runs[0];
    (run.file, run.started, run.notes) = (hostile.to_owned(), hostile.to_owned(), vec![hostile.to_owned()]);
    run.reasons =
        vec![Reason { kind: hostile.to_owned(), reason: hostile.to_owned(), backends: vec![(hostile.to_owned(), 1)] }];
    run.environment = vec![(hostile.to_owned(), vec![(hostile.to_owned(), hostile.to_owned())])];
    run.command = "harness sweep --server 'a=```\n````\u{1b}[2J'".to_owned();
    let text = draw(&contents);

    // The command stands in a fence, where nothing means anything.
    let meaning = text.split("`````").next().unwrap().replace("\\]", "").replace("\\[", "");
    assert!(!meaning.contains('[') && !meaning.contains(']'), "{text}");
    for harm in ["<script", "@s", "https://", "www.evil", "#1", "\u{202e}", "\u{7}", "\u{1b}", " *b*", " _i_", " $x$"] {
        assert!(!text.contains(harm), "{harm:?} in {text}");
    }
    // A line break of a file breaks no line, and each row has as many cells as the heading.
    assert!(text.lines().all(|line| !line.starts_with("# ")), "{text}");
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let rows: Vec<usize> = text.lines().filter(|line| line.starts_with("| ")).map(cells).collect();
    assert_eq!(rows, [3; 5], "{text}");
    // What stands in the command cannot end its fence.
    assert!(text.contains("\n`````sh\n") && text.ends_with("\n`````\n"), "{text}");
}

#[test]
fn what_is_not_shown_holds_nothing_apart_that_means_something_together() {
    let mut contents = contents();
    let backend = "x\n``\u{200b}``\n\n<img src=http://evil/x.png> [click](http://evil) @everyone\n";
    contents.runs[0].command = crate::report::repeat::command(&run("2026-01-01T00:00:00Z", &[1], &[backend]));
    contents.title = "http:\u{200b}//evil www\u{200b}.evil".to_owned();
    let text = draw(&contents);
    let (said, command) = text.split_once("\n`````sh\n").unwrap_or_else(|| panic!("{text}"));
    assert!(command.ends_with("\n`````\n") && command.matches("`````").count() == 1, "{text}");
    assert!(command.contains("\n````\n"), "{text}");
    for harm in ["<img", "@everyone", "http://", "www.evil"] {
        assert!(!said.contains(harm), "{harm:?} in {said}");
    }
}

#[test]
fn it_is_never_longer_than_a_comment_may_be_and_says_what_it_left_out() {
    let mut contents = contents();
    contents.tables[0].columns = vec![Column { title: "t".to_owned(), numeric: false }; 3];
    contents.tables[0].rows = vec![vec![Entry { text: "<".repeat(5000), value: None }; 3]; 1000];
    contents.answer.open = vec!["|".repeat(10_000); 100];
    contents.runs[0].environment = vec![("e".to_owned(), vec![("n".to_owned(), "&".repeat(10_000)); 100])];
    contents.runs[0].command = "c".repeat(70_000);
    contents.runs = vec![contents.runs[0].clone(); 50];
    let text = draw(&contents);
    assert!(text.chars().count() <= MOST_CHARACTERS, "{}", text.chars().count());
    let last = text.lines().last().unwrap();
    for part in ["sentences", "rows of a table", "the command", "45 older files"] {
        assert!(last.starts_with("Left out") && last.contains(part), "{part} in {last}");
    }
    let (opened, closed) = (text.matches("<details>").count(), text.matches("</details>").count());
    assert_eq!(opened, closed);
}
