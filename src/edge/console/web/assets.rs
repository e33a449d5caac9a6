//! The page's files, which `build.rs` put into the program.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::edge::ingress::http::refused;

include!(concat!(env!("OUT_DIR"), "/page.rs"));

pub(super) async fn get(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let Some((name, bytes)) = PAGE.iter().find(|(name, _)| *name == path) else {
        return refused(StatusCode::NOT_FOUND, "there is nothing here", "the console is at /");
    };
    // The files change only with the program; a browser asks each time and mostly hears that it has them.
    let tag = HeaderValue::from_static(PAGE_TAG);
    let fresh = HeaderValue::from_static("no-cache");
    if headers.get(IF_NONE_MATCH) == Some(&tag) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag), (CACHE_CONTROL, fresh)]).into_response();
    }
    let kind = HeaderValue::from_static(kind_of(name));
    ([(CONTENT_TYPE, kind), (ETAG, tag), (CACHE_CONTROL, fresh)], *bytes).into_response()
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
