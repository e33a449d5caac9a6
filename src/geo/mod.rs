//! Exact geography on integers: points, rings, shapes of uncertainty, the index that answers "whose is this point".

pub mod point;
pub mod area;
pub mod tiling;
