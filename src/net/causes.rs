//! Why there is no connection, in words for people: the innermost cause, without addresses.
//!
//! libp2p's own words are a chain with every address in it, and none at all for the error of a transport.

use std::error::Error;
use std::io;

use libp2p::TransportError;
use libp2p::swarm::DialError;

/// Why a dial failed; of several addresses the first counts.
pub fn of_dial(error: &DialError) -> String {
    match error {
        DialError::Transport(failed) => match failed.first() {
            Some((_, cause)) => of_transport(cause),
            None => NO_ADDRESS.to_owned(),
        },
        DialError::NoAddresses => NO_ADDRESS.to_owned(),
        DialError::LocalPeerId { .. } => "the address is our own".to_owned(),
        DialError::WrongPeerId { .. } => "somebody else answered".to_owned(),
        DialError::Denied { cause } => innermost(cause),
        DialError::DialPeerConditionFalse(_) => "another dial is under way".to_owned(),
        DialError::Aborted => "the dial was given up".to_owned(),
    }
}

/// Why a transport would not listen or could not connect.
pub fn of_transport(error: &TransportError<io::Error>) -> String {
    match error {
        TransportError::MultiaddrNotSupported(_) => "not an address of ours".to_owned(),
        TransportError::Other(cause) => innermost(cause),
    }
}

const NO_ADDRESS: &str = "no address";

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use libp2p::Multiaddr;

    use super::*;

    #[test]
    fn the_innermost_cause_of_the_first_address_is_told() {
        let closed = io::Error::other(io::Error::other("the socket closed"));
        let failed = vec![
            (Multiaddr::empty(), TransportError::Other(closed)),
            (
                Multiaddr::empty(),
                TransportError::MultiaddrNotSupported(Multiaddr::empty()),
            ),
        ];
        assert_eq!(of_dial(&DialError::Transport(failed)), "the socket closed");
        assert_eq!(of_dial(&DialError::Transport(vec![])), NO_ADDRESS);
    }
}
