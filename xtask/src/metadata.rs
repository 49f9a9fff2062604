//! What cargo knows about the workspace and its dependencies. Refuses the network: what is not
//! downloaded yet is an error that says so.

use crate::process;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Features that only tests switch on.
pub const TEST_FEATURES: [&str; 2] = ["mutations", "simdisk"];

/// One dependency that a package declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package's name.
    pub name: String,
    /// Only for its tests and examples.
    pub dev: bool,
    /// The features that it asks for.
    pub features: Vec<String>,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence expression, if it states one.
    pub licence: Option<String>,
    /// In this repository.
    pub member: bool,
    /// Its folder.
    pub dir: PathBuf,
    /// What it declares.
    pub dependencies: Vec<Dependency>,
    /// The features it declares.
    pub features: Vec<String>,
    /// The features it is built with, here.
    pub active_features: Vec<String>,
}

impl Package {
    /// Whether its own tests switch its test features on, by a dependency on itself.
    pub fn tests_itself(&self) -> bool {
        self.dependencies.iter().any(|d| d.dev && d.name == self.name)
    }
    /// Whether it declares a feature.
    pub fn has_feature(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }
}

/// Asks cargo for the packages that this machine's platform builds, optional features included.
///
/// # Errors
/// If cargo fails, or `Cargo.lock` does not fit the manifests.
pub fn packages(root: &Path) -> Result<Vec<Package>, String> {
    let host = host(root)?;
    let what = ["metadata", "--format-version=1", "--all-features", "--offline", "--locked"];
    let mut command = process::cargo(root, &what);
    command.args(["--filter-platform", &host]);
    let text = process::output(command)
        .map_err(|e| format!("{e}\n(if a download is missing: cargo fetch --locked)"))?;
    parse(&text)
}

/// Downloads what this platform's build needs; nothing when it is there already.
///
/// # Errors
/// If cargo fails, or `Cargo.lock` does not fit the manifests.
pub fn fetch(root: &Path) -> Result<(), String> {
    let host = host(root)?;
    process::pass(process::cargo(root, &["fetch", "--locked", "--target", &host]))
}

/// The platform's name, as `rustc` says it.
fn host(root: &Path) -> Result<String, String> {
    let text = process::output(process::command(root, "rustc", &["-vV"]))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".into())
}

fn parse(text: &str) -> Result<Vec<Package>, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("cargo metadata: {e}"))?;
    let members = strings(&value["workspace_members"]);
    let nodes = value["resolve"]["nodes"].as_array().cloned().unwrap_or_default();
    let list = value["packages"].as_array().ok_or("cargo metadata: no packages")?;
    let mut packages = Vec::new();
    for package in list {
        let id = package["id"].as_str().unwrap_or_default();
        let Some(node) = nodes.iter().find(|node| node["id"] == package["id"]) else { continue };
        let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap_or_default());
        packages.push(Package {
            name: package["name"].as_str().unwrap_or_default().to_owned(),
            version: package["version"].as_str().unwrap_or_default().to_owned(),
            licence: package["license"].as_str().map(str::to_owned),
            member: members.iter().any(|member| member == id),
            dir: manifest.parent().map(Path::to_path_buf).unwrap_or_default(),
            dependencies: dependencies(&package["dependencies"]),
            features: package["features"]
                .as_object()
                .map(|f| f.keys().cloned().collect())
                .unwrap_or_default(),
            active_features: strings(&node["features"]),
        });
    }
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(packages)
}

fn dependencies(value: &Value) -> Vec<Dependency> {
    let each = value.as_array().into_iter().flatten();
    each.map(|d| Dependency {
        name: d["name"].as_str().unwrap_or_default().to_owned(),
        dev: d["kind"].as_str() == Some("dev"),
        features: strings(&d["features"]),
    })
    .collect()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}
