//! Exact geography on integers: points, rings, shapes of uncertainty, the index that answers "whose is this point".
//!
//! # Invariants
//! - Every answer is computed on integers (only the Makani projection uses floats, and of those only the operations that IEEE
//!   754 defines to the last bit), so every machine gives the same one.
//! - A point has exactly one owner in a tiling: see [`ring`].
//! - No query allocates, and no query can panic or loop on tables that were read from a file.
//! - Longitudes do not wrap: no area reaches across the 180th meridian.

pub mod trig;
pub mod point;
pub mod ring;
pub mod grid;
pub mod edges;
pub mod area;
pub mod makani;
pub mod tiling;
