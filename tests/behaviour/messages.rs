//! What comes from telephones, cars, sensors and location servers is read, and a bad message never costs a call.

mod cases;
mod command;
mod decisions;
pub mod forge;
mod own;
mod properties;
mod shared;
