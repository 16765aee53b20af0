//! Lists the project's own files, and the examples of lints and probes, for `contract::project`, so that the binary carries a copy of each.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let root = Path::new(&root);
    let mut code = String::new();
    list(&mut code, root, "MIGRATIONS", "migrations", "")?;
    list(&mut code, root, "POLICIES", "policies", ".sql")?;
    writeln!(
        code,
        "pub(super) const CONTRACT: (&str, &str) = (\"policies/access.toml\", include_str!({:?}));",
        root.join("policies/access.toml")
    )?;
    // A path that does not exist yet can't be watched without rebuilding every time; its folder can.
    let seed = root.join("fixtures/development.sql");
    if seed.is_file() {
        println!("cargo::rerun-if-changed=fixtures/development.sql");
        writeln!(
            code,
            "pub(super) const SEED: Option<(&str, &str)> = Some((\"fixtures/development.sql\", include_str!({seed:?})));"
        )?;
    } else {
        println!("cargo::rerun-if-changed=fixtures");
        writeln!(code, "pub(super) const SEED: Option<(&str, &str)> = None;")?;
    }
    examples(&mut code, root)?;
    println!("cargo::rerun-if-changed=build.rs");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("embedded.rs"), code)?;
    Ok(())
}

/// Appends a constant with every visible file of `folder` whose name ends in `suffix`, sorted by name.
fn list(code: &mut String, root: &Path, constant: &str, folder: &str, suffix: &str) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={folder}");
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| format!("{name:?} is not UTF-8"))?;
        if entry.path().is_file() && !name.starts_with('.') && name.ends_with(suffix) {
            names.push(name);
        }
    }
    names.sort();
    writeln!(code, "pub(super) const {constant}: &[(&str, &str)] = &[")?;
    for name in names {
        writeln!(code, "    ({:?}, include_str!({:?})),", format!("{folder}/{name}"), root.join(folder).join(&name))?;
    }
    writeln!(code, "];")?;
    Ok(())
}

/// Appends the examples of lints and probes: name, file and text of each, sorted.
fn examples(code: &mut String, root: &Path) -> Result<(), Box<dyn Error>> {
    let mut found = Vec::new();
    for area in ["fixtures/lint", "fixtures/probe"] {
        println!("cargo::rerun-if-changed={area}");
        for folder in fs::read_dir(root.join(area))? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            let name = folder.file_name().into_string().map_err(|name| format!("{name:?} is not UTF-8"))?;
            for file in ["bad.sql", "good.sql", "hole.sql", "closed.sql"] {
                let path = folder.path().join(file);
                if path.is_file() {
                    found.push((name.clone(), file, path));
                }
            }
        }
    }
    found.sort();
    writeln!(code, "pub(super) const EXAMPLES: &[(&str, &str, &str)] = &[")?;
    for (name, file, path) in found {
        writeln!(code, "    ({name:?}, {file:?}, include_str!({path:?})),")?;
    }
    writeln!(code, "];")?;
    Ok(())
}
