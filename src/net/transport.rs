//! How bytes reach another peer: `/webrtc` between browsers, websocket to a relay.

pub mod webrtc;
