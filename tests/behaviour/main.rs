mod tables_check;
mod tables_import;
