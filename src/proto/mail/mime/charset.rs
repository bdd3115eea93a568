//! Text in charsets that the parser has no tables for: read once more with those of whoever runs us.
//!
//! A browser can read every charset of the WHATWG's list, so a page carries no tables of its own. The parser has read the mail as well as
//! it can; what it shows of the mail itself is then replaced, field by field and text by text, by what the tables make of the bytes that
//! stand there: words of RFC 2047, parameters of RFC 2231, bytes of a field that are in the charset of the text, and the texts.

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{
    Encoding, Header, HeaderName, HeaderValue, Message, MessageParser, MimeHeaders, PartType,
};

/// Reads bytes in the charset of this name, which is in lower case; `None` if there is no such charset.
pub type Tables<'a> = &'a dyn Fn(&str, &[u8]) -> Option<String>;

/// Words and parameters of one mail that are read so. Ours: more fields than that are shown by nobody.
const MAX_WORDS: usize = 1024;

/// Letters of the name of a charset; the longest registered has 45.
const MAX_NAME: usize = 45;

/// Names in use that the WHATWG's list does not have, and what they stand for.
const ALIASES: [(&str, &str); 13] = [
    ("cn-big5", "big5"),
    ("cp50220", "iso-2022-jp"),
    ("cp50221", "iso-2022-jp"),
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("iso-2022-jp-1", "iso-2022-jp"),
    ("iso-2022-jp-2", "iso-2022-jp"),
    ("iso-2022-jp-ms", "iso-2022-jp"),
    ("ms949", "euc-kr"),
    ("uhc", "euc-kr"),
    ("x-windows-949", "euc-kr"),
];

/// Reads what is shown of a mail once more.
pub(super) fn read_again(message: &mut Message<'_>, parser: &MessageParser, tables: Tables<'_>) {
    let raw = message.raw_message.clone();
    let mut left = MAX_WORDS;
    let mut of_text = message.parts.iter().filter_map(charset_of);
    // What bytes without a word of their charset are in, if they are in any.
    let general = of_text.next();
    let mut reader = Reader {
        tables,
        general: general.as_deref(),
        left: &mut left,
    };
    for part in &mut message.parts {
        for header in part.headers.iter_mut().filter(|header| is_shown(header)) {
            let stands = raw.get(header.offset_start as usize..header.offset_end as usize);
            let Some(field) = stands.and_then(|bytes| reader.field(bytes)) else {
                continue;
            };
            let one = [header.name.as_str().as_bytes(), b":", &field, b"\r\n\r\n"].concat();
            let read = parser.parse_headers(&one[..]);
            let value = read.and_then(|mut mail| mail.parts.first_mut()?.headers.pop());
            if let Some(value) = value {
                header.value = value.value.into_owned();
            }
        }
        let Some(charset) = charset_of(part) else {
            continue;
        };
        let stands = raw.get(part.offset_body as usize..part.offset_end as usize);
        let bytes = stands.and_then(|bytes| match part.encoding {
            Encoding::None => Some(bytes.to_vec()),
            Encoding::Base64 => base64_decode(bytes),
            Encoding::QuotedPrintable => quoted_printable_decode(bytes),
        });
        let text = bytes.and_then(|bytes| tables(&charset, &bytes));
        if let (PartType::Text(body) | PartType::Html(body), Some(text)) = (&mut part.body, text) {
            *body = text.into();
        }
    }
}

fn is_shown(header: &Header<'_>) -> bool {
    matches!(
        header.name,
        HeaderName::Subject
            | HeaderName::From
            | HeaderName::To
            | HeaderName::Cc
            | HeaderName::ContentType
            | HeaderName::ContentDisposition
    ) && !matches!(header.value, HeaderValue::Empty)
}

/// The charset of a text, if tables are needed for it.
fn charset_of(part: &mail_parser::MessagePart<'_>) -> Option<String> {
    let is_text = matches!(part.body, PartType::Text(_) | PartType::Html(_));
    if !is_text || part.is_encoding_problem {
        return None;
    }
    let named = part.content_type()?.attribute("charset")?;
    foreign(named.as_bytes())
}

/// The name by which tables are asked, if any are needed.
fn foreign(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?.trim();
    // RFC 2231 adds a language.
    let name = name.split('*').next()?;
    let mut name = name.to_ascii_lowercase();
    if name.is_empty() || name.len() > MAX_NAME || !name.is_ascii() {
        return None;
    }
    // The parser has these, and nobody's tables have the last.
    if matches!(
        name.as_str(),
        "utf-8" | "utf8" | "us-ascii" | "ascii" | "utf-7"
    ) {
        return None;
    }
    if name != "shift_jis" && !name.starts_with("ks_c_") {
        name = name.replace('_', "-");
    }
    let known = ALIASES.iter().find(|(alias, _)| *alias == name);
    Some(known.map_or(name, |(_, known)| (*known).to_owned()))
}

/// Reads fields.
struct Reader<'a> {
    tables: Tables<'a>,
    general: Option<&'a str>,
    left: &'a mut usize,
}

impl Reader<'_> {
    /// The field with all of it in UTF-8, if something was not.
    fn field(&mut self, field: &[u8]) -> Option<Vec<u8>> {
        let mut now = self.words(field);
        if let Some(bytes) = self.parameters(now.as_deref().unwrap_or(field)) {
            now = Some(bytes);
        }
        let stands = now.as_deref().unwrap_or(field);
        if let Some(general) = self.general
            && std::str::from_utf8(stands).is_err()
            && let Some(text) = self.read(general, stands)
        {
            now = Some(text.into_bytes());
        }
        now
    }

    fn read(&mut self, charset: &str, bytes: &[u8]) -> Option<String> {
        *self.left = self.left.checked_sub(1)?;
        (self.tables)(charset, bytes)
    }

    /// Words of RFC 2047. Those of one charset that follow each other are read as one: some mailers split them within a letter.
    fn words(&mut self, field: &[u8]) -> Option<Vec<u8>> {
        let mut out: Option<Vec<u8>> = None;
        let mut copied = 0;
        let mut at = 0;
        while let Some(start) = find(field, b"=?", at) {
            at = start + 2;
            let Some(word) = Word::at(field, start) else {
                continue;
            };
            let (Some(charset), Some(mut bytes)) = (foreign(word.charset), word.bytes()) else {
                at = word.end;
                continue;
            };
            let mut end = word.end;
            while let Some(next) = next_word(field, end)
                && foreign(next.charset).as_ref() == Some(&charset)
                && let Some(more) = next.bytes()
            {
                bytes.extend(more);
                end = next.end;
            }
            at = end;
            let Some(text) = self.read(&charset, &bytes) else {
                continue;
            };
            let out = out.get_or_insert_with(Vec::new);
            out.extend_from_slice(&field[copied..start]);
            out.extend_from_slice(b"=?utf-8?Q?");
            hex(out, b'=', text.trim_matches(char::is_control).as_bytes());
            out.extend_from_slice(b"?=");
            copied = end;
        }
        let mut out = out?;
        out.extend_from_slice(&field[copied..]);
        Some(out)
    }

    /// Parameters of RFC 2231, whose parts are joined before they are read.
    fn parameters(&mut self, field: &[u8]) -> Option<Vec<u8>> {
        find(field, b"''", 0).or_else(|| find(field, b"*=", 0))?;
        let segments = segments(field);
        let mut out: Vec<u8> = Vec::new();
        let mut changed = false;
        for (at, segment) in segments.iter().enumerate() {
            let parameter = Parameter::of(segment);
            let first = parameter
                .as_ref()
                .filter(|found| found.place == 0 && found.is_encoded);
            let named = first.and_then(|found| {
                let mut fields = found.value.splitn(3, |byte| *byte == b'\'');
                let charset = foreign(fields.next()?)?;
                fields.next()?;
                Some((found.name, charset, fields.next()?))
            });
            if let Some((name, charset, value)) = named {
                let mut bytes = percent(value);
                let others = || segments.iter().filter_map(|other| Parameter::of(other));
                for place in 1..segments.len() {
                    let Some(next) = others()
                        .find(|next| next.place == place && next.name.eq_ignore_ascii_case(name))
                    else {
                        break;
                    };
                    match next.is_encoded {
                        true => bytes.extend(percent(next.value)),
                        false => bytes.extend_from_slice(unquoted(next.value)),
                    }
                }
                if let Some(text) = self.read(&charset, &bytes) {
                    changed = true;
                    separate(&mut out, at);
                    out.extend_from_slice(name);
                    out.extend_from_slice(b"*=utf-8''");
                    hex(&mut out, b'%', text.as_bytes());
                    continue;
                }
            }
            let joined = parameter.is_some_and(|found| {
                found.place > 0 && changed && contains(&out, &[found.name, b"*=utf-8''"].concat())
            });
            if !joined {
                separate(&mut out, at);
                out.extend_from_slice(segment);
            }
        }
        changed.then_some(out)
    }
}

/// A word of RFC 2047.
struct Word<'a> {
    charset: &'a [u8],
    encoding: u8,
    data: &'a [u8],
    end: usize,
}

impl<'a> Word<'a> {
    /// The word that begins here.
    fn at(field: &'a [u8], start: usize) -> Option<Self> {
        let charset_end = find(field, b"?", start + 2)?;
        let encoding = *field.get(charset_end + 1)?;
        if field.get(charset_end + 2) != Some(&b'?') {
            return None;
        }
        let data = charset_end + 3;
        let end = find(field, b"?", data)?;
        if field.get(end + 1) != Some(&b'=') {
            return None;
        }
        let word = Self {
            charset: &field[start + 2..charset_end],
            encoding: encoding.to_ascii_lowercase(),
            data: &field[data..end],
            end: end + 2,
        };
        let lines = [word.charset, word.data].concat().contains(&b'\n');
        (!lines && word.charset.len() <= 2 * MAX_NAME).then_some(word)
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        match self.encoding {
            b'b' => base64_decode(self.data),
            b'q' => {
                let mut spaced = self.data.to_vec();
                for byte in spaced.iter_mut().filter(|byte| **byte == b'_') {
                    *byte = b' ';
                }
                quoted_printable_decode(&spaced)
            }
            _ => None,
        }
    }
}

/// The word behind nothing but white space.
fn next_word(field: &[u8], after: usize) -> Option<Word<'_>> {
    let blank = field.get(after..)?.iter();
    let blank = blank.take_while(|byte| byte.is_ascii_whitespace()).count();
    let start = after + blank;
    (blank > 0 && field.get(start..)?.starts_with(b"=?"))
        .then(|| Word::at(field, start))
        .flatten()
}

/// A parameter of RFC 2231, or a part of one.
struct Parameter<'a> {
    name: &'a [u8],
    place: usize,
    is_encoded: bool,
    value: &'a [u8],
}

impl<'a> Parameter<'a> {
    fn of(segment: &'a [u8]) -> Option<Self> {
        let equals = segment.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (segment[..equals].trim_ascii(), &segment[equals + 1..]);
        let (name, is_encoded) = match name.strip_suffix(b"*") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let star = name.iter().position(|byte| *byte == b'*');
        let (name, place) = match star {
            None => (name, 0),
            Some(star) => {
                let digits = std::str::from_utf8(&name[star + 1..]).ok()?;
                (&name[..star], digits.parse().ok()?)
            }
        };
        (is_encoded || star.is_some()).then_some(Self {
            name,
            place,
            is_encoded,
            value: value.trim_ascii(),
        })
    }
}

/// What stands between the semicolons that are not within quotation marks.
fn segments(field: &[u8]) -> Vec<&[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    let is_end = |byte: &u8| {
        let skip = std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted && !skip => escaped = true,
            b'"' if !skip => quoted = !quoted,
            b';' if !quoted => return true,
            _ => {}
        }
        false
    };
    field.split(is_end).collect()
}

fn separate(out: &mut Vec<u8>, at: usize) {
    if at > 0 {
        out.extend_from_slice(b"; ");
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    let inner = value.strip_prefix(b"\"");
    inner
        .and_then(|inner| inner.strip_suffix(b"\""))
        .unwrap_or(value)
}

fn percent(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = unquoted(value);
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *byte == b'%');
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    out
}

fn hex(out: &mut Vec<u8>, mark: u8, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
        out.extend([mark, DIGITS[high], DIGITS[low]]);
    }
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let mut windows = rest.windows(what.len());
    windows
        .position(|window| window == what)
        .map(|at| from + at)
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    find(bytes, what, 0).is_some()
}
