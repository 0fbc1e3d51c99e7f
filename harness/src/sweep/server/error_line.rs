//! The line of a program's standard error that says what went wrong, wherever it stands: Node and Java put a stack below it,
//! Python puts one above it, Rust puts it below its place.

use std::iter;

use crate::plain::plain;

/// A longer line is cut.
const MOST_CHARS: usize = 200;
/// Where a long line is cut in front, so much stays before the word that says that it is an error.
const CHARS_BEFORE: usize = 40;
/// A line with more than one in so many characters that are none is no text.
const TEXT_PARTS: usize = 10;

/// What a line begins with that says what ended a program.
const BEGINNINGS: [&str; 12] = [
    "error:",
    "fatal:",
    "fatal error:",
    "panic:",
    "uncaught ",
    "unhandled exception",
    "exception in thread",
    "caused by:",
    "terminate called",
    "segmentation fault",
    "bus error",
    "internal compiler error",
];
/// What stands somewhere in such a line.
const PARTS: [&str; 6] = [
    " panicked at ",
    "sanitizer: ",
    "runtime error: ",
    "assertion ",
    "error while loading shared libraries",
    "stack smashing detected",
];
/// Words, and names and texts of errors of the kernel, in lines that may say it where no other does.
const WORDS: [&str; 28] = [
    "error",
    "fatal",
    "panic",
    "exception",
    "critical",
    "aborted",
    "abort",
    "failed",
    "cannot",
    "can't",
    "unable",
    "eaddrinuse",
    "eacces",
    "eperm",
    "enoent",
    "emfile",
    "enomem",
    "econnrefused",
    "eaddrnotavail",
    "address already in use",
    "permission denied",
    "no such file",
    "not permitted",
    "not found",
    "too many open files",
    "out of memory",
    "connection refused",
    "killed",
];

/// The last line of `said` that names an error; the last one with any text in it, where none does. None where nothing was
/// said. On one line, without control characters, and not long.
pub(super) fn error_line(said: &[u8]) -> Option<String> {
    let said = without_escapes(&String::from_utf8_lossy(said));
    // A line that is written over again ends in CR.
    let lines: Vec<Line> = said.split(['\n', '\r']).map(Line::new).filter(Line::says_something).collect();
    let traceback = after_traceback(&lines);
    let chosen = (0..lines.len()).rev().max_by_key(|&line| (lines[line].rank(traceback.contains(&line)), line));
    let Some(chosen) = chosen else {
        return said.chars().any(is_no_text).then(|| "what it wrote is no text".to_owned());
    };
    let mut text = lines[chosen].text.clone();
    if let Some(next) = lines.get(chosen + 1).filter(|_| lines[chosen].goes_on()) {
        text = format!("{text} {}", next.text);
    }
    Some(cut(&text))
}

/// The lines that end a Python traceback: the first one after each that is not indented.
fn after_traceback(lines: &[Line]) -> Vec<usize> {
    let begins = |line: &Line| line.text.starts_with("Traceback (most recent call last):");
    let begun = lines.iter().enumerate().filter(|(_, line)| begins(line)).map(|(index, _)| index);
    let end = |begun: usize| {
        let rest = lines[begun + 1..].iter().position(|line| !line.is_indented);
        rest.map(|offset| begun + 1 + offset)
    };
    begun.filter_map(end).collect()
}

/// How much a line says about an end, the more the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    NoText,
    Any,
    HasWord,
    NamesError,
}

struct Line {
    /// Without what surrounds it.
    text: String,
    is_indented: bool,
    is_text: bool,
}

impl Line {
    fn new(line: &str) -> Self {
        let strange = line.chars().filter(|c| is_no_text(*c)).count();
        let text = plain(line).replace(char::REPLACEMENT_CHARACTER, "");
        Self {
            is_indented: text.starts_with(char::is_whitespace),
            // Zeros in front of a line are no reason not to read it.
            is_text: strange * TEXT_PARTS <= text.chars().count() || strange == zeros(line),
            text: text.trim().to_owned(),
        }
    }

    /// Rules, braces and the marks below a place in a source say nothing.
    fn says_something(&self) -> bool {
        self.text.chars().any(char::is_alphanumeric)
    }

    fn rank(&self, ends_traceback: bool) -> Rank {
        let lower = self.text.to_lowercase();
        match () {
            () if !self.is_text => Rank::NoText,
            () if ends_traceback || self.names_error(&lower) => Rank::NamesError,
            () if !self.is_frame() && word(&lower).is_some() => Rank::HasWord,
            () => Rank::Any,
        }
    }

    fn names_error(&self, lower: &str) -> bool {
        if self.is_indented {
            return false;
        }
        // `java.net.BindException: …`, `Error [ERR_X]: …`, `OSError: …`, and `prog: error: …` of compilers and tools.
        let kind = lower.split([':', ' ']).next().unwrap_or_default();
        let is_kind = (kind.ends_with("error") || kind.ends_with("exception")) && lower.contains(':');
        is_kind
            || BEGINNINGS.iter().any(|beginning| lower.starts_with(beginning))
            || PARTS.iter().any(|part| lower.contains(part))
    }

    /// Where in a program something was called from, and the source there.
    fn is_frame(&self) -> bool {
        self.is_indented && ["at ", "File ", "#", "... "].iter().any(|frame| self.text.starts_with(frame))
    }

    /// What went wrong stands on the line below.
    fn goes_on(&self) -> bool {
        (self.text.contains(" panicked at ") && self.text.ends_with(':'))
            || self.text.starts_with("terminate called after")
    }
}

/// Where the first of the words that speak of an error stands, in bytes.
fn word(lower: &str) -> Option<usize> {
    let is_whole = |at: usize, word: &str| {
        let before = lower[..at].chars().next_back();
        let after = lower[at + word.len()..].chars().next();
        [before, after].into_iter().flatten().all(|c| !c.is_alphanumeric())
    };
    WORDS.iter().filter_map(|word| lower.match_indices(word).map(|(at, _)| at).find(|&at| is_whole(at, word))).min()
}

/// A line that is too long is cut behind, and in front where it speaks of an error only late.
fn cut(text: &str) -> String {
    let length = text.chars().count();
    if length <= MOST_CHARS {
        return text.to_owned();
    }
    // Case changes the length of few characters, and no place by much.
    let at = word(&text.to_lowercase()).map_or(0, |at| text.char_indices().take_while(|(byte, _)| *byte < at).count());
    let from = if at + CHARS_BEFORE <= MOST_CHARS { 0 } else { (at - CHARS_BEFORE).min(length - MOST_CHARS) };
    let shown: String = text.chars().skip(from).take(MOST_CHARS).collect();
    let (before, after) = (if from > 0 { "…" } else { "" }, if from + MOST_CHARS < length { "…" } else { "" });
    format!("{before}{}{after}", shown.trim())
}

fn zeros(line: &str) -> usize {
    line.chars().take_while(|c| *c == '\0').count()
}

fn is_no_text(c: char) -> bool {
    c == char::REPLACEMENT_CHARACTER || (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}

/// Without what colours a terminal or names its window: ECMA-48 control sequences (`ESC [ … letter`) and strings
/// (`ESC ] … BEL`).
fn without_escapes(text: &str) -> String {
    const ESCAPE: char = '\u{1b}';
    let mut rest = text.chars().peekable();
    let next = || -> Option<char> {
        loop {
            match rest.next()? {
                ESCAPE => match rest.next()? {
                    '[' => while rest.next_if(|c| !('@'..='~').contains(c) && *c != '\n').is_some() {},
                    ']' => while rest.next_if(|c| !['\u{7}', ESCAPE, '\n'].contains(c)).is_some() {},
                    _ => continue,
                },
                c => return Some(c),
            }
            // What ends it.
            rest.next_if(|c| !['\n', ESCAPE].contains(c));
        }
    };
    iter::from_fn(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(said: impl AsRef<[u8]>, expected: &str) {
        assert_eq!(error_line(said.as_ref()).as_deref(), Some(expected));
    }

    #[test]
    fn node_puts_a_stack_and_its_version_below_the_error() {
        let said = "node:events:497\n      throw er; // Unhandled 'error' event\n      ^\n\n\
            Error: listen EADDRINUSE: address already in use 127.0.0.1:8080\n    \
            at Server.setupListenHandle [as _listen2] (node:net:1817:16)\n    at listenInCluster (node:net:1865:12)\n\
            Emitted 'error' event on Server instance at:\n    at emitErrorNT (node:net:1844:8)\n    \
            at process.processTicksAndRejections (node:internal/process/task_queues:82:21) {\n  code: 'EADDRINUSE',\n  \
            errno: -98,\n  syscall: 'listen',\n  address: '127.0.0.1',\n  port: 8080\n}\n\nNode.js v20.11.0\n";
        says(said, "Error: listen EADDRINUSE: address already in use 127.0.0.1:8080");
        let said = "node:internal/modules/cjs/loader:1147\n  throw err;\n  ^\n\nError: Cannot find module '/x/app.js'\n    \
            at Module._resolveFilename (node:internal/modules/cjs/loader:1144:15) {\n  code: 'MODULE_NOT_FOUND',\n  \
            requireStack: []\n}\n\nNode.js v20.11.0\n";
        says(said, "Error: Cannot find module '/x/app.js'");
        let said = "/x/app.js:3\nfoo.bar();\n^\n\nReferenceError: foo is not defined\n    at Object.<anonymous> (/x/app.js:3:1)\
            \n\nNode.js v20.11.0\n";
        says(said, "ReferenceError: foo is not defined");
    }

    #[test]
    fn python_puts_the_stack_above_the_error() {
        let said = "Traceback (most recent call last):\n  File \"/x/s.py\", line 3, in <module>\n    raise ValueError('x')\n\
            ValueError: x\n\nDuring handling of the above exception, another exception occurred:\n\n\
            Traceback (most recent call last):\n  File \"/x/s.py\", line 5, in <module>\n    bind()\n    ~~~~^^\n\
            my.PortTaken: 8080\n";
        says(said, "my.PortTaken: 8080");
        says(
            "  File \"/x/s.py\", line 1\n    foo(\n       ^\nSyntaxError: '(' was never closed\n",
            "SyntaxError: '(' was never closed",
        );
        says(
            "Traceback (most recent call last):\n  File \"s.py\", line 1, in <module>\nKeyboardInterrupt\nbye\n",
            "KeyboardInterrupt",
        );
        says(
            "python3: can't open file '/x/absent.py': [Errno 2] No such file or directory\n",
            "python3: can't open file '/x/absent.py': [Errno 2] No such file or directory",
        );
    }

    #[test]
    fn go_puts_its_goroutines_below_the_panic() {
        let said = "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n\
            \t/x/main.go:8 +0x1d\nexit status 2\n";
        says(said, "panic: runtime error: index out of range [5] with length 3");
        let said = "panic: runtime error: invalid memory address or nil pointer dereference\n\
            [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4]\n\ngoroutine 1 [running]:\nmain.main()\n";
        says(said, "panic: runtime error: invalid memory address or nil pointer dereference");
        says(
            "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [select (no cases)]:\nmain.main()\n",
            "fatal error: all goroutines are asleep - deadlock!",
        );
        says(
            "2026/01/01 00:00:00 listen tcp 127.0.0.1:80: bind: permission denied\nexit status 1\n",
            "2026/01/01 00:00:00 listen tcp 127.0.0.1:80: bind: permission denied",
        );
    }

    #[test]
    fn rust_puts_the_message_below_its_place() {
        let said = "\nthread 'main' (4711) panicked at src/main.rs:2:5:\ncalled `Result::unwrap()` on an `Err` value: AddrInUse\n\
            note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        says(
            said,
            "thread 'main' (4711) panicked at src/main.rs:2:5: called `Result::unwrap()` on an `Err` value: AddrInUse",
        );
        says(
            "Error: Os { code: 98, kind: AddrInUse, message: \"Address already in use\" }\n",
            "Error: Os { code: 98, kind: AddrInUse, message: \"Address already in use\" }",
        );
    }

    #[test]
    fn java_puts_frames_below_the_exception_and_what_caused_it() {
        let said = "Exception in thread \"main\" java.lang.RuntimeException: no start\n\tat Main.main(Main.java:5)\n\
            Caused by: java.net.BindException: Address already in use\n\tat java.base/sun.nio.ch.Net.bind0(Native Method)\n\
            \t... 3 more\n";
        says(said, "Caused by: java.net.BindException: Address already in use");
        says(
            "Exception in thread \"main\" java.lang.Error: x\n\tat Main.main(Main.java:5)\n",
            "Exception in thread \"main\" java.lang.Error: x",
        );
    }

    #[test]
    fn c_and_its_sanitizers_say_it_in_a_summary_or_in_the_only_line() {
        let said = "=================================================================\n\
            ==42==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010 at pc 0x55\n\
            READ of size 1 at 0x602000000010 thread T0\n    #0 0x55 in main x.c:5\n\n\
            SUMMARY: AddressSanitizer: heap-use-after-free x.c:5 in main\nShadow bytes around the buggy address:\n\
            =>0x0c04: fa fa[fd]fa\n==42==ABORTING\n";
        says(said, "SUMMARY: AddressSanitizer: heap-use-after-free x.c:5 in main");
        says("x.c:3:5: runtime error: signed integer overflow\n", "x.c:3:5: runtime error: signed integer overflow");
        says(
            "echo: echo.c:7: main: Assertion `n > 0' failed.\nAborted\n",
            "echo: echo.c:7: main: Assertion `n > 0' failed.",
        );
        says(
            "terminate called after throwing an instance of 'std::runtime_error'\n  what():  no port\n",
            "terminate called after throwing an instance of 'std::runtime_error' what():  no port",
        );
        says(
            "./echo: error while loading shared libraries: libuv.so.1: cannot open shared object file\n",
            "./echo: error while loading shared libraries: libuv.so.1: cannot open shared object file",
        );
    }

    #[test]
    fn plain_text_says_it_last() {
        says("starting\nlistening soon\nout of cheese\n}\n", "out of cheese");
        says("bind: Address already in use\r\nbye\r\n", "bind: Address already in use");
        says("0 errors so far\nready\n", "ready");
        assert_eq!(error_line(b""), None);
        assert_eq!(error_line(b"\n \r\n\t\n---\n"), None);
    }

    #[test]
    fn what_is_shown_is_printable_and_short() {
        says(b"\x1b[1;31merror\x1b[0m: no \x1b]0;title\x07port\x07\n\x1b[32mbye\x1b[m\n", "error: no port");
        says([&[0_u8; 600], b"out of cheese\n".as_slice()].concat(), "out of cheese");
        says([0_u8; 600], "what it wrote is no text");
        let noise: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let shown = error_line(&noise).unwrap();
        assert!(shown.chars().count() <= MOST_CHARS + 2 && !shown.chars().any(is_no_text), "{shown:?}");
        says([noise.as_slice(), b"\nout of cheese\n"].concat(), "out of cheese");
        let long = error_line(&vec![b'x'; 1 << 20]).unwrap();
        assert_eq!((long.chars().count(), long.ends_with("x…")), (MOST_CHARS + 1, true));
        let late = error_line(&[vec![b'x'; 1 << 16], b" error: no port".to_vec()].concat()).unwrap();
        assert!(late.starts_with('…') && late.ends_with(" error: no port"), "{late}");
        let zeros = format!("ValueError: source code has null bytes: b'{}'\n", "\\x00".repeat(150));
        let shown = error_line(zeros.as_bytes()).unwrap();
        assert!(shown.starts_with("ValueError: source code") && shown.chars().count() == MOST_CHARS + 1, "{shown}");
        says("Error: one\u{202e}two\u{200b}\n", "Error: onetwo");
    }
}
