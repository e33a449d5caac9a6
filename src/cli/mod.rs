//! The commands of the binary, one file each.

pub mod tables_check;
pub mod tables_import;
