//! What has to be known of an ICE candidate that is otherwise passed on as the platform wrote it (`RTCIceCandidateInit`).

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// Whether a candidate says where we are: anything but one of type `relay`. The platform gathers no other when it is asked
/// for relays only; this is what holds when it was asked after it had begun.
pub(super) fn shows_address(json: &str) -> bool {
    let Ok(Said::Line(line)) = serde_json::from_str(json) else {
        return true;
    };
    let mut words = line.split_ascii_whitespace();
    let relayed =
        words.by_ref().find(|word| *word == "typ").is_some() && words.next() == Some("relay");
    // `raddr` of a relayed candidate would be the reflexive address behind it.
    let related = line
        .split_ascii_whitespace()
        .skip_while(|word| *word != "raddr")
        .nth(1);
    !relayed || related.is_some_and(|address| !matches!(address, "0.0.0.0" | "::"))
}

/// Nothing, `null`, `""` or a candidate that is an empty string: js-libp2p sends none of these and skips them all.
pub(super) fn is_end_of_candidates(json: &str) -> bool {
    if json.trim().is_empty() {
        return true;
    }
    match serde_json::from_str(json) {
        Ok(Said::Nothing) => true,
        Ok(Said::Line(line)) => line.is_empty(),
        // The platform judges what this is.
        Ok(Said::Other) | Err(_) => false,
    }
}

/// A candidate's JSON as far as it matters. Read by hand: a tree of values would weigh more in the page than all of this.
enum Said {
    /// `null` or `""`.
    Nothing,
    /// The property `candidate` of an object.
    Line(String),
    Other,
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ICE candidate")
    }

    fn visit_unit<E>(self) -> Result<Said, E> {
        Ok(Said::Nothing)
    }

    fn visit_str<E>(self, text: &str) -> Result<Said, E> {
        Ok(match text {
            "" => Said::Nothing,
            _ => Said::Other,
        })
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Said, M::Error> {
        let mut said = Said::Other;
        while let Some(key) = map.next_key::<String>()? {
            if key == "candidate" {
                // The last one counts, as in JSON.parse; one that is no text is none.
                said = match map.next_value::<Text>()? {
                    Text(Some(line)) => Said::Line(line),
                    Text(None) => Said::Other,
                };
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(said)
    }
}

/// A text, or nothing where something else stands.
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Anything else than a text or null is an error, and then the platform judges the whole.
        Option::deserialize(deserializer).map(Self)
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_end_of_candidates_has_several_forms() {
        for json in ["", "  ", "null", r#""""#, r#"{"candidate":""}"#] {
            assert!(is_end_of_candidates(json), "{json}");
        }
        for json in [
            r#""x""#,
            "{}",
            "[]",
            "7",
            "{",
            r#"{"candidate":null}"#,
            r#"{"candidate":"c"}"#,
        ] {
            assert!(!is_end_of_candidates(json), "{json}");
        }
    }

    #[test]
    fn only_a_relayed_candidate_shows_no_address() {
        let shows = |line: &str| {
            shows_address(&format!(
                r#"{{"sdpMid":"0","candidate":"{line}","x":[1,2.5]}}"#
            ))
        };
        assert!(!shows(
            "candidate:1 1 udp 1 198.51.100.1 6 typ relay raddr 0.0.0.0 rport 0"
        ));
        assert!(shows(
            "candidate:1 1 udp 1 198.51.100.1 6 typ relay raddr 203.0.113.9 rport 5"
        ));
        assert!(shows(
            "candidate:1 1 udp 1 203.0.113.9 6 typ srflx raddr 0.0.0.0 rport 0"
        ));
        for json in ["", "null", "{}", r#"{"candidate":7}"#, "typ relay"] {
            assert!(shows_address(json), "{json}");
        }
    }

    proptest! {
        /// Against a tree of values.
        #[test]
        fn it_is_what_the_whole_tree_says(json in r#"(null|""|"a"|\[1\]|\{"candidate":(""|"a typ relay"|7|null)(,"sdpMid":("0"|null|\{"a":\[1\]\}))?\}|.{0,12})"#) {
            let tree = serde_json::from_str::<serde_json::Value>(&json);
            let line = tree.as_ref().ok().and_then(|tree| tree.get("candidate")?.as_str().map(str::to_owned));
            let nothing = tree.as_ref().is_ok_and(|tree| tree.is_null() || tree.as_str() == Some(""));
            prop_assert_eq!(is_end_of_candidates(&json), json.trim().is_empty() || nothing || line.as_deref() == Some(""));
            prop_assert_eq!(shows_address(&json), line.as_deref() != Some("a typ relay"));
        }
    }
}
