//! The one async loop that joins proto, net and store.
