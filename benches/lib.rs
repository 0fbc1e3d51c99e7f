//! Criterion comparisons of the backends; see the files beside this one, run with `cargo bench`.
