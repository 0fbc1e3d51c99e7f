//! Values among which are the names of backends: a shell completes those, whatever else may stand there.

use std::error::Error;
use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};

use super::values::List;

/// Parses as the function does, and knows the names.
#[derive(Clone, Copy)]
pub(crate) struct Named<F>(pub(crate) F);

/// What stands there.
#[expect(clippy::unnecessary_wraps, reason = "it is called like those that refuse something")]
pub(crate) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// Names and globs.
pub(crate) fn names(text: &str) -> Result<List<String>, String> {
    text.parse()
}

impl<F, T, E> TypedValueParser for Named<F>
where
    F: Fn(&str) -> Result<T, E> + Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
    E: Into<Box<dyn Error + Send + Sync + 'static>>,
{
    type Value = T;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        TypedValueParser::parse_ref(&self.0, command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(backends::BACKENDS.iter().map(|backend| PossibleValue::new(backend.info().name))))
    }
}
