//! The only clock, timer, spawn and source of randomness.
