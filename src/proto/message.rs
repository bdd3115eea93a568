//! The messages of `/gyre/swarm/1.0.0`.

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {}
