//! What has to be known of an ICE candidate that is otherwise passed on as the platform wrote it (`RTCIceCandidateInit`).

/// Whether a candidate says where we are: anything but one of type `relay`. The platform gathers no other when it is asked
/// for relays only; this is what holds when it was asked after it had begun.
pub(super) fn shows_address(json: &str) -> bool {
    let Some(Said::Line(line)) = read(json) else {
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
    match read(json) {
        Some(Said::Nothing) => true,
        Some(Said::Line(line)) => line.is_empty(),
        // The platform judges what this is.
        Some(Said::Other) | None => false,
    }
}

/// A candidate's JSON as far as it matters. Read by hand: a general reader would weigh more in the page than all of this.
enum Said {
    /// `null` or `""`.
    Nothing,
    /// The property `candidate` of an object.
    Line(String),
    Other,
}

/// `None` for what is no JSON (RFC 8259), and for what is nested deeper than [`MAX_DEPTH`]: the platform judges the whole.
fn read(json: &str) -> Option<Said> {
    let mut json = Json(json);
    let said = match json.next()? {
        'n' => json.literal("null").map(|()| Said::Nothing)?,
        '"' => match json.text()?.is_empty() {
            true => Said::Nothing,
            false => Said::Other,
        },
        '{' => json.candidate()?,
        _ => json.skip(MAX_DEPTH).map(|()| Said::Other)?,
    };
    json.next().is_none().then_some(said)
}

/// What is left to be read.
struct Json<'a>(&'a str);

impl Json<'_> {
    /// The first character of what comes, white space left out.
    fn next(&mut self) -> Option<char> {
        self.0 = self.0.trim_start_matches([' ', '\t', '\n', '\r']);
        self.0.chars().next()
    }

    fn literal(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// The object's property `candidate`. The last one counts, as in `JSON.parse`.
    fn candidate(&mut self) -> Option<Said> {
        let mut said = Said::Other;
        self.items('{', '}', |json| {
            if json.key()? != "candidate" {
                return json.skip(MAX_DEPTH);
            }
            said = match json.next()? {
                '"' => Said::Line(json.text()?),
                _ => json.literal("null").map(|()| Said::Other)?,
            };
            Some(())
        })?;
        Some(said)
    }

    /// What stands between two brackets, with commas between the items.
    fn items(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.0 = self.0.strip_prefix(open)?;
        if self.next()? == close {
            self.0 = &self.0[1..];
            return Some(());
        }
        loop {
            self.next()?;
            item(self)?;
            let after = self.next()?;
            self.0 = self.0.strip_prefix([',', close])?;
            if after == close {
                return Some(());
            }
        }
    }

    /// The name of a property, and its colon.
    fn key(&mut self) -> Option<String> {
        let key = self.text()?;
        self.next()?;
        self.literal(":")?;
        self.next()?;
        Some(key)
    }

    /// Goes past one value.
    fn skip(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let skip: &mut dyn FnMut(&mut Self) -> Option<()> = &mut |json| json.skip(depth);
        match self.next()? {
            '{' => self.items('{', '}', |json| json.key().and_then(|_| skip(json))),
            '[' => self.items('[', ']', skip),
            '"' => self.text().map(|_| ()),
            'n' => self.literal("null"),
            't' => self.literal("true"),
            'f' => self.literal("false"),
            _ => self.number(),
        }
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.literal("-");
        if self.literal("0").is_none() {
            self.digits()?;
        }
        if self.literal(".").is_some() {
            self.digits()?;
        }
        if self.0.starts_with(['e', 'E']) {
            self.0 = &self.0[1..];
            self.0 = self.0.strip_prefix(['+', '-']).unwrap_or(self.0);
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let rest = self.0.trim_start_matches(|c: char| c.is_ascii_digit());
        let some = rest.len() < self.0.len();
        self.0 = rest;
        some.then_some(())
    }

    fn text(&mut self) -> Option<String> {
        self.literal("\"")?;
        let mut text = String::new();
        loop {
            let mut rest = self.0.chars();
            let c = rest.next()?;
            self.0 = rest.as_str();
            match c {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                '\0'..='\x1f' => return None,
                c => text.push(c),
            }
        }
    }

    /// What stands behind a backslash.
    fn escaped(&mut self) -> Option<char> {
        let mut rest = self.0.chars();
        let c = rest.next()?;
        self.0 = rest.as_str();
        Some(match c {
            '"' | '\\' | '/' => c,
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => match self.unit()? {
                high @ 0xd800..=0xdbff => {
                    self.literal("\\u")?;
                    let low = self.unit().filter(|low| (0xdc00..=0xdfff).contains(low))?;
                    char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?
                }
                unit => char::from_u32(unit)?,
            },
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(4)?;
        self.0 = rest;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| hex)
    }
}

/// How deep what is passed over may be nested: a candidate is flat.
const MAX_DEPTH: usize = 16;

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

        /// Against a general reader, on text with escapes and nesting, whole and damaged.
        #[test]
        fn json_is_what_a_general_reader_takes_for_it(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"candidate\"", "null", "true", "false", "0", "-1.5e+3", "01", "1.", ".5", "1e",
                    "\\n", "\\u00e4", "\\ud83d\\ude00", "\\ud83d", "\\x", " ", "\n", "ä", "\u{1}", "{\"candidate\":\"x\"}", "{\"a\":[1,{}]}",
                ]),
                0..8,
            )
        ) {
            let json = parts.concat();
            let tree = serde_json::from_str::<serde_json::Value>(&json);
            let line = tree.as_ref().ok().and_then(|tree| tree.get("candidate"));
            // A candidate that is neither text nor nothing is left to the platform, as broken JSON is.
            let other = line.is_some_and(|line| !line.is_string() && !line.is_null());
            match read(&json) {
                None => prop_assert!(tree.is_err() || other || json.contains("candidate"), "{json}"),
                Some(Said::Line(found)) => prop_assert_eq!(line.and_then(|line| line.as_str()), Some(&*found), "{}", json),
                Some(_) => prop_assert!(tree.is_ok() && !line.is_some_and(|line| line.is_string()), "{json}"),
            }
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_left_to_the_platform() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(MAX_DEPTH)).is_some());
        assert!(read(&nested(MAX_DEPTH + 1)).is_none());
        assert!(read(&nested(100_000)).is_none());
    }
}
