//! Puts into the binary what `najda` needs wherever it is installed: the shipped table set, and the web console's page.
//!
//! The page is made by Node from `web/`; without Node everything else is built all the same, and the console says what is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let pack = Path::new("routing-tables/uae");
    println!("cargo::rerun-if-changed=routing-tables/uae");
    let mut files = Vec::new();
    collect(pack, &["csv", "toml", "geojson"], &mut files);
    fs::write(out.join("shipped.rs"), table("SHIPPED", pack, &files)).expect("OUT_DIR can be written");

    let web = Path::new("web");
    println!("cargo::rerun-if-changed=web/src");
    for file in PAGE_SOURCES {
        println!("cargo::rerun-if-changed=web/{file}");
    }
    let page = page(web, &out);
    let mut files = Vec::new();
    collect(&page, &["css", "html", "js", "json", "png", "svg", "woff2"], &mut files);
    let tag = format!("pub const PAGE_TAG: &str = \"\\\"{:016x}\\\"\";\n", print_of(&files));
    fs::write(out.join("page.rs"), table("PAGE", &page, &files) + &tag).expect("OUT_DIR can be written");
}

/// What the page is made from, beside `web/src`.
const PAGE_SOURCES: [&str; 5] = ["index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"];

/// The folder of the built page. Built once for every profile, and again when its sources have changed.
fn page(web: &Path, out: &Path) -> PathBuf {
    let mut sources: Vec<PathBuf> = PAGE_SOURCES.iter().map(|file| web.join(file)).filter(|path| path.exists()).collect();
    collect(&web.join("src"), &["ts", "css", "html", "svg", "json"], &mut sources);
    let (dist, print) = (web.join("dist"), format!("{:016x}", print_of(&sources)));
    let stamp = dist.join("made-from.txt");
    // Two builds at once (another profile, an editor's check) would tread on each other's node_modules.
    let lock = fs::File::create(web.join(".building")).ok();
    let _held = lock.as_ref().map(fs::File::lock);
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == print) {
        return dist;
    }
    let npm = |arguments: &[&str]| {
        let done = Command::new("npm").args(arguments).current_dir(web).env_remove("NODE_ENV").output();
        match done {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(format!("npm {}: {}", arguments.join(" "), tail(&output.stderr, &output.stdout))),
            Err(why) => Err(format!("npm {}: {why}", arguments.join(" "))),
        }
    };
    let install = || npm(&["ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]);
    match install()
        .and_then(|()| npm(&["run", "--silent", "build"]))
        .and_then(|()| fs::write(&stamp, &print).map_err(|why| why.to_string()))
    {
        Ok(()) => dist,
        Err(why) => {
            println!("cargo::warning=the web console's page was not built ({why}); install Node with npm and build again");
            // Looked at again by the next build.
            println!("cargo::rerun-if-changed=web/dist/made-from.txt");
            let missing = out.join("no-page");
            fs::create_dir_all(&missing).expect("OUT_DIR can be written");
            fs::write(missing.join("index.html"), NO_PAGE).expect("OUT_DIR can be written");
            missing
        }
    }
}

const NO_PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Najda</title><h1>This build has no web console</h1>\
    <p>It was built on a machine without Node. Install Node with npm and build again, or answer at
    <code>najda console</code>.</p></html>\n";

fn tail(first: &[u8], second: &[u8]) -> String {
    let text = if first.is_empty() { second } else { first };
    let lines: Vec<String> = String::from_utf8_lossy(text).lines().rev().take(3).map(str::to_owned).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
}

/// FNV-1a over names and contents.
fn print_of(files: &[PathBuf]) -> u64 {
    let mut files = files.to_vec();
    files.sort();
    let mut print: u64 = 0xcbf2_9ce4_8422_2325;
    for file in &files {
        let bytes = fs::read(file).unwrap_or_default();
        for byte in file.to_string_lossy().bytes().chain(bytes) {
            print = (print ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    print
}

/// A constant with every file: its name below `root`, and its bytes.
fn table(name: &str, root: &Path, files: &[PathBuf]) -> String {
    let mut files = files.to_vec();
    files.sort();
    let mut code = format!("pub const {name}: &[(&str, &[u8])] = &[\n");
    for file in &files {
        let name = file.strip_prefix(root).expect("collected below it").to_string_lossy().replace('\\', "/");
        let path = fs::canonicalize(file).expect("a file that was just listed");
        code.push_str(&format!("    ({name:?}, include_bytes!({path:?})),\n"));
    }
    code + "];\n"
}

fn collect(folder: &Path, endings: &[&str], files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let wanted = path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known));
        if path.is_dir() {
            collect(&path, endings, files);
        } else if wanted {
            files.push(path);
        }
    }
}
