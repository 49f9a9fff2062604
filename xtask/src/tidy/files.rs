//! The project's own text files. Refuses build products, installed packages and binary files.

use std::path::Path;

/// A text file of the project.
#[derive(Clone, Debug)]
pub struct File {
    /// Path from the project's folder, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl File {
    /// One for a rule's test.
    #[cfg(test)]
    pub fn of(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    /// What its name ends with, after the last dot.
    pub fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

const FOLDERS_LEFT_OUT: [&str; 6] = [".git", "target", "node_modules", ".regie", "artefacts", "corpus"];
/// Larger files are data.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads every text file below the root, in order of path.
///
/// # Errors
/// If a folder or file cannot be read.
pub fn read(root: &Path) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    walk(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<File>) -> Result<(), String> {
    let fail = |e: std::io::Error| format!("{}: {e}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(fail)?;
        // In a second working tree `.git` is a file that names the first.
        if FOLDERS_LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() && entry.metadata().map_err(fail)?.len() <= FILE_BYTES_MAX {
            // What is not UTF-8 is a picture or a database; what vanished meanwhile is not ours.
            if let Ok(text) = std::fs::read_to_string(entry.path()) {
                files.push(File { path, text });
            }
        }
    }
    Ok(())
}
