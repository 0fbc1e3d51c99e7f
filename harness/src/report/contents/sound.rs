//! Files that mislead no reader: names that are what they look like. That no figure is one that nothing can have is seen
//! to where a trial is read.

use std::borrow::Cow;

use crate::report::FileRun;
use crate::results::PlainNames;

/// The files as they are, or where something in them would mislead, copies without that.
pub(super) fn sound(files: &[FileRun]) -> Cow<'_, [FileRun]> {
    let names = PlainNames::of(files.iter().map(|file| &file.recorded));
    if names.are_all_as_they_were() {
        return Cow::Borrowed(files);
    }
    let mut files = files.to_vec();
    for recorded in files.iter_mut().map(|file| &mut file.recorded) {
        names.change_in(recorded);
    }
    Cow::Owned(files)
}
