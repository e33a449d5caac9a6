//! An authority's own boundaries in place of the shipped ones.
