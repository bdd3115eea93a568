//! Tells the readers of one file apart by where they go on.
//!
//! A reader is whoever asks for the byte behind the last one it got; a read anywhere else is a new reader. A player, a
//! download and a preview on the same handle are so three readers with a pace each, and nobody has to say so.

use super::readers::ReaderId;
use crate::proto::rate::Rate;
use crate::proto::types::Time;

/// One reader and where it stands.
#[derive(Debug)]
struct Place {
    reader: ReaderId,
    /// The byte it will ask for next; `None` while a read is under way.
    next: Option<u64>,
    at: u64,
    rate: Rate,
}

/// What a new read belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entered {
    pub reader: ReaderId,
    /// Bytes a second that the reader has taken lately.
    pub pace: u64,
    /// A reader that lost its place to this one.
    pub left: Option<ReaderId>,
}

/// The readers of one file, the one that read last at the end.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: Vec<Place>,
}

impl Places {
    /// A read begins at `offset`: goes on with the reader that stands there, else with `fresh`.
    pub fn enter(&mut self, offset: u64, fresh: ReaderId, now: Time) -> Entered {
        let known = self
            .places
            .iter()
            .position(|place| place.next == Some(offset));
        let mut left = None;
        let mut place = match known {
            Some(known) => self.places.remove(known),
            None => {
                if self.places.len() >= MAX_PLACES {
                    left = Some(self.places.remove(0).reader);
                }
                Place {
                    reader: fresh,
                    next: None,
                    at: offset,
                    rate: Rate::default(),
                }
            }
        };
        place.next = None;
        place.at = offset;
        let (reader, pace) = (place.reader, place.rate.per_second(now));
        self.places.push(place);
        Entered { reader, pace, left }
    }

    /// A read has ended before byte `next`.
    pub fn moved(&mut self, reader: ReaderId, next: u64, now: Time) {
        if let Some(place) = self.places.iter_mut().find(|place| place.reader == reader) {
            place.rate.add(next.saturating_sub(place.at), now);
            place.next = Some(next);
        }
    }

    /// A read was given up, and with it the reader.
    pub fn give_up(&mut self, reader: ReaderId) {
        self.places.retain(|place| place.reader != reader);
    }

    /// All of them.
    pub fn readers(&self) -> impl Iterator<Item = ReaderId> {
        self.places.iter().map(|place| place.reader)
    }
}

/// Readers told apart on one handle: the two or three requests of a player, a download, and those left behind by jumps.
const MAX_PLACES: usize = 8;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_reader_that_goes_on_keeps_its_name_and_has_a_pace() {
        let mut places = Places::default();
        let mut now = Time(1_000_000);
        let first = places.enter(0, ReaderId(1), now);
        assert_eq!((first.reader, first.pace), (ReaderId(1), 0));
        for step in 1..=10 {
            now = now + SECOND;
            places.moved(ReaderId(1), step * 1000, now);
            let entered = places.enter(step * 1000, ReaderId(100 + step), now);
            assert_eq!(entered.reader, ReaderId(1));
            if step > 5 {
                assert!((800..=1300).contains(&entered.pace), "{}", entered.pace);
            }
        }
    }

    #[test]
    fn two_reads_at_one_place_are_two_readers() {
        let mut places = Places::default();
        let now = Time(1);
        assert_eq!(places.enter(5, ReaderId(1), now).reader, ReaderId(1));
        assert_eq!(places.enter(5, ReaderId(2), now).reader, ReaderId(2));
        places.moved(ReaderId(1), 10, now);
        places.give_up(ReaderId(2));
        assert_eq!(places.enter(10, ReaderId(3), now).reader, ReaderId(1));
        assert_eq!(places.readers().collect::<Vec<_>>(), [ReaderId(1)]);
    }

    #[test]
    fn places_are_bounded_and_the_longest_unused_goes_first() {
        let mut places = Places::default();
        let now = Time(1);
        for id in 0..MAX_PLACES as u64 {
            places.enter(1000 * id, ReaderId(id), now);
            places.moved(ReaderId(id), 1000 * id + 1, now);
        }
        assert_eq!(places.enter(1, ReaderId(90), now).reader, ReaderId(0));
        let next = places.enter(77, ReaderId(91), now);
        assert_eq!((next.reader, next.left), (ReaderId(91), Some(ReaderId(1))));
        assert_eq!(places.readers().count(), MAX_PLACES);
    }
}
