//! Puts the shipped table set into the binary, so that `najda` routes the UAE wherever it is installed.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let pack = Path::new("routing-tables/uae");
    println!("cargo::rerun-if-changed=routing-tables/uae");
    let mut files = Vec::new();
    collect(pack, &mut files);
    files.sort();
    let mut code = String::from("pub const SHIPPED: &[(&str, &[u8])] = &[\n");
    for file in &files {
        let name = file.strip_prefix(pack).expect("collected below it").to_string_lossy().replace('\\', "/");
        let path = fs::canonicalize(file).expect("a file that was just listed");
        code.push_str(&format!("    ({name:?}, include_bytes!({path:?})),\n"));
    }
    code.push_str("];\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("shipped.rs");
    fs::write(out, code).expect("OUT_DIR can be written");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let data = path.extension().is_some_and(|ending| ["csv", "toml", "geojson"].iter().any(|known| ending == *known));
        if path.is_dir() {
            collect(&path, files);
        } else if data {
            files.push(path);
        }
    }
}
