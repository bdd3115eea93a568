//! The media type of a file by its name, the same for every publisher.
//!
//! Text is said to be UTF-8, as static hosts do. A name without a known ending is bytes.

/// The media type of the file at `path`.
pub fn media_type_of(path: &str) -> &'static str {
    known_media_type_of(path).unwrap_or(BYTES)
}

/// The same, if the ending is known.
pub fn known_media_type_of(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next()?;
    let (stem, ending) = name.rsplit_once('.')?;
    if stem.is_empty() || ending.len() > LONGEST {
        return None;
    }
    let ending = ending.to_ascii_lowercase();
    let at = TYPES.binary_search_by(|(known, _)| (*known).cmp(ending.as_str()));
    at.ok().map(|at| TYPES[at].1)
}

/// What is said of a file of which nothing is known.
pub const BYTES: &str = "application/octet-stream";

/// Bytes of the longest ending in [`TYPES`].
const LONGEST: usize = 11;

/// By ending, in order; types as the registry of IANA has them, or as browsers expect them.
const TYPES: [(&str, &str); 70] = [
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("apng", "image/apng"),
    ("appcache", "text/cache-manifest"),
    ("atom", "application/atom+xml"),
    ("avif", "image/avif"),
    ("bin", BYTES),
    ("bmp", "image/bmp"),
    ("br", "application/x-brotli"),
    ("bz2", "application/x-bzip2"),
    ("cjs", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("eot", "application/vnd.ms-fontobject"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("geojson", "application/geo+json"),
    ("gif", "image/gif"),
    ("gltf", "model/gltf+json"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("jsonld", "application/ld+json"),
    ("m4a", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mid", "audio/midi"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("rss", "application/rss+xml"),
    ("rtf", "application/rtf"),
    ("svg", "image/svg+xml"),
    ("svgz", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("ts", "video/mp2t"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("zip", "application/zip"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::manifest::headers::is_media_type;

    #[test]
    fn the_table_is_in_order_and_well_formed() {
        assert!(TYPES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (ending, media_type) in TYPES {
            assert!(
                ending.len() <= LONGEST && is_media_type(media_type),
                "{ending}"
            );
            assert_eq!(
                known_media_type_of(&format!("a/b.{ending}")),
                Some(media_type)
            );
        }
    }

    #[test]
    fn names_decide() {
        assert_eq!(media_type_of("a/index.HTML"), "text/html; charset=utf-8");
        assert_eq!(
            media_type_of("jquery.min.js"),
            "text/javascript; charset=utf-8"
        );
        for unknown in ["LICENSE", ".html", "a.html/b", "a.", "x.verylongending"] {
            assert_eq!(known_media_type_of(unknown), None, "{unknown}");
        }
    }
}
