//! The page: one document, with everything that it needs in it.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const HTML: &str = include_str!("page.html");
const CSS: &str = include_str!("page.css");
const JS: &str = include_str!("page.js");

/// The page, and what a browser may run and load of it: what is in it, and nothing from anywhere else.
pub(super) struct Page {
    pub(super) html: String,
    pub(super) policy: String,
}

pub(super) static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let html = HTML.replace("/* page.css */", CSS).replace("/* page.js */", JS);
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(JS),
        hash(CSS)
    );
    Page { html, policy }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for outside in ["http://", "https://", "src=\"", "@import", "url("] {
            let rest = PAGE.html.replace("http://www.w3.org/2000/svg", "").replace("url(\"data:", "");
            assert!(!rest.contains(outside), "{outside}");
        }
        assert!(PAGE.html.contains(CSS) && PAGE.html.contains(JS));
    }
}
