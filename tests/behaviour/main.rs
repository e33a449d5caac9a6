mod geography;
mod tables_check;
mod tables_import;
mod tilings;
