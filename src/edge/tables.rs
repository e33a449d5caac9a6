//! Table sets on disk and inside the binary.
use crate::tables::snapshot::Tables;
use crate::tables::source::Files;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::sync::Arc;
mod shipped {
    include!(concat!(env!("OUT_DIR"), "/shipped.rs"));
}
pub fn shipped() -> Files {
    shipped::SHIPPED.iter().map(|(n, b)| ((*n).to_owned(), b.to_vec())).collect()
}
pub fn read_folder(dir: &Path) -> Result<Files> {
    let mut files = Files::new();
    fn walk(base: &Path, dir: &Path, files: &mut Files) -> Result<()> {
        for e in std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
            let p = e?.path();
            if p.is_dir() {
                walk(base, &p, files)?;
            } else {
                let n = p.strip_prefix(base)?.to_string_lossy().into_owned();
                files.insert(n, std::fs::read(&p)?);
            }
        }
        Ok(())
    }
    walk(dir, dir, &mut files)?;
    Ok(files)
}
pub fn load_or_shipped(path: Option<&Path>) -> Result<Arc<Tables>> {
    let files = match path {
        None => shipped(),
        Some(p) => read_folder(p)?,
    };
    match crate::tables::build::build(&files) {
        Ok(t) => Ok(Arc::new(t)),
        Err(d) => {
            for d in &d {
                eprintln!("{d}");
            }
            bail!("{} defects", d.len())
        }
    }
}
