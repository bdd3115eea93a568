//! Log lines in the browser's console: warnings and errors, as one line of text each.
//!
//! Spans are not kept: nobody follows them in a page, and a registry of them weighs more than the lines.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use web_sys::console;

/// Sends what is logged from now on to the console. The first call in a module counts.
pub(super) fn start() {
    // An error says that it was started before, which is what is wanted.
    let _ = tracing::subscriber::set_global_default(Console);
}

struct Console;

impl Subscriber for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.is_event()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line(metadata.target().to_owned());
        event.record(&mut line);
        let line = line.0.into();
        if *metadata.level() == Level::ERROR {
            console::error_1(&line);
        } else {
            console::warn_1(&line);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The target, the message and the fields, in the order in which they were given.
struct Line(String);

impl Visit for Line {
    // Nothing that is logged is a fraction, and what writes one is 15 kB.
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record_i64(field, value as i64);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.0, ": {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        // A Debug that fails leaves its part of the line out.
        let _ = written;
    }
}
