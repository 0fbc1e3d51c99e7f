//! Tests that are skipped, as whoever runs them sees it.

use std::process::{Command, Stdio};

/// One says so itself, the other by what all tests have in common.
#[test]
fn a_test_that_is_skipped_says_so_past_the_test_harness() {
    for test in [
        "doctor::a_machine_on_which_nothing_can_be_read_is_no_error",
        "strangers::strace_counts_the_system_calls_that_every_backend_reports",
    ] {
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            // Without a tool in it.
            .env("PATH", "/dev/null")
            .env_remove("REQUIRE_TOOLS")
            .env_remove("RUST_TEST_NOCAPTURE")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
        assert!(stderr.lines().any(|line| line.starts_with("skipped: ")), "{test}: {stderr}");
    }
}
