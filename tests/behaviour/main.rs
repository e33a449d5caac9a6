mod geography;
mod tilings;
mod doors;
mod frames;
mod tables_check;
mod tables_import;
