//! The JS surface: converts, decides nothing.
