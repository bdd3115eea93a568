//! How many connections one address may hold at a time.
//!
//! A seat is taken when a connection comes and given back when its [`Seat`] is dropped.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rate::address_group;

/// The seats of every address.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    per_address: u32,
    taken: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// One seat.
#[derive(Debug)]
pub(crate) struct Seat {
    address: Option<IpAddr>,
    taken: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Seats {
    pub(crate) fn new(per_address: u32) -> Self {
        Self {
            per_address,
            taken: Arc::default(),
        }
    }

    /// Takes a seat for `address`; `None` when it has none left.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Seat> {
        let address = address_group(address);
        let mut taken = lock(&self.taken);
        let count = taken.entry(address).or_insert(0);
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Seat {
            address: Some(address),
            taken: self.taken.clone(),
        })
    }

    /// A seat that counts for nobody, for a proxy that speaks for many.
    pub(crate) fn uncounted(&self) -> Seat {
        Seat {
            address: None,
            taken: self.taken.clone(),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(address) = self.address
            && let Entry::Occupied(mut count) = lock(&self.taken).entry(address)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

fn lock(taken: &Mutex<HashMap<IpAddr, u32>>) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
    // The counts are whole after every step, whatever else panicked.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn seats_are_counted_and_given_back() {
        let seats = Seats::new(2);
        let one = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let first = seats.take(one);
        let second = seats.take(one);
        assert!(first.is_some() && second.is_some());
        assert!(seats.take(one).is_none());
        assert!(seats.take(Ipv4Addr::new(192, 0, 2, 2).into()).is_some());
        drop(first);
        assert!(seats.take(one).is_some());
        drop((second, seats.uncounted()));
        assert!(lock(&seats.taken).is_empty());
    }
}
