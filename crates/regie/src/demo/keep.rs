//! What the demo keeps in its data folder between two runs: who may sign in, and the tokens of its visitors.
//!
//! It lies beside the folder's other secrets, readable by its owner only. A real installation keeps no password in text.

use crate::{
    http::auth::{links, password},
    platform::{Platform, secrets::random_bytes},
};
use anyhow::{Context, Result};
use regie_model::{
    TokenId,
    booking::{Role, Scope, TokenRecord, UserRecord},
    command::Change,
    event::Actor,
};
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc};

/// Name of the file.
pub const FILE: &str = "demo.json";
/// Who signs in.
pub const EMAIL: &str = "owner@harbour-courier.example";

/// The demo's own secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Sign-in name of the demo's owner.
    pub email: String,
    /// Their password.
    pub password: String,
    /// Token of the newspaper's server: states a visitor's country and device.
    pub decide_token: String,
    /// Token of the advertisers' servers: reports orders.
    pub conversions_token: String,
    /// Token for scripts that look at the demo and book in it.
    pub api_token: String,
}

/// Reads what was kept, or makes owner and tokens and keeps them. For a thread that may block.
///
/// # Errors
/// A file that cannot be read or written, or a journal that stopped.
pub fn load_or_make(platform: &Arc<Platform>, folder: &Path) -> Result<Kept> {
    let path = folder.join(FILE);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is damaged; start the demo with --fresh", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(platform, &path),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn make(platform: &Arc<Platform>, path: &Path) -> Result<Kept> {
    let password = password_text()?;
    let owner = UserRecord { role: Role::Owner, advertiser: None, active: true };
    let owner = links::add_user(platform, Actor::Operator, owner)?;
    platform.secrets.add_user(owner, EMAIL, "Demo owner", platform.now())?;
    platform.secrets.set_password(owner, &password::hash(&password)?)?;
    let all = vec![Scope::Read, Scope::Book, Scope::Operate, Scope::Metrics];
    let kept = Kept {
        email: EMAIL.into(),
        password,
        decide_token: token(platform, "The Courier's server", vec![Scope::Decide])?,
        conversions_token: token(platform, "Advertisers' shops", vec![Scope::Conversions])?,
        api_token: token(platform, "Scripts", all)?,
    };
    std::fs::write(path, serde_json::to_vec_pretty(&kept)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(kept)
}

fn token(platform: &Arc<Platform>, name: &str, scopes: Vec<Scope>) -> Result<String> {
    let id = TokenId(platform.catalogue().tokens.keys().last().map_or(0, |t| t.0) + 1);
    let record = TokenRecord { name: name.into(), scopes, advertiser: None, active: true };
    links::record(platform, Actor::Operator, vec![Change::TokenPut { id, record }])?;
    platform.secrets.make_token(id)
}

/// A password to read aloud: four groups of four letters and digits that cannot be mistaken (80 bits).
fn password_text() -> Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let bytes = random_bytes()?;
    let letter = |i: usize| char::from(LETTERS[usize::from(bytes[i] & 31)]);
    let groups: Vec<String> = (0..4).map(|group| (0..4).map(|i| letter(group * 4 + i)).collect()).collect();
    Ok(groups.join("-"))
}
