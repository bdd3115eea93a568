//! The native relay as a library.
