//! What a terminal gets that a pipe does not: colours, a width, a bar with figures below it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::pty::{Winsize, openpty};

use crate::brief::brief_sweep;
use crate::made;
use crate::support::{HARNESS, harness};

/// Two backends that are measured and one that never is.
fn sweep() -> Vec<&'static str> {
    // Without an output, so that each has a file of its own.
    [&brief_sweep("1", "2", "run.jsonl")[..11], &["--server", "broken=false {port}"]].concat()
}

/// Which of the two outputs is a terminal.
#[derive(Clone, Copy, PartialEq)]
enum Terminal {
    Stdout,
    Stderr,
}

/// What the command wrote to a terminal of so many columns.
fn on_terminal(
    which: Terminal,
    columns: u16,
    arguments: &[&str],
    variables: &[(&str, &str)],
    directory: &Path,
) -> String {
    // Some terminals do not say how high they are.
    let ws_row = if which == Terminal::Stdout { 0 } else { 24 };
    let size = Winsize { ws_row, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).unwrap();
    let mut command = Command::new(HARNESS);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LC_ALL", "LC_CTYPE"] {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(directory).env("TERM", "xterm").env("LANG", "C.UTF-8");
    command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match which {
        Terminal::Stdout => command.stdout(pty.slave),
        Terminal::Stderr => command.stderr(pty.slave),
    };
    let mut child = command.spawn().unwrap();
    // Ours was the last descriptor of the other end but for the child's.
    drop(command);
    let mut written = Vec::new();
    let mut master = File::from(pty.master);
    let mut part = [0; 4096];
    // The end of a terminal is an error.
    while let Ok(count @ 1..) = master.read(&mut part) {
        written.extend_from_slice(&part[..count]);
    }
    child.wait().unwrap();
    String::from_utf8(written).unwrap()
}

fn without_colours(text: &str) -> String {
    ["\x1b[1;32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"].iter().fold(text.to_owned(), |text, code| text.replace(code, ""))
}

#[test]
fn a_table_fits_its_terminal_and_has_colours() {
    let directory = tempfile::tempdir().unwrap();
    for columns in [60, 120] {
        let text = on_terminal(Terminal::Stdout, columns, &sweep(), &[], directory.path());
        assert!(text.contains(" \x1b[31mbroken\x1b[0m"), "{text}");
        let bare = without_colours(&text);
        assert!(!bare.contains('\x1b') && bare.contains("0 of 2 *"), "{bare}");
        // A path is one word, and not cut.
        let lines = || bare.lines().filter(|line| !line.contains("results"));
        assert!(lines().all(|line| line.chars().count() <= usize::from(columns)), "{bare}");
        assert_eq!(bare.contains("no room for max RSS"), columns == 60, "{bare}");
    }
}

#[test]
fn nobody_gets_colours_who_wants_none() {
    let directory = tempfile::tempdir().unwrap();
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let text = on_terminal(Terminal::Stdout, 100, &sweep(), &[variable], directory.path());
        assert!(text.contains("broken") && !text.contains('\x1b'), "{variable:?}: {text}");
    }
    let ended = harness(&sweep(), directory.path());
    let text = ended.stdout.join("\n");
    assert!(text.contains("broken") && !text.contains('\x1b'), "{ended:?}");
    let note = "note: broken: nothing was measured in 2 trials, each time because: the server ended before";
    assert!(ended.stderr.len() == 1 && ended.stderr[0].starts_with(note), "{ended:?}");
    assert!(text.contains("max RSS") && !text.contains('█'), "a pipe gets all columns, and no bars: {text}");
}

#[test]
fn the_last_trial_stands_below_the_bar_unless_it_is_to_be_quiet() {
    let directory = tempfile::tempdir().unwrap();
    let text = on_terminal(Terminal::Stderr, 80, &sweep(), &[], directory.path());
    for part in ["last: epoll ", "CPU/request · ", "last: broken without figures", "/6 "] {
        assert!(text.contains(part), "{part} in {text:?}");
    }
    let quiet = [sweep().as_slice(), &["--quiet"]].concat();
    let said = on_terminal(Terminal::Stderr, 80, &quiet, &[], directory.path());
    assert!(
        said.starts_with("note: broken: ") && said.lines().count() == 1,
        "no progress, but what went wrong: {said:?}"
    );
    let capacity = ["capacity", "--slo", "p99<1s", "--backends", "epoll", "--budget", "1ms", "--duration", "20ms"];
    let wrong = on_terminal(Terminal::Stderr, 80, &[capacity.as_slice(), &["--quiet"]].concat(), &[], directory.path());
    assert!(wrong.starts_with("error: ") && wrong.lines().count() == 1, "an error is said all the same: {wrong:?}");
}

#[test]
fn a_comparison_fits_its_terminal_and_keeps_its_figures_and_remarks() {
    let directory = tempfile::tempdir().unwrap();
    harness(&[sweep().as_slice(), &["--output", "run.jsonl"]].concat(), directory.path());
    let compare = ["compare", "run.jsonl", "--baseline", "epoll"];
    let wide = harness(&compare, directory.path()).stdout.join("\n");
    let text = without_colours(&on_terminal(Terminal::Stdout, 72, &compare, &[], directory.path()));
    assert!(text.lines().all(|line| line.chars().count() <= 72), "{text}");
    assert!(text.contains("no room for suspect") && text.contains("ratios: of each to that of epoll"), "{text}");
    let few = "too few blocks: 2, at least";
    assert!(text.replace("\r\n    ", " ").contains(few) && wide.contains(few), "{text}\n{wide}");
    let ratios = |text: &str| text.split_whitespace().filter(|word| word.ends_with('×')).map(str::to_owned).collect();
    let (narrow, wide): (Vec<String>, Vec<String>) = (ratios(&text), ratios(&wide));
    assert!(!narrow.is_empty() && narrow == wide, "{narrow:?} {wide:?}");
}

#[test]
fn a_comparison_has_no_line_wider_than_a_narrow_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    made::write(&path.join("run.jsonl"), &made::run(&[1], &["epoll", "io_uring-oneshot", "poll"]), 8, |_| ());
    let arguments = ["compare", "run.jsonl", "--baseline", "epoll", "--fail-above", "1"];
    let written = without_colours(&on_terminal(Terminal::Stdout, 60, &arguments, &[], path));
    assert!(written.lines().all(|line| line.chars().count() <= 60), "{written}");
    let rows = written.lines().filter(|line| line.contains("io_uring-oneshot") && line.contains("× ["));
    assert_eq!(rows.count(), 4, "one for each metric: {written}");
}
