//! `report.md`: for a pull request or the summary of a CI step.
