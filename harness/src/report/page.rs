//! One self-contained page.

use super::contents::Contents;

/// Draws the page.
#[must_use]
pub fn draw(contents: &Contents) -> String {
    let json = serde_json::to_string(contents).unwrap_or_default().replace('<', "\\u003c");
    format!("<!doctype html>\n<meta charset=\"utf-8\">\n<script type=\"application/json\">{json}</script>\n")
}
