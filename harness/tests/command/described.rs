//! `harness completions` and `harness man`: the definition of the arguments, as shells and readers of manuals get it.

use std::fs;
use std::process::Command;

use crate::support::{harness, has_tool};

/// What bash offers for the last of `words`.
fn completed(words: &[&str]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let script = harness(&["completions", "bash"], directory.path());
    assert_eq!((script.code(), script.stderr.len()), (Some(0), 0), "{script:?}");
    let path = directory.path().join("harness.bash");
    fs::write(&path, script.stdout.join("\n")).unwrap();
    let checked = Command::new("bash").arg("-n").arg(&path).output().unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    let complete = r#"source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _harness harness "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
        printf '%s\n' "${COMPREPLY[@]}""#;
    let output = Command::new("bash").args(["-c", complete, "bash"]).arg(&path).args(words).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_backends() {
    if !has_tool("bash") {
        return;
    }
    assert_eq!(completed(&["harness", "sw"]), ["sweep"]);
    assert_eq!(completed(&["harness", "serve", "--backend", "ep"]), ["epoll", "epoll-et"]);
    assert_eq!(completed(&["harness", "sweep", "--backends", "sel"]), ["select"]);
    assert_eq!(completed(&["harness", "compare", "--baseline", "thr"]), ["threads", "thread-pool"]);
    assert_eq!(completed(&["harness", "sweep", "--qui"]), ["--quiet"]);
    assert_eq!(completed(&["harness", "gua"]), [""], "nobody calls that");
}

#[test]
fn every_shell_has_a_script() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = harness(&["completions", shell], directory.path());
        let text = script.stdout.join("\n");
        assert_eq!(script.code(), Some(0));
        assert!(text.contains("capacity") && !text.contains("guard"), "{shell}: {text}");
        // The scripts of the other shells have no values in them.
        assert_eq!(text.contains("io_uring"), ["zsh", "fish"].contains(&shell), "{shell}");
    }
    let refused = harness(&["completions", "cmd"], directory.path());
    assert_eq!((refused.code(), refused.stderr.len()), (Some(2), 1), "{refused:?}");
}

#[test]
fn every_command_has_a_page_that_groff_has_nothing_against() {
    let directory = tempfile::tempdir().unwrap();
    let ended = harness(&["man", "--output", "pages/man1"], directory.path());
    assert_eq!((ended.code(), ended.stdout.len(), ended.stderr.len()), (Some(0), 0, 0), "{ended:?}");
    let pages = fs::read_dir(directory.path().join("pages/man1")).unwrap().map(|page| page.unwrap().path());
    let pages: Vec<_> = pages.collect();
    let has = |name: &str| pages.iter().any(|page| page.ends_with(name));
    assert!(has("harness.1") && has("harness-sweep.1") && has("harness-man.1") && !has("harness-guard.1"), "{pages:?}");
    let whole = harness(&["man"], directory.path()).stdout.join("\n");
    assert!(whole.contains("harness\\-sweep(1)"), "{whole}");
    if !has_tool("groff") {
        return;
    }
    for page in pages {
        let groff = Command::new("groff").args(["-man", "-ww", "-Kutf8", "-Tutf8"]).arg(&page).output().unwrap();
        assert!(groff.status.success() && groff.stderr.is_empty(), "{page:?}: {groff:?}");
        assert!(String::from_utf8_lossy(&groff.stdout).contains("harness"), "{page:?}");
    }
    fs::write(directory.path().join("taken"), "").unwrap();
    let refused = harness(&["man", "--output", "taken"], directory.path());
    assert_eq!((refused.code(), refused.stderr.len()), (Some(1), 1), "{refused:?}");
    assert!(refused.stderr[0].contains("cannot write to taken"), "{refused:?}");
}
